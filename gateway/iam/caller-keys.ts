// What conditions may ask about who calls (IAM user guide, "Properties of the principal" in "AWS
// global condition context keys", and the table of values in "Variables and tags").

import type { Caller } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import { asKeys, type Keys } from './ec2-keys.ts'
import type { Principal } from './evaluate.ts'

const TYPES = {
  root: 'Account',
  user: 'User',
  'assumed-role': 'AssumedRole',
  'federated-user': 'FederatedUser',
  service: 'AWSService',
} as const

export function callerKeys(view: View, caller: Caller, principal: Principal): Keys {
  const { account, userId, session } = caller
  const [user] = view.by('iam-user', 'id', userId)
  const [role] = view.by('iam-role', 'id', userId.split(':')[0] ?? '')
  const keys = asKeys({
    'aws:PrincipalAccount': account,
    'aws:PrincipalArn': principal.roleArn ?? principal.arn,
    'aws:PrincipalIsAWSService': false,
    'aws:PrincipalType': TYPES[principal.kind],
    'aws:SourceIdentity': session?.sourceIdentity ?? null,
    'aws:userid': userId,
    'aws:username': user?.name ?? null,
  })
  for (const [key, value] of Object.entries({ ...(user ?? role)?.tags, ...session?.tags })) {
    keys.set(`aws:principaltag/${key.toLowerCase()}`, [value])
  }
  if (session === undefined) return keys
  // Only temporary credentials say it; no session of this cloud has a second factor.
  keys.set('aws:multifactorauthpresent', ['false'])
  keys.set('aws:tokenissuetime', [new Date(session.issuedAtMs).toISOString()])
  return keys
}
