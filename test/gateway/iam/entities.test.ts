// Users, groups, keys, roles, instance profiles: their lives, as the official SDK calls them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../sandbox/until.ts'
import { REGION } from '../ec2/support.ts'
import { newUser, openWorld, policyDocument, refused, trustOf } from './world.ts'

const EC2_TRUST = trustOf({ Service: 'ec2.amazonaws.com' })

test('a user is made, read, renamed, tagged, listed and ended', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const Tags = [{ Key: 'team', Value: 'x y' }]
  const { User } = await iam.createUser({ UserName: 'ann', Path: '/ops/', Tags })
  assert.match(User?.UserId ?? '', /^AIDA[A-Z2-7]{17}$/)
  assert.equal(User?.Arn, `arn:aws:iam::${world.account}:user/ops/ann`)
  assert.deepEqual(User?.Tags, Tags)
  await refused(iam.createUser({ UserName: 'ANN' }), 'EntityAlreadyExists', 409)
  await refused(iam.getUser({ UserName: 'Ann' }), 'NoSuchEntity', 404)
  await iam.updateUser({ UserName: 'ann', NewUserName: 'anna', NewPath: '/' })
  await refused(iam.getUser({ UserName: 'ann' }), 'NoSuchEntity', 404)
  const anna = await iam.getUser({ UserName: 'anna' })
  assert.equal(anna.User?.UserId, User?.UserId)
  assert.equal(anna.User?.Path, '/')
  await iam.tagUser({ UserName: 'anna', Tags: [{ Key: 'TEAM', Value: 'z' }] })
  const tags = await iam.listUserTags({ UserName: 'anna' })
  assert.deepEqual(tags.Tags, [{ Key: 'TEAM', Value: 'z' }])
  await iam.untagUser({ UserName: 'anna', TagKeys: ['team'] })
  assert.deepEqual((await iam.listUserTags({ UserName: 'anna' })).Tags ?? [], [])
  assert.deepEqual(
    (await iam.listUsers({})).Users?.map(({ UserName }) => UserName),
    ['anna'],
  )
  assert.deepEqual((await world.iam(world.other).listUsers({})).Users ?? [], [])
  await iam.deleteUser({ UserName: 'anna' })
  await refused(iam.deleteUser({ UserName: 'anna' }), 'NoSuchEntity', 404)
})

test('a user is not ended while it has something', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const UserName = 'ann'
  const { accessKeyId: AccessKeyId } = await newUser(world, UserName)
  await iam.createGroup({ GroupName: 'ops' })
  await iam.addUserToGroup({ GroupName: 'ops', UserName })
  await iam.createLoginProfile({ UserName, Password: 'correct horse battery' })
  await iam.putUserPolicy({ UserName, PolicyName: 'p', PolicyDocument: policyDocument('ec2:*') })
  await iam.attachUserPolicy({ UserName, PolicyArn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' })
  const steps = [
    () => iam.deleteLoginProfile({ UserName }),
    () => iam.deleteAccessKey({ UserName, AccessKeyId }),
    () => iam.removeUserFromGroup({ GroupName: 'ops', UserName }),
    () => iam.detachUserPolicy({ UserName, PolicyArn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' }),
    () => iam.deleteUserPolicy({ UserName, PolicyName: 'p' }),
  ]
  for (const step of steps) {
    await refused(iam.deleteUser({ UserName }), 'DeleteConflict', 409)
    await step()
  }
  await iam.deleteUser({ UserName })
})

test('an access key is made, deactivated, rotated, and signs for its user', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const key = await newUser(world, 'ann')
  const me = await world.sts(key).getCallerIdentity({})
  const { User } = await iam.getUser({ UserName: 'ann' })
  assert.deepEqual([me.Account, me.Arn, me.UserId], [world.account, User?.Arn, User?.UserId])
  const PolicyDocument = policyDocument('iam:*')
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'all', PolicyDocument })
  assert.equal((await world.iam(key).getUser({})).User?.UserName, 'ann')
  const second = await world.iam(key).createAccessKey({})
  assert.equal(second.AccessKey?.UserName, 'ann')
  await refused(iam.createAccessKey({ UserName: 'ann' }), 'LimitExceeded', 409)
  const AccessKeyId = key.accessKeyId
  await iam.updateAccessKey({ UserName: 'ann', AccessKeyId, Status: 'Inactive' })
  await refused(world.sts(key).getCallerIdentity({}), 'InvalidClientTokenId', 403)
  const { AccessKeyMetadata } = await iam.listAccessKeys({ UserName: 'ann' })
  const status = AccessKeyMetadata?.find((one) => one.AccessKeyId === AccessKeyId)?.Status
  assert.equal(status, 'Inactive')
  await iam.deleteAccessKey({ UserName: 'ann', AccessKeyId })
  await refused(iam.deleteAccessKey({ UserName: 'ann', AccessKeyId }), 'NoSuchEntity', 404)
  await refused(iam.getAccessKeyLastUsed({ AccessKeyId }), 'AccessDenied', 403)
  const last = second.AccessKey?.AccessKeyId
  const unused = await iam.getAccessKeyLastUsed({ AccessKeyId: last })
  assert.deepEqual([unused.UserName, unused.AccessKeyLastUsed?.Region], ['ann', 'N/A'])
  const two = { accessKeyId: last ?? '', secretAccessKey: second.AccessKey?.SecretAccessKey ?? '' }
  await world.sts(two).getCallerIdentity({})
  await until('the use is written', () => world.state.view().get('key-use', last ?? '') !== null)
  const used = (await iam.getAccessKeyLastUsed({ AccessKeyId: last })).AccessKeyLastUsed
  assert.deepEqual([used?.ServiceName, used?.Region], ['sts', REGION])
  assert.ok(Date.now() - Number(used?.LastUsedDate) < 60_000)
  await refused(
    world.iam(world.other).getAccessKeyLastUsed({ AccessKeyId: last }),
    'AccessDenied',
    403,
  )
})

