// Makes the record of a volume: for CreateVolume, and for the block devices of a launch.

import type { RandomHex } from '../../common/clock.ts'
import { storedBytes } from '../../common/volume-sizes.ts'
import { ApiError } from '../aws/api-error.ts'
import { newId, notFound, oneInStore } from '../ec2/ids.ts'
import { checkQuotaFor } from '../ec2/quotas.ts'
import { addTags, type Tags } from '../ec2/tagging.ts'
import type { Sealer } from '../secrets.ts'
import type { State, Transaction } from '../store/state.ts'
import type { SnapshotRecord, VolumeRecord } from '../store/volume-records.ts'
import { newVolumeKey, volumeKeyFor } from './names.ts'
import { chooseVolumePlace, noPlace, volumePlaces } from './volume-places.ts'
import { shapeOf, type VolumeWish } from './volume-types.ts'

export interface VolumeParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
  /** As chooseVolumePlace has it. */
  readonly overcommit?: number | undefined
}

/** One try of a transaction that makes volumes. */
export interface VolumeTransaction extends VolumeParts {
  readonly tx: Transaction
  /** Those that it made before, which no view shows yet; newVolume adds to them. */
  readonly made: VolumeRecord[]
}

export interface NewVolume {
  readonly account: string
  readonly rack: string
  /** Without a size it has its snapshot's. */
  readonly wish: Omit<VolumeWish, 'sizeGib'> & { readonly sizeGib?: number | undefined }
  /** What is encrypted by its snapshot or by the account's default is so whatever this says. */
  readonly encrypted?: boolean | undefined
  /** Empty without one. */
  readonly snapshot: string
  /** It is an image's, and the account may launch that: it need not be one that it sees. */
  readonly isOfImage?: true
  readonly tags: Tags
  readonly clientToken: string
  readonly nowMs: number
}

/** Of an SC that would leave bytes as they come. */
const TOO_OLD = 'encrypts no bytes of snapshots: its program is too old'
/** The mirror catches up within milliseconds: more turns than this are a fault. */
const MAX_TURNS = 10

interface PlaceWish {
  readonly sizeGib: number
  readonly encrypted: boolean
  /** Of a snapshot that is not. */
  readonly encrypts: boolean
}

/**
 * A new volume, `creating` and attached to nothing; the caller may put it again with attachments.
 * Throws as shapeOf, MissingParameter without size and snapshot, InvalidSnapshot.NotFound,
 * IncorrectState for a snapshot that is not complete, VolumeLimitExceeded, and
 * InsufficientVolumeCapacity (500).
 */
export async function newVolume(parts: VolumeTransaction, ask: NewVolume): Promise<VolumeRecord> {
  const { tx, state, randomHex, made } = parts
  const { account, rack, nowMs, clientToken } = ask
  const snapshot = ask.snapshot === '' ? null : await snapshotFor(tx, ask)
  const shape = shapeOf({ ...ask.wish, sizeGib: sizeOf(ask, snapshot) })
  const encrypted = await isEncrypted(tx, ask, snapshot)
  const own = made.filter((one) => one.account === account)
  const gib = own.reduce((sum, { sizeGib }) => sum + sizeGib, 0)
  await checkQuotaFor(tx, state, account, 'volumes', { made: own.length, wanted: 1 })
  await checkQuotaFor(tx, state, account, 'volume-gib', { made: gib, wanted: shape.sizeGib })
  const encrypts = encrypted && snapshot?.encrypted === false
  const host = await takePlace(parts, rack, { sizeGib: shape.sizeGib, encrypted, encrypts })
  const id = await newId(tx, randomHex, 'volume')
  const sealedKey = encrypted ? keyFor(parts, snapshot, id) : undefined
  const volume: VolumeRecord = {
    ...{ id, account, rack, host, ...shape, encrypted },
    ...(sealedKey === undefined ? {} : { sealedKey }),
    ...{ snapshot: snapshot?.id ?? '', instances: [], state: 'creating', generation: 0 },
    ...{ attachments: [], clientToken, createdAtMs: nowMs },
  }
  await tx.put('volume', [id], volume)
  await addTags(tx, { kind: 'volume', id, account }, ask.tags)
  made.push(volume)
  return volume
}

async function snapshotFor(
  tx: Transaction,
  { snapshot: id, account, isOfImage }: NewVolume,
): Promise<SnapshotRecord> {
  const snapshot =
    isOfImage === true
      ? await tx.get('volume-snapshot', id)
      : await oneInStore(tx, 'volume-snapshot', id, account)
  if (snapshot === null || snapshot.deletedAtMs !== null) throw notFound('volume-snapshot', [id])
  if (snapshot.state === 'completed') return snapshot
  throw new ApiError('IncorrectState', `Snapshot ${id} is in invalid state - ${snapshot.state}`)
}

function sizeOf({ wish }: NewVolume, snapshot: SnapshotRecord | null): number {
  const { sizeGib = snapshot?.volumeSizeGib } = wish
  if (sizeGib === undefined) {
    const text = 'The request must contain the parameter size or snapshotId'
    throw new ApiError('MissingParameter', text)
  }
  if (snapshot === null || sizeGib >= snapshot.volumeSizeGib) return sizeGib
  const { id, volumeSizeGib } = snapshot
  const text = `Volume of ${sizeGib}GiB is smaller than snapshot '${id}', expect size >= ${volumeSizeGib}GiB`
  throw new ApiError('InvalidParameterValue', text)
}

async function isEncrypted(
  tx: Transaction,
  { account, encrypted }: NewVolume,
  snapshot: SnapshotRecord | null,
): Promise<boolean> {
  if (snapshot?.encrypted === true || encrypted === true) return true
  return (await tx.get('ebs-settings', account))?.encryptionByDefault === true
}

/** The secret of an encrypted snapshot's blocks opens those of its volumes. */
function keyFor(
  { sealer, randomHex }: VolumeParts,
  snapshot: SnapshotRecord | null,
  id: string,
): string {
  return snapshot === null || !snapshot.encrypted
    ? newVolumeKey(sealer, randomHex, id)
    : volumeKeyFor(sealer, snapshot, id)
}

/**
 * The host for a volume. The choice is of what the mirror shows: that it shows all volumes of that
 * host, and that the host stays, become conditions of the transaction.
 */
async function takePlace(
  { tx, state, made, overcommit }: VolumeTransaction,
  rack: string,
  { sizeGib, encrypted, encrypts }: PlaceWish,
): Promise<string> {
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const view = await state.fresh()
    const places = volumePlaces(view, rack, made).map((one) =>
      !encrypts || one.encrypts || one.why !== '' ? one : { ...one, why: TOO_OLD },
    )
    const chosen = chooseVolumePlace(places, storedBytes(sizeGib, encrypted), overcommit)
    if ('reasons' in chosen) throw noPlace(sizeGib, chosen.reasons)
    const { host } = chosen
    const seen = view.get('volume-placed', rack, host)?.count ?? 0
    const record = await tx.get('host', rack, host)
    const stored = (await tx.get('volume-placed', rack, host))?.count ?? 0
    const isOurs = made.some((one) => one.rack === rack && one.host === host)
    if (record === null || record.cordoned === true || (stored > seen && !isOurs)) continue
    await tx.put('volume-placed', [rack, host], { rack, host, count: stored + 1 })
    return host
  }
  throw new ApiError('Unavailable', 'The cloud is busy placing volumes; try again', 503)
}
