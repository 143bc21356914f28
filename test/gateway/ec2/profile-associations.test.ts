// Instances with instance profiles: launched with one, given one, and as whom they then act.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { metadataOf } from '../../../gateway/control/desired-metadata.ts'
import { openCredentials, renewRoleCredentials } from '../../../gateway/control/role-credentials.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { SECRETS } from '../control/records.ts'
import { openWorld, refused, trustOf, type World } from '../iam/world.ts'
import { DIGEST } from './support.ts'

const HOUR_MS = 3_600_000
const Name = 'web'

test('an instance is launched with a profile, which is replaced and taken away', async (t) => {
  const world = await worldWithSubnets(t)
  const ec2 = world.ec2()
  const first = await newProfile(world, 'web')
  const second = await newProfile(world, 'db')
  const InstanceId = await launch(world, { Name })
  const { Reservations } = await ec2.describeInstances({
    Filters: [{ Name: 'iam-instance-profile.name', Values: ['web'] }],
  })
  const shown = Reservations?.[0]?.Instances?.[0]
  assert.deepEqual(shown?.IamInstanceProfile, { Arn: first.arn, Id: first.id })
  const { LaunchTemplateData } = await ec2.getLaunchTemplateData({ InstanceId })
  assert.deepEqual(LaunchTemplateData?.IamInstanceProfile, { Arn: first.arn })
  const list = () => ec2.describeIamInstanceProfileAssociations({})
  const [one] = (await list()).IamInstanceProfileAssociations ?? []
  assert.match(one?.AssociationId ?? '', /^iip-assoc-[0-9a-f]{17}$/)
  assert.deepEqual([one?.InstanceId, one?.State], [InstanceId, 'associated'])
  const again = ec2.associateIamInstanceProfile({ InstanceId, IamInstanceProfile: { Name } })
  await refused(again, 'IncorrectState', 400)
  const { AssociationId } = one ?? {}
  const IamInstanceProfile = { Arn: second.arn }
  const replaced = await ec2.replaceIamInstanceProfileAssociation({
    AssociationId,
    IamInstanceProfile,
  })
  const next = replaced.IamInstanceProfileAssociation
  assert.equal(next?.IamInstanceProfile?.Id, second.id)
  assert.notEqual(next?.AssociationId, AssociationId)
  const gone = ec2.disassociateIamInstanceProfile({ AssociationId })
  await refused(gone, 'NoSuchAssociation', 400)
  await ec2.disassociateIamInstanceProfile({ AssociationId: next?.AssociationId })
  assert.deepEqual((await list()).IamInstanceProfileAssociations ?? [], [])
  const back = await ec2.associateIamInstanceProfile({ InstanceId, IamInstanceProfile: { Name } })
  assert.equal(back.IamInstanceProfileAssociation?.State, 'associating')
  const other = world.ec2(world.other)
  const theirs = await other.describeIamInstanceProfileAssociations({})
  assert.deepEqual(theirs.IamInstanceProfileAssociations ?? [], [])
  const stolen = other.disassociateIamInstanceProfile({
    AssociationId: back.IamInstanceProfileAssociation?.AssociationId,
  })
  await refused(stolen, 'NoSuchAssociation', 400)
})

for (const [what, profile, code] of [
  ['that is not there', { Name: 'nobody' }, 'InvalidParameterValue'],
  ['of an ARN that is not there', { Arn: 'arn:aws:iam::1:x' }, 'InvalidParameterValue'],
  ['without a role', { Name: 'empty' }, 'InvalidParameterValue'],
  ['by ARN and name', { Name: 'web', Arn: 'x' }, 'InvalidParameterCombination'],
  ['of another account', { Name: 'theirs' }, 'InvalidParameterValue'],
] as const) {
  test(`RunInstances refuses a profile ${what}`, async (t) => {
    const world = await worldWithSubnets(t)
    await newProfile(world, 'web')
    await world.iam().createInstanceProfile({ InstanceProfileName: 'empty' })
    await world.iam(world.other).createInstanceProfile({ InstanceProfileName: 'theirs' })
    await refused(launch(world, profile), code, 400)
    assert.equal(world.state.view().all('profile-association').length, 0)
  })
}

