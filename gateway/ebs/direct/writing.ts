// StartSnapshot, PutSnapshotBlock, CompleteSnapshot: snapshots that clients put together.

import { createHash } from 'node:crypto'
import type { RandomHex } from '../../../common/clock.ts'
import { SNAPSHOT_BLOCK_BYTES, sha256Of } from '../../../common/snapshot-manifest.ts'
import { ApiError } from '../../aws/api-error.ts'
import type { CallContext } from '../../aws/handlers.ts'
import { answeredBefore, keepAnswer, parseClientToken } from '../../ec2/client-tokens.ts'
import { newId } from '../../ec2/ids.ts'
import { checkQuota } from '../../ec2/quotas.ts'
import { addTags, parseTags, type Tags, tagList } from '../../ec2/tagging.ts'
import type { Sealer } from '../../secrets.ts'
import type { State, Transaction, View } from '../../store/state.ts'
import type { SnapshotRecord } from '../../store/volume-records.ts'
import type { SnapshotHolds, StagedSnapshots } from '../chunks/snapshot-bytes.ts'
import { volumeKeyFor } from '../names.ts'
import { parseDescription } from '../snapshot-shape.ts'
import { closeFor, completeDirect } from './completing.ts'
import { conflict, invalid, noSnapshot } from './errors.ts'
import { blocksBefore, type GuestBlocks } from './guest-blocks.ts'
import type { DirectHandlers, DirectInputs, DirectOutputs } from './handlers.ts'
import { readable } from './reading.ts'

type WriteHandlers = Pick<DirectHandlers, 'CompleteSnapshot' | 'PutSnapshotBlock' | 'StartSnapshot'>

export interface WriteParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Pick<Sealer, 'open' | 'seal'>
  readonly staged: StagedSnapshots & SnapshotHolds
  readonly guest: Pick<GuestBlocks, 'encrypt'>
}

/** EBS API reference, StartSnapshot: 64 TiB; 10 to 4,320 minutes, 60 when nothing is said. */
const MAX_GIB = 65_536
const [MIN_MINUTES, MAX_MINUTES, DEFAULT_MINUTES] = [10, 4_320, 60]
const MINUTE_MS = 60_000
const BLOCKS_PER_GIB = 2 ** 30 / SNAPSHOT_BLOCK_BYTES
const KEY_ARN = 'KmsKeyArn'

export function writeHandlers(parts: WriteParts): WriteHandlers {
  const { state, staged, guest } = parts
  return {
    StartSnapshot: async (context, input) => {
      const { account } = context.caller
      const id = await start(parts, context, input)
      const view = await state.fresh()
      const snapshot = view.get('volume-snapshot', id)
      if (snapshot === null || snapshot.deletedAtMs !== null) throw noSnapshot(id)
      return startedShown(view, snapshot, account)
    },

    PutSnapshotBlock: async ({ caller: { account }, nowMs }, input) => {
      const { BlockData: data = new Uint8Array(), BlockIndex: index = -1 } = input
      const snapshot = writable(state.view(), input.SnapshotId, account)
      checkBlock(snapshot, index, data, input)
      const digest = sha256Of(data)
      const kept = await guest.encrypt(snapshot, index, data)
      const at = index + blocksBefore(snapshot)
      await staged.stageBlock(snapshot.id, at, kept, snapshot.encrypted ? digest : undefined)
      await noteWritten(state, snapshot, input.Progress, nowMs)
      const Checksum = Buffer.from(digest, 'hex').toString('base64')
      return { Checksum, ChecksumAlgorithm: 'SHA256' }
    },

    CompleteSnapshot: async ({ caller: { account }, nowMs }, input) => {
      const view = await state.fresh()
      const known = view.get('volume-snapshot', input.SnapshotId ?? '')
      // Who did not hear the answer asks again.
      if (isMade(known, account)) return { Status: 'completed' }
      const isClosed = isClosing(known, account)
      const snapshot = isClosed ? known : writable(view, input.SnapshotId, account)
      if (!isClosed) await checkAll(staged, snapshot.id, input)
      const closed = isClosed ? known : await closeFor(state, snapshot.id, nowMs)
      const Status = closed === null ? null : await completeDirect(state, staged, closed)
      if (Status === null) throw noSnapshot(snapshot.id)
      return { Status }
    },
  }
}

