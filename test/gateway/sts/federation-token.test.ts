// Federated users: what a user gives away of itself, to whom, and what stays closed to them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secretsOf } from '../../../gateway/access-keys.ts'
import { auditRecord } from '../../../gateway/audit/record.ts'
import { accessOf, issuerArn } from '../../../gateway/iam/principals.ts'
import { type Credentials, newUser, openWorld, policyDocument, refused } from '../iam/world.ts'
import { usable } from './support.ts'

const Name = 'guest'

test('a federated user may what its session and its user both may', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const ann = await newUser(world, 'ann')
  const own = policyDocument(['sts:*', 'iam:*', 'ec2:DescribeVpcs', 'ec2:DescribeRegions'])
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument: own })
  const Policy = policyDocument(['ec2:DescribeVpcs', 'ec2:DescribeSubnets', 'iam:*', 'sts:*'])
  const answer = await world.sts(ann).getFederationToken({ Name, Policy })
  const arn = `arn:aws:sts::${world.account}:federated-user/guest`
  assert.deepEqual(answer.FederatedUser, { FederatedUserId: `${world.account}:guest`, Arn: arn })
  assert.ok((answer.PackedPolicySize ?? 0) > 0)
  const keys = usable(answer.Credentials)
  const me = await world.sts(keys).getCallerIdentity({})
  assert.deepEqual([me.Account, me.Arn, me.UserId], [world.account, arn, `${world.account}:guest`])
  await world.ec2(keys).describeVpcs({})
  await refused(world.ec2(keys).describeRegions({}), 'UnauthorizedOperation', 403)
  const message = await refused(world.ec2(keys).describeSubnets({}), 'UnauthorizedOperation', 403)
  assert.match(
    message,
    new RegExp(`User: ${arn} is not authorized to perform: ec2:DescribeSubnets`),
  )
  await refused(world.iam(keys).listUsers({}), 'InvalidClientTokenId', 403)
  const sts = world.sts(keys)
  await refused(sts.getFederationToken({ Name, Policy }), 'AccessDenied', 403)
  await refused(sts.getSessionToken({}), 'AccessDenied', 403)
  const RoleArn = `arn:aws:iam::${world.account}:role/r`
  await refused(sts.assumeRole({ RoleArn, RoleSessionName: 'one' }), 'AccessDenied', 403)
  // What the user loses, who came by it loses too.
  await iam.deleteUserPolicy({ UserName: 'ann', PolicyName: 'p' })
  await refused(world.ec2(keys).describeVpcs({}), 'UnauthorizedOperation', 403)
})

test('without policies it may nothing; of a root it may what the policies say', async (t) => {
  const world = await openWorld(t)
  const plain = usable((await world.sts().getFederationToken({ Name })).Credentials)
  await refused(world.ec2(plain).describeVpcs({}), 'UnauthorizedOperation', 403)
  const PolicyArns = [{ arn: 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess' }]
  const answer = await world.sts().getFederationToken({ Name, PolicyArns })
  const keys = usable(answer.Credentials)
  await world.ec2(keys).describeVpcs({})
  await refused(
    world.ec2(keys).createVpc({ CidrBlock: '10.9.0.0/16' }),
    'UnauthorizedOperation',
    403,
  )
  const hours = (Number(answer.Credentials?.Expiration) - Date.now()) / 3_600_000
  assert.ok(hours > 0.9 && hours <= 1, `${hours} hours`)
})

test('its tags are its own before those of its user, and it has no user name', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const ann = await newUser(world, 'ann')
  const [mine, theirs] = [
    { Key: 'team', Value: 'web' },
    { Key: 'site', Value: 'a' },
  ]
  await iam.tagUser({ UserName: 'ann', Tags: [mine, theirs] })
  const PolicyDocument = policyDocument(['sts:*'])
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument })
  const Tags = [{ Key: 'team', Value: 'db' }]
  const { Credentials } = await world.sts(ann).getFederationToken({ Name, Tags })
  const { accessKeyId, sessionToken = '' } = usable(Credentials)
  const found = await secretsOf(world.state, world.sealer)(accessKeyId, sessionToken)
  assert.ok(found)
  const { keys, principal } = accessOf(world.state.view(), found.caller)
  assert.equal(principal.kind, 'federated-user')
  assert.deepEqual(keys.get('aws:principaltag/team'), ['db'])
  assert.deepEqual(keys.get('aws:principaltag/site'), ['a'])
  assert.deepEqual(keys.get('aws:principaltype'), ['FederatedUser'])
  assert.deepEqual(keys.get('aws:userid'), [`${world.account}:guest`])
  assert.equal(keys.get('aws:username'), undefined)
  const record = auditRecord(
    {
      region: 'r',
      eventId: () => 'e',
      issuerArnOf: (caller) => issuerArn(world.state.view(), caller),
    },
    {
      ...{ service: 'ec2', action: 'CreateVpc', caller: found.caller, sourceIp: '192.0.2.1' },
      ...{ userAgent: '', requestId: 'q', endedAtMs: 0, input: null, output: null, error: null },
    },
  ) as { userIdentity: { type: string; sessionContext: { sessionIssuer: object } } }
  assert.equal(record.userIdentity.type, 'FederatedUser')
  assert.deepEqual(record.userIdentity.sessionContext.sessionIssuer, {
    type: 'IAMUser',
    principalId: found.caller.session?.federatedBy,
    arn: `arn:aws:iam::${world.account}:user/ann`,
    accountId: world.account,
    userName: 'ann',
  })
})

