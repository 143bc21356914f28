// Block device mappings: what is refused, what an instance gets of its image and of the request,
// and that it gets all of it or nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockDeviceMapping } from '@aws-sdk/client-ec2'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { OTHER_ACCOUNT, refusal, refused, run } from '../ec2/support.ts'
import { shown, volumesOf, withImage } from './boot-support.ts'

const SNAPSHOT = 'snap-0123456789abcdef0'

test('RunInstances makes the volumes of the image and of the request, root first', async (t) => {
  const { cloud, image } = await withImage(t, [
    { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 2, DeleteOnTermination: false } },
    { DeviceName: '/dev/sdg', Ebs: { VolumeSize: 3 } },
    { DeviceName: '/dev/sdh', VirtualName: 'ephemeral0' },
  ])
  const [id = ''] = await run(cloud, {
    ImageId: image,
    BlockDeviceMappings: [
      { DeviceName: '/dev/sda1', Ebs: { VolumeSize: 10, VolumeType: 'gp3', Encrypted: true } },
      { DeviceName: '/dev/sdg', NoDevice: '' },
      { DeviceName: '/dev/sdb', Ebs: { VolumeSize: 4, VolumeType: 'io1', Iops: 100 } },
    ],
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'of', Value: 'me' }] }],
  })
  assert.deepEqual(await volumesOf(cloud, id), [
    '/dev/sda1 10 gp3 true',
    '/dev/sdb 4 io1 true',
    '/dev/sdf 2 gp2 false',
  ])
  const record = cloud.state.view().get('instance', id)
  const encrypted = cloud.state.view().by('volume', 'instances', id)
  assert.deepEqual(
    encrypted.filter((one) => one.encrypted).map((one) => one.attachments[0]?.device),
    ['/dev/sda1'],
  )
  assert.equal(record?.rootDevice, '/dev/sda1')
  assert.equal(record?.diskGib, 0)
  assert.deepEqual(record?.ephemeral, [{ device: '/dev/sdh', sizeGib: 4 }])
  const instance = await shown(cloud, id)
  assert.equal(instance?.RootDeviceType, 'ebs')
  assert.equal(instance?.RootDeviceName, '/dev/sda1')
  assert.equal(instance?.BlockDeviceMappings?.[0]?.Ebs?.Status, 'attaching')
  for (const { Ebs } of instance?.BlockDeviceMappings ?? []) {
    const volume = cloud.state.view().get('volume', Ebs?.VolumeId ?? '')
    assert.deepEqual(cloud.state.view().get('tags', volume?.id ?? '')?.tags, { of: 'me' })
    assert.equal(volume?.state, 'creating')
    assert.deepEqual(volume?.instances, [id])
    const [attachment] = volume?.attachments ?? []
    assert.deepEqual(
      [attachment?.generation, attachment?.state, attachment?.granted, attachment?.host],
      [1, 'attaching', false, record?.host],
    )
  }
  const Filters = [{ Name: 'block-device-mapping.device-name', Values: ['/dev/sdf'] }]
  assert.equal((await cloud.call('DescribeInstances', { Filters })).Reservations?.length, 1)
  const attribute = { InstanceId: id, Attribute: 'blockDeviceMapping' } as const
  const described = await cloud.call('DescribeInstanceAttribute', attribute)
  assert.deepEqual(described.BlockDeviceMappings, instance?.BlockDeviceMappings)
})

