// Bad requests about attachments of volumes.

import type { Row } from './row.ts'

const Device = '/dev/sdg'
const NOBODY = 'i-0123456789abcdef0'
const NO_VOLUME = 'vol-0123456789abcdef0'

export const EBS: readonly Row[] = [
  ['nothing named', 'AttachVolume', {}, 'MissingParameter'],
  [
    'no device',
    'AttachVolume',
    ({ volume, running }) => ({ VolumeId: volume, InstanceId: running }),
    'MissingParameter',
  ],
  [
    'no device name',
    'AttachVolume',
    ({ volume, running }) => ({ VolumeId: volume, InstanceId: running, Device: '/dev/nvme0n1' }),
    'InvalidParameterValue',
  ],
  [
    'a device in use',
    'AttachVolume',
    ({ volume, running }) => ({ VolumeId: volume, InstanceId: running, Device: 'xvdf' }),
    'InvalidParameterValue',
  ],
  [
    'one that an instance has',
    'AttachVolume',
    ({ usedVolume, stopped }) => ({ VolumeId: usedVolume, InstanceId: stopped, Device }),
    'VolumeInUse',
  ],
  [
    'one that is made still',
    'AttachVolume',
    ({ newVolume, running }) => ({ VolumeId: newVolume, InstanceId: running, Device }),
    'IncorrectState',
  ],
  [
    'one of another zone',
    'AttachVolume',
    ({ farVolume, running }) => ({ VolumeId: farVolume, InstanceId: running, Device }),
    'InvalidVolume.ZoneMismatch',
  ],
  [
    'a terminated instance',
    'AttachVolume',
    ({ volume, ended }) => ({ VolumeId: volume, InstanceId: ended, Device }),
    'IncorrectState',
  ],
  [
    'an unknown instance',
    'AttachVolume',
    ({ volume }) => ({ VolumeId: volume, InstanceId: NOBODY, Device }),
    'InvalidInstanceID.NotFound',
  ],
  [
    'an unknown volume',
    'AttachVolume',
    ({ running }) => ({ VolumeId: NO_VOLUME, InstanceId: running, Device }),
    'InvalidVolume.NotFound',
  ],
  [
    'no volume id',
    'AttachVolume',
    ({ running }) => ({ VolumeId: 'volume', InstanceId: running, Device }),
    'InvalidVolumeID.Malformed',
  ],
  ['nothing named', 'DetachVolume', {}, 'MissingParameter'],
  ['one that nobody has', 'DetachVolume', ({ volume }) => ({ VolumeId: volume }), 'IncorrectState'],
  [
    'another instance',
    'DetachVolume',
    ({ usedVolume, stopped }) => ({ VolumeId: usedVolume, InstanceId: stopped }),
    'InvalidAttachment.NotFound',
  ],
  [
    'another device',
    'DetachVolume',
    ({ usedVolume }) => ({ VolumeId: usedVolume, Device }),
    'InvalidAttachment.NotFound',
  ],
  ['an unknown volume', 'DetachVolume', { VolumeId: NO_VOLUME }, 'InvalidVolume.NotFound'],
  ['no volume id', 'DetachVolume', { VolumeId: 'x' }, 'InvalidVolumeID.Malformed'],
]
