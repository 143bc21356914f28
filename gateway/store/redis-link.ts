// Connections to Redis: opened when needed, checked before use, never replaying a command. What
// ioredis reports is reworded here, as its errors carry the arguments of the command: passwords.

import { Redis } from 'ioredis'
import type { Clock } from '../../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'

const CONNECT_TIMEOUT_MS = 5_000
/** A server that does not answer a command for so long is taken for gone. */
export const ANSWER_TIMEOUT_MS = 10_000
/** After a failed attempt, calls fail at once for so long instead of each trying again. */
const RETRY_AFTER_MS = 200

/** Where Redis is. `name` is safe to show: neither user nor password. */
export interface RedisAddress {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Unix socket; null for TCP. */
  readonly path: string | null
  readonly tls: boolean
  readonly db: number
  readonly username: string | null
  readonly password: string | null
}

const SCHEME = /^(redis|rediss|unix):/

/**
 * `redis://[user:password@]host[:6379][/db]`, `rediss://` with TLS, or `unix:/socket?db=0`.
 * Throws BadConfig, without the URL as it may hold a password.
 */
export function parseRedisUrl(text: string): RedisAddress {
  const scheme = SCHEME.exec(text)?.[1]
  if (scheme === undefined || !URL.canParse(text)) {
    throw new MalleeError(
      'BadConfig',
      'the Redis URL is neither redis://host:port/db nor unix:/path',
    )
  }
  const url = new URL(text)
  const isUnix = scheme === 'unix'
  const dbText = isUnix ? (url.searchParams.get('db') ?? '') : url.pathname.slice(1)
  const db = dbText === '' ? 0 : Number(dbText)
  if (!Number.isInteger(db) || db < 0) {
    throw new MalleeError('BadConfig', `${dbText} is no number of a Redis database`)
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const path = isUnix ? decodeURIComponent(url.pathname) : null
  if (isUnix ? path === '' || path === '/' : host === '') {
    throw new MalleeError('BadConfig', 'the Redis URL names no host or socket')
  }
  const port = url.port === '' ? 6379 : Number(url.port)
  return {
    name: isUnix ? `unix:${path}` : `${scheme}://${url.hostname}:${port}/${db}`,
    host,
    port,
    path,
    tls: scheme === 'rediss',
    db,
    username: url.username === '' ? null : decodeURIComponent(url.username),
    password: url.password === '' ? null : decodeURIComponent(url.password),
  }
}

/** One connection that ends for good when it breaks. Throws StoreUnavailable. */
export async function dial(address: RedisAddress, use: string): Promise<Redis> {
  const { host, port, path, db, username, password, tls } = address
  const redis = new Redis({
    ...(path === null ? { host, port } : { path }),
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: { servername: host, minVersion: 'TLSv1.2' } } : {}),
    db,
    connectionName: `mallee-${use}`,
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: ANSWER_TIMEOUT_MS,
    // A compare-and-set that is sent a second time reports the first one as somebody else's.
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
  })
  let trouble: unknown = null
  redis.on('error', (error) => {
    trouble ??= error
  })
  try {
    await redis.connect()
    return redis
  } catch (error) {
    redis.disconnect()
    throw unreachable(trouble ?? error, address.name)
  }
}

function unreachable(error: unknown, where: string): MalleeError {
  if (codeOf(error) !== null) return error as MalleeError
  return new MalleeError('StoreUnavailable', `no way to Redis at ${where}: ${messageOf(error)}`)
}

/**
 * What an error of ioredis means, without the command's arguments. Everything that Redis refused
 * before it ran says so; the rest may or may not have been done.
 */
export function reworded(error: unknown, where: string): MalleeError {
  if (codeOf(error) !== null) return error as MalleeError
  const text = messageOf(error)
  const reason = /^[A-Z]+/.exec(text)?.[0] ?? ''
  if (reason === 'OOM' || reason === 'MISCONF') {
    const message = `Redis at ${where} has no room, nothing was written: ${text}`
    return new MalleeError('StoreFull', message)
  }
  const refused = ['BUSY', 'LOADING', 'MASTERDOWN', 'NOAUTH', 'NOREPLICAS', 'NOPERM', 'READONLY']
  const outcome = refused.includes(reason) ? 'nothing was written' : 'outcome unknown'
  return new MalleeError('StoreUnavailable', `Redis at ${where}: ${text} (${outcome})`)
}

/** One connection at a time, made again by the next call after it broke. */
export class Link {
  readonly #address: RedisAddress
  readonly #use: string
  readonly #clock: Clock
  /** Runs on every new connection before anything else may. */
  readonly #greet: (redis: Redis) => Promise<unknown>
  #redis: Promise<Redis> | null = null
  #failed: { readonly atMs: number; readonly error: unknown } | null = null
  #closed = false

  constructor(
    address: RedisAddress,
    use: string,
    clock: Clock,
    greet: (redis: Redis) => Promise<unknown>,
  ) {
    this.#address = address
    this.#use = use
    this.#clock = clock
    this.#greet = greet
  }

  /** Throws MalleeError; StoreUnavailable when it cannot be told whether `call` had its effect. */
  async run<T>(call: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      return await call(await this.#connected())
    } catch (error) {
      // A server that became a replica keeps the connection open and refuses every write.
      if (/^READONLY/.test(messageOf(error))) await this.#drop()
      throw reworded(error, this.#address.name)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#drop()
  }

  async #drop(): Promise<void> {
    const redis = await this.#redis?.catch(() => null)
    redis?.disconnect()
  }

  #connected(): Promise<Redis> {
    const { name } = this.#address
    if (this.#closed) throw new MalleeError('StoreUnavailable', `the store at ${name} is closed`)
    if (this.#redis !== null) return this.#redis
    const failed = this.#failed
    if (failed !== null && this.#clock.nowMs() - failed.atMs < RETRY_AFTER_MS) throw failed.error
    const attempt = this.#connect()
    const forget = (): void => {
      if (this.#redis === attempt) this.#redis = null
    }
    attempt.then((redis) => {
      redis.once('end', forget)
      if (redis.status !== 'ready') forget()
    }, forget)
    this.#redis = attempt
    return attempt
  }

  async #connect(): Promise<Redis> {
    let redis: Redis | null = null
    try {
      redis = await dial(this.#address, this.#use)
      await this.#greet(redis)
      this.#failed = null
      return redis
    } catch (cause) {
      redis?.disconnect()
      const error = unreachable(cause, this.#address.name)
      this.#failed = { atMs: this.#clock.nowMs(), error }
      throw error
    }
  }
}
