// The walk through EC2's volumes: made, attached to a running instance, taken from it, grown, and
// deleted.

import { SNAPSHOT_ROWS } from './ec2-snapshots.ts'
import type { Row } from './row.ts'

const VOLUME = { VolumeId: '<volume>' }
const ONE = { VolumeIds: ['<volume>'] }
const SAME = { Filters: [{ Name: 'volume-id', Values: ['<volume>'] }] }
/** Waiters look again after 15 s. */
const SOON_AVAILABLE: Row = [
  'DescribeVolumes',
  SAME,
  { until: true, want: { 'Volumes.0.State': 'available' } },
]

export const VOLUME_ROWS: readonly Row[] = [
  ['EnableEbsEncryptionByDefault', {}, { want: { EbsEncryptionByDefault: true } }],
  ['GetEbsEncryptionByDefault', {}, { want: { EbsEncryptionByDefault: true } }],
  ['DisableEbsEncryptionByDefault', {}, { want: { EbsEncryptionByDefault: false } }],
  [
    'CreateVolume',
    {
      ...{ AvailabilityZone: 'mallee-1-a', Size: 1, VolumeType: 'gp3' },
      TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'Name', Value: 'walk' }] }],
    },
    {
      want: { State: 'creating', Size: 1, Iops: 3_000, 'Tags.0.Value': 'walk' },
      keep: { volume: 'VolumeId' },
    },
  ],
  SOON_AVAILABLE,
  ['DescribeVolumes', ONE, { wait: 'volume_available' }],
  [
    'AttachVolume',
    { ...VOLUME, InstanceId: '<second>', Device: '/dev/sdf' },
    { refused: 'InvalidVolume.ZoneMismatch' },
  ],
  [
    'AttachVolume',
    { ...VOLUME, InstanceId: '<instance>', Device: '/dev/sdf' },
    { want: { State: 'attaching', VolumeId: '<volume>', Device: '/dev/sdf' } },
  ],
  ['DescribeVolumes', ONE, { wait: 'volume_in_use' }],
  [
    'DescribeVolumes',
    { Filters: [{ Name: 'attachment.instance-id', Values: ['<instance>'] }] },
    { until: true, want: { 'Volumes.0.Attachments.0.State': 'attached' } },
  ],
  [
    'DescribeInstances',
    { InstanceIds: ['<instance>'] },
    { want: { 'Reservations.0.Instances.0.BlockDeviceMappings.*.Ebs.VolumeId': '<volume>' } },
  ],
  ['DeleteVolume', VOLUME, { refused: 'VolumeInUse' }],
  ...SNAPSHOT_ROWS,
  ['DescribeVolumeStatus', {}, { want: { 'VolumeStatuses.*.VolumeId': '<volume>' } }],
  ['ModifyVolumeAttribute', { ...VOLUME, AutoEnableIO: { Value: true } }],
  [
    'DescribeVolumeAttribute',
    { ...VOLUME, Attribute: 'autoEnableIO' },
    { want: { 'AutoEnableIO.Value': true } },
  ],
  ['EnableVolumeIO', VOLUME],
  [
    'DetachVolume',
    { ...VOLUME, InstanceId: '<instance>' },
    { want: { State: 'detaching', InstanceId: '<instance>' } },
  ],
  SOON_AVAILABLE,
  ['DescribeVolumes', ONE, { wait: 'volume_available' }],
  ['DetachVolume', VOLUME, { refused: 'IncorrectState' }],
  [
    'ModifyVolume',
    { ...VOLUME, Size: 2 },
    { want: { 'VolumeModification.TargetSize': 2, 'VolumeModification.OriginalSize': 1 } },
  ],
  ['DescribeVolumesModifications', {}, { want: { 'VolumesModifications.0.VolumeId': '<volume>' } }],
  [
    'DescribeVolumesModifications',
    ONE,
    { until: true, want: { 'VolumesModifications.0.ModificationState': 'completed' } },
  ],
  ['DescribeVolumes', {}, { want: { 'Volumes.0.Size': 2, 'Volumes.0.State': 'available' } }],
  ['DeleteVolume', VOLUME],
  ['DescribeVolumes', SAME, { until: true, want: { 'Volumes.0': null } }],
  ['DescribeVolumes', ONE, { wait: 'volume_deleted' }],
]
