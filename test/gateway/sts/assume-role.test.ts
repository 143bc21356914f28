// Temporary credentials: who gets them, what they are good for, and when they end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { secretsOf } from '../../../gateway/access-keys.ts'
import { accountOfKey, issueCredentials } from '../../../gateway/sts/credentials.ts'
import { until } from '../../../sandbox/until.ts'
import { REGION } from '../ec2/support.ts'
import {
  type Credentials,
  newUser,
  openWorld,
  policyDocument,
  refused,
  trustOf,
} from '../iam/world.ts'
import { mayAssume, newRole, RoleSessionName, trust, usable } from './support.ts'

test('a user that a role trusts acts as it', async (t) => {
  const world = await openWorld(t)
  const ann = await mayAssume(world, 'ann')
  const { Arn: RoleArn, RoleId } = await newRole(world, trustOf({ AWS: world.account }))
  const given = await world.sts(ann).assumeRole({ RoleArn, RoleSessionName })
  assert.deepEqual(given.AssumedRoleUser, {
    AssumedRoleId: `${RoleId}:one`,
    Arn: `arn:aws:sts::${world.account}:assumed-role/web/one`,
  })
  const keys = usable(given.Credentials)
  assert.match(keys.accessKeyId, /^ASIA[A-Z2-7]{16}$/)
  const me = await world.sts(keys).getCallerIdentity({})
  assert.deepEqual(
    [me.Account, me.Arn, me.UserId],
    [world.account, given.AssumedRoleUser?.Arn, `${RoleId}:one`],
  )
  await refused(world.ec2(keys).describeRegions({}), 'UnauthorizedOperation', 403)
  const PolicyDocument = policyDocument(['ec2:Describe*', 'iam:List*'])
  await world.iam().putRolePolicy({ RoleName: 'web', PolicyName: 'read', PolicyDocument })
  assert.equal((await world.ec2(keys).describeRegions({})).Regions?.length, 1)
  assert.equal((await world.iam(keys).listRoles({})).Roles?.length, 1)
  const left = Number(given.Credentials?.Expiration) - Date.now()
  assert.ok(left > 3_500_000 && left <= 3_600_000, String(left))
})

test('credentials are nothing without their token, with another, and after their role', async (t) => {
  const world = await openWorld(t)
  const ann = await mayAssume(world, 'ann')
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS: world.account }))
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async (name) =>
      usable((await world.sts(ann).assumeRole({ RoleArn, RoleSessionName: name })).Credentials),
    ),
  )
  assert.ok(one !== undefined && two !== undefined)
  const { sessionToken = '', ...bare } = one
  const token = `${sessionToken.slice(0, -2)}${sessionToken.endsWith('AA') ? 'BB' : 'AA'}`
  for (const keys of [
    bare,
    { ...bare, sessionToken: 'x' },
    { ...bare, sessionToken: token },
    { ...bare, sessionToken: two.sessionToken ?? '' },
    { ...ann, sessionToken },
  ]) {
    await refused(world.sts(keys).getCallerIdentity({}), 'InvalidClientTokenId', 403)
    await refused(world.ec2(keys).describeRegions({}), 'AuthFailure', 401)
  }
  const wrong = { ...one, secretAccessKey: two.secretAccessKey }
  await refused(world.sts(wrong).getCallerIdentity({}), 'SignatureDoesNotMatch', 403)
  const iam = world.iam()
  await iam.deleteRole({ RoleName: 'web' })
  await refused(world.sts(one).getCallerIdentity({}), 'InvalidClientTokenId', 403)
  await newRole(world, trustOf({ AWS: world.account }))
  await refused(world.sts(one).getCallerIdentity({}), 'InvalidClientTokenId', 403)
})

test('credentials end, and every gateway of the cloud knows them', async (t) => {
  const world = await openWorld(t)
  const { RoleId: principal = '' } = await newRole(world, trustOf({ AWS: world.account }))
  const at = (expiresAtMs: number): Credentials =>
    issueCredentials(
      { sealer: world.sealer, randomHex },
      {
        ...{ account: world.account, principal, name: 'one', policy: '', policyArns: [] },
        ...{ tags: {}, transitiveTagKeys: [], sourceIdentity: '', issuedAtMs: 0, expiresAtMs },
      },
    )
  const ended = at(Date.now() - 1)
  await refused(world.sts(ended).getCallerIdentity({}), 'ExpiredToken', 403)
  await refused(world.ec2(ended).describeRegions({}), 'RequestExpired', 400)
  const good = at(Date.now() + 60_000)
  await world.sts(good).getCallerIdentity({})
  // Another process with the same master key: nothing was kept of the credentials.
  const found = await secretsOf(world.state, world.sealer)(
    good.accessKeyId,
    good.sessionToken ?? '',
  )
  assert.equal(found?.secret, good.secretAccessKey)
  assert.equal(accountOfKey(good.accessKeyId), world.account)
})