async function start(
  { state, randomHex, sealer }: WriteParts,
  context: CallContext,
  input: DirectInputs['StartSnapshot'],
): Promise<string> {
  const { account } = context.caller
  const shape = parseStart(input)
  const tags = tagsIn(input)
  const token = parseClientToken(input.ClientToken)
  const use = { context, action: 'StartSnapshot', token }
  return await state.update(async (tx) => {
    const before = await answeredBefore(tx, use).catch(asConflict)
    if (before !== null) return before
    const parent = await parentIn(tx, await state.fresh(), input, account)
    const settings = await tx.get('ebs-settings', account)
    const encrypted = parent?.encrypted === true
    if (settings?.encryptionByDefault === true && !encrypted) throw notEncrypted()
    await checkQuota(tx, state, account, 'snapshots')
    const id = await newId(tx, randomHex, 'volume-snapshot')
    const timeoutMs = shape.timeoutMs
    const made: SnapshotRecord = {
      ...{ id, account, volume: '', rack: '', host: '', base: parent?.id ?? '', encrypted },
      ...(encrypted && { sealedKey: volumeKeyFor(sealer, parent, id) }),
      origin: { kind: 'direct', timeoutMs, writtenAtMs: context.nowMs },
      ...{ volumeSizeGib: shape.sizeGib, description: shape.description },
      ...{ state: 'pending', progressPercent: 0, manifest: '', group: '', groupSize: 0 },
      ...{ dataBytes: 0, readBytes: 0, sentBytes: 0, isPublic: false, sharedWith: [] },
      ...{ clientToken: token, startedAtMs: context.nowMs, completedAtMs: null },
      ...{ deletedAtMs: null, released: true },
    }
    await tx.put('volume-snapshot', [id], made)
    await addTags(tx, { kind: 'volume-snapshot', id, account }, tags)
    await keepAnswer(tx, use, id)
    return id
  })
}

function parseStart(input: DirectInputs['StartSnapshot']) {
  const { VolumeSize: sizeGib = 0, Timeout: minutes = DEFAULT_MINUTES, Encrypted } = input
  if (Encrypted === true || input[KEY_ARN] !== undefined) throw notEncrypted()
  if (!(sizeGib >= 1 && sizeGib <= MAX_GIB)) {
    throw invalid('INVALID_VOLUME_SIZE', `VolumeSize is ${sizeGib}; expecting 1 to ${MAX_GIB} GiB.`)
  }
  if (!(minutes >= MIN_MINUTES && minutes <= MAX_MINUTES)) {
    const text = `Timeout is ${minutes}; expecting ${MIN_MINUTES} to ${MAX_MINUTES} minutes.`
    throw invalid('INVALID_PARAMETER_VALUE', text)
  }
  const description = parseDescription(input.Description)
  return { sizeGib, timeoutMs: minutes * MINUTE_MS, description }
}

function notEncrypted(): ApiError {
  const text = 'This cloud begins encrypted snapshots over an encrypted ParentSnapshotId only.'
  return invalid('INVALID_PARAMETER_VALUE', text)
}

function tagsIn({ Tags: list = [] }: DirectInputs['StartSnapshot']): Tags {
  try {
    return parseTags(list)
  } catch (error) {
    throw error instanceof ApiError ? invalid('INVALID_TAG', error.message) : error
  }
}

function asConflict(error: unknown): never {
  const isOther = error instanceof ApiError && error.code === 'IdempotentParameterMismatch'
  throw isOther ? conflict(error.message) : error
}

/** Null without one. It is read in the transaction: it does not go meanwhile. */
async function parentIn(
  tx: Transaction,
  view: View,
  { ParentSnapshotId: id, VolumeSize: sizeGib = 0 }: DirectInputs['StartSnapshot'],
  account: string,
): Promise<SnapshotRecord | null> {
  if (id === undefined) return null
  const parent = readable(view, id, account)
  if ((await tx.get('volume-snapshot', id))?.deletedAtMs !== null) throw noSnapshot(id)
  if (parent.volumeSizeGib <= sizeGib) return parent
  const text = `VolumeSize is ${sizeGib}; the parent has ${parent.volumeSizeGib} GiB.`
  throw invalid('INVALID_VOLUME_SIZE', text)
}

/** A snapshot of the account's own that is being put together. */
function writable(view: View, id: string | undefined, account: string): SnapshotRecord {
  const snapshot = view.get('volume-snapshot', id ?? '')
  if (snapshot?.account !== account || snapshot.deletedAtMs !== null) throw noSnapshot(id ?? '')
  const { origin, state } = snapshot
  const isOpen = origin?.kind === 'direct' && origin.completingAtMs === undefined
  if (isOpen && state === 'pending') return snapshot
  if (origin?.kind === 'direct' && state === 'pending') {
    throw conflict(`The snapshot '${snapshot.id}' is being completed.`)
  }
  const isLate = origin?.kind === 'direct' && state === 'error'
  const text = `The snapshot '${snapshot.id}' is ${snapshot.state} and takes no blocks.`
  throw invalid(isLate ? 'WRITE_REQUEST_TIMEOUT' : 'INVALID_SNAPSHOT_ID', text)
}

