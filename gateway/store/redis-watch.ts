// A watch of the Redis store: its own connection, which blocks on the log and is made again when
// it breaks. A revision is never skipped: a gap in the log's ids, another epoch or a revision that
// went backwards end the watch with Compacted.

import type { Redis } from 'ioredis'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { History } from './redis-history.ts'
import { ANSWER_TIMEOUT_MS, dial, type RedisAddress, reworded } from './redis-link.ts'
import type { RedisKeys } from './redis-scripts.ts'
import { type Change, Compacted } from './store.ts'

/** Shorter than the time after which a silent server is taken for gone. */
const BLOCK_MS = ANSWER_TIMEOUT_MS / 2
const PAGE_REVISIONS = 200
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5_000

export interface WatchParts {
  readonly address: RedisAddress
  readonly keys: RedisKeys
  readonly history: History
  readonly clock: Clock
  readonly log: Log
}

type Entries = readonly (readonly [id: string, fields: readonly string[]])[]

/** See Store.watch. `epoch` is the one that `from` is a revision of. */
export async function* watchRedis(
  parts: WatchParts,
  { prefix, from, epoch }: { prefix: string; from: number; epoch: string },
  signal: AbortSignal,
): AsyncGenerator<readonly Change[]> {
  const { address, clock, history, log } = parts
  let seen = from
  let retryMs = RETRY_FIRST_MS
  while (!signal.aborted) {
    let redis: Redis | null = null
    const hangUp = (): void => redis?.disconnect()
    signal.addEventListener('abort', hangUp)
    try {
      redis = await dial(address, 'watch')
      if ((await history.check(redis)) < seen) throw new Compacted(seen)
      while (!signal.aborted) {
        if (history.epoch !== epoch) throw new Compacted(seen)
        const { entries, newest, sameEpoch } = await read(parts, redis, seen, epoch)
        if (!sameEpoch || newest < seen) {
          await history.check(redis)
          throw new Compacted(seen)
        }
        retryMs = RETRY_FIRST_MS
        for (const [id, fields] of entries) {
          const revision = Number.parseInt(id, 10)
          if (revision !== seen + 1) throw new Compacted(seen)
          history.saw(epoch, revision)
          seen = revision
          const changes = changesOf(revision, fields, prefix)
          if (changes.length > 0) yield changes
          if (signal.aborted) return
        }
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Compacted) throw error
      log.warn('watch broke', { error: reworded(error, address.name), retryMs })
    } finally {
      signal.removeEventListener('abort', hangUp)
      redis?.disconnect()
    }
    await clock.sleep(retryMs, signal)
    retryMs = Math.min(RETRY_LAST_MS, retryMs * 2)
  }
}

// The epoch is read after the entries on the same connection: when it is still ours, so are they.
async function read(
  { keys }: WatchParts,
  redis: Redis,
  seen: number,
  epoch: string,
): Promise<{ entries: Entries; newest: number; sameEpoch: boolean }> {
  const replies = await redis
    .pipeline()
    .get(keys.rev)
    .xread('COUNT', PAGE_REVISIONS, 'BLOCK', BLOCK_MS, 'STREAMS', keys.log, `${seen}-0`)
    .hget(keys.hist, 'epoch')
    .exec()
  const [newest, streams, epochNow] = (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
  if (epochNow === undefined) throw new MalleeError('StoreUnavailable', 'the connection broke')
  const entries = (streams as [string, Entries][] | null)?.[0]?.[1] ?? []
  return { entries, newest: Number(newest ?? 0), sameEpoch: epochNow === epoch }
}

function changesOf(revision: number, fields: readonly string[], prefix: string): Change[] {
  const changes: Change[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const key = fields[i]?.slice(1) ?? ''
    if (!key.startsWith(prefix)) continue
    changes.push({ revision, key, value: fields[i]?.[0] === 'p' ? (fields[i + 1] ?? '') : null })
  }
  return changes
}
