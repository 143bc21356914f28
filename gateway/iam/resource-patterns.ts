// What a Resource element may be: `*` or an ARN whose service is written out.

const PARTITIONS = ['aws', 'aws-cn', 'aws-us-gov', '*']
const IAM_PATHS = [
  ...['user/', 'federated-user/', 'role/', 'group/', 'instance-profile/', 'mfa/'],
  ...['server-certificate/', 'policy/', 'sms-mfa/', 'saml-provider/', 'oidc-provider/'],
  ...['report/', 'access-report/'],
]

/** IAM's sentence of what is wrong, '' where it only fails legacy parsing; null for nothing. */
export function resourceFault(resource: string): string | null {
  if (resource === '*') return null
  const [scheme, partition, service, region, , ...rest] = resource.split(':')
  if (scheme !== 'arn' || partition === undefined) {
    return `Resource ${resource} must be in ARN format or "*".`
  }
  if (!PARTITIONS.includes(partition)) {
    return `Partition "${partition}" is not valid for resource "${whole(resource)}".`
  }
  if (service === '') return ''
  if (service === undefined || /[*?$]/.test(service)) {
    return 'Resource vendor must be fully qualified and cannot contain regexes.'
  }
  if (service !== 'iam') return null
  if (region !== undefined && region !== '' && region !== '*') {
    return `IAM resource ${resource} cannot contain region information.`
  }
  const path = rest.join(':')
  if (rest.length === 0 || path === '*' || IAM_PATHS.some((start) => path.startsWith(start))) {
    return null
  }
  return `IAM resource path must either be "*" or start with ${IAM_PATHS.join(', ')}.`
}

/** With `*` for the parts that are not there. */
function whole(resource: string): string {
  const parts = resource.split(':')
  return [...parts, ...Array(Math.max(0, 6 - parts.length)).fill('*')].join(':')
}
