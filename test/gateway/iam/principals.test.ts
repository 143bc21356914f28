// Which policies have a say about a caller, and what they come to.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../../gateway/aws/handlers.ts'
import { type CallerPolicies, evaluate } from '../../../gateway/iam/evaluate.ts'
import { accessOf, policiesOf } from '../../../gateway/iam/principals.ts'
import type { View } from '../../../gateway/store/state.ts'
import { openWorld, policyDocument, trustOf, type World } from './world.ts'

const READ_ONLY = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess'

test('policies of a user are its own, its groups and its boundary', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const UserName = 'ann'
  await iam.createUser({ UserName })
  const ann = await userCaller(world, UserName)
  const verdicts = (): boolean[] => {
    const view = world.state.view()
    return ['ec2:RunInstances', 'ec2:DescribeVpcs', 's3:GetObject'].map((action) =>
      may(view, ann, action),
    )
  }
  assert.deepEqual(verdicts(), [false, false, false])
  await iam.attachUserPolicy({ UserName, PolicyArn: READ_ONLY })
  assert.deepEqual(verdicts(), [false, true, false])
  await iam.createGroup({ GroupName: 'ops' })
  const PolicyDocument = policyDocument(['ec2:*', 's3:*'])
  await iam.putGroupPolicy({ GroupName: 'ops', PolicyName: 'all', PolicyDocument })
  await iam.addUserToGroup({ GroupName: 'ops', UserName })
  assert.deepEqual(verdicts(), [true, true, true])
  const deny = policyDocument('s3:*', 'Deny')
  const { Policy } = await iam.createPolicy({ PolicyName: 'no', PolicyDocument: deny })
  await iam.attachGroupPolicy({ GroupName: 'ops', PolicyArn: Policy?.Arn })
  assert.deepEqual(verdicts(), [true, true, false])
  await iam.putUserPermissionsBoundary({ UserName, PermissionsBoundary: READ_ONLY })
  assert.deepEqual(verdicts(), [false, true, false])
  await iam.deleteUserPermissionsBoundary({ UserName })
  await iam.removeUserFromGroup({ GroupName: 'ops', UserName })
  assert.deepEqual(verdicts(), [false, true, false])
  await iam.detachUserPolicy({ UserName, PolicyArn: READ_ONLY })
  await iam.deleteUser({ UserName })
  assert.deepEqual(verdicts(), [false, false, false])
})

test('policies of a new default version hold at once', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await iam.createUser({ UserName: 'ann' })
  const PolicyDocument = policyDocument('ec2:*')
  const { Policy } = await iam.createPolicy({ PolicyName: 'p', PolicyDocument })
  const PolicyArn = Policy?.Arn
  await iam.attachUserPolicy({ UserName: 'ann', PolicyArn })
  const ann = await userCaller(world, 'ann')
  assert.equal(may(world.state.view(), ann, 'ec2:RunInstances'), true)
  const none = policyDocument('s3:*')
  await iam.createPolicyVersion({ PolicyArn, PolicyDocument: none, SetAsDefault: true })
  assert.equal(may(world.state.view(), ann, 'ec2:RunInstances'), false)
})

test('policies of a session limit what its role may', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const RoleName = 'web'
  const AssumeRolePolicyDocument = trustOf({ AWS: world.account })
  const { Role } = await iam.createRole({ RoleName, AssumeRolePolicyDocument, Path: '/x/' })
  await iam.putRolePolicy({ RoleName, PolicyName: 'p', PolicyDocument: policyDocument('ec2:*') })
  const role = (policy: string): Caller => ({
    account: world.account,
    userArn: `arn:aws:sts::${world.account}:assumed-role/web/one`,
    userId: `${Role?.RoleId}:one`,
    accessKeyId: 'ASIA',
    session: {
      ...{ issuedAtMs: 0, expiresAtMs: 1, policy, policyArns: [], tags: {} },
      ...{ transitiveTagKeys: [], sourceIdentity: '' },
    },
  })
  const view = world.state.view()
  assert.equal(may(view, role(''), 'ec2:RunInstances'), true)
  const limited = role(policyDocument('ec2:Describe*'))
  assert.equal(may(view, limited, 'ec2:RunInstances'), false)
  assert.equal(may(view, limited, 'ec2:DescribeVpcs'), true)
  assert.deepEqual(accessOf(view, limited).principal, {
    kind: 'assumed-role',
    account: world.account,
    arn: `arn:aws:sts::${world.account}:assumed-role/web/one`,
    roleArn: Role?.Arn,
  })
  assert.deepEqual(
    policiesOf(view, {
      ...{ account: world.account, accessKeyId: 'AKIA', userId: world.account },
      userArn: `arn:aws:iam::${world.account}:root`,
    }),
    'root',
  )
})

async function userCaller(world: World, UserName: string): Promise<Caller> {
  const { User } = await world.iam().getUser({ UserName })
  return {
    ...{ account: world.account, accessKeyId: 'AKIA' },
    userArn: User?.Arn ?? '',
    userId: User?.UserId ?? '',
  }
}

function may(view: View, caller: Caller, action: string): boolean {
  const sets: CallerPolicies = policiesOf(view, caller)
  if (sets === 'root') return true
  const principal = accessOf(view, caller).principal
  const request = { action, resource: '*', principal, conditions: new Map() }
  return evaluate(sets, request).allowed
}