test('a role tells when somebody last acted as it', async (t) => {
  const world = await openWorld(t)
  const ann = await mayAssume(world, 'ann')
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS: world.account }))
  const used = async () => (await world.iam().getRole({ RoleName: 'web' })).Role?.RoleLastUsed
  assert.deepEqual(await used(), {})
  const { Credentials } = await world.sts(ann).assumeRole({ RoleArn, RoleSessionName })
  assert.deepEqual(await used(), {}, 'nobody acted as it yet')
  await refused(world.ec2(usable(Credentials)).describeRegions({}), 'UnauthorizedOperation', 403)
  await until('it is written', async () => (await used())?.Region === REGION)
  const at = (await used())?.LastUsedDate
  assert.ok(Math.abs(Date.now() - Number(at)) < 60_000)
  const { RoleDetailList } = await world.iam().getAccountAuthorizationDetails({ Filter: ['Role'] })
  assert.deepEqual(RoleDetailList?.[0]?.RoleLastUsed, { LastUsedDate: at, Region: REGION })
  await world.iam().deleteRole({ RoleName: 'web' })
  assert.deepEqual(
    world.state
      .view()
      .all('key-use')
      .filter(({ id }) => id.startsWith('AROA')),
    [],
  )
  await newRole(world, trustOf({ AWS: world.account }))
  assert.deepEqual(await used(), {}, 'another role of that name')
})

test('a role is assumed by those alone whom policy and trust both name', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  const ann = await newUser(world, 'ann')
  const bob = await newUser(world, 'bob')
  const user = (name: string): string => `arn:aws:iam::${world.account}:user/${name}`
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS: user('ann') }))
  const as = (keys?: Credentials) => world.sts(keys).assumeRole({ RoleArn, RoleSessionName })
  // Named herself, she needs no policy of her own in the same account.
  await as(ann)
  await refused(as(bob), 'AccessDenied', 403)
  const message = await refused(as(), 'AccessDenied', 403)
  assert.equal(message, 'Roles may not be assumed by root accounts.')
  const RoleName = 'web'
  await iam.updateAssumeRolePolicy({ RoleName, PolicyDocument: trustOf({ AWS: world.account }) })
  await refused(as(ann), 'AccessDenied', 403)
  const PolicyDocument = policyDocument('sts:AssumeRole')
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'p', PolicyDocument })
  await as(ann)
  const deny = policyDocument('sts:AssumeRole', 'Deny')
  await iam.putUserPolicy({ UserName: 'ann', PolicyName: 'q', PolicyDocument: deny })
  await refused(as(ann), 'AccessDenied', 403)
})

test('a user who is made later under a trusted name is not trusted', async (t) => {
  const world = await openWorld(t)
  const iam = world.iam()
  await iam.createUser({ UserName: 'ann' })
  const AWS = `arn:aws:iam::${world.account}:user/ann`
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS }))
  await iam.deleteUser({ UserName: 'ann' })
  const ann = await newUser(world, 'ann')
  await refused(world.sts(ann).assumeRole({ RoleArn, RoleSessionName }), 'AccessDenied', 403)
  await iam.updateAssumeRolePolicy({ RoleName: 'web', PolicyDocument: trustOf({ AWS }) })
  await world.sts(ann).assumeRole({ RoleArn, RoleSessionName })
})

