// Which calls to STS ask policies (IAM user guide, "Permissions for GetSessionToken" and the API
// reference of each action).

import type { Ask } from './ec2-requests.ts'

/** Who they are, everybody may ask; a trust policy has its say when a role is assumed. */
const WITHOUT: ReadonlySet<string> = new Set([
  'GetCallerIdentity',
  'GetSessionToken',
  'AssumeRole',
  'AssumeRoleWithSAML',
  'AssumeRoleWithWebIdentity',
])

export function stsAsks(operation: string): Ask[] {
  if (WITHOUT.has(operation)) return []
  return [{ action: `sts:${operation}`, resource: '*', keys: new Map() }]
}
