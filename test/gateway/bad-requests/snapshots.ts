// Bad requests about snapshots.

import type { Row } from './row.ts'

const NO_SNAPSHOT = { SnapshotId: 'snap-0123456789abcdef0' }
const NO_ID = { SnapshotId: 'snapshot' }
const PERMISSION = { Attribute: 'createVolumePermission' }
const ALL = { CreateVolumePermission: { Add: [{ Group: 'all' }] } }
const LOCK = { LockMode: 'governance', LockDuration: 1 }
/** Actions that are about one snapshot, and what else they need. */
const ABOUT_ONE: readonly (readonly [action: string, rest: object])[] = [
  ['DeleteSnapshot', {}],
  ['DescribeSnapshotAttribute', PERMISSION],
  ['ModifySnapshotAttribute', ALL],
  ['ResetSnapshotAttribute', PERMISSION],
  ['LockSnapshot', LOCK],
  ['UnlockSnapshot', {}],
  ['ModifySnapshotTier', {}],
  ['RestoreSnapshotTier', {}],
]

export const SNAPSHOTS: readonly Row[] = [
  ...ABOUT_ONE.flatMap(([action, rest]): Row[] => [
    ['an unknown id', action, { ...rest, ...NO_SNAPSHOT }, 'InvalidSnapshot.NotFound'],
    ['no id', action, { ...rest, ...NO_ID }, 'InvalidSnapshotID.Malformed'],
    ['nothing named', action, rest as Row[2], 'MissingParameter'],
  ]),
  [
    'an unknown id',
    'DescribeSnapshots',
    { SnapshotIds: ['snap-0123456789abcdef0'] },
    'InvalidSnapshot.NotFound',
  ],
  [
    'an unknown id',
    'DescribeLockedSnapshots',
    { SnapshotIds: ['snap-0123456789abcdef0'] },
    'InvalidSnapshot.NotFound',
  ],
  [
    'a filter of no name',
    'DescribeSnapshots',
    { Filters: [{ Name: 'x', Values: ['y'] }] },
    'InvalidParameterValue',
  ],
  ['too small pages', 'DescribeSnapshots', { MaxResults: 4 }, 'InvalidParameterValue'],
  ['nothing named', 'CreateSnapshot', {}, 'MissingParameter'],
  [
    'an unknown volume',
    'CreateSnapshot',
    { VolumeId: 'vol-0123456789abcdef0' },
    'InvalidVolume.NotFound',
  ],
  [
    'a volume in the making',
    'CreateSnapshot',
    ({ newVolume }) => ({ VolumeId: newVolume }),
    'IncorrectState',
  ],
  [
    'too long a description',
    'CreateSnapshot',
    ({ volume }) => ({ VolumeId: volume, Description: 'x'.repeat(256) }),
    'InvalidParameterValue',
  ],
  [
    'tags of another type',
    'CreateSnapshot',
    ({ volume }) => ({
      VolumeId: volume,
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'a', Value: 'b' }] }],
    }),
    'InvalidParameterValue',
  ],
  ['nothing named', 'CreateSnapshots', {}, 'MissingParameter'],
  [
    'an unknown instance',
    'CreateSnapshots',
    { InstanceSpecification: { InstanceId: 'i-0123456789abcdef0' } },
    'InvalidInstanceID.NotFound',
  ],
  [
    'an instance without volumes',
    'CreateSnapshots',
    ({ stopped }) => ({ InstanceSpecification: { InstanceId: stopped } }),
    'InvalidParameterCombination',
  ],
  [
    'a volume left out that it has not',
    'CreateSnapshots',
    ({ running, volume }) => ({
      InstanceSpecification: { InstanceId: running, ExcludeDataVolumeIds: [volume] },
    }),
    'InvalidParameterValue',
  ],
  // boto3 itself asks for the region.
  ['nothing named', 'CopySnapshot', 'DryRun=false', 'MissingParameter'],
  [
    'another region',
    'CopySnapshot',
    ({ snapshot }) => ({ SourceRegion: 'eu-west-1', SourceSnapshotId: snapshot }),
    'SnapshotCopyUnsupported.InterRegion',
  ],
  [
    'one that is pending',
    'CopySnapshot',
    ({ pendingSnapshot }) => ({ SourceRegion: 'mallee-1', SourceSnapshotId: pendingSnapshot }),
    'IncorrectState',
  ],
  [
    'an encryption that is not there',
    'CopySnapshot',
    ({ snapshot }) => ({
      ...{ SourceRegion: 'mallee-1', SourceSnapshotId: snapshot, Encrypted: true },
    }),
    'UnsupportedOperation',
  ],
  [
    'one that is pending',
    'CreateVolume',
    ({ pendingSnapshot }) => ({ AvailabilityZone: 'mallee-1-a', SnapshotId: pendingSnapshot }),
    'IncorrectState',
  ],
  [
    'one that is locked',
    'DeleteSnapshot',
    ({ lockedSnapshot }) => ({ SnapshotId: lockedSnapshot }),
    'OperationNotPermitted',
  ],
  [
    'one that is locked for good',
    'UnlockSnapshot',
    ({ lockedSnapshot }) => ({ SnapshotId: lockedSnapshot }),
    'OperationNotPermitted',
  ],
  [
    'one that is not locked',
    'UnlockSnapshot',
    ({ snapshot }) => ({ SnapshotId: snapshot }),
    'IncorrectState',
  ],
  [
    'a shorter lock',
    'LockSnapshot',
    ({ lockedSnapshot }) => ({
      ...{ SnapshotId: lockedSnapshot, LockMode: 'compliance', LockDuration: 1 },
    }),
    'OperationNotPermitted',
  ],
  [
    'no time at all',
    'LockSnapshot',
    ({ snapshot }) => ({ SnapshotId: snapshot, LockMode: 'governance' }),
    'MissingParameter',
  ],
  [
    'everybody for one that is encrypted',
    'ModifySnapshotAttribute',
    ({ lockedSnapshot }) => ({ SnapshotId: lockedSnapshot, ...ALL }),
    'OperationNotPermitted',
  ],
  [
    'the archive',
    'ModifySnapshotTier',
    ({ snapshot }) => ({ SnapshotId: snapshot, StorageTier: 'archive' }),
    'UnsupportedOperation',
  ],
  [
    'a state of no name',
    'EnableSnapshotBlockPublicAccess',
    { State: 'unblocked' },
    'InvalidParameterValue',
  ],
]