const EBS = { VolumeSize: 1 }
for (const [what, mappings, code] of [
  ['no device', [{ Ebs: EBS }], 'MissingParameter'],
  ['a device that is none', [{ DeviceName: 'disk1', Ebs: EBS }], 'InvalidBlockDeviceMapping'],
  ['a device alone', [{ DeviceName: '/dev/sdf' }], 'InvalidBlockDeviceMapping'],
  [
    'one device in two spellings',
    [
      { DeviceName: '/dev/sdf', Ebs: EBS },
      { DeviceName: 'xvdf', Ebs: EBS },
    ],
    'InvalidBlockDeviceMapping',
  ],
  [
    'a device that is two things',
    [{ DeviceName: '/dev/sdf', VirtualName: 'ephemeral0', Ebs: EBS }],
    'InvalidBlockDeviceMapping',
  ],
  [
    'a disk of its host that there is not',
    [{ DeviceName: '/dev/sdf', VirtualName: 'ephemeral1' }],
    'InvalidBlockDeviceMapping',
  ],
  [
    'a name of no disk',
    [{ DeviceName: '/dev/sdf', VirtualName: 'swap' }],
    'InvalidBlockDeviceMapping',
  ],
  ['no root', [{ DeviceName: '/dev/sda1', NoDevice: '' }], 'InvalidBlockDeviceMapping'],
  [
    'another root',
    [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: SNAPSHOT } }],
    'InvalidBlockDeviceMapping',
  ],
  [
    'a root that is too small',
    [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 7 } }],
    'InvalidBlockDeviceMapping',
  ],
  ['a volume without a size', [{ DeviceName: '/dev/sdf', Ebs: {} }], 'MissingParameter'],
  [
    'a volume without room',
    [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 16_384 } }],
    'InsufficientVolumeCapacity',
  ],
  [
    'more disks than a guest has slots',
    [...'bcdefghijklmnopq'].map((letter) => ({ DeviceName: `/dev/sd${letter}`, Ebs: EBS })),
    'AttachmentLimitExceeded',
  ],
  [
    'an unknown type',
    [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1, VolumeType: 'gp9' as 'gp2' } }],
    'UnknownVolumeType',
  ],
  [
    'IOPS that its type has not',
    [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1, Iops: 100 } }],
    'InvalidParameterCombination',
  ],
  [
    'a key',
    [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1, KmsKeyId: 'mine' } }],
    'UnsupportedOperation',
  ],
] as const satisfies readonly (readonly [string, readonly BlockDeviceMapping[], string])[]) {
  test(`RunInstances with ${what} says ${code} and makes nothing`, async (t) => {
    const { cloud, image } = await withImage(t)
    const { revision } = await cloud.state.fresh()
    const input = { ImageId: image, BlockDeviceMappings: [...mappings] }
    assert.equal(await refusal(run(cloud, input)), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('RunInstances makes all volumes of all instances, or nothing', async (t) => {
  const { cloud, image } = await withImage(t)
  await cloud.state.update((tx) =>
    tx.put('quota', ['111122223333', 'volumes'], {
      account: '111122223333',
      id: 'volumes',
      value: 3,
    }),
  )
  const input = {
    ImageId: image,
    count: 2,
    BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: EBS }],
  }
  assert.equal(await refusal(run(cloud, input)), 'VolumeLimitExceeded')
  assert.deepEqual(cloud.state.view().all('volume'), [])
  assert.deepEqual(cloud.state.view().all('instance'), [])
  assert.equal(await refusal(cloud.call('RunInstances', dry(image))), 'DryRunOperation')
  assert.deepEqual(cloud.state.view().all('volume'), [])
  assert.equal((await run(cloud, { ...input, count: 1 })).length, 1)
  assert.equal(cloud.state.view().all('volume').length, 2)
})

function dry(ImageId: string): Ec2Inputs['RunInstances'] {
  return { ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, DryRun: true }
}

test('RunInstances once more with its client token makes no other volume', async (t) => {
  const { cloud, image } = await withImage(t)
  const input = { ImageId: image, ClientToken: 'once' }
  assert.deepEqual(await run(cloud, input), await run(cloud, input))
  assert.equal(cloud.state.view().all('volume').length, 1)
})

test('RunInstances of a shared image makes volumes of snapshots that are not shared', async (t) => {
  const { cloud, image } = await withImage(t)
  const { cloud: _, ...given } = { cloud, ImageId: image, OperationType: 'add' as const }
  await cloud.call('ModifyImageAttribute', {
    ...given,
    Attribute: 'launchPermission',
    UserIds: [OTHER_ACCOUNT],
  })
  const one = { ...dry(image), DryRun: false }
  const { Instances } = await cloud.call('RunInstances', one, { account: OTHER_ACCOUNT })
  const [volume] = cloud.state.view().by('volume', 'instances', Instances?.[0]?.InstanceId ?? '')
  assert.equal(volume?.account, OTHER_ACCOUNT)
})

test('ModifyInstanceAttribute says which volumes go with their instance', async (t) => {
  const { cloud, image } = await withImage(t, [{ DeviceName: '/dev/sdf', Ebs: EBS }])
  const [InstanceId = ''] = await run(cloud, { ImageId: image })
  const modify = (DeviceName: string | undefined, Ebs?: object, more: object = {}) =>
    refusal(
      cloud.call('ModifyInstanceAttribute', {
        InstanceId,
        BlockDeviceMappings: [{ DeviceName, Ebs, ...more }],
      }),
    )
  const kept = { DeleteOnTermination: false }
  assert.equal(await modify('/dev/sda1', kept), 'accepted')
  assert.deepEqual(await volumesOf(cloud, InstanceId), [
    '/dev/sda1 8 gp2 false',
    '/dev/sdf 1 gp2 true',
  ])
  const [root] = (await shown(cloud, InstanceId))?.BlockDeviceMappings ?? []
  const VolumeId = root?.Ebs?.VolumeId
  assert.equal(await modify('/dev/sda1', { DeleteOnTermination: true, VolumeId }), 'accepted')
  assert.equal(await modify('/dev/sdf', { ...kept, VolumeId }), 'InvalidInstanceAttributeValue')
  assert.equal(await modify('/dev/sdg', kept), 'InvalidInstanceAttributeValue')
  assert.equal(await modify(undefined, kept), 'MissingParameter')
  assert.equal(await modify('/dev/sdf', {}), 'MissingParameter')
  assert.equal(await modify('/dev/sdf', undefined, { NoDevice: '' }), 'MissingParameter')
  assert.equal(await modify('/dev/sdf', kept, { VirtualName: 'a' }), 'UnsupportedOperation')
})

test('Instance store volumes share what the image leaves of the type’s disk', async (t) => {
  const { cloud, image } = await withImage(t)
  const { ImageId: file = '' } = await cloud.call('RegisterImage', {
    Name: 'a file',
    ImageLocation: 'debian.qcow2',
    BlockDeviceMappings: [
      { DeviceName: '/dev/sdc', VirtualName: 'ephemeral1' },
      { DeviceName: '/dev/sdb', VirtualName: 'ephemeral0' },
    ],
  })
  const disks = async (ImageId: string, more: object = {}) => {
    const [id = ''] = await run(cloud, { ImageId, ...more })
    const record = cloud.state.view().get('instance', id)
    return [record?.diskGib, record?.ephemeral?.map((one) => `${one.device} ${one.sizeGib}`)]
  }
  // t3.nano has 4 GiB, the file one.
  assert.deepEqual(await disks(file), [1, ['/dev/sdb 1', '/dev/sdc 1']])
  const BlockDeviceMappings = [{ DeviceName: '/dev/sdb', VirtualName: 'ephemeral0' }]
  assert.deepEqual(await disks(image, { BlockDeviceMappings }), [0, ['/dev/sdb 4']])
  const NoDevice = [{ DeviceName: '/dev/sdc', NoDevice: '' }]
  assert.deepEqual(await disks(file, { BlockDeviceMappings: NoDevice }), [1, ['/dev/sdb 3']])
  const root = run(cloud, {
    ImageId: file,
    BlockDeviceMappings: [{ DeviceName: '/dev/vda', Ebs: EBS }],
  })
  assert.equal((await refused(root)).code, 'InvalidBlockDeviceMapping')
})
