// Managed policies, attachments, boundaries, and what is no policy at all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWorld, policyDocument, refused, trustOf } from './world.ts'

const READ_ONLY = 'arn:aws:iam::aws:policy/ReadOnlyAccess'

test('a policy has versions, attachments and an end', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const PolicyDocument = policyDocument('ec2:*')
  const { Policy } = await iam.createPolicy({ PolicyName: 'p', Path: '/a/b/', PolicyDocument })
  const PolicyArn: string = Policy?.Arn ?? ''
  assert.equal(PolicyArn, `arn:aws:iam::${world.account}:policy/a/b/p`)
  assert.match(Policy?.PolicyId ?? '', /^ANPA[A-Z2-7]{17}$/)
  await iam.createUser({ UserName: 'ann' })
  await iam.attachUserPolicy({ UserName: 'ann', PolicyArn })
  assert.equal((await iam.getPolicy({ PolicyArn })).Policy?.AttachmentCount, 1)
  const users = (await iam.listEntitiesForPolicy({ PolicyArn })).PolicyUsers
  assert.equal(users?.[0]?.UserName, 'ann')
  const next = policyDocument('ec2:Describe*')
  for (const id of ['v2', 'v3', 'v4', 'v5']) {
    const SetAsDefault = id === 'v2'
    await iam.createPolicyVersion({ PolicyArn, PolicyDocument: next, SetAsDefault })
    const made = (await iam.listPolicyVersions({ PolicyArn })).Versions ?? []
    assert.deepEqual([made[0]?.VersionId, made[0]?.IsDefaultVersion], [id, SetAsDefault])
  }
  await refused(iam.createPolicyVersion({ PolicyArn, PolicyDocument: next }), 'LimitExceeded', 409)
  const version = await iam.getPolicyVersion({ PolicyArn, VersionId: 'v2' })
  assert.equal(decodeURIComponent(version.PolicyVersion?.Document ?? ''), next)
  await refused(iam.deletePolicyVersion({ PolicyArn, VersionId: 'v2' }), 'DeleteConflict', 409)
  await iam.deletePolicyVersion({ PolicyArn, VersionId: 'v1' })
  const { Versions } = await iam.listPolicyVersions({ PolicyArn })
  assert.deepEqual(
    Versions?.map(({ VersionId }) => VersionId),
    ['v5', 'v4', 'v3', 'v2'],
  )
  await iam.setDefaultPolicyVersion({ PolicyArn, VersionId: 'v5' })
  await refused(iam.deletePolicy({ PolicyArn }), 'DeleteConflict', 409)
  await iam.detachUserPolicy({ UserName: 'ann', PolicyArn })
  await refused(iam.deletePolicy({ PolicyArn }), 'DeleteConflict', 409)
  for (const VersionId of ['v2', 'v3', 'v4'])
    await iam.deletePolicyVersion({ PolicyArn, VersionId })
  await iam.deletePolicy({ PolicyArn })
  await refused(iam.getPolicy({ PolicyArn }), 'NoSuchEntity', 404)
})

test("AWS' policies are every account's to attach and nobody's to change", async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await iam.createRole({ RoleName: 'r', AssumeRolePolicyDocument: trustOf({ AWS: world.account }) })
  for (const PolicyArn of [READ_ONLY, READ_ONLY]) {
    await iam.attachRolePolicy({ RoleName: 'r', PolicyArn })
  }
  const { AttachedPolicies } = await iam.listAttachedRolePolicies({ RoleName: 'r' })
  assert.deepEqual(AttachedPolicies, [{ PolicyName: 'ReadOnlyAccess', PolicyArn: READ_ONLY }])
  await refused(iam.deletePolicy({ PolicyArn: READ_ONLY }), 'AccessDenied', 403)
  const aws = (await iam.listPolicies({ Scope: 'AWS' })).Policies ?? []
  assert.ok(aws.some(({ PolicyName }) => PolicyName === 'AdministratorAccess'))
  const attached = (await iam.listPolicies({ OnlyAttached: true })).Policies
  assert.deepEqual(
    attached?.map(({ PolicyName }) => PolicyName),
    ['ReadOnlyAccess'],
  )
  for (const { Arn: PolicyArn } of aws) {
    const read = await iam.getPolicyVersion({ PolicyArn, VersionId: 'v1' })
    const { Statement } = JSON.parse(decodeURIComponent(read.PolicyVersion?.Document ?? ''))
    assert.ok(Statement.length > 0, PolicyArn)
  }
})

