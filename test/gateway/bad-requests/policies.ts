// Policy documents that are none, where IAM takes them: MalformedPolicyDocument, whatever is wrong.

import type { Row } from './row.ts'

const GOOD = { Effect: 'Allow', Action: 'ec2:*', Resource: '*' }
const TRUST = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: '*' } }

function document(statement: unknown, more: object = {}): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statement, ...more })
}
function policy(what: string, PolicyDocument: string): Row {
  const ask = { UserName: 'alice', PolicyName: 'new', PolicyDocument }
  return [what, 'PutUserPolicy', ask, 'MalformedPolicyDocument']
}
function trust(what: string, statement: unknown): Row {
  const ask = { RoleName: 'web', PolicyDocument: document(statement) }
  return [what, 'UpdateAssumeRolePolicy', ask, 'MalformedPolicyDocument']
}

export const POLICIES: readonly Row[] = [
  policy('no JSON', 'allow everything'),
  policy('half of it', '{"Version":"2012-10-17","Statement":'),
  policy('a list', '[]'),
  policy('a number', '7'),
  policy('leading space', ` ${document(GOOD)}`),
  policy('no statement', JSON.stringify({ Version: '2012-10-17' })),
  policy('an empty list of statements', document([])),
  policy('an unknown version', document(GOOD, { Version: '2024-01-01' })),
  policy('an unknown element', document(GOOD, { Comment: 'x' })),
  policy('an unknown effect', document({ ...GOOD, Effect: 'Maybe' })),
  policy('no effect', document({ Action: 'ec2:*', Resource: '*' })),
  policy('no action', document({ Effect: 'Allow', Resource: '*' })),
  policy('no resource', document({ Effect: 'Allow', Action: 'ec2:*' })),
  policy('Action and NotAction', document({ ...GOOD, NotAction: 's3:*' })),
  policy('Resource and NotResource', document({ ...GOOD, NotResource: '*' })),
  policy('a principal', document({ ...GOOD, Principal: '*' })),
  policy('an action without a vendor', document({ ...GOOD, Action: 'RunInstances' })),
  policy('an action of two colons', document({ ...GOOD, Action: 'ec2:Run:Instances' })),
  policy('an empty list of actions', document({ ...GOOD, Action: [] })),
  policy('a number as an action', document({ ...GOOD, Action: 7 })),
  policy('a resource that is no ARN', document({ ...GOOD, Resource: 'my-instance' })),
  policy(
    'one Sid twice',
    document([
      { ...GOOD, Sid: 'A' },
      { ...GOOD, Sid: 'A' },
    ]),
  ),
  policy('a Sid with a space', document({ ...GOOD, Sid: 'a b' })),
  policy('an unknown operator', document({ ...GOOD, Condition: { Like: { 'aws:x': 'y' } } })),
  policy('a condition that is none', document({ ...GOOD, Condition: 'always' })),
  policy(
    'an address that is none',
    document({ ...GOOD, Condition: { IpAddress: { 'aws:SourceIp': 'home' } } }),
  ),
  trust('no principal', { Effect: 'Allow', Action: 'sts:AssumeRole' }),
  trust('a resource', { ...TRUST, Resource: '*' }),
  trust('an action of another service', { ...TRUST, Action: 'ec2:RunInstances' }),
  trust('an unknown kind of principal', { ...TRUST, Principal: { Friend: 'x' } }),
  [
    'an unknown user',
    'UpdateAssumeRolePolicy',
    ({ account }) => {
      const Principal = { AWS: `arn:aws:iam::${account}:user/nobody` }
      return { RoleName: 'web', PolicyDocument: document({ ...TRUST, Principal }) }
    },
    'MalformedPolicyDocument',
  ],
  [
    'a document that is none',
    'CreatePolicy',
    { PolicyName: 'new', PolicyDocument: '{}' },
    'MalformedPolicyDocument',
  ],
  [
    'a document that is none',
    'CreatePolicyVersion',
    ({ policyArn }) => ({ PolicyArn: policyArn, PolicyDocument: '{}' }),
    'MalformedPolicyDocument',
  ],
  [
    'a document that is none',
    'CreateRole',
    { RoleName: 'new', AssumeRolePolicyDocument: '{}' },
    'MalformedPolicyDocument',
  ],
  [
    'a document that is none',
    'PutGroupPolicy',
    { GroupName: 'staff', PolicyName: 'new', PolicyDocument: '{}' },
    'MalformedPolicyDocument',
  ],
  [
    'a document too long for a user',
    'PutUserPolicy',
    {
      ...{ UserName: 'alice', PolicyName: 'new' },
      PolicyDocument: document(
        Array.from({ length: 60 }, (_, i) => ({ ...GOOD, Sid: `${'x'.repeat(30)}${i}` })),
      ),
    },
    'LimitExceeded',
    409,
  ],
]
