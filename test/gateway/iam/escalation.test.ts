// Users who try for more than they were given, through the endpoint as the SDK calls it: by passing
// roles, by policies of their own, past boundaries and session policies.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EC2 } from '@aws-sdk/client-ec2'
import { DIGEST } from '../ec2/support.ts'
import { type Credentials, newUser, openWorld, refused, trustOf, type World } from './world.ts'

type Statement = Readonly<Record<string, unknown>>

function documentOf(...statements: readonly Statement[]): string {
  const Statement = statements.map((one) => ({ Effect: 'Allow', Resource: '*', ...one }))
  return JSON.stringify({ Version: '2012-10-17', Statement })
}

async function userWith(world: World, ...statements: readonly Statement[]): Promise<Credentials> {
  const key = await newUser(world, 'ann')
  const PolicyDocument = documentOf(...statements)
  await world.iam().putUserPolicy({ UserName: 'ann', PolicyName: 'given', PolicyDocument })
  return key
}

/** A role with all rights and an instance profile with it. */
async function adminProfile(world: World): Promise<{ role: string; profile: string }> {
  const iam = world.iam()
  const AssumeRolePolicyDocument = trustOf({ Service: 'ec2.amazonaws.com' })
  const { Role } = await iam.createRole({
    RoleName: 'admin',
    Path: '/ops/',
    AssumeRolePolicyDocument,
  })
  await iam.createInstanceProfile({ InstanceProfileName: 'admin' })
  await iam.addRoleToInstanceProfile({ InstanceProfileName: 'admin', RoleName: 'admin' })
  const made = await iam.getInstanceProfile({ InstanceProfileName: 'admin' })
  return { role: Role?.Arn ?? '', profile: made.InstanceProfile?.Arn ?? '' }
}

async function newImage(ec2: EC2): Promise<string> {
  const made = await ec2.registerImage({ Name: 'debian', ImageLocation: `sha256:${DIGEST}` })
  return made.ImageId ?? ''
}

test('who may launch instances cannot give them a role without iam:PassRole', async (t) => {
  const world = await openWorld(t)
  const { role, profile } = await adminProfile(world)
  const ImageId = await newImage(world.ec2())
  const ec2 = world.ec2(await userWith(world, { Action: 'ec2:*' }))
  const run = { ImageId, MinCount: 1, MaxCount: 1, DryRun: true }
  const plain = await ec2.runInstances(run).catch((error: Error) => error.name)
  // As far as a launch gets where there is no subnet.
  assert.equal(plain, 'MissingInput')
  for (const IamInstanceProfile of [
    { Name: 'admin' },
    { Arn: profile },
    { Arn: profile, Name: '' },
  ]) {
    const call = ec2.runInstances({ ...run, IamInstanceProfile })
    const why = await refused(call, 'UnauthorizedOperation', 403)
    assert.ok(why.includes(`is not authorized to perform: iam:PassRole on resource: ${role}`), why)
  }
})

test('nor by a launch template that names the profile', async (t) => {
  const world = await openWorld(t)
  const { role } = await adminProfile(world)
  const ImageId = await newImage(world.ec2())
  const ec2 = world.ec2(await userWith(world, { Action: 'ec2:*' }))
  const IamInstanceProfile = { Name: 'admin' }
  await ec2.createLaunchTemplate({
    LaunchTemplateName: 'sneaky',
    LaunchTemplateData: { ImageId, IamInstanceProfile },
  })
  const LaunchTemplate = { LaunchTemplateName: 'sneaky' }
  const run = ec2.runInstances({ LaunchTemplate, MinCount: 1, MaxCount: 1 })
  const why = await refused(run, 'UnauthorizedOperation', 403)
  assert.ok(why.includes(`iam:PassRole on resource: ${role}`), why)
})

test('iam:PassRole can be given for one role and one service', async (t) => {
  const world = await openWorld(t)
  const { role } = await adminProfile(world)
  const ImageId = await newImage(world.ec2())
  const key = await newUser(world, 'ann')
  const give = (pass: Statement) =>
    world.iam().putUserPolicy({
      ...{ UserName: 'ann', PolicyName: 'given' },
      PolicyDocument: documentOf({ Action: 'ec2:*' }, { Action: 'iam:PassRole', ...pass }),
    })
  const run = () =>
    world.ec2(key).runInstances({
      ...{ ImageId, MinCount: 1, MaxCount: 1, DryRun: true },
      IamInstanceProfile: { Name: 'admin' },
    })
  const service = (name: string) => ({
    Condition: { StringEquals: { 'iam:PassedToService': name } },
  })
  for (const [pass, isAllowed] of [
    [{ Resource: role }, true],
    [{ Resource: role.replace('admin', 'other') }, false],
    [{ Resource: role.replace('/ops/', '/') }, false],
    [service('ec2.amazonaws.com'), true],
    [service('lambda.amazonaws.com'), false],
  ] as const) {
    await give(pass)
    const code = await run().then(String, (error: Error) => error.name)
    assert.equal(code !== 'UnauthorizedOperation', isAllowed, JSON.stringify(pass))
  }
})

test('who may change profiles cannot put a role into one without iam:PassRole', async (t) => {
  const world = await openWorld(t)
  await adminProfile(world)
  const iam = world.iam(await userWith(world, { NotAction: 'iam:PassRole' }))
  await iam.createInstanceProfile({ InstanceProfileName: 'mine' })
  const add = iam.addRoleToInstanceProfile({ InstanceProfileName: 'mine', RoleName: 'admin' })
  await refused(add, 'AccessDenied', 403)
})

