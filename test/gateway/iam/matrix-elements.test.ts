// Policy matrix: Effect, Action, NotAction, Resource, NotResource and the wildcards in them.

import { ACCOUNT, INSTANCE, type Row, testRows } from './matrix.ts'

const EC2 = `arn:aws:ec2:us-east-1:${ACCOUNT}`
const VPC = { action: 'ec2:DeleteVpc', resource: `${EC2}:vpc/vpc-1` }

// IAM user guide, "Policy evaluation logic".
const EFFECTS: readonly Row[] = [
  ['a statement that allows all', {}, {}, 'allow'],
  ['a statement about another action', { Action: 'ec2:StopInstances' }, {}, 'no'],
  ['a deny alone', { Effect: 'Deny' }, {}, 'deny'],
  ['a deny after an allow', [{}, { Effect: 'Deny' }], {}, 'deny'],
  ['a deny before an allow', [{ Effect: 'Deny' }, {}], {}, 'deny'],
  ['a deny of another action', [{}, { Effect: 'Deny', Action: 'ec2:StopInstances' }], {}, 'allow'],
  ['a deny of another resource', [{}, { Effect: 'Deny', Resource: VPC.resource }], {}, 'allow'],
  [
    'a deny whose condition does not hold',
    [{}, { Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }],
    { keys: { 'aws:SecureTransport': 'true' } },
    'allow',
  ],
  [
    'a deny whose condition holds',
    [{}, { Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }],
    { keys: { 'aws:SecureTransport': 'false' } },
    'deny',
  ],
  [
    'two allows that each miss something',
    [{ Action: 'ec2:StopInstances' }, { Resource: VPC.resource }],
    {},
    'no',
  ],
]

// "IAM JSON policy elements: Action": names ignore case, wildcards anywhere in them.
const ACTIONS: readonly Row[] = [
  ['the action by name', { Action: 'ec2:StartInstances' }, {}, 'allow'],
  ['the action in lower case', { Action: 'ec2:startinstances' }, {}, 'allow'],
  ['the action in upper case', { Action: 'EC2:STARTINSTANCES' }, {}, 'allow'],
  ['the second action of a list', { Action: ['s3:GetObject', 'ec2:StartInstances'] }, {}, 'allow'],
  ['all of the service', { Action: 'ec2:*' }, {}, 'allow'],
  ['all of another service', { Action: 's3:*' }, {}, 'no'],
  ['a service whose name starts alike', { Action: 'ec2messages:*' }, {}, 'no'],
  ['a prefix of the action', { Action: 'ec2:Start*' }, {}, 'allow'],
  ['a suffix of the action', { Action: 'ec2:*Instances' }, {}, 'allow'],
  ['both ends of the action', { Action: 'ec2:S*t*s' }, {}, 'allow'],
  ['a wildcard that stands for nothing', { Action: 'ec2:StartInstances*' }, {}, 'allow'],
  ['one character', { Action: 'ec2:Start?nstances' }, {}, 'allow'],
  ['one character too many', { Action: 'ec2:StartInstances?' }, {}, 'no'],
  ['the action without its end', { Action: 'ec2:StartInstance' }, {}, 'no'],
  ['a pattern with more than is there', { Action: 'ec2:*Start*Start*' }, {}, 'no'],
  ['any service', { Action: '*:StartInstances' }, {}, 'allow'],
  ['all but another action', { NotAction: 'ec2:StopInstances' }, {}, 'allow'],
  ['all but this action', { NotAction: 'ec2:StartInstances' }, {}, 'no'],
  ['all but this action in another case', { NotAction: 'EC2:startINSTANCES' }, {}, 'no'],
  ['all but a list with this action', { NotAction: ['iam:*', 'ec2:Start*'] }, {}, 'no'],
  ['all but a list without it', { NotAction: ['iam:*', 's3:*'] }, {}, 'allow'],
  ['a deny of all but this action', [{}, { Effect: 'Deny', NotAction: 'ec2:Start*' }], {}, 'allow'],
  ['a deny of all but others', [{}, { Effect: 'Deny', NotAction: ['iam:*'] }], {}, 'deny'],
  ['a deny of all but this allows nothing', { Effect: 'Deny', NotAction: 'ec2:*' }, {}, 'no'],
  ['all but everything', { NotAction: '*' }, {}, 'no'],
]