function checkBlock(
  { id, volumeSizeGib }: SnapshotRecord,
  index: number,
  data: Uint8Array,
  {
    DataLength: length,
    Checksum: checksum,
    Progress: progress = 0,
  }: DirectInputs['PutSnapshotBlock'],
): void {
  const count = volumeSizeGib * BLOCKS_PER_GIB
  if (!(index >= 0 && index < count)) {
    throw invalid('INVALID_BLOCK', `BlockIndex is ${index}; '${id}' has ${count} blocks.`)
  }
  if (data.length !== SNAPSHOT_BLOCK_BYTES || length !== data.length) {
    const text = `A block has ${SNAPSHOT_BLOCK_BYTES} bytes; DataLength is ${length}, ${data.length} came.`
    throw invalid('INVALID_BLOCK', text)
  }
  if (!(progress >= 0 && progress <= 100)) {
    throw invalid('INVALID_PARAMETER_VALUE', `Progress is ${progress}; expecting 0 to 100.`)
  }
  if (checksum === createHash('sha256').update(data).digest('base64')) return
  throw invalid('INVALID_BLOCK', `The SHA-256 of block ${index} is not the request's Checksum.`)
}

/** At most once a minute, or when the client says that it got on: not for every block. */
async function noteWritten(
  state: State,
  { id, origin, progressPercent }: SnapshotRecord,
  progress = 0,
  nowMs: number,
): Promise<void> {
  const isOld = origin?.kind === 'direct' && nowMs - origin.writtenAtMs >= MINUTE_MS
  if (!isOld && progress <= progressPercent) return
  await state.update(async (tx) => {
    const one = await tx.get('volume-snapshot', id)
    if (one?.state !== 'pending' || one.origin?.kind !== 'direct') return
    const writtenAtMs = Math.max(one.origin.writtenAtMs, nowMs)
    const most = Math.max(one.progressPercent, Math.min(99, progress))
    const next = { ...one, origin: { ...one.origin, writtenAtMs }, progressPercent: most }
    await tx.put('volume-snapshot', [id], next)
  })
}

/** Does the client have the same blocks in mind that came? */
async function checkAll(
  staged: StagedSnapshots,
  id: string,
  input: DirectInputs['CompleteSnapshot'],
): Promise<void> {
  const { ChangedBlocksCount: count, Checksum: checksum } = input
  const blocks = await staged.stagedBlocks(id)
  if (count !== blocks.count) {
    const text = `ChangedBlocksCount is ${count}; ${blocks.count} blocks were put into '${id}'.`
    throw invalid('INVALID_PARAMETER_VALUE', text)
  }
  if (checksum === undefined || checksum === blocks.checksum) return
  const text = `Checksum is not that of the ${count} blocks that were put into '${id}'.`
  throw invalid('INVALID_PARAMETER_VALUE', text)
}

function isClosing(snapshot: SnapshotRecord | null, account: string): snapshot is SnapshotRecord {
  const isOurs = snapshot?.account === account && snapshot.deletedAtMs === null
  const origin = snapshot?.origin
  const isClosed = origin?.kind === 'direct' && origin.completingAtMs !== undefined
  return isOurs && isClosed && snapshot.state === 'pending'
}

function isMade(snapshot: SnapshotRecord | null, account: string): boolean {
  const isOurs = snapshot?.account === account && snapshot.deletedAtMs === null
  return isOurs && snapshot.origin?.kind === 'direct' && snapshot.state === 'completed'
}

function startedShown(
  view: View,
  snapshot: SnapshotRecord,
  account: string,
): DirectOutputs['StartSnapshot'] {
  const { id, description, base, volumeSizeGib, startedAtMs } = snapshot
  return {
    SnapshotId: id,
    OwnerId: account,
    Description: description,
    Status: snapshot.state,
    StartTime: new Date(startedAtMs),
    VolumeSize: volumeSizeGib,
    BlockSize: SNAPSHOT_BLOCK_BYTES,
    Tags: tagList(view, id),
    ParentSnapshotId: base === '' ? undefined : base,
  }
}