test("the root's keys are its own, and two", async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await newUser(world, 'ann')
  const { AccessKey } = await iam.createAccessKey({})
  const keys = (await iam.listAccessKeys({})).AccessKeyMetadata?.map((one) => one.AccessKeyId)
  assert.deepEqual(keys?.sort(), [AccessKey?.AccessKeyId, world.root.accessKeyId].sort())
  await refused(iam.createAccessKey({}), 'LimitExceeded', 409)
  assert.equal((await iam.getUser({})).User?.UserId, world.account)
})

test('a group has users and policies, and ends without them', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const GroupName = 'ops'
  await iam.createUser({ UserName: 'ann' })
  const { Group } = await iam.createGroup({ GroupName })
  assert.match(Group?.GroupId ?? '', /^AGPA[A-Z2-7]{17}$/)
  await iam.addUserToGroup({ GroupName, UserName: 'ann' })
  assert.equal((await iam.getGroup({ GroupName })).Users?.[0]?.UserName, 'ann')
  const of = await iam.listGroupsForUser({ UserName: 'ann' })
  assert.equal(of.Groups?.[0]?.GroupName, GroupName)
  await refused(iam.deleteGroup({ GroupName }), 'DeleteConflict', 409)
  await iam.updateGroup({ GroupName, NewGroupName: 'op' })
  const renamed = await iam.listGroupsForUser({ UserName: 'ann' })
  assert.equal(renamed.Groups?.[0]?.GroupName, 'op')
  await iam.removeUserFromGroup({ GroupName: 'op', UserName: 'ann' })
  await iam.deleteGroup({ GroupName: 'op' })
  assert.deepEqual((await iam.listGroups({})).Groups ?? [], [])
})

test('what Terraform asks of aws_iam_role and aws_iam_instance_profile is answered', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const RoleName = 'web'
  const { Role } = await iam.createRole({
    ...{ RoleName, Path: '/svc/', AssumeRolePolicyDocument: EC2_TRUST, Description: 'the web' },
    ...{ MaxSessionDuration: 7200, Tags: [{ Key: 'Name', Value: 'web' }] },
  })
  assert.match(Role?.RoleId ?? '', /^AROA[A-Z2-7]{17}$/)
  const read = (await iam.getRole({ RoleName })).Role
  assert.equal(decodeURIComponent(read?.AssumeRolePolicyDocument ?? ''), EC2_TRUST)
  assert.equal(read?.MaxSessionDuration, 7200)
  assert.deepEqual((await iam.listRolePolicies({ RoleName })).PolicyNames ?? [], [])
  assert.deepEqual((await iam.listAttachedRolePolicies({ RoleName })).AttachedPolicies ?? [], [])
  const PolicyDocument = policyDocument('ec2:Describe*')
  await iam.putRolePolicy({ RoleName, PolicyName: 'in', PolicyDocument })
  assert.deepEqual((await iam.listRolePolicies({ RoleName })).PolicyNames, ['in'])
  const inline = await iam.getRolePolicy({ RoleName, PolicyName: 'in' })
  assert.equal(decodeURIComponent(inline.PolicyDocument ?? ''), PolicyDocument)
  const InstanceProfileName = 'web'
  const made = await iam.createInstanceProfile({ InstanceProfileName })
  assert.match(made.InstanceProfile?.InstanceProfileId ?? '', /^AIPA[A-Z2-7]{17}$/)
  await iam.addRoleToInstanceProfile({ InstanceProfileName, RoleName })
  await refused(
    iam.addRoleToInstanceProfile({ InstanceProfileName, RoleName }),
    'LimitExceeded',
    409,
  )
  const of = await iam.listInstanceProfilesForRole({ RoleName })
  assert.equal(of.InstanceProfiles?.[0]?.Roles?.[0]?.RoleName, RoleName)
  await iam.updateRole({ RoleName, Description: 'other', MaxSessionDuration: 3600 })
  await iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: trustOf({ AWS: world.account }) })
  assert.equal((await iam.getRole({ RoleName })).Role?.Description, 'other')
  await refused(iam.deleteRole({ RoleName }), 'DeleteConflict', 409)
  await refused(iam.deleteInstanceProfile({ InstanceProfileName }), 'DeleteConflict', 409)
  await iam.removeRoleFromInstanceProfile({ InstanceProfileName, RoleName })
  await iam.deleteInstanceProfile({ InstanceProfileName })
  await refused(iam.deleteRole({ RoleName }), 'DeleteConflict', 409)
  await iam.deleteRolePolicy({ RoleName, PolicyName: 'in' })
  await iam.deleteRole({ RoleName })
  await refused(iam.getRole({ RoleName }), 'NoSuchEntity', 404)
})

test('lists come in pages that survive what happens meanwhile', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await iam.createUser({ UserName: name })
  const one = await iam.listUsers({ MaxItems: 2 })
  assert.equal(one.IsTruncated, true)
  await iam.deleteUser({ UserName: 'b' })
  const two = await iam.listUsers({ MaxItems: 2, Marker: one.Marker })
  assert.deepEqual(
    [one, two].map(({ Users }) => Users?.map(({ UserName }) => UserName)),
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  )
  const three = await iam.listUsers({ MaxItems: 2, Marker: two.Marker })
  assert.equal(three.IsTruncated, false)
  assert.equal(three.Marker, undefined)
  await refused(iam.listUsers({ Marker: 'ä' }), 'ValidationError', 400)
})
