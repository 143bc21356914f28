// Bad requests about volumes: types, sizes, places, states, modifications.

import { ZONE } from './ground.ts'
import type { Row } from './row.ts'

const PLACE = { AvailabilityZone: ZONE }
const NO_VOLUME = 'vol-0123456789abcdef0'
const NO_SNAPSHOT = 'snap-0123456789abcdef0'
const TAGS = [{ Key: 'aws:x', Value: '1' }]
const VALUE = 'InvalidParameterValue'
const COMBINATION = 'InvalidParameterCombination'

const CREATE: readonly (readonly [what: string, wish: object, code: string])[] = [
  ['no zone', { Size: 1 }, 'MissingParameter'],
  ['neither size nor snapshot', PLACE, 'MissingParameter'],
  ['an unknown zone', { AvailabilityZone: 'moon-1a', Size: 1 }, 'InvalidZone.NotFound'],
  ['an unknown type', { ...PLACE, Size: 1, VolumeType: 'gp9' }, 'UnknownVolumeType'],
  ['no size at all', { ...PLACE, Size: 0 }, VALUE],
  ['less than nothing', { ...PLACE, Size: -1 }, VALUE],
  ['a size past its type', { ...PLACE, Size: 16_385 }, VALUE],
  ['a size below its type', { ...PLACE, Size: 124, VolumeType: 'st1' }, VALUE],
  ['IOPS that gp2 has not', { ...PLACE, Size: 1, Iops: 100 }, COMBINATION],
  ['no IOPS for io1', { ...PLACE, Size: 4, VolumeType: 'io1' }, COMBINATION],
  ['too many IOPS a GiB', { ...PLACE, Size: 4, VolumeType: 'io1', Iops: 201 }, VALUE],
  ['throughput that gp2 has not', { ...PLACE, Size: 1, Throughput: 125 }, COMBINATION],
  [
    'too much throughput an operation',
    { ...PLACE, Size: 8, VolumeType: 'gp3', Throughput: 751 },
    VALUE,
  ],
  [
    'many users of gp3',
    { ...PLACE, Size: 1, VolumeType: 'gp3', MultiAttachEnabled: true },
    COMBINATION,
  ],
  [
    'a key of KMS',
    { ...PLACE, Size: 1, Encrypted: true, KmsKeyId: 'alias/mine' },
    'UnsupportedOperation',
  ],
  ['an outpost', { ...PLACE, Size: 1, OutpostArn: 'arn:aws:outposts' }, 'UnsupportedOperation'],
  ['an unknown snapshot', { ...PLACE, SnapshotId: NO_SNAPSHOT }, 'InvalidSnapshot.NotFound'],
  ['no snapshot id', { ...PLACE, SnapshotId: 'mine' }, 'InvalidSnapshotID.Malformed'],
  ['a token of spaces', { ...PLACE, Size: 1, ClientToken: 'a b' }, 'InvalidClientToken'],
  [
    'a tag of AWS',
    { ...PLACE, Size: 1, TagSpecifications: [{ ResourceType: 'volume', Tags: TAGS }] },
    VALUE,
  ],
]

/** Actions that take one id and nothing else that must be. */
const BY_ID: readonly (readonly [action: string, more: object])[] = [
  ['DeleteVolume', {}],
  ['ModifyVolume', { Size: 2 }],
  ['EnableVolumeIO', {}],
  ['DescribeVolumeAttribute', { Attribute: 'autoEnableIO' }],
  ['ModifyVolumeAttribute', { AutoEnableIO: { Value: true } }],
]
const DESCRIBES = ['DescribeVolumes', 'DescribeVolumeStatus', 'DescribeVolumesModifications']

export const VOLUMES: readonly Row[] = [
  ...CREATE.map(([what, wish, code]): Row => [what, 'CreateVolume', () => ({ ...wish }), code]),
  // As a form: Debian 12's boto3 does not know the member.
  [
    'an unknown zone id',
    'CreateVolume',
    'AvailabilityZoneId=moon-az1&Size=1',
    'InvalidZone.NotFound',
  ],
  ...BY_ID.flatMap(([action, more]): Row[] => [
    ['an unknown volume', action, { VolumeId: NO_VOLUME, ...more }, 'InvalidVolume.NotFound'],
    ['no volume id', action, { VolumeId: 'disk', ...more }, 'InvalidVolumeID.Malformed'],
  ]),
  ...DESCRIBES.flatMap((action): Row[] => [
    ['an unknown volume', action, { VolumeIds: [NO_VOLUME] }, 'InvalidVolume.NotFound'],
    ['an id of a VPC', action, { VolumeIds: ['vpc-01234567'] }, 'InvalidVolumeID.Malformed'],
    ['an unknown filter', action, { Filters: [{ Name: 'moon', Values: ['1'] }] }, VALUE],
    [
      'ids and pages',
      action,
      ({ volume }) => ({ VolumeIds: [volume], MaxResults: 5 }),
      COMBINATION,
    ],
  ]),
  [
    'one never modified',
    'DescribeVolumesModifications',
    ({ volume }) => ({ VolumeIds: [volume] }),
    'InvalidVolumeModification.NotFound',
  ],
  ['one in use', 'DeleteVolume', ({ usedVolume }) => ({ VolumeId: usedVolume }), 'VolumeInUse'],
  ['nothing to change', 'ModifyVolume', ({ volume }) => ({ VolumeId: volume }), 'MissingParameter'],
  ['less than it has', 'ModifyVolume', ({ volume }) => ({ VolumeId: volume, Size: 0 }), VALUE],
  [
    'one that is made still',
    'ModifyVolume',
    ({ newVolume }) => ({ VolumeId: newVolume, Size: 2 }),
    'IncorrectState',
  ],
  [
    'an unknown attribute',
    'DescribeVolumeAttribute',
    ({ volume }) => ({ VolumeId: volume, Attribute: 'colour' }),
    VALUE,
  ],
  [
    'no attribute',
    'ModifyVolumeAttribute',
    ({ volume }) => ({ VolumeId: volume }),
    'MissingParameter',
  ],
]
