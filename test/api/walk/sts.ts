// The walk through STS: who somebody is, sessions and roles, and why something was refused.

import { type Row, steps } from './row.ts'

const ANN = { as: ['<annId>', '<annSecret>'] }

const READ_VPCS = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: 'ec2:DescribeVpcs', Resource: '*' },
})

const ROWS: readonly Row[] = [
  ['GetCallerIdentity', {}, { want: { Arn: 'arn:aws:iam::<account>:root' } }],
  ['GetAccessKeyInfo', { AccessKeyId: '<annId>' }, { want: { Account: '<account>' } }],
  [
    'GetSessionToken',
    { DurationSeconds: 900 },
    {
      ...ANN,
      keep: {
        sessionId: 'Credentials.AccessKeyId',
        sessionSecret: 'Credentials.SecretAccessKey',
        sessionToken: 'Credentials.SessionToken',
      },
    },
  ],
  [
    'GetCallerIdentity',
    {},
    {
      as: ['<sessionId>', '<sessionSecret>', '<sessionToken>'],
      want: { Arn: 'arn:aws:iam::<account>:user/ann' },
    },
  ],
  [
    'GetFederationToken',
    { Name: 'walker', Policy: READ_VPCS, DurationSeconds: 900 },
    {
      ...ANN,
      want: { 'FederatedUser.FederatedUserId': '<account>:walker' },
      keep: {
        federatedId: 'Credentials.AccessKeyId',
        federatedSecret: 'Credentials.SecretAccessKey',
        federatedToken: 'Credentials.SessionToken',
      },
    },
  ],
  [
    'GetCallerIdentity',
    {},
    {
      as: ['<federatedId>', '<federatedSecret>', '<federatedToken>'],
      want: { Arn: 'arn:aws:sts::<account>:federated-user/walker' },
    },
  ],
  [
    'AssumeRole',
    { RoleArn: '<role>', RoleSessionName: 'walk' },
    {
      ...ANN,
      keep: {
        roleId: 'Credentials.AccessKeyId',
        roleSecret: 'Credentials.SecretAccessKey',
        roleToken: 'Credentials.SessionToken',
      },
    },
  ],
]

const REFUSED: readonly Row[] = [
  [
    'CreateVpc',
    { CidrBlock: '10.0.0.0/16' },
    {
      as: ['<roleId>', '<roleSecret>', '<roleToken>'],
      refused: 'UnauthorizedOperation',
      keep: { encoded: 'failure message: (\\S+)' },
    },
  ],
]

export const STS_STEPS = [
  ...steps('sts', ROWS),
  ...steps('ec2', REFUSED),
  ...steps('sts', [
    [
      'DecodeAuthorizationMessage',
      { EncodedMessage: '<encoded>' },
      { want: { DecodedMessage: '~"allowed":false' } },
    ],
  ]),
]