test('a user that may change itself alone changes nobody else', async (t) => {
  const world = await openWorld(t)
  const self = `arn:aws:iam::${world.account}:user/\${aws:username}`
  const key = await userWith(world, { Action: 'iam:*AccessKey*', Resource: self })
  await newUser(world, 'bob')
  const iam = world.iam(key)
  assert.equal((await iam.listAccessKeys({})).AccessKeyMetadata?.length, 1)
  assert.equal((await iam.listAccessKeys({ UserName: 'ann' })).AccessKeyMetadata?.length, 1)
  await refused(iam.createAccessKey({ UserName: 'bob' }), 'AccessDenied', 403)
  await refused(iam.createAccessKey({ UserName: 'nobody' }), 'AccessDenied', 403)
  await refused(iam.attachUserPolicy({ UserName: 'ann', PolicyArn: ADMIN }), 'AccessDenied', 403)
})

const ADMIN = 'arn:aws:iam::aws:policy/AdministratorAccess'

test('who may attach some policies cannot attach others', async (t) => {
  const world = await openWorld(t)
  const read = 'arn:aws:iam::aws:policy/ReadOnlyAccess'
  const Condition = { ArnEquals: { 'iam:PolicyARN': read } }
  const iam = world.iam(await userWith(world, { Action: 'iam:AttachUserPolicy', Condition }))
  await iam.attachUserPolicy({ UserName: 'ann', PolicyArn: read })
  await refused(iam.attachUserPolicy({ UserName: 'ann', PolicyArn: ADMIN }), 'AccessDenied', 403)
})

test('a new version of a policy needs rights on that policy', async (t) => {
  const world = await openWorld(t)
  const made = await world.iam().createPolicy({
    PolicyName: 'own',
    PolicyDocument: documentOf({ Action: 's3:*' }),
  })
  const PolicyArn = made.Policy?.Arn ?? ''
  const key = await userWith(world, {
    Action: 'iam:CreatePolicyVersion',
    Resource: PolicyArn.replace(/own$/, 'other*'),
  })
  await world.iam().attachUserPolicy({ UserName: 'ann', PolicyArn })
  const PolicyDocument = documentOf({ Action: '*' })
  const call = world.iam(key).createPolicyVersion({ PolicyArn, PolicyDocument, SetAsDefault: true })
  await refused(call, 'AccessDenied', 403)
})

test('a user is not moved to a path where its mover has no rights', async (t) => {
  const world = await openWorld(t)
  const Resource = [`arn:aws:iam::${world.account}:user/dev/*`]
  const iam = world.iam(await userWith(world, { Action: 'iam:*User', Resource }))
  await iam.createUser({ UserName: 'bob', Path: '/dev/' })
  await refused(iam.createUser({ UserName: 'eve', Path: '/ops/' }), 'AccessDenied', 403)
  await refused(iam.updateUser({ UserName: 'bob', NewPath: '/ops/' }), 'AccessDenied', 403)
  await refused(iam.updateUser({ UserName: 'ann', NewPath: '/dev/' }), 'AccessDenied', 403)
  await iam.updateUser({ UserName: 'bob', NewUserName: 'rob' })
})

test('a boundary holds whatever a user is given, and whom it makes must have it too', async (t) => {
  const world = await openWorld(t)
  const root = world.iam()
  const bound = await root.createPolicy({
    PolicyName: 'bound',
    PolicyDocument: documentOf({ Action: ['ec2:Describe*', 'iam:*'] }),
  })
  const PermissionsBoundary = bound.Policy?.Arn ?? ''
  const Condition = { StringEquals: { 'iam:PermissionsBoundary': PermissionsBoundary } }
  const key = await userWith(
    world,
    { Action: ['iam:CreateUser', 'iam:PutUserPolicy'], Condition },
    { Action: 'ec2:*' },
  )
  await root.putUserPermissionsBoundary({ UserName: 'ann', PermissionsBoundary })
  const ec2 = world.ec2(key)
  assert.equal((await ec2.describeRegions({})).Regions?.length, 1)
  const why = await refused(
    ec2.createVpc({ CidrBlock: '10.9.0.0/16' }),
    'UnauthorizedOperation',
    403,
  )
  assert.match(why, /because no permissions boundary allows the ec2:CreateVpc action/)
  const iam = world.iam(key)
  await refused(iam.createUser({ UserName: 'bob' }), 'AccessDenied', 403)
  await iam.createUser({ UserName: 'bob', PermissionsBoundary })
  const PolicyDocument = documentOf({ Action: '*' })
  await iam.putUserPolicy({ UserName: 'bob', PolicyName: 'all', PolicyDocument })
  await newUser(world, 'eve')
  const other = iam.putUserPolicy({ UserName: 'eve', PolicyName: 'all', PolicyDocument })
  await refused(other, 'AccessDenied', 403)
  const free = iam.deleteUserPermissionsBoundary({ UserName: 'ann' })
  await refused(free, 'AccessDenied', 403)
})

test('tags at the making of a user need the right to tag', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam(await userWith(world, { Action: 'iam:CreateUser' }))
  const Tags = [{ Key: 'Team', Value: 'red' }]
  const why = await refused(iam.createUser({ UserName: 'bob', Tags }), 'AccessDenied', 403)
  assert.match(why, /iam:TagUser/)
  await iam.createUser({ UserName: 'bob' })
})

test('everybody may ask who they are, even who is denied all', async (t) => {
  const world = await openWorld(t)
  const key = await userWith(world, { Effect: 'Deny', Action: '*' })
  assert.match((await world.sts(key).getCallerIdentity({})).Arn ?? '', /:user\/ann$/)
  await refused(world.ec2(key).describeRegions({}), 'UnauthorizedOperation', 403)
  const decode = world.sts(key).decodeAuthorizationMessage({ EncodedMessage: 'x' })
  await refused(decode, 'AccessDenied', 403)
})