test('policies of another account are not there', async (t) => {
  const world = await openWorld(t)
  const PolicyDocument = policyDocument('*')
  const { Policy } = await world.iam(world.other).createPolicy({ PolicyName: 'p', PolicyDocument })
  const iam = world.iam()
  await iam.createUser({ UserName: 'ann' })
  const PolicyArn = Policy?.Arn
  await refused(iam.getPolicy({ PolicyArn }), 'NoSuchEntity', 404)
  await refused(iam.attachUserPolicy({ UserName: 'ann', PolicyArn }), 'NoSuchEntity', 404)
  await refused(iam.getPolicy({ PolicyArn: 'arn:aws:s3:::x/y/z/policy' }), 'InvalidInput', 400)
})

test('a boundary is set, shown, counted and taken away', async (t) => {
  const iam = (await openWorld(t)).iam()
  await iam.createUser({ UserName: 'ann', PermissionsBoundary: READ_ONLY })
  const { User } = await iam.getUser({ UserName: 'ann' })
  assert.equal(User?.PermissionsBoundary?.PermissionsBoundaryArn, READ_ONLY)
  const { Policy } = await iam.getPolicy({ PolicyArn: READ_ONLY })
  assert.equal(Policy?.PermissionsBoundaryUsageCount, 1)
  await iam.deleteUserPermissionsBoundary({ UserName: 'ann' })
  await refused(iam.deleteUserPermissionsBoundary({ UserName: 'ann' }), 'NoSuchEntity', 404)
  const PermissionsBoundary = `${READ_ONLY}x`
  const put = iam.putUserPermissionsBoundary({ UserName: 'ann', PermissionsBoundary })
  await refused(put, 'NoSuchEntity', 404)
})

const LONG = 'x'.repeat(129)
const BIG = policyDocument(Array.from({ length: 700 }, (_, i) => `ec2:Action${i}`))

for (const [what, call, code, status] of [
  ['a user without name', { createUser: {} }, 'ValidationError', 400],
  ['a user with a slash', { createUser: { UserName: 'a/b' } }, 'ValidationError', 400],
  ['a long name', { createUser: { UserName: 'x'.repeat(65) } }, 'ValidationError', 400],
  ['a path without end', { createUser: { UserName: 'a', Path: '/x' } }, 'ValidationError', 400],
  ['a tag twice', { createUser: { UserName: 'a', Tags: tags('k', 'K') } }, 'InvalidInput', 400],
  ['a reserved tag', { createUser: { UserName: 'a', Tags: tags('aws:x') } }, 'InvalidInput', 400],
  ['51 tags', { createUser: { UserName: 'a', Tags: tags(...numbers(51)) } }, 'LimitExceeded', 409],
  ['a group with a long name', { createGroup: { GroupName: LONG } }, 'ValidationError', 400],
  ['a role without trust', { createRole: { RoleName: 'r' } }, 'ValidationError', 400],
  ['a role that trusts nonsense', role('{'), 'MalformedPolicyDocument', 400],
  ['a role with resources', role(policyDocument('sts:AssumeRole')), 'MalformedPolicyDocument', 400],
  ['a role for 13 hours', role(trustOf({ AWS: '*' }), 13 * 3600), 'ValidationError', 400],
  ['a policy that is no JSON', policy('{"Version"'), 'MalformedPolicyDocument', 400],
  [
    'a policy without statement',
    policy('{"Version":"2012-10-17"}'),
    'MalformedPolicyDocument',
    400,
  ],
  ['a policy with a principal', policy(trustOf({ AWS: '*' })), 'MalformedPolicyDocument', 400],
  ['a policy that is too large', policy(BIG), 'LimitExceeded', 409],
  [
    'a profile with a space',
    { createInstanceProfile: { InstanceProfileName: 'a b' } },
    'ValidationError',
    400,
  ],
  ['an unknown user', { getUser: { UserName: 'nobody' } }, 'NoSuchEntity', 404],
  ['an unknown group', { getGroup: { GroupName: 'nobody' } }, 'NoSuchEntity', 404],
  ['an unknown role', { getRole: { RoleName: 'nobody' } }, 'NoSuchEntity', 404],
  ['an unknown profile', { getInstanceProfile: { InstanceProfileName: 'x' } }, 'NoSuchEntity', 404],
  [
    'an unknown inline policy',
    { getRolePolicy: { RoleName: 'x', PolicyName: 'p' } },
    'NoSuchEntity',
    404,
  ],
  ['a page of nothing', { listUsers: { MaxItems: 0 } }, 'ValidationError', 400],
  ['a page of 1001', { listUsers: { MaxItems: 1001 } }, 'ValidationError', 400],
  [
    'an alias of digits',
    { createAccountAlias: { AccountAlias: '123456789012' } },
    'ValidationError',
    400,
  ],
  [
    'an alias that nobody has',
    { deleteAccountAlias: { AccountAlias: 'abc' } },
    'NoSuchEntity',
    404,
  ],
  ['a report', { generateCredentialReport: {} }, 'UnsupportedOperation', 400],
] as readonly (readonly [string, Record<string, object>, string, number])[]) {
  test(`IAM refuses ${what} with ${code}`, async (t) => {
    const iam = (await openWorld(t)).iam() as unknown as Record<
      string,
      (input: object) => Promise<unknown>
    >
    const [[name = '', input = {}] = []] = Object.entries(call)
    await refused(iam[name]?.(input) ?? Promise.resolve(), code, status)
  })
}