// "IAM JSON policy elements: Resource" and "NotResource".
const RESOURCES: readonly Row[] = [
  ['the resource itself', { Resource: INSTANCE }, {}, 'allow'],
  ['any resource', { Resource: '*' }, {}, 'allow'],
  ['any of its kind', { Resource: `${EC2}:instance/*` }, {}, 'allow'],
  ['any of another kind', { Resource: `${EC2}:volume/*` }, {}, 'no'],
  ['the second of a list', { Resource: [`${EC2}:volume/*`, INSTANCE] }, {}, 'allow'],
  ['another region', { Resource: `arn:aws:ec2:eu-west-1:${ACCOUNT}:instance/*` }, {}, 'no'],
  ['any region', { Resource: `arn:aws:ec2:*:${ACCOUNT}:instance/*` }, {}, 'allow'],
  ['a region by prefix', { Resource: `arn:aws:ec2:us-*:${ACCOUNT}:instance/*` }, {}, 'allow'],
  ['another account', { Resource: 'arn:aws:ec2:us-east-1:999999999999:instance/*' }, {}, 'no'],
  ['any account', { Resource: 'arn:aws:ec2:us-east-1:*:instance/*' }, {}, 'allow'],
  ['any region and account', { Resource: 'arn:aws:ec2:*:*:instance/*' }, {}, 'allow'],
  ['any partition', { Resource: `arn:*:ec2:us-east-1:${ACCOUNT}:instance/*` }, {}, 'allow'],
  ['another service', { Resource: `arn:aws:s3:us-east-1:${ACCOUNT}:instance/*` }, {}, 'no'],
  [
    'a resource in another case',
    { Resource: INSTANCE.toUpperCase().replace('ARN:AWS:EC2', 'arn:aws:ec2') },
    {},
    'no',
  ],
  ['an id by prefix', { Resource: `${EC2}:instance/i-0123*` }, {}, 'allow'],
  ['an id by suffix', { Resource: `${EC2}:instance/*ef0` }, {}, 'allow'],
  ['an id by another suffix', { Resource: `${EC2}:instance/*ef1` }, {}, 'no'],
  ['one character of an id', { Resource: `${EC2}:instance/i-0123456789abcdef?` }, {}, 'allow'],
  ['two characters where one is', { Resource: `${EC2}:instance/i-0123456789abcdef??` }, {}, 'no'],
  ['an ARN that ends after the service', { Resource: 'arn:aws:ec2' }, {}, 'allow'],
  ['an ARN that ends after the region', { Resource: 'arn:aws:ec2:us-east-1' }, {}, 'allow'],
  ['an ARN that ends after another region', { Resource: 'arn:aws:ec2:eu-west-1' }, {}, 'no'],
  ['an ARN that ends after the account', { Resource: EC2 }, {}, 'allow'],
  ['a wildcard at the end of a part goes on', { Resource: 'arn:aws:ec2:*' }, {}, 'allow'],
  ['a wildcard inside of a part stays there', { Resource: 'arn:aws:ec2:us*t/*' }, {}, 'no'],
  [
    'a question mark is no colon',
    { Resource: `arn:aws:ec2:us-east-1?${ACCOUNT}:instance/*` },
    {},
    'no',
  ],
  [
    'an ARN where the action has none',
    { Resource: INSTANCE },
    { action: 'ec2:DescribeInstances', resource: '*' },
    'no',
  ],
  [
    'any resource where the action has none',
    { Resource: '*' },
    { action: 'ec2:DescribeInstances', resource: '*' },
    'allow',
  ],
  ['all but another', { NotResource: VPC.resource }, {}, 'allow'],
  ['all but this', { NotResource: INSTANCE }, {}, 'no'],
  ['all but its kind', { NotResource: `${EC2}:instance/*` }, {}, 'no'],
  ['all but a list with it', { NotResource: [VPC.resource, `${EC2}:instance/i-0*`] }, {}, 'no'],
  ['a deny of all but this', [{}, { Effect: 'Deny', NotResource: INSTANCE }], {}, 'allow'],
  [
    'a deny of all but this, of another',
    [{}, { Effect: 'Deny', NotResource: INSTANCE }],
    VPC,
    'deny',
  ],
  ['all but everything', { NotResource: '*' }, {}, 'no'],
  ['both must fit', { Action: 'ec2:DeleteVpc', Resource: INSTANCE }, VPC, 'no'],
]

testRows([...EFFECTS, ...ACTIONS, ...RESOURCES])
