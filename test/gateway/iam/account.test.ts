// The account as a whole, and its users' passwords.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUser, openWorld, policyDocument, refused, trustOf } from './world.ts'

test('an account has one alias, which nobody else has', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await iam.createAccountAlias({ AccountAlias: 'first-one' })
  await iam.createAccountAlias({ AccountAlias: 'research' })
  assert.deepEqual((await iam.listAccountAliases({})).AccountAliases, ['research'])
  const other = world.iam(world.other)
  const taken = other.createAccountAlias({ AccountAlias: 'research' })
  await refused(taken, 'EntityAlreadyExists', 409)
  await refused(other.deleteAccountAlias({ AccountAlias: 'research' }), 'NoSuchEntity', 404)
  await other.createAccountAlias({ AccountAlias: 'first-one' })
  await iam.deleteAccountAlias({ AccountAlias: 'research' })
  assert.deepEqual((await iam.listAccountAliases({})).AccountAliases ?? [], [])
})

test('the summary and the details tell what the account has', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await newUser(world, 'ann')
  await iam.createGroup({ GroupName: 'ops' })
  await iam.addUserToGroup({ GroupName: 'ops', UserName: 'ann' })
  const AssumeRolePolicyDocument = trustOf({ Service: 'ec2.amazonaws.com' })
  await iam.createRole({ RoleName: 'web', AssumeRolePolicyDocument })
  await iam.createInstanceProfile({ InstanceProfileName: 'web' })
  await iam.addRoleToInstanceProfile({ InstanceProfileName: 'web', RoleName: 'web' })
  const PolicyDocument = policyDocument('ec2:*')
  const { Policy } = await iam.createPolicy({ PolicyName: 'p', PolicyDocument })
  await iam.attachGroupPolicy({ GroupName: 'ops', PolicyArn: Policy?.Arn })
  await iam.putRolePolicy({ RoleName: 'web', PolicyName: 'in', PolicyDocument })
  const { SummaryMap = {} } = await iam.getAccountSummary({})
  const { Users, Groups, Roles, InstanceProfiles, Policies } = SummaryMap
  assert.deepEqual([Users, Groups, Roles, InstanceProfiles, Policies], [1, 1, 1, 1, 1])
  assert.equal(SummaryMap.AccountAccessKeysPresent, 1)
  const all = await iam.getAccountAuthorizationDetails({})
  assert.deepEqual(all.UserDetailList?.[0]?.GroupList, ['ops'])
  const [attached] = all.GroupDetailList?.[0]?.AttachedManagedPolicies ?? []
  assert.equal(attached?.PolicyArn, Policy?.Arn)
  const [role] = all.RoleDetailList ?? []
  assert.equal(role?.InstanceProfileList?.[0]?.InstanceProfileName, 'web')
  assert.equal(decodeURIComponent(role?.RolePolicyList?.[0]?.PolicyDocument ?? ''), PolicyDocument)
  assert.equal(all.Policies?.[0]?.PolicyVersionList?.[0]?.VersionId, 'v1')
  const { UserDetailList, RoleDetailList } = await iam.getAccountAuthorizationDetails({
    Filter: ['Role'],
  })
  assert.deepEqual([UserDetailList ?? [], RoleDetailList?.length], [[], 1])
  const other = await world.iam(world.other).getAccountAuthorizationDetails({})
  assert.deepEqual(other.UserDetailList ?? [], [])
})

test('a password follows the policy, is kept as a hash, and is changed by its user', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const key = await newUser(world, 'ann')
  const UserName = 'ann'
  await refused(iam.getAccountPasswordPolicy({}), 'NoSuchEntity', 404)
  await iam.updateAccountPasswordPolicy({ MinimumPasswordLength: 12, RequireNumbers: true })
  const { PasswordPolicy } = await iam.getAccountPasswordPolicy({})
  assert.equal(PasswordPolicy?.MinimumPasswordLength, 12)
  const short = iam.createLoginProfile({ UserName, Password: 'short1' })
  await refused(short, 'PasswordPolicyViolation', 400)
  const plain = iam.createLoginProfile({ UserName, Password: 'without any number' })
  await refused(plain, 'PasswordPolicyViolation', 400)
  const Password = 'battery staple 1'
  await iam.createLoginProfile({ UserName, Password, PasswordResetRequired: true })
  await refused(iam.createLoginProfile({ UserName, Password }), 'EntityAlreadyExists', 409)
  const kept = JSON.stringify(world.state.view().all('iam-user'))
  assert.doesNotMatch(kept, /battery/)
  assert.match(kept, /scrypt\$32768\$8\$3\$/)
  const own = world.iam(key)
  const mine = policyDocument('iam:ChangePassword')
  await iam.putUserPolicy({ UserName, PolicyName: 'mine', PolicyDocument: mine })
  const NewPassword = 'battery staple 2'
  const wrong = own.changePassword({ OldPassword: 'wrong', NewPassword })
  await refused(wrong, 'AccessDenied', 403)
  await own.changePassword({ OldPassword: Password, NewPassword })
  assert.equal((await iam.getLoginProfile({ UserName })).LoginProfile?.PasswordResetRequired, false)
  await refused(own.changePassword({ OldPassword: Password, NewPassword }), 'AccessDenied', 403)
  await iam.updateLoginProfile({ UserName, Password })
  await own.changePassword({ OldPassword: Password, NewPassword })
  await iam.deleteLoginProfile({ UserName })
  await refused(iam.getLoginProfile({ UserName }), 'NoSuchEntity', 404)
  await iam.deleteAccountPasswordPolicy({})
  await refused(iam.getAccountPasswordPolicy({}), 'NoSuchEntity', 404)
})
