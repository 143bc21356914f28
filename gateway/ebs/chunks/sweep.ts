// Takes away what nobody refers to: what was put for a snapshot that is not pending any more, and
// what the last snapshot that had it left behind. A page goes in one transaction with its counts on
// what it lists, so a crash loses no count; its bytes go as all garbage does.

import { codeOf, messageOf } from '../../../common/errors.ts'
import { decodePage, decodeRoot } from '../../../common/snapshot-manifest.ts'
import type { Reference } from '../../s3/index/garbage.ts'
import { readItemBytes } from './bytes.ts'
import { dropManifest, type HeldRow, snapshotsStaged } from './holds.ts'
import {
  COUNTING,
  discardBlobs,
  distinct,
  LEASE_MS,
  leased,
  momentOf,
  once,
  putItem,
  readItem,
  release,
  removeItem,
} from './items.ts'
import { HELD, IDLE, type IdleParts, type ItemKind, idleKey, idleParts } from './keys.ts'
import type { ChunkParts } from './parts.ts'

const PAGE = 100

export interface Swept {
  readonly items: number
  /** Why some stay for the next pass; null when all that was due is gone. */
  readonly trouble: unknown
}

/** Everything that is due, and what comes to be due by that. */
export async function sweepIdle(parts: ChunkParts, signal: AbortSignal): Promise<Swept> {
  let [items, trouble] = [0, null as unknown]
  // A root that goes may leave branches, those leaves, to the next turn.
  for (let goesOn = true; goesOn && !signal.aborted; ) {
    goesOn = false
    trouble = null
    for await (const { dueMs, kind, sha256 } of dueNow(parts)) {
      if (signal.aborted) break
      try {
        if (!(await sweepOne(parts, kind, sha256, dueMs))) continue
        items += 1
        goesOn = true
      } catch (error) {
        trouble ??= error
      }
    }
  }
  return { items, trouble }
}

async function* dueNow({ store, clock }: ChunkParts): AsyncGenerator<IdleParts> {
  for (let after = IDLE; ; ) {
    const page = await store.list(IDLE, { after, limit: PAGE })
    for (const { key } of page.entries) {
      const idle = idleParts(key)
      if (idle === null) continue
      // They are in order of time.
      if (idle.dueMs > clock.nowMs()) return
      yield idle
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return
  }
}

/**
 * What snapshots have whose record is gone for a day, as somebody brought it when they were about
 * to go. Who deletes a snapshot drops its bytes himself, when nothing is made of them any more.
 */
export async function sweepSnapshots(parts: ChunkParts, signal: AbortSignal): Promise<void> {
  const { store, clock, log, standing } = parts
  const longAgoMs = clock.nowMs() - LEASE_MS
  const look = async (snapshot: string, sinceMs: number): Promise<void> => {
    if (standing(snapshot) !== 'unknown' || sinceMs >= longAgoMs) return
    await dropManifest(parts, snapshot)
    log.info('bytes of a snapshot without a record dropped', { snapshot })
  }
  for (let after = HELD; !signal.aborted; ) {
    const page = await store.list(HELD, { after, limit: PAGE })
    for (const { key, value } of page.entries) {
      await look(key.slice(HELD.length), (JSON.parse(value) as HeldRow).sinceMs)
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) break
  }
  for await (const { snapshot, sinceMs } of snapshotsStaged(parts)) {
    if (signal.aborted) break
    await look(snapshot, sinceMs)
  }
}

/** Whether it is gone now. */
async function sweepOne(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
  dueMs: number,
): Promise<boolean> {
  const { commits, standing } = parts
  const below = await listedBy(parts, kind, sha256)
  return await commits.commit(COUNTING, async (draft) => {
    const moment = momentOf(parts)
    const item = await readItem(draft, kind, sha256)
    if (item?.idle?.untilMs !== dueMs) {
      draft.delete(idleKey(dueMs, kind, sha256))
      return false
    }
    const { lessee } = item.idle
    if (lessee !== '' && standing(lessee) === 'pending') {
      putItem(draft, kind, sha256, item, leased(item, lessee, moment.nowMs))
      return false
    }
    const gone: Reference[] = [removeItem(draft, kind, sha256, item)]
    if (below !== null) gone.push(...(await release(draft, below.kind, below.times, moment)))
    discardBlobs(draft, gone, moment)
    return true
  })
}

/** What it refers to; null for a block, and for what is gone already. */
async function listedBy(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
): Promise<{ kind: ItemKind; times: ReadonlyMap<string, number> } | null> {
  if (kind === 'block') return null
  const bytes = await readItemBytes(parts, kind, sha256).catch((error: unknown) => {
    if (codeOf(error) === 'NotFound') return null
    throw new Error(`${kind} ${sha256} stays: ${messageOf(error)}`, { cause: error })
  })
  if (bytes === null) return null
  const { entries } = kind === 'root' ? decodeRoot(bytes) : decodePage(bytes)
  const below = kind === 'root' ? 'branch' : kind === 'branch' ? 'leaf' : 'block'
  return { kind: below, times: once(distinct(entries.map((one) => one.sha256))) }
}