test('who may federate is said for each name, and for tags', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const ann = await newUser(world, 'ann')
  const as = (input: object) => world.sts(ann).getFederationToken({ Name, ...input })
  const may = (Action: string | string[], resource: string) => {
    const Resource = `arn:aws:sts::${world.account}:federated-user/${resource}`
    const Statement = { Effect: 'Allow', Action, Resource }
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
    return iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument })
  }
  await refused(as({}), 'AccessDenied', 403)
  await may('sts:GetFederationToken', 'other-*')
  await refused(as({}), 'AccessDenied', 403)
  await may('sts:GetFederationToken', 'gu*')
  await as({})
  const Tags = [{ Key: 'team', Value: 'web' }]
  await refused(as({ Tags }), 'AccessDenied', 403)
  await may(['sts:GetFederationToken', 'sts:TagSession'], 'gu*')
  await as({ Tags })
})

test('it ends with its user', async (t) => {
  const world = await openWorld(t)
  const ann = await newUser(world, 'ann')
  const PolicyDocument = policyDocument('*')
  await world.iam().putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument })
  const { Credentials } = await world.sts(ann).getFederationToken({ Name, Policy: PolicyDocument })
  const keys: Credentials = usable(Credentials)
  await world.ec2(keys).describeVpcs({})
  const iam = world.iam()
  await iam.deleteUserPolicy({ UserName: 'ann', PolicyName: 'p' })
  await iam.deleteAccessKey({ UserName: 'ann', AccessKeyId: ann.accessKeyId })
  await iam.deleteUser({ UserName: 'ann' })
  await refused(world.ec2(keys).describeVpcs({}), 'AuthFailure', 401)
  await newUser(world, 'ann')
  await refused(world.ec2(keys).describeVpcs({}), 'AuthFailure', 401)
})

for (const [what, input, code] of [
  ['no name', { Name: undefined }, 'ValidationError'],
  ['a name of one letter', { Name: 'g' }, 'ValidationError'],
  ['a name of 33 letters', { Name: 'g'.repeat(33) }, 'ValidationError'],
  ['a name with a slash', { Name: 'a/b' }, 'ValidationError'],
  ['less than 15 minutes', { DurationSeconds: 899 }, 'ValidationError'],
  ['more than 36 hours', { DurationSeconds: 129_601 }, 'ValidationError'],
  ['a policy that is none', { Policy: '{' }, 'MalformedPolicyDocument'],
  [
    'an unknown managed policy',
    { PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/No' }] },
    'MalformedPolicyDocument',
  ],
] as const) {
  test(`GetFederationToken with ${what} is ${code}`, async (t) => {
    const world = await openWorld(t)
    await refused(world.sts().getFederationToken({ Name, ...input } as { Name: string }), code, 400)
  })
}
