// The names of volumes and attachments on the wire, and what their secrets are sealed for. The
// gateway chooses all of them.

import type { RandomHex } from '../../common/clock.ts'
import { randomId } from '../ec2/ids.ts'
import type { Sealer } from '../secrets.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'

/** RFC 3720, section 3.2.6.3.1: a date at which the name of the domain was the namer's own. */
const IQN_PREFIX = 'iqn.2026-01.cloud.mallee'
const CHAP_SECRET_BYTES = 16
/** LUKS header: 256 bits. */
const VOLUME_KEY_BYTES = 32
/** Secrets of volumes, opened. */
export interface VolumeSecrets {
  /** 32 hex digits. */
  readonly openChap: (one: Pick<VolumeAttachmentRecord, 'id' | 'sealedChapSecret'>) => string
  /** 64 hex digits; empty of what is not encrypted. */
  readonly openVolumeKey: (of: Pick<VolumeRecord, 'id' | 'sealedKey'>) => string
}

/** The one logical unit of a target. */
export const LUN = 1

export function targetIqn(volume: string): string {
  return `${IQN_PREFIX}:${volume}`
}

/**
 * What an attachment logs in to. Each has a name of its own: that of one which was taken by force
 * stays, for errors, while the next has another. Attachments of older versions have the volume's.
 */
export function attachmentTargetIqn(
  volume: string,
  { generation, hasTarget }: Pick<VolumeAttachmentRecord, 'generation' | 'hasTarget'>,
): string {
  return hasTarget === true ? `${IQN_PREFIX}:${generation}:${volume}` : targetIqn(volume)
}

/** Each attachment its own: a target tells those that may log in by it. */
export function initiatorIqn(attachment: string): string {
  return `${IQN_PREFIX}:${attachment}`
}

/** What a guest reads as the disk's serial number, as of AWS's NVMe disks: up to 20 characters. */
export function serialOf(volume: string): string {
  return volume.replace('-', '')
}

/** The id, CHAP user and sealed secret of a new attachment. */
export function newAttachmentNames(
  sealer: Pick<Sealer, 'seal'>,
  randomHex: RandomHex,
): Pick<VolumeAttachmentRecord, 'id' | 'chapUser' | 'sealedChapSecret'> {
  const id = randomId(randomHex, 'att')
  const secret = randomHex(CHAP_SECRET_BYTES)
  return { id, chapUser: id, sealedChapSecret: sealer.seal(secret, chapContext(id)) }
}

/** The sealed secret of the LUKS header of a new volume or snapshot, by its id. */
export function newVolumeKey(
  sealer: Pick<Sealer, 'seal'>,
  randomHex: RandomHex,
  id: string,
): string {
  return sealer.seal(randomHex(VOLUME_KEY_BYTES), volumeKeyContext(id))
}

/** The same secret for another one: a snapshot and the volumes of it have one. */
export function volumeKeyFor(
  sealer: Pick<Sealer, 'open' | 'seal'>,
  from: Pick<VolumeRecord, 'id' | 'sealedKey'>,
  id: string,
): string {
  return sealer.seal(volumeSecrets(sealer).openVolumeKey(from), volumeKeyContext(id))
}

/** What opens them: each throws BadMessage for what was sealed for something else. */
export function volumeSecrets(sealer: Pick<Sealer, 'open'>): VolumeSecrets {
  return {
    openChap: ({ id, sealedChapSecret }) => sealer.open(sealedChapSecret, chapContext(id)),
    openVolumeKey: ({ id, sealedKey }) =>
      sealedKey === undefined ? '' : sealer.open(sealedKey, volumeKeyContext(id)),
  }
}

function chapContext(attachment: string): string {
  return `chap/${attachment}`
}

function volumeKeyContext(id: string): string {
  return `volume-key/${id}`
}
