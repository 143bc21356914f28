// Which calls to STS ask policies (IAM user guide, "Permissions for GetSessionToken" and the API
// reference of each action).

import { requestTagKeys } from './ec2-keys.ts'
import type { Place } from './ec2-named.ts'
import type { Ask } from './ec2-requests.ts'

/** Who they are, everybody may ask; a trust policy has its say when a role is assumed. */
const WITHOUT: ReadonlySet<string> = new Set([
  'GetCallerIdentity',
  'GetSessionToken',
  'AssumeRole',
  'AssumeRoleWithSAML',
  'AssumeRoleWithWebIdentity',
])

export function stsAsks(
  { account }: Pick<Place, 'account'>,
  operation: string,
  input: object,
): Ask[] {
  if (WITHOUT.has(operation)) return []
  if (operation === 'GetFederationToken') return federationAsks(account, input)
  return [{ action: `sts:${operation}`, resource: '*', keys: new Map() }]
}

/** For each name, and for its tags, as the user guide has it. */
function federationAsks(account: string, input: object): Ask[] {
  const { Name: name = '*', Tags: tags = [] } = input as {
    readonly Name?: string
    readonly Tags?: readonly { readonly Key?: string; readonly Value?: string }[]
  }
  const resource = `arn:aws:sts::${account}:federated-user/${name}`
  const keys = requestTagKeys(new Map(tags.map(({ Key = '', Value = '' }) => [Key, Value])))
  const actions = ['sts:GetFederationToken', ...(tags.length > 0 ? ['sts:TagSession'] : [])]
  return actions.map((action) => ({ action, resource, keys }))
}