test('an instance has credentials of its role, renewed long before they end', async (t) => {
  const world = await worldWithSubnets(t)
  const iam = world.iam()
  await newProfile(world, 'web')
  const id = await launch(world, { Name })
  const { state, sealer } = world
  const renew = (nowMs: number) => renewRoleCredentials({ state, sealer, randomHex }, nowMs)
  const kept = () => state.view().get('instance-credentials', id)
  const startMs = Date.now()
  await renew(startMs)
  const first = kept()
  assert.ok(first !== null)
  const { secretAccessKey, sessionToken } = openCredentials(sealer, first)
  assert.ok(!JSON.stringify(first).includes(secretAccessKey))
  const keys = { accessKeyId: first.accessKeyId, secretAccessKey, sessionToken }
  const me = await world.sts(keys).getCallerIdentity({})
  assert.equal(me.Arn, `arn:aws:sts::${world.account}:assumed-role/web/${id}`)
  await renew(startMs + 2.9 * HOUR_MS)
  assert.deepEqual(kept(), first)
  await renew(startMs + 3 * HOUR_MS)
  const second = kept()
  assert.notEqual(second?.accessKeyId, first.accessKeyId)
  assert.equal((second?.expiresAtMs ?? 0) - startMs, 9 * HOUR_MS)
  const instance = state.view().get('instance', id)
  assert.ok(instance !== null)
  const told = metadataOf(state.view(), instance, SECRETS).profile
  assert.deepEqual(
    [told?.role, told?.credentials?.accessKeyId, told?.untrusted],
    ['web', second?.accessKeyId, false],
  )
  const PolicyDocument = trustOf({ AWS: world.account })
  await iam.updateAssumeRolePolicy({ RoleName: 'web', PolicyDocument })
  assert.equal(metadataOf(state.view(), instance, SECRETS).profile?.untrusted, true)
  await renew(startMs + 3 * HOUR_MS)
  assert.equal(kept(), null)
})

test('credentials of an instance follow its profile, and end with it', async (t) => {
  const world = await worldWithSubnets(t)
  const iam = world.iam()
  const { state, sealer } = world
  await newProfile(world, 'web')
  const other = await newProfile(world, 'db')
  const id = await launch(world, { Name })
  const nowMs = Date.now()
  const renew = () => renewRoleCredentials({ state, sealer, randomHex }, nowMs)
  const kept = () => state.view().get('instance-credentials', id)
  await renew()
  const before = kept()
  const instance = state.view().get('instance', id)
  assert.ok(before !== null && instance !== null)
  const inside = { InstanceProfileName: 'web' }
  await iam.removeRoleFromInstanceProfile({ ...inside, RoleName: 'web' })
  // Not for a moment does it have another role's name with these credentials.
  assert.equal(metadataOf(state.view(), instance, SECRETS).profile?.credentials, undefined)
  await iam.addRoleToInstanceProfile({ ...inside, RoleName: 'db' })
  assert.equal(metadataOf(state.view(), instance, SECRETS).profile?.credentials, undefined)
  await renew()
  assert.notEqual(kept()?.role, before.role)
  assert.equal(metadataOf(state.view(), instance, SECRETS).profile?.role, other.name)
  await state.update(async (tx) => {
    await tx.put('instance', [id], { ...instance, state: 'terminated', terminatedAtMs: nowMs })
  })
  await renew()
  assert.equal(kept(), null)
})

async function worldWithSubnets(t: TestContext): Promise<World> {
  const world = await openWorld(t)
  await ensureDefaultSubnets(world.state, { nowMs: Date.now(), randomHex, log: silentLog })
  return world
}

async function newProfile(
  world: World,
  name: string,
): Promise<{ name: string; arn: string; id: string; role: string }> {
  const iam = world.iam()
  const AssumeRolePolicyDocument = trustOf({ Service: 'ec2.amazonaws.com' })
  const { Role } = await iam.createRole({ RoleName: name, AssumeRolePolicyDocument })
  const { InstanceProfile } = await iam.createInstanceProfile({ InstanceProfileName: name })
  await iam.addRoleToInstanceProfile({ InstanceProfileName: name, RoleName: name })
  const { Arn: arn = '', InstanceProfileId: id = '' } = InstanceProfile ?? {}
  return { name, arn, id, role: Role?.Arn ?? '' }
}

async function launch(
  world: World,
  IamInstanceProfile: { Name?: string; Arn?: string },
): Promise<string> {
  const ec2 = world.ec2()
  const image = { Name: `debian-${randomHex(4)}`, ImageLocation: `sha256:${DIGEST}` }
  const { ImageId } = await ec2.registerImage(image)
  const request = { ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const
  const { Instances } = await ec2.runInstances({ ...request, IamInstanceProfile })
  return Instances?.[0]?.InstanceId ?? ''
}