test('a deputy of another account says the id that was agreed', async (t) => {
  const world = await openWorld(t)
  const other = world.iam(world.other)
  await other.createUser({ UserName: 'deputy' })
  const made = await other.createAccessKey({ UserName: 'deputy' })
  const deputy = {
    accessKeyId: made.AccessKey?.AccessKeyId ?? '',
    secretAccessKey: made.AccessKey?.SecretAccessKey ?? '',
  }
  const { User } = await other.getUser({ UserName: 'deputy' })
  const condition = { StringEquals: { 'sts:ExternalId': 'agreed-1' } }
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS: User?.Arn }, condition))
  const as = (ExternalId?: string) =>
    world.sts(deputy).assumeRole({ RoleArn, RoleSessionName, ...(ExternalId && { ExternalId }) })
  await refused(as('agreed-1'), 'AccessDenied', 403)
  const PolicyDocument = policyDocument('sts:AssumeRole')
  await other.putUserPolicy({ UserName: 'deputy', PolicyName: 'p', PolicyDocument })
  await refused(as(), 'AccessDenied', 403)
  await refused(as('other-1'), 'AccessDenied', 403)
  const keys = usable((await as('agreed-1')).Credentials)
  const me = await world.sts(keys).getCallerIdentity({})
  assert.equal(me.Account, world.account)
})

test('a trust policy may ask from where and when', async (t) => {
  const world = await openWorld(t)
  const ann = await mayAssume(world, 'ann')
  const AWS = world.account
  const here = { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }
  const { Arn: RoleArn } = await newRole(world, trustOf({ AWS }, here))
  const as = () => world.sts(ann).assumeRole({ RoleArn, RoleSessionName })
  await as()
  for (const condition of [
    { IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } },
    { DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } },
    { Bool: { 'aws:SecureTransport': 'true' } },
  ]) {
    const PolicyDocument = trustOf({ AWS }, condition)
    await world.iam().updateAssumeRolePolicy({ RoleName: 'web', PolicyDocument })
    await refused(as(), 'AccessDenied', 403)
  }
})

test('a chain of roles lasts an hour and carries what is transitive', async (t) => {
  const world = await openWorld(t)
  const ann = await mayAssume(world, 'ann')
  const both = trust(['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'], world.account)
  const first = await newRole(world, both, 'first')
  const second = await newRole(world, both, 'second')
  const given = await world.sts(ann).assumeRole({
    ...{ RoleArn: first.Arn, RoleSessionName, SourceIdentity: 'ann', DurationSeconds: 7200 },
    Tags: [
      { Key: 'team', Value: 'x' },
      { Key: 'own', Value: 'y' },
    ],
    TransitiveTagKeys: ['team'],
  })
  assert.equal(given.SourceIdentity, 'ann')
  assert.ok((given.PackedPolicySize ?? 0) > 0)
  const sts = world.sts(usable(given.Credentials))
  const chain = { RoleArn: second.Arn, RoleSessionName }
  await refused(sts.assumeRole({ ...chain, DurationSeconds: 3601 }), 'ValidationError', 400)
  const Tags = [{ Key: 'Team', Value: 'z' }]
  await refused(sts.assumeRole({ ...chain, Tags }), 'InvalidParameterValue', 400)
  const next = usable((await sts.assumeRole(chain)).Credentials)
  const open = secretsOf(world.state, world.sealer)
  const session = (await open(next.accessKeyId, next.sessionToken ?? ''))?.caller.session
  assert.deepEqual(session?.tags, { team: 'x' })
  assert.equal(session?.sourceIdentity, 'ann')
})

test('GetSessionToken gives a user its own rights for a while', async (t) => {
  const world = await openWorld(t)
  const ann = await newUser(world, 'ann')
  const PolicyDocument = policyDocument('iam:*')
  await world.iam().putUserPolicy({ UserName: 'ann', PolicyName: 'all', PolicyDocument })
  const keys = usable((await world.sts(ann).getSessionToken({ DurationSeconds: 900 })).Credentials)
  const me = await world.sts(keys).getCallerIdentity({})
  assert.match(me.Arn ?? '', /:user\/ann$/)
  await refused(world.sts(keys).getSessionToken({}), 'AccessDenied', 403)
  await refused(world.iam(keys).listUsers({}), 'InvalidClientTokenId', 403)
  const root = await world.sts().getSessionToken({})
  const left = Number(root.Credentials?.Expiration) - Date.now()
  assert.ok(left <= 3_600_000, String(left))
  const info = await world.sts(world.other).getAccessKeyInfo({ AccessKeyId: keys.accessKeyId })
  assert.equal(info.Account, world.account)
  const nobody = world.sts().getAccessKeyInfo({ AccessKeyId: 'AKIANOBODY0000000000' })
  await refused(nobody, 'ValidationError', 400)
})
