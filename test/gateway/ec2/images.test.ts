// Images from files that were imported: their names, their owners, their end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import {
  type Cloud,
  DIGEST,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
} from './support.ts'

const UNKNOWN = 'ami-0123456789abcdef0'

function register(
  cloud: Cloud,
  more: Partial<Ec2Inputs['RegisterImage']>,
  account?: string,
): Promise<string> {
  const input = { Name: 'debian', ImageLocation: 'debian.qcow2', ...more }
  return refusal(cloud.call('RegisterImage', input, account ? { account } : {}))
}

test('RegisterImage finds a file by name and by digest, and DescribeImages shows it', async (t) => {
  const cloud = await openCloud(t)
  const { ImageId } = await cloud.call('RegisterImage', {
    Name: 'by name',
    Description: 'Debian 12',
    ImageLocation: 'debian.qcow2',
    TagSpecifications: [{ ResourceType: 'image', Tags: [{ Key: 'os', Value: 'debian' }] }],
  })
  assert.match(ImageId ?? '', /^ami-[0-9a-f]{17}$/)
  const second = await registerImage(cloud, 'by digest')
  assert.notEqual(ImageId, second)
  const { Images } = await cloud.call('DescribeImages', { Owners: ['self'] })
  assert.equal(Images?.length, 2)
  const image = Images?.find((one) => one.ImageId === ImageId)
  assert.equal(image?.Name, 'by name')
  assert.equal(image?.State, 'available')
  assert.equal(image?.CreationDate, '2026-11-22T12:00:00.000Z')
  assert.deepEqual(image?.Tags, [{ Key: 'os', Value: 'debian' }])
  assert.equal(cloud.state.view().get('image', ImageId ?? '')?.sha256, DIGEST)
})

for (const [what, more, code] of [
  ['a name in use', { Name: 'taken' }, 'InvalidAMIName.Duplicate'],
  ['a name that is too short', { Name: 'ab' }, 'InvalidAMIName.Malformed'],
  ['a name of other characters', { Name: 'debian;12' }, 'InvalidAMIName.Malformed'],
  ['no name', { Name: undefined }, 'MissingParameter'],
  ['no location', { ImageLocation: undefined }, 'MissingParameter'],
  ['an unknown file', { ImageLocation: 'windows.qcow2' }, 'InvalidManifest'],
  ['an unknown digest', { ImageLocation: `sha256:${'00'.repeat(32)}` }, 'InvalidManifest'],
  ['a cut digest', { ImageLocation: 'sha256:abab' }, 'InvalidManifest'],
  ['another architecture', { Architecture: 'arm64' as const }, 'UnsupportedOperation'],
  ['paravirtualization', { VirtualizationType: 'paravirtual' }, 'UnsupportedOperation'],
  ['no disk', { BlockDeviceMappings: [{ DeviceName: '/dev/sdb' }] }, 'InvalidBlockDeviceMapping'],
  ['another root', { RootDeviceName: '/dev/sda1' }, 'UnsupportedOperation'],
  ['DryRun', { DryRun: true }, 'DryRunOperation'],
] as const satisfies readonly (readonly [string, Partial<Ec2Inputs['RegisterImage']>, string])[]) {
  test(`RegisterImage with ${what} says ${code} and keeps nothing`, async (t) => {
    const cloud = await openCloud(t, { racks: [] })
    await registerImage(cloud, 'taken')
    const { revision } = await cloud.state.fresh()
    assert.equal(await register(cloud, more), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('RegisterImage of one name five times at once makes one image', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const outcomes = await Promise.all([1, 2, 3, 4, 5].map(() => register(cloud, {})))
  assert.equal(outcomes.filter((one) => one === 'accepted').length, 1)
  assert.equal(outcomes.filter((one) => one === 'InvalidAMIName.Duplicate').length, 4)
  assert.equal(await register(cloud, {}, OTHER_ACCOUNT), 'accepted', 'names are of an account')
})

test('DescribeImages shows another account only public images', async (t) => {
  const cloud = await openCloud(t)
  const id = await registerImage(cloud)
  const count = async (input: Ec2Inputs['DescribeImages']): Promise<number | undefined> =>
    (await cloud.call('DescribeImages', input, { account: OTHER_ACCOUNT })).Images?.length
  const named = (): Promise<string> =>
    refusal(cloud.call('DescribeImages', { ImageIds: [id] }, { account: OTHER_ACCOUNT }))
  assert.equal(await count({}), 0)
  assert.equal(await named(), 'InvalidAMIID.NotFound')
  await cloud.state.update(async (tx) => {
    const image = await tx.get('image', id)
    assert.ok(image)
    await tx.put('image', [id], { ...image, isPublic: true })
  })
  assert.equal(await count({}), 1)
  assert.equal(await count({ ExecutableUsers: ['all'] }), 1)
  assert.equal(await count({ Owners: ['self'] }), 0)
  assert.equal(await named(), 'accepted')
  const deregister = cloud.call('DeregisterImage', { ImageId: id }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(deregister), 'InvalidAMIID.NotFound')
})

test('DescribeImages refuses ids that are none or nobody’s', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const ask = (id: string): Promise<string> =>
    refusal(cloud.call('DescribeImages', { ImageIds: [id] }))
  assert.equal(await ask('debian'), 'InvalidAMIID.Malformed')
  assert.equal(await ask(UNKNOWN), 'InvalidAMIID.NotFound')
})

test('DeregisterImage frees the name, ends launches, and keeps the image for its instances', async (t) => {
  const cloud = await openCloud(t)
  const id = await registerImage(cloud)
  const [instance = ''] = await run(cloud, { ImageId: id })
  const unknown = cloud.call('DeregisterImage', { ImageId: UNKNOWN })
  assert.equal(await refusal(unknown), 'InvalidAMIID.NotFound')
  await cloud.call('DeregisterImage', { ImageId: id })
  assert.deepEqual((await cloud.call('DescribeImages', {})).Images, [])
  assert.equal(await refusal(run(cloud, { ImageId: id })), 'InvalidAMIID.Unavailable')
  const again = cloud.call('DeregisterImage', { ImageId: id })
  assert.equal(await refusal(again), 'InvalidAMIID.Unavailable')
  assert.equal(await register(cloud, {}), 'accepted')
  await purgeTerminated(cloud.state, START_MS)
  assert.ok(cloud.state.view().get('image', id), 'an instance runs from it')
  await report(cloud.state, instance, 'terminated')
  await purgeTerminated(cloud.state, START_MS)
  assert.equal(cloud.state.view().get('image', id), null)
})
