// Bad requests about block devices: of launches, images and instances that are there.

import type { Row } from './row.ts'

const NO_SNAPSHOT = 'snap-0123456789abcdef0'
const EBS = { VolumeSize: 1 }
const launched = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const

function launch(device: object): Row[2] {
  return ({ image }) => ({ ...launched, ImageId: image, BlockDeviceMappings: [device] })
}

function image(device: object): Row[2] {
  return { Name: 'of devices', BlockDeviceMappings: [device] }
}

function devices(...mappings: readonly object[]): Row[2] {
  return ({ running }) => ({ InstanceId: running, BlockDeviceMappings: mappings })
}

export const DEVICES: readonly Row[] = [
  ['no device name', 'RunInstances', launch({ Ebs: EBS }), 'MissingParameter'],
  [
    'a device that is none',
    'RunInstances',
    launch({ DeviceName: '../sda', Ebs: EBS }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'the root of its host',
    'RunInstances',
    launch({ DeviceName: '/dev/vda', Ebs: EBS }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'a virtual name of nothing',
    'RunInstances',
    launch({ DeviceName: '/dev/sdf', VirtualName: 'ephemeral24' }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'two things at once',
    'RunInstances',
    launch({ DeviceName: '/dev/sdf', VirtualName: 'ephemeral0', NoDevice: '' }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'an unknown snapshot',
    'RunInstances',
    launch({ DeviceName: '/dev/sdf', Ebs: { SnapshotId: NO_SNAPSHOT } }),
    'InvalidSnapshot.NotFound',
  ],
  [
    'no snapshot id',
    'RunInstances',
    launch({ DeviceName: '/dev/sdf', Ebs: { SnapshotId: 'mine' } }),
    'InvalidSnapshotID.Malformed',
  ],
  [
    'a pending snapshot',
    'RunInstances',
    ({ image: ImageId, pendingSnapshot }) => ({
      ...{ ...launched, ImageId },
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { SnapshotId: pendingSnapshot } }],
    }),
    'IncorrectState',
  ],
  [
    'a volume of nothing',
    'RunInstances',
    launch({ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 0 } }),
    'InvalidParameterValue',
  ],
  [
    'no root',
    'RegisterImage',
    image({ DeviceName: '/dev/sdf', Ebs: EBS }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'a root without a snapshot',
    'RegisterImage',
    image({ DeviceName: '/dev/sda1', Ebs: EBS }),
    'InvalidBlockDeviceMapping',
  ],
  [
    'an unknown snapshot',
    'RegisterImage',
    image({ DeviceName: '/dev/sda1', Ebs: { SnapshotId: NO_SNAPSHOT } }),
    'InvalidSnapshot.NotFound',
  ],
  [
    'a device of no volume',
    'ModifyInstanceAttribute',
    devices({ DeviceName: '/dev/sdp', Ebs: { DeleteOnTermination: true } }),
    'InvalidInstanceAttributeValue',
  ],
  [
    'nothing to change of a device',
    'ModifyInstanceAttribute',
    devices({ DeviceName: '/dev/sdf' }),
    'MissingParameter',
  ],
  [
    'a kernel of a running one',
    'ModifyInstanceAttribute',
    ({ running, kernel }) => ({ InstanceId: running, Kernel: { Value: kernel } }),
    'IncorrectInstanceState',
  ],
  ['nothing named', 'CreateImage', {}, 'MissingParameter'],
  ['no name', 'CreateImage', ({ running }) => ({ InstanceId: running }), 'MissingParameter'],
  [
    'a bad name',
    'CreateImage',
    ({ running }) => ({ InstanceId: running, Name: 'a"b' }),
    'InvalidAMIName.Malformed',
  ],
  [
    'one whose root is on its host',
    'CreateImage',
    ({ running }) => ({ InstanceId: running, Name: 'imaged' }),
    'InvalidParameterValue',
  ],
  [
    'an unknown instance',
    'CreateImage',
    { InstanceId: 'i-0123456789abcdef0', Name: 'imaged' },
    'InvalidInstanceID.NotFound',
  ],
  [
    'no instance id',
    'CreateImage',
    { InstanceId: 'me', Name: 'x-1' },
    'InvalidInstanceID.Malformed',
  ],
]
