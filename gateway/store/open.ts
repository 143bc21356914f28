// From a URL to a store.

import { isAbsolute } from 'node:path'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { openRedis } from './redis.ts'
import { openSqlite } from './sqlite.ts'
import type { Store } from './store.ts'

const DEFAULT_NAMESPACE = 'mallee'
const DEFAULT_REPLICA_TIMEOUT_MS = 1_000
const SETTINGS = ['namespace', 'replicas', 'replica-timeout-ms', 'volatile', 'db']

export interface OpenStoreOptions {
  readonly log: Log
  readonly clock?: Clock
  readonly randomHex?: RandomHex
  /** Revisions that watchers can go back; 100,000 when not given; 0 when nobody watches. */
  readonly keep?: number
  /** Of SQLite: commits in a thread of their own, for programs that have other things to do. */
  readonly commitsApart?: boolean
}

/**
 * Opens `sqlite:/absolute/file`, `redis://[user:password@]host[:port][/db]`, `rediss://…` or
 * `unix:/socket[?db=0]`. The Redis ones take `?namespace=mallee`, `replicas=1` (to wait for) with
 * `replica-timeout-ms=1000`, and `volatile=1` (accept a server without persistence).
 * Throws BadConfig, Conflict (another gateway has the file), StoreFull, StoreUnavailable.
 */
export async function openStore(url: string, options: OpenStoreOptions): Promise<Store> {
  if (url.startsWith('sqlite:')) {
    const file = url.slice('sqlite:'.length)
    if (isAbsolute(file)) return await openSqlite({ file, ...options })
    throw new MalleeError('BadConfig', `${file} is no absolute path: write sqlite:/path/store.db`)
  }
  const settings = settingsOf(url)
  const count = Number(settings.get('replicas') ?? 0)
  const timeoutMs = Number(settings.get('replica-timeout-ms') ?? DEFAULT_REPLICA_TIMEOUT_MS)
  if (!Number.isInteger(count) || count < 0) {
    throw new MalleeError('BadConfig', `replicas=${settings.get('replicas')} is no number of them`)
  }
  return await openRedis({
    url,
    namespace: settings.get('namespace') ?? DEFAULT_NAMESPACE,
    ...(count === 0 ? {} : { replicas: { count, timeoutMs } }),
    allowVolatile: settings.get('volatile') === '1',
    ...options,
  })
}

// Never shows the URL: it may hold a password.
function settingsOf(url: string): URLSearchParams {
  if (!URL.canParse(url)) {
    throw new MalleeError(
      'BadConfig',
      'the store URL is neither sqlite:/path nor redis://host:port/db',
    )
  }
  const settings = new URL(url).searchParams
  for (const name of settings.keys()) {
    if (SETTINGS.includes(name)) continue
    throw new MalleeError('BadConfig', `${name} is no setting of a store: ${SETTINGS.join(', ')}`)
  }
  return settings
}
