// Both stores as tests open them: a fresh one each time, gone with the test.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { startRedis } from '../../support/redis.ts'

export interface StoreMaker {
  readonly name: string
  /** A new, empty store. */
  readonly make: (options?: { keep?: number }) => Promise<Store>
  /** Closes and removes everything that it made. */
  readonly stop: () => Promise<void>
}

/** Committed in a thread of its own, as a gateway's. */
export async function sqliteApartMaker(): Promise<StoreMaker> {
  return await sqliteMaker(tmpdir(), true)
}

/** `below`: where its files are. */
export async function sqliteMaker(below = tmpdir(), commitsApart = false): Promise<StoreMaker> {
  const folder = await mkdtemp(join(below, 'mallee-sqlite-'))
  const made: Store[] = []
  return {
    name: 'SQLite',
    make: async (options = {}) => {
      const file = join(folder, `${made.length}.db`)
      const store = await openSqlite({ file, log: silentLog, commitsApart, ...options })
      made.push(store)
      return store
    },
    stop: async () => {
      for (const store of made) await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export async function redisMaker(): Promise<StoreMaker> {
  const redis = await startRedis()
  const made: Store[] = []
  return {
    name: 'Redis',
    make: async (options = {}) => {
      const namespace = `test-${randomHex(4)}`
      const store = await openRedis({ url: redis.url, namespace, log: silentLog, ...options })
      made.push(store)
      return store
    },
    stop: async () => {
      for (const store of made) await store.close()
      await redis.stop()
    },
  }
}
