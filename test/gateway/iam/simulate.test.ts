// Policies put to the test before they are used: through the official SDK, against the decisions
// that calls really get.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IAM, SimulatePolicyResponse } from '@aws-sdk/client-iam'
import { contextKeysIn, statementPlaces } from '../../../gateway/iam/document-places.ts'
import { newUser, openWorld, policyDocument, refused, trustOf } from './world.ts'

const VERSION = '2012-10-17'
const TAGGED = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Own",
      "Effect": "Allow",
      "Action": "ec2:*Instances",
      "Resource": "arn:aws:ec2:*:*:instance/\${aws:username}-*",
      "Condition": {"StringEquals": {"aws:ResourceTag/Team": "\${aws:PrincipalTag/team}"}}
    },
    { "Effect": "Deny", "Action": "ec2:TerminateInstances", "Resource": "*",
      "Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}} }
  ]
}`
const INSTANCE = 'arn:aws:ec2:mallee-1:111122223333:instance/ann-1'

/** Each result in a line: action, resource, decision, and which policies decided. */
function lines({ EvaluationResults = [] }: SimulatePolicyResponse): string[] {
  return EvaluationResults.map((one) => {
    const { EvalActionName, EvalResourceName, EvalDecision, MatchedStatements = [] } = one
    const by = MatchedStatements.map(
      ({ SourcePolicyId, SourcePolicyType }) => `${SourcePolicyId} (${SourcePolicyType})`,
    )
    return [EvalActionName, EvalResourceName, EvalDecision, ...by].join(' ')
  })
}

test('a user’s own, its groups’ and managed policies decide, and say who did', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await newUser(world, 'ann')
  await iam.createGroup({ GroupName: 'staff' })
  await iam.addUserToGroup({ UserName: 'ann', GroupName: 'staff' })
  const allow = policyDocument('ec2:StartInstances')
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'own', PolicyDocument: allow })
  const deny = policyDocument('ec2:StopInstances', 'Deny')
  await iam.putGroupPolicy({ GroupName: 'staff', PolicyName: 'careful', PolicyDocument: deny })
  const PolicyArn = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess'
  await iam.attachGroupPolicy({ GroupName: 'staff', PolicyArn })
  const made = await iam.createPolicy({
    PolicyName: 'stops',
    PolicyDocument: policyDocument('ec2:StopInstances'),
  })
  await iam.attachUserPolicy({ UserName: 'ann', PolicyArn: made.Policy?.Arn })
  const ActionNames = ['StartInstances', 'StopInstances', 'DescribeVpcs', 'CreateVpc'].map(
    (name) => `ec2:${name}`,
  )
  const PolicySourceArn = `arn:aws:iam::${world.account}:user/ann`
  const answer = await iam.simulatePrincipalPolicy({ PolicySourceArn, ActionNames })
  assert.deepEqual(lines(answer), [
    'ec2:StartInstances * allowed own (user)',
    'ec2:StopInstances * explicitDeny careful (group)',
    'ec2:DescribeVpcs * allowed AmazonEC2ReadOnlyAccess (aws-managed)',
    'ec2:CreateVpc * implicitDeny',
  ])
  const group = `arn:aws:iam::${world.account}:group/staff`
  const asGroup = await iam.simulatePrincipalPolicy({ PolicySourceArn: group, ActionNames })
  assert.deepEqual(lines(asGroup)[0], 'ec2:StartInstances * implicitDeny')
  const PolicyInputList = [policyDocument('ec2:CreateVpc')]
  const more = { PolicySourceArn, ActionNames: ['ec2:CreateVpc'], PolicyInputList }
  assert.deepEqual(lines(await iam.simulatePrincipalPolicy(more)), [
    'ec2:CreateVpc * allowed PolicyInputList.1 (none)',
  ])
})

test('a boundary limits, the entity’s own or the one that the request brings', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const PermissionsBoundary = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess'
  const AssumeRolePolicyDocument = trustOf({ AWS: world.account })
  const role = { RoleName: 'r', AssumeRolePolicyDocument, PermissionsBoundary }
  const PolicySourceArn = (await iam.createRole(role)).Role?.Arn
  const PolicyDocument = policyDocument('ec2:*')
  await iam.putRolePolicy({ RoleName: 'r', PolicyName: 'all', PolicyDocument })
  const ActionNames = ['ec2:DescribeVpcs', 'ec2:CreateVpc']
  const decisions = async (change: object) => {
    const asked = { PolicySourceArn, ActionNames, ...change }
    const { EvaluationResults = [] } = await iam.simulatePrincipalPolicy(asked)
    return EvaluationResults.map((one) => [
      one.EvalDecision,
      one.PermissionsBoundaryDecisionDetail?.AllowedByPermissionsBoundary,
    ])
  }
  assert.deepEqual(await decisions({}), [
    ['allowed', true],
    ['implicitDeny', false],
  ])
  const PermissionsBoundaryPolicyInputList = [policyDocument('ec2:Create*')]
  assert.deepEqual(await decisions({ PermissionsBoundaryPolicyInputList }), [
    ['implicitDeny', false],
    ['allowed', true],
  ])
})

test('conditions and variables take what is told of caller and call, and name what is missing', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await iam.createUser({ UserName: 'ann', Tags: [{ Key: 'team', Value: 'web' }] })
  const CallerArn = `arn:aws:iam::${world.account}:user/ann`
  const asked = { PolicyInputList: [TAGGED], ResourceArns: [INSTANCE], CallerArn }
  const simulate = async (action: string, context: readonly [string, string, string][]) => {
    const ContextEntries = context.map(([name, type, value]) => ({
      ContextKeyName: name,
      ContextKeyType: type as 'string',
      ContextKeyValues: [value],
    }))
    const input = { ...asked, ActionNames: [action], ContextEntries }
    const { EvaluationResults = [] } = await iam.simulateCustomPolicy(input)
    const [result] = EvaluationResults
    const [specific] = result?.ResourceSpecificResults ?? []
    assert.equal(specific?.EvalResourceDecision, result?.EvalDecision)
    assert.deepEqual(result?.MissingContextValues, [])
    return [result?.EvalDecision, specific?.MissingContextValues]
  }
  const missing = ['aws:ResourceTag/Team', 'aws:SourceIp']
  assert.deepEqual(await simulate('ec2:TerminateInstances', []), ['implicitDeny', missing])
  const team = ['aws:resourcetag/team', 'string', 'web'] as [string, string, string]
  assert.deepEqual(await simulate('ec2:StartInstances', [team]), ['allowed', []])
  const from = (address: string): [string, string, string] => ['aws:SourceIp', 'ip', address]
  const here = await simulate('ec2:TerminateInstances', [team, from('192.0.2.7')])
  assert.deepEqual(here, ['explicitDeny', []])
  const there = await simulate('ec2:TerminateInstances', [team, from('198.51.100.7')])
  assert.deepEqual(there, ['allowed', []])
  const other = ['aws:ResourceTag/Team', 'string', 'db'] as [string, string, string]
  assert.deepEqual(await simulate('ec2:StartInstances', [other]), ['implicitDeny', []])
})

test('statements have their places in the text', async (t) => {
  const iam = (await openWorld(t)).iam()
  const asked = { PolicyInputList: [TAGGED], ActionNames: ['ec2:TerminateInstances'] }
  const ContextKeyType = 'ip' as const
  const ContextEntries = [
    { ContextKeyName: 'aws:SourceIp', ContextKeyType, ContextKeyValues: ['192.0.2.1'] },
  ]
  const { EvaluationResults } = await iam.simulateCustomPolicy({ ...asked, ContextEntries })
  const [statement] = EvaluationResults?.[0]?.MatchedStatements ?? []
  assert.deepEqual(statement?.StartPosition, { Line: 10, Column: 7 })
  assert.deepEqual(statement?.EndPosition, { Line: 12, Column: 71 })
})

for (const [what, document, places] of [
  ['one statement', '{"Statement":{"Condition":{"a":{"b:c":[]}}}}', [[13, 43]]],
  ['a list of one', '{"Id":"Statement","Statement":[{"a":[{}]}],"x":1}', [[31, 41]]],
  [
    'a list, in any order',
    '{"Statement": [{}, {"}": "\\"]"}],"Version":"x"}',
    [
      [15, 17],
      [18, 31],
    ],
  ],
  ['none in other lists', '{"x":[{}],"y":{"Statement":{}}}', []],
] as const) {
  test(`statementPlaces finds ${what}`, () => {
    const found = statementPlaces(document).map(({ StartPosition, EndPosition }) => [
      StartPosition.Column - 1,
      EndPosition.Column - 1,
    ])
    assert.deepEqual(found, places)
  })
}

test('context keys are those of conditions and variables, as they are written', async (t) => {
  assert.deepEqual(contextKeysIn(TAGGED), [
    ['aws:ResourceTag/Team', 'aws:username', 'aws:PrincipalTag/team'],
    ['aws:SourceIp'],
  ])
  const world = await openWorld(t)
  const iam = world.iam()
  const all = ['aws:ResourceTag/Team', 'aws:username', 'aws:PrincipalTag/team', 'aws:SourceIp']
  const custom = await iam.getContextKeysForCustomPolicy({ PolicyInputList: [TAGGED, TAGGED] })
  assert.deepEqual(custom.ContextKeyNames, all)
  const { User } = await iam.createUser({ UserName: 'ann' })
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: TAGGED })
  const PolicySourceArn = User?.Arn
  const principal = await iam.getContextKeysForPrincipalPolicy({ PolicySourceArn })
  assert.deepEqual(principal.ContextKeyNames, all)
})

test('pages go through all pairs of actions and resources, in the order asked', async (t) => {
  const iam = (await openWorld(t)).iam()
  const ActionNames = Array.from({ length: 5 }, (_, n) => `ec2:Action${n}`)
  const ResourceArns = Array.from({ length: 3 }, (_, n) => `arn:aws:ec2:::instance/i-${n}`)
  const asked = { PolicyInputList: [policyDocument('ec2:Action3')], ActionNames, ResourceArns }
  const seen: string[] = []
  let Marker: string | undefined
  do {
    const page = await iam.simulateCustomPolicy({
      ...asked,
      MaxItems: 4,
      ...(Marker && { Marker }),
    })
    seen.push(...lines(page))
    Marker = page.Marker
  } while (Marker !== undefined)
  assert.equal(seen.length, 15)
  assert.deepEqual(seen.slice(2, 4), [
    'ec2:Action0 arn:aws:ec2:::instance/i-2 implicitDeny',
    'ec2:Action1 arn:aws:ec2:::instance/i-0 implicitDeny',
  ])
  assert.equal(seen.filter((line) => line.includes(' allowed ')).length, 3)
})

test('a simulation says what the call then gets', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const ann = await newUser(world, 'ann')
  const PolicySourceArn = `arn:aws:iam::${world.account}:user/ann`
  const asked = { PolicySourceArn, ActionNames: ['ec2:DescribeRegions'] }
  const decision = async (as: IAM) =>
    (await as.simulatePrincipalPolicy(asked)).EvaluationResults?.[0]?.EvalDecision
  assert.equal(await decision(iam), 'implicitDeny')
  await refused(world.ec2(ann).describeRegions({}), 'UnauthorizedOperation', 403)
  const PolicyDocument = policyDocument(['ec2:DescribeRegions', 'iam:SimulatePrincipalPolicy'])
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument })
  assert.equal(await decision(world.iam(ann)), 'allowed')
  await world.ec2(ann).describeRegions({})
  const deny = {
    Version: VERSION,
    Statement: [{ Effect: 'Deny', Action: 'iam:Simulate*', Resource: PolicySourceArn }],
  }
  const PolicyName = 'q'
  await iam.putUserPolicy({ UserName: 'ann', PolicyName, PolicyDocument: JSON.stringify(deny) })
  await refused(decision(world.iam(ann)), 'AccessDenied', 403)
})

test('what cannot be simulated is refused', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const good = { PolicyInputList: [policyDocument('ec2:*')], ActionNames: ['ec2:RunInstances'] }
  const entry = (
    ContextKeyName: string,
    ContextKeyType: string,
    ...ContextKeyValues: string[]
  ) => ({
    ContextEntries: [{ ContextKeyName, ContextKeyType: ContextKeyType as 'ip', ContextKeyValues }],
  })
  for (const change of [
    { ActionNames: ['ec2:*'] },
    { ActionNames: ['RunInstances'] },
    { ActionNames: ['a:'] },
    { ActionNames: [`ec2:${'a'.repeat(130)}`] },
    { ResourceArns: ['instance'] },
    { ResourceArns: ['arn:aws:*:::x'] },
    { PolicyInputList: ['{}'] },
    { PolicyInputList: [trustOf({ AWS: '*' })] },
    { PermissionsBoundaryPolicyInputList: ['{'] },
    { PermissionsBoundaryPolicyInputList: [policyDocument('a:b'), policyDocument('a:b')] },
    { CallerArn: `arn:aws:iam::${world.account}:role/r` },
    entry('aws', 'string', 'x'),
    entry('aws:SourceIp', 'ip', 'here'),
    entry('aws:x', 'numeric', 'one'),
    entry('aws:x', 'date', 'tomorrow'),
    entry('aws:x', 'boolean', 'maybe'),
    entry('aws:x', 'binary', '?'),
    entry('aws:x', 'string', 'one', 'two'),
    entry('aws:x', 'string'),
    {
      ContextEntries: [
        ...entry('aws:x', 'string', 'a').ContextEntries,
        ...entry('AWS:X', 'string', 'b').ContextEntries,
      ],
    },
  ]) {
    await refused(iam.simulateCustomPolicy({ ...good, ...change }), 'InvalidInput', 400)
  }
  for (const name of ['ResourcePolicy', 'ResourceOwner', 'ResourceHandlingOption']) {
    const call = iam.simulateCustomPolicy({ ...good, [name]: 'x' })
    await refused(call, 'UnsupportedOperation', 400)
  }
  const { Account } = await world.sts(world.other).getCallerIdentity({})
  await world.iam(world.other).createUser({ UserName: 'bob' })
  for (const [PolicySourceArn, code, status] of [
    [`arn:aws:iam::${world.account}:user/nobody`, 'NoSuchEntity', 404],
    [`arn:aws:iam::${Account}:user/bob`, 'NoSuchEntity', 404],
    [`arn:aws:iam::${world.account}:root`, 'InvalidInput', 400],
    ['arn:aws:ec2:::instance/i-1', 'InvalidInput', 400],
  ] as const) {
    await refused(iam.simulatePrincipalPolicy({ ...good, PolicySourceArn }), code, status)
    await refused(iam.getContextKeysForPrincipalPolicy({ PolicySourceArn }), code, status)
  }
})
