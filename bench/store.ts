// Transactions per second that are on disk when they are acknowledged: the SQLite store against a
// Redis server with appendfsync always, on the same disk and in turns.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../common/clock.ts'
import { MalleeError, messageOf } from '../common/errors.ts'
import { silentLog } from '../common/log.ts'
import { openState } from '../gateway/store/mirror.ts'
import { openRedis } from '../gateway/store/redis.ts'
import { openSqlite } from '../gateway/store/sqlite.ts'
import type { State } from '../gateway/store/state.ts'
import type { Store } from '../gateway/store/store.ts'
import { startRedis } from '../test/support/redis.ts'
import { type Emit, median, skipped } from './harness.ts'

const BENCH = 'store'
const ROUNDS = 5
const ROUND_MS = 700
const CLIENTS = [1, 64]
const PEER = 'Redis, appendfsync always'
/** About what an instance takes. */
const PADDING = 'x'.repeat(450)
const RECORD = JSON.stringify({ padding: PADDING })
const MACS = { first: 1, last: 2 ** 40 - 1, quarantineMs: 0 }

interface Subject {
  readonly store: Store
  readonly state: State
}

/** One step of one client. */
type Work = (subject: Subject, client: number) => Promise<unknown>

const CASES: readonly (readonly [name: string, work: Work])[] = [
  ['compare and put', compareAndPut],
  ['State.update of a record of one’s own', updateOwn],
  ['State.update that takes a number from one pool', takeNumber],
]

export async function run(emit: Emit): Promise<void> {
  const ends: (() => Promise<void>)[] = []
  try {
    const subjects = [await openSubject(await sqliteStore(ends), ends)]
    const redis = await redisStore(ends)
    if (typeof redis !== 'string') subjects.push(await openSubject(redis, ends))
    else skipped(BENCH, PEER, redis)
    for (const [name, work] of CASES) {
      for (const clients of CLIENTS) {
        const [value = 0, peer] = await ratesOf(subjects, work, clients)
        emit({
          bench: BENCH,
          case: `${name}, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
          unit: 'transactions/s',
          value: Math.round(value),
          ...(peer === undefined ? {} : { peer: PEER, peer_value: Math.round(peer) }),
          higher_is_better: true,
        })
      }
    }
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function compareAndPut({ store }: Subject, client: number): Promise<void> {
  const key = `bench/${client}`
  const version = (await store.get(key))?.version ?? 0
  const result = await store.txn([{ key, version }], [{ put: key, value: RECORD }])
  if (!result.ok) throw new MalleeError('Conflict', `${key} is nobody else's`)
}

async function updateOwn({ state }: Subject, client: number): Promise<void> {
  await state.update(async (tx) => {
    const held = await tx.get('account', String(client))
    const createdAtMs = (held?.createdAtMs ?? 0) + 1
    await tx.put('account', [String(client)], { id: String(client), name: PADDING, createdAtMs })
  })
}

async function takeNumber({ state }: Subject, client: number): Promise<void> {
  await state.update(async (tx) => {
    const createdAtMs = (await tx.pool('mac').take(MACS)) ?? 0
    await tx.put('account', [String(client)], { id: String(client), name: PADDING, createdAtMs })
  })
}

/** Median transactions per second of each; in turns, so that a noisy moment hits them alike. */
async function ratesOf(
  subjects: readonly Subject[],
  work: Work,
  clients: number,
): Promise<readonly number[]> {
  const rates = subjects.map((): number[] => [])
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, subject] of subjects.entries()) {
      const rate = await rateOf(subject, work, clients)
      if (round > 0) rates[i]?.push(rate)
    }
  }
  return rates.map(median)
}

async function rateOf(subject: Subject, work: Work, clients: number): Promise<number> {
  const startedMs = performance.now()
  let done = 0
  const client = async (_: unknown, n: number): Promise<void> => {
    while (performance.now() - startedMs < ROUND_MS) {
      await work(subject, n)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return (done * 1_000) / (performance.now() - startedMs)
}

async function openSubject(store: Store, ends: (() => Promise<void>)[]): Promise<Subject> {
  ends.push(() => store.close())
  const state = await openState({ store, clock: systemClock, log: silentLog })
  ends.push(() => state.close())
  return { store, state }
}

async function sqliteStore(ends: (() => Promise<void>)[]): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'mallee-bench-store-'))
  ends.push(() => rm(folder, { recursive: true, force: true }))
  return await openSqlite({ file: join(folder, 'store.db'), log: silentLog })
}

/** Or why there is none. */
async function redisStore(ends: (() => Promise<void>)[]): Promise<Store | string> {
  try {
    const redis = await startRedis()
    ends.push(redis.stop)
    return await openRedis({ url: redis.url, namespace: 'bench', log: silentLog })
  } catch (error) {
    return messageOf(error)
  }
}
