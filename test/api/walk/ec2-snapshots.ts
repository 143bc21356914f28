// The walk through EC2's snapshots, of a volume that is attached to a running instance.

import type { Row } from './row.ts'

const SNAPSHOT = { SnapshotId: '<snapshot>' }
const ONE = { SnapshotIds: ['<snapshot>'] }
const PERMISSION = { ...SNAPSHOT, Attribute: 'createVolumePermission' }

export const SNAPSHOT_ROWS: readonly Row[] = [
  [
    'CreateSnapshot',
    {
      ...{ VolumeId: '<volume>', Description: 'of the walk' },
      TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'Name', Value: 'walk' }] }],
    },
    {
      want: { VolumeId: '<volume>', VolumeSize: 1, 'Tags.0.Value': 'walk', State: '*' },
      keep: { snapshot: 'SnapshotId' },
    },
  ],
  // Waiters look again after 15 s.
  ['DescribeSnapshots', ONE, { until: true, want: { 'Snapshots.0.State': 'completed' } }],
  ['DescribeSnapshots', ONE, { wait: 'snapshot_completed' }],
  [
    'DescribeSnapshots',
    { Filters: [{ Name: 'volume-id', Values: ['<volume>'] }] },
    { want: { 'Snapshots.0.Progress': '100%', 'Snapshots.0.StorageTier': 'standard' } },
  ],
  [
    'CreateSnapshots',
    { InstanceSpecification: { InstanceId: '<instance>' }, CopyTagsFromSource: 'volume' },
    {
      want: { 'Snapshots.length': 1, 'Snapshots.0.Tags.0.Value': 'walk' },
      keep: { sibling: 'Snapshots.0.SnapshotId' },
    },
  ],
  [
    'DescribeSnapshots',
    { SnapshotIds: ['<sibling>'] },
    { until: true, want: { 'Snapshots.0.State': 'completed' } },
  ],
  [
    'CopySnapshot',
    { SourceRegion: 'mallee-1', SourceSnapshotId: '<snapshot>', Description: 'copy' },
    { keep: { copied: 'SnapshotId' } },
  ],
  [
    'DescribeSnapshots',
    { SnapshotIds: ['<copied>'] },
    { want: { 'Snapshots.0.State': 'completed', 'Snapshots.0.Description': 'copy' } },
  ],
  [
    'ModifySnapshotAttribute',
    { ...SNAPSHOT, CreateVolumePermission: { Add: [{ UserId: '<friend>' }] } },
    {
      argv: [
        ...['--snapshot-id', '<snapshot>', '--create-volume-permission'],
        'Add=[{UserId=<friend>}]',
      ],
    },
  ],
  [
    'DescribeSnapshotAttribute',
    PERMISSION,
    { want: { 'CreateVolumePermissions.0.UserId': '<friend>' } },
  ],
  ['ResetSnapshotAttribute', PERMISSION],
  [
    'EnableSnapshotBlockPublicAccess',
    { State: 'block-all-sharing' },
    { want: { State: 'block-all-sharing' } },
  ],
  ['GetSnapshotBlockPublicAccessState', {}, { want: { State: 'block-all-sharing' } }],
  ['DisableSnapshotBlockPublicAccess', {}, { want: { State: 'unblocked' } }],
  [
    'LockSnapshot',
    { ...SNAPSHOT, LockMode: 'governance', LockDuration: 1 },
    { want: { LockState: 'governance' } },
  ],
  ['DescribeLockedSnapshots', {}, { want: { 'Snapshots.*.SnapshotId': '<snapshot>' } }],
  ['UnlockSnapshot', SNAPSHOT, { want: { SnapshotId: '<snapshot>' } }],
  [
    'DescribeSnapshotTierStatus',
    {},
    { want: { 'SnapshotTierStatuses.0.StorageTier': 'standard' } },
  ],
  [
    'ModifySnapshotTier',
    { ...SNAPSHOT, StorageTier: 'archive' },
    { refused: 'UnsupportedOperation' },
  ],
  [
    'RestoreSnapshotTier',
    { ...SNAPSHOT, PermanentRestore: true },
    { refused: 'UnsupportedOperation' },
  ],
  ['DeleteSnapshot', SNAPSHOT],
  ['DeleteSnapshot', { SnapshotId: '<sibling>' }],
  ['DeleteSnapshot', { SnapshotId: '<copied>' }],
  ['DescribeSnapshots', { OwnerIds: ['self'] }, { want: { 'Snapshots.0': null } }],
]
