// The walk through what boots from a volume: a disk in a bucket becomes a snapshot, that an image,
// that an instance, and that another image.

import type { Row } from './row.ts'

const BOOTED = { InstanceIds: ['<booted>'] }
const STATE = 'Reservations.0.Instances.0.State.Name'
const DEVICE = 'Reservations.0.Instances.0.BlockDeviceMappings.0'
const TASK = { ImportTaskIds: ['<snapshotTask>'] }

export const BOOT_ROWS: readonly Row[] = [
  [
    'ImportSnapshot',
    { DiskContainer: { Format: 'raw', UserBucket: { S3Bucket: '<bucket>', S3Key: 'disk.raw' } } },
    { keep: { snapshotTask: 'ImportTaskId' }, want: { 'SnapshotTaskDetail.Status': 'active' } },
  ],
  [
    'DescribeImportSnapshotTasks',
    TASK,
    {
      until: true,
      want: { 'ImportSnapshotTasks.0.SnapshotTaskDetail.Status': 'completed' },
      keep: { diskSnapshot: 'ImportSnapshotTasks.0.SnapshotTaskDetail.SnapshotId' },
    },
  ],
  ['DescribeImportSnapshotTasks', TASK, { wait: 'snapshot_imported' }],
  ['DescribeImportSnapshotTasks', {}, { want: { 'ImportSnapshotTasks.length': 1 } }],
  [
    'RegisterImage',
    {
      ...{ Name: 'boots from a volume', RootDeviceName: '/dev/sda1' },
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: '<diskSnapshot>' } }],
    },
    {
      argv: [
        ...['--name', 'boots from a volume', '--root-device-name', '/dev/sda1'],
        ...['--block-device-mappings', 'DeviceName=/dev/sda1,Ebs={SnapshotId=<diskSnapshot>}'],
      ],
      keep: { bootImage: 'ImageId' },
    },
  ],
  [
    'DescribeImages',
    { ImageIds: ['<bootImage>'] },
    { want: { 'Images.0.RootDeviceType': 'ebs', 'Images.0.State': 'available' } },
  ],
  [
    'RunInstances',
    {
      ...{ ImageId: '<bootImage>', InstanceType: 't3.micro', MinCount: 1, MaxCount: 1 },
      SubnetId: '<subnet>',
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1 } }],
    },
    {
      argv: [
        ...['--image-id', '<bootImage>', '--instance-type', 't3.micro', '--subnet-id', '<subnet>'],
        ...['--block-device-mappings', 'DeviceName=/dev/sdf,Ebs={VolumeSize=1}'],
      ],
      want: { 'Instances.0.RootDeviceType': 'ebs', 'Instances.0.RootDeviceName': '/dev/sda1' },
      keep: { booted: 'Instances.0.InstanceId' },
    },
  ],
  [
    'DescribeInstances',
    BOOTED,
    {
      until: true,
      want: {
        ...{ [STATE]: 'running', [`${DEVICE}.DeviceName`]: '/dev/sda1' },
        [`${DEVICE}.Ebs.Status`]: 'attached',
      },
    },
  ],
  [
    'ModifyInstanceAttribute',
    {
      InstanceId: '<booted>',
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { DeleteOnTermination: true } }],
    },
    {
      argv: [
        ...['--instance-id', '<booted>', '--block-device-mappings'],
        'DeviceName=/dev/sdf,Ebs={DeleteOnTermination=true}',
      ],
    },
  ],
  [
    'CreateImage',
    { InstanceId: '<booted>', Name: 'of the booted', NoReboot: true },
    { keep: { bootCopy: 'ImageId' } },
  ],
  [
    'DescribeImages',
    { ImageIds: ['<bootCopy>'] },
    {
      until: true,
      want: { 'Images.0.State': 'available' },
      keep: {
        rootSnapshot: 'Images.0.BlockDeviceMappings.0.Ebs.SnapshotId',
        dataSnapshot: 'Images.0.BlockDeviceMappings.1.Ebs.SnapshotId',
      },
    },
  ],
  ['StopInstances', BOOTED, {}],
  ['DescribeInstances', BOOTED, { until: true, want: { [STATE]: 'stopped' } }],
  ['StartInstances', BOOTED, {}],
  ['DescribeInstances', BOOTED, { until: true, want: { [STATE]: 'running' } }],
  [
    'CreateImage',
    { InstanceId: '<booted>', Name: 'of the stopped' },
    { keep: { bootStopped: 'ImageId' } },
  ],
  [
    'DescribeImages',
    { ImageIds: ['<bootStopped>'] },
    {
      until: true,
      want: { 'Images.0.State': 'available' },
      keep: {
        rootAgain: 'Images.0.BlockDeviceMappings.0.Ebs.SnapshotId',
        dataAgain: 'Images.0.BlockDeviceMappings.1.Ebs.SnapshotId',
      },
    },
  ],
  ['DescribeInstances', BOOTED, { until: true, want: { [STATE]: 'running' } }],
  ['TerminateInstances', BOOTED, {}],
  ['DescribeInstances', BOOTED, { until: true, want: { [STATE]: 'terminated' } }],
  ['DeleteSnapshot', { SnapshotId: '<rootSnapshot>' }, { refused: 'InvalidSnapshot.InUse' }],
  ...['bootImage', 'bootCopy', 'bootStopped'].map(
    (name): Row => ['DeregisterImage', { ImageId: `<${name}>` }],
  ),
  ...['diskSnapshot', 'rootSnapshot', 'dataSnapshot', 'rootAgain', 'dataAgain'].map(
    (name): Row => ['DeleteSnapshot', { SnapshotId: `<${name}>` }],
  ),
]
