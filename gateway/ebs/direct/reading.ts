// ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock: the bytes of completed snapshots.

import { createHash } from 'node:crypto'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { isVisible } from '../../ec2/ids.ts'
import type { State, View } from '../../store/state.ts'
import type { SnapshotRecord } from '../../store/volume-records.ts'
import type { BlockPage, SnapshotReads } from '../chunks/snapshot-bytes.ts'
import { invalid, noSnapshot } from './errors.ts'
import { blocksBefore, type GuestBlocks } from './guest-blocks.ts'
import type { DirectHandlers } from './handlers.ts'
import { TOKEN_MS, type Tokens, type TokenUse } from './tokens.ts'

type ReadHandlers = Pick<
  DirectHandlers,
  'GetSnapshotBlock' | 'ListChangedBlocks' | 'ListSnapshotBlocks'
>

export interface ReadParts {
  readonly state: State
  readonly reads: SnapshotReads
  readonly tokens: Tokens
  readonly guest: Pick<GuestBlocks, 'decrypt'>
}

/** EBS API reference, ListSnapshotBlocks: 100 to 10,000. */
const MIN_RESULTS = 100
const MAX_RESULTS = 10_000

export function readHandlers({ state, reads, tokens, guest }: ReadParts): ReadHandlers {
  return {
    ListSnapshotBlocks: async ({ caller: { account }, nowMs }, input) => {
      const snapshot = readable(await state.fresh(), input.SnapshotId, account)
      const page = { kind: 'page', names: [account, snapshot.id] } as const
      const from = startOf(tokens, page, input, nowMs)
      const most = mostOf(input.MaxResults)
      const before = blocksBefore(snapshot)
      const found = await reads.listBlocks(snapshot.manifest, from + before, most)
      const { blocks, next } = shifted(found, before)
      const expiresAtMs = nowMs + TOKEN_MS
      return {
        Blocks: blocks.map(({ index }) => ({
          BlockIndex: index,
          BlockToken: tokens.make(blockUse(account, snapshot), index, expiresAtMs),
        })),
        ...shapeOf(snapshot, expiresAtMs),
        NextToken: next === null ? undefined : tokens.make(page, next, expiresAtMs),
      }
    },

    ListChangedBlocks: async ({ caller: { account }, nowMs }, input) => {
      const view = await state.fresh()
      const second = readable(view, input.SecondSnapshotId, account)
      const { FirstSnapshotId: firstId } = input
      const first = firstId === undefined ? null : readable(view, firstId, account)
      if (first !== null && first.encrypted !== second.encrypted) {
        const text = `Only one of '${first.id}' and '${second.id}' is encrypted.`
        throw invalid('INVALID_SNAPSHOT_ID', text)
      }
      const page = { kind: 'page', names: [account, first?.id ?? '', second.id] } as const
      const from = startOf(tokens, page, input, nowMs)
      const [old, before] = [first?.manifest ?? null, blocksBefore(second)]
      const most = mostOf(input.MaxResults)
      const found = await reads.listChanged(old, second.manifest, from + before, most)
      const { blocks, next } = shifted(found, before)
      const expiresAtMs = nowMs + TOKEN_MS
      // Who has zeroes there has no block to read.
      const tokenFor = (of: SnapshotRecord | null, index: number, sha256: string | null) =>
        of === null || sha256 === null
          ? undefined
          : tokens.make(blockUse(account, of), index, expiresAtMs)
      return {
        ChangedBlocks: blocks.map((one) => ({
          BlockIndex: one.index,
          FirstBlockToken: tokenFor(first, one.index, one.before),
          SecondBlockToken: tokenFor(second, one.index, one.after),
        })),
        ...shapeOf(second, expiresAtMs),
        NextToken: next === null ? undefined : tokens.make(page, next, expiresAtMs),
      }
    },

    GetSnapshotBlock: async ({ caller: { account }, nowMs }, input) => {
      const snapshot = readable(await state.fresh(), input.SnapshotId, account)
      const { BlockIndex: index = -1, BlockToken: token = '' } = input
      if (tokens.open(blockUse(account, snapshot), token, nowMs) !== index) {
        throw invalid('INVALID_BLOCK_TOKEN', `The block token is not one of block ${index}.`)
      }
      const kept = await reads.readBlock(snapshot.manifest, index + blocksBefore(snapshot))
      if (kept === null) {
        throw invalid('INVALID_BLOCK', `The snapshot '${snapshot.id}' has no block ${index}.`)
      }
      const block = await guest.decrypt(snapshot, index, kept)
      return {
        DataLength: block.length,
        BlockData: block,
        Checksum: createHash('sha256').update(block).digest('base64'),
        ChecksumAlgorithm: 'SHA256',
      }
    },
  }
}

/** A completed snapshot that the account may use. */
export function readable(view: View, id: string | undefined, account: string): SnapshotRecord {
  const snapshot = view.get('volume-snapshot', id ?? '')
  if (snapshot === null || !isVisible(snapshot, account)) throw noSnapshot(id ?? '')
  if (snapshot.state !== 'completed') {
    const text = `The snapshot '${snapshot.id}' is ${snapshot.state}, not completed.`
    throw invalid('INVALID_SNAPSHOT_ID', text)
  }
  return snapshot
}

/** As guests count them. */
function shifted<T extends { readonly index: number }>(
  { blocks, next }: BlockPage<T>,
  before: number,
): BlockPage<T> {
  const own = blocks.map((one) => ({ ...one, index: one.index - before }))
  return { blocks: own, next: next === null ? null : next - before }
}

function blockUse(account: string, { id }: SnapshotRecord): TokenUse {
  return { kind: 'block', names: [account, id] }
}

interface Paged {
  readonly NextToken?: string | undefined
  readonly StartingBlockIndex?: number | undefined
}

/** "If you specify NextToken, then StartingBlockIndex is ignored" (EBS API reference). */
function startOf(tokens: Tokens, use: TokenUse, input: Paged, nowMs: number): number {
  if (input.NextToken !== undefined) return tokens.open(use, input.NextToken, nowMs)
  const from = input.StartingBlockIndex ?? 0
  if (from >= 0) return from
  throw invalid('INVALID_PARAMETER_VALUE', `StartingBlockIndex is ${from}; expecting 0 or more.`)
}

function mostOf(asked = MAX_RESULTS): number {
  if (asked >= MIN_RESULTS && asked <= MAX_RESULTS) return asked
  const text = `MaxResults is ${asked}; expecting ${MIN_RESULTS} to ${MAX_RESULTS}.`
  throw invalid('INVALID_PARAMETER_VALUE', text)
}

function shapeOf({ volumeSizeGib }: SnapshotRecord, expiresAtMs: number) {
  return {
    ExpiryTime: new Date(expiresAtMs),
    VolumeSize: volumeSizeGib,
    BlockSize: SNAPSHOT_BLOCK_BYTES,
  }
}