test('a trust policy names those who are there', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const AWS = `arn:aws:iam::${world.account}:user/nobody`
  const RoleName = 'r'
  const AssumeRolePolicyDocument = trustOf({ AWS })
  const create = () => iam.createRole({ RoleName, AssumeRolePolicyDocument })
  const message = await refused(create(), 'MalformedPolicyDocument', 400)
  assert.equal(message, `Invalid principal in policy: "AWS":"${AWS}"`)
  await iam.createUser({ UserName: 'nobody' })
  await create()
})

test('a trust policy names those of other accounts who are there', async (t) => {
  const world = await openWorld(t)
  const [iam, other] = [world.iam(), world.iam(world.other)]
  const { Account: account } = await world.sts(world.other).getCallerIdentity({})
  await iam.createRole({ RoleName: 'r', AssumeRolePolicyDocument: trustOf({ AWS: '*' }) })
  const trust = (AWS: string, negated = false) => {
    const document = trustOf({ AWS })
    const PolicyDocument = negated ? document.replace('"Principal"', '"NotPrincipal"') : document
    return iam.updateAssumeRolePolicy({ RoleName: 'r', PolicyDocument })
  }
  const nobody = '999999999999'
  for (const [named, shown] of [
    [nobody, `arn:aws:iam::${nobody}:root`],
    [`arn:aws:iam::${nobody}:root`],
    [`arn:aws:iam::${nobody}:user/ann`],
    [`arn:aws:iam::${account}:user/ann`],
    [`arn:aws:iam::${account}:role/deploy`],
    [`arn:aws:sts::${nobody}:assumed-role/deploy/one`],
  ] as const) {
    for (const negated of [false, true]) {
      const message = await refused(trust(named, negated), 'MalformedPolicyDocument', 400)
      assert.equal(message, `Invalid principal in policy: "AWS":"${shown ?? named}"`)
    }
  }
  await other.createUser({ UserName: 'ann' })
  const AssumeRolePolicyDocument = trustOf({ AWS: account })
  await other.createRole({ RoleName: 'deploy', AssumeRolePolicyDocument })
  for (const named of [
    account ?? '',
    `arn:aws:iam::${account}:user/ann`,
    `arn:aws:iam::${account}:role/deploy`,
    `arn:aws:sts::${account}:assumed-role/later/one`,
  ]) {
    await trust(named)
  }
})

test('inline policies of one user have a size together', async (t) => {
  const iam = (await openWorld(t)).iam()
  await iam.createUser({ UserName: 'ann' })
  const PolicyDocument = policyDocument(Array.from({ length: 60 }, (_, i) => `ec2:Action${i}`))
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'a', PolicyDocument })
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'a', PolicyDocument })
  const put = iam.putUserPolicy({ UserName: 'ann', PolicyName: 'b', PolicyDocument })
  const second = iam.putUserPolicy({ UserName: 'ann', PolicyName: 'c', PolicyDocument })
  const results = await Promise.allSettled([put, second])
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

function tags(...keys: readonly string[]): object[] {
  return keys.map((Key) => ({ Key, Value: '' }))
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i))
}

function role(
  AssumeRolePolicyDocument: string,
  MaxSessionDuration?: number,
): Record<string, object> {
  return { createRole: { RoleName: 'r', AssumeRolePolicyDocument, MaxSessionDuration } }
}

function policy(PolicyDocument: string): Record<string, object> {
  return { createPolicy: { PolicyName: 'p', PolicyDocument } }
}
