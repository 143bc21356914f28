// Images whose root is a snapshot: what RegisterImage takes and refuses, and how they are shown.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OTHER_ACCOUNT, openCloud, refusal } from '../ec2/support.ts'
import { withImage } from './boot-support.ts'
import { putSnapshot } from './support.ts'

const SNAPSHOT = 'snap-0123456789abcdef0'

test('RegisterImage of a snapshot makes an image that boots from a volume', async (t) => {
  const { cloud, snapshot, image } = await withImage(t)
  const { Images } = await cloud.call('DescribeImages', { ImageIds: [image] })
  const [one] = Images ?? []
  assert.equal(one?.RootDeviceType, 'ebs')
  assert.equal(one?.RootDeviceName, '/dev/sda1')
  assert.deepEqual(one?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId, snapshot)
  assert.equal(one?.BlockDeviceMappings?.[0]?.Ebs?.VolumeSize, 8)
  for (const [name, value, count] of [
    ['block-device-mapping.snapshot-id', snapshot, 1],
    ['block-device-mapping.volume-size', '9', 0],
    ['block-device-mapping.delete-on-termination', 'true', 1],
    ['root-device-type', 'ebs', 1],
    ['root-device-type', 'instance-store', 0],
  ] as const) {
    const Filters = [{ Name: name, Values: [value] }]
    assert.equal((await cloud.call('DescribeImages', { Filters })).Images?.length, count, name)
  }
  const attribute = { ImageId: image, Attribute: 'blockDeviceMapping' } as const
  const described = await cloud.call('DescribeImageAttribute', attribute)
  assert.deepEqual(described.BlockDeviceMappings, one?.BlockDeviceMappings)
})

for (const [what, mappings, code] of [
  ['no root', [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1 } }], 'InvalidBlockDeviceMapping'],
  [
    'a root of nothing',
    [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 1 } }],
    'InvalidBlockDeviceMapping',
  ],
  [
    'a root of its host',
    [{ DeviceName: '/dev/sda1', VirtualName: 'ephemeral0' }],
    'InvalidBlockDeviceMapping',
  ],
  [
    'an unknown snapshot',
    [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: SNAPSHOT } }],
    'InvalidSnapshot.NotFound',
  ],
  [
    'no snapshot',
    [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: 'snap-1' } }],
    'InvalidSnapshotID.Malformed',
  ],
] as const) {
  test(`RegisterImage with ${what} says ${code}`, async (t) => {
    const cloud = await openCloud(t, { racks: ['a'] })
    const input = { Name: 'bad', BlockDeviceMappings: [...mappings] }
    assert.equal(await refusal(cloud.call('RegisterImage', input)), code)
    assert.deepEqual(cloud.state.view().all('image'), [])
  })
}

test('RegisterImage refuses a snapshot that is pending, and one of another account', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const register = (SnapshotId: string): Promise<string> =>
    refusal(
      cloud.call('RegisterImage', {
        Name: 'bad',
        BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }],
      }),
    )
  const pending = await putSnapshot(cloud.state, { state: 'pending' })
  assert.equal(await register(pending.id), 'IncorrectState')
  const foreign = await putSnapshot(cloud.state, { account: OTHER_ACCOUNT })
  assert.equal(await register(foreign.id), 'InvalidSnapshot.NotFound')
  const shared = await putSnapshot(cloud.state, { account: OTHER_ACCOUNT, isPublic: true })
  assert.equal(await register(shared.id), 'accepted')
})
