// Bad requests to STS, signed by an account's root.

import type { Row } from './row.ts'

const RoleSessionName = 'one'

export const STS: readonly Row[] = [
  ['an unknown action', 'AssumeNothing', '', 'InvalidAction'],
  ['nothing', 'AssumeRole', {}, 'ValidationError'],
  [
    'root that assumes a role',
    'AssumeRole',
    ({ roleArn }) => ({ RoleArn: roleArn, RoleSessionName }),
    'AccessDenied',
    403,
  ],
  ['no ARN', 'AssumeRole', { RoleArn: 'the-role-of-somebody', RoleSessionName }, 'ValidationError'],
  [
    'a session of 60 seconds',
    'AssumeRole',
    ({ roleArn }) => ({ RoleArn: roleArn, RoleSessionName, DurationSeconds: 60 }),
    'ValidationError',
  ],
  [
    'a space in the name',
    'AssumeRole',
    ({ roleArn }) => ({ RoleArn: roleArn, RoleSessionName: 'a b' }),
    'ValidationError',
  ],
  [
    'a name of 65 characters',
    'AssumeRole',
    ({ roleArn }) => ({ RoleArn: roleArn, RoleSessionName: 'x'.repeat(65) }),
    'ValidationError',
  ],
  [
    'a policy that is none',
    'AssumeRole',
    ({ roleArn }) => ({ RoleArn: roleArn, RoleSessionName, Policy: '{}' }),
    'MalformedPolicyDocument',
  ],
  ['a session of 60 seconds', 'GetSessionToken', { DurationSeconds: 60 }, 'ValidationError'],
  [
    'a message that nobody wrote',
    'DecodeAuthorizationMessage',
    { EncodedMessage: 'nonsense' },
    'InvalidAuthorizationMessageException',
  ],
  ['an unknown key', 'GetAccessKeyInfo', { AccessKeyId: 'x' }, 'ValidationError'],
  [
    'what nobody has here',
    'AssumeRoleWithSAML',
    // As text: clients do not sign it.
    ({ roleArn }) => `RoleArn=${roleArn}&PrincipalArn=${roleArn}/saml&SAMLAssertion=PHNhbWw%2B`,
    'UnsupportedOperation',
  ],
]
