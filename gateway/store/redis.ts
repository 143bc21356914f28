// The store for several gateways: one Redis primary. Whatever must be one step is one script.

import type { Redis } from 'ioredis'
import { type Clock, type RandomHex, randomHex, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  checkPageLimit,
  checkTransaction,
  isAtOrAfter,
  KEEP_REVISIONS,
  prefixEnd,
} from './limits.ts'
import { History } from './redis-history.ts'
import { Link, parseRedisUrl, type RedisAddress } from './redis-link.ts'
import { HEAD, keysOf, LIST, type RedisKeys, runScript, TXN } from './redis-scripts.ts'
import { watchRedis } from './redis-watch.ts'
import type { Change, Compare, Entry, Op, Page, Store, TxnResult } from './store.ts'

/** Below the time after which a silent server is taken for gone. */
const MAX_WAIT_MS = 5_000
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/

export interface RedisOptions {
  /** See parseRedisUrl. */
  readonly url: string
  /** Clouds that share a server have different ones: lower-case letters, digits, hyphens. */
  readonly namespace: string
  readonly log: Log
  /** Acknowledge a write when so many replicas have it (in memory; WAIT), else say unknown. */
  readonly replicas?: { readonly count: number; readonly timeoutMs: number }
  /** Accept a server without persistence: for tests and try-outs. */
  readonly allowVolatile?: boolean
  readonly clock?: Clock
  readonly randomHex?: RandomHex
  /** Revisions that watchers can go back, about; 100,000 when not given. */
  readonly keep?: number
}

/** Throws BadConfig when the server's settings would lose data, StoreUnavailable. */
export async function openRedis(options: RedisOptions): Promise<Store> {
  const { namespace, replicas } = options
  if (!NAMESPACE.test(namespace)) {
    throw new MalleeError('BadConfig', `${JSON.stringify(namespace)} is no namespace like mallee`)
  }
  if (replicas !== undefined && !(replicas.count > 0 && inWaitRange(replicas.timeoutMs))) {
    const wanted = `a count above 0 and a timeout from 1 to ${MAX_WAIT_MS} ms`
    throw new MalleeError('BadConfig', `replicas need ${wanted}`)
  }
  const store = new RedisStore(parseRedisUrl(options.url), options)
  try {
    await store.revision()
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

function inWaitRange(timeoutMs: number): boolean {
  return timeoutMs >= 1 && timeoutMs <= MAX_WAIT_MS
}

class RedisStore implements Store {
  readonly #address: RedisAddress
  readonly #keys: RedisKeys
  readonly #history: History
  readonly #options: RedisOptions
  readonly #clock: Clock
  /** Apart from the writer, which stands still while it waits for replicas. */
  readonly #reader: Link
  readonly #writer: Link
  readonly #closed = new AbortController()
  /** Waits for replicas that are not sent yet, by connection: one command answers them all. */
  readonly #confirmations = new Map<Redis, Promise<number>>()

  constructor(address: RedisAddress, options: RedisOptions) {
    this.#address = address
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#keys = keysOf(options.namespace)
    this.#history = new History({
      keys: this.#keys,
      name: address.name,
      log: options.log,
      randomHex: options.randomHex ?? randomHex,
      allowVolatile: options.allowVolatile ?? false,
    })
    const greet = (redis: Redis): Promise<number> => this.#history.check(redis)
    this.#reader = new Link(address, 'read', this.#clock, greet)
    this.#writer = new Link(address, 'write', this.#clock, greet)
  }

  async get(key: string): Promise<Entry | null> {
    const held = await this.#reader.run((redis) => redis.hget(this.#keys.kv, key))
    return held === null ? null : entryOf(key, held)
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<Page> {
    const limit = checkPageLimit(options.limit)
    const { after } = options
    const isBeyond = after !== undefined && isAtOrAfter(after, prefix)
    const first = isBeyond ? `(${after}` : `[${prefix}`
    const end = prefixEnd(prefix)
    const { kv, ix, rev, hist } = this.#keys
    const args = [first, end === null ? '+' : `(${end}`, limit + 1]
    const answer = await this.#ask((redis) => runScript(redis, LIST, [kv, ix, rev, hist], args))
    const found = answer[2] as string[]
    const entries: Entry[] = []
    for (let i = 0; i < Math.min(found.length, 2 * limit); i += 2) {
      entries.push(entryOf(found[i] ?? '', found[i + 1] ?? ''))
    }
    return { entries, revision: Number(answer[1]), more: found.length > 2 * limit }
  }

  async txn(when: readonly Compare[], then: readonly Op[]): Promise<TxnResult> {
    checkTransaction(when, then)
    const { kv, ix, rev, log, hist } = this.#keys
    const { epoch, highest } = this.#history
    const args = [epoch, highest, Math.max(1, this.#options.keep ?? KEEP_REVISIONS), when.length]
    const words = [...when.flatMap(({ key, version }) => [key, version]), ...then.flatMap(wordsOf)]
    return await this.#writer.run(async (redis) => {
      const answer = await runScript(redis, TXN, [kv, ix, rev, log, hist], [...args, ...words])
      const [verdict, second, third] = answer as [number, unknown, unknown]
      if (verdict === 0) return { ok: false, key: String(second), version: Number(third) }
      if (verdict === 2) {
        await this.#history.check(redis)
        throw new MalleeError('Conflict', 'the store has a new epoch, nothing was written')
      }
      const revision = Number(second)
      if (then.length > 0) await this.#confirm(redis)
      this.#history.saw(epoch, revision)
      return { ok: true, revision }
    })
  }

  async revision(): Promise<number> {
    const { rev, hist } = this.#keys
    const answer = await this.#ask((redis) => runScript(redis, HEAD, [rev, hist], []))
    return Number(answer[1])
  }

  watch(prefix: string, from: number, signal: AbortSignal): AsyncIterable<readonly Change[]> {
    const parts = {
      address: this.#address,
      keys: this.#keys,
      history: this.#history,
      clock: this.#clock,
      log: this.#options.log,
    }
    const { epoch } = this.#history
    const until = AbortSignal.any([signal, this.#closed.signal])
    return watchRedis(parts, { prefix, from, epoch }, until)
  }

  /** As of the last connection or answer; asks nobody. */
  async epoch(): Promise<string> {
    return this.#history.epoch
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all([this.#reader.close(), this.#writer.close()])
  }

  /** A question whose answer starts with epoch and revision; asked again when they do not fit. */
  async #ask(question: (redis: Redis) => Promise<unknown>): Promise<readonly unknown[]> {
    return await this.#reader.run(async (redis) => {
      let answer = (await question(redis)) as unknown[]
      if (!this.#history.holds(answer[0], Number(answer[1]))) {
        await this.#history.check(redis)
        answer = (await question(redis)) as unknown[]
      }
      this.#history.saw(String(answer[0]), Number(answer[1]))
      return answer
    })
  }

  /**
   * WAIT speaks for the writes of its own connection, so it must be the very one that wrote, and
   * one WAIT after several writes speaks for all of them.
   */
  async #confirm(redis: Redis): Promise<void> {
    const { replicas } = this.#options
    if (replicas === undefined) return
    let confirmation = this.#confirmations.get(redis)
    if (confirmation === undefined) {
      confirmation = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        this.#confirmations.delete(redis)
        return redis.wait(replicas.count, replicas.timeoutMs)
      })
      this.#confirmations.set(redis, confirmation)
    }
    const reached = await confirmation
    if (reached >= replicas.count) return
    const message = `written, but only ${reached} of ${replicas.count} replicas have it`
    throw new MalleeError('StoreUnavailable', `${message} (outcome unknown)`)
  }
}

function wordsOf(op: Op): [string, string, string] {
  return 'put' in op ? ['p', op.put, op.value] : ['d', op.del, '']
}

function entryOf(key: string, held: string): Entry {
  const [, version, created] = /^(\d+):(\d+):/.exec(held) ?? []
  if (version === undefined || created === undefined) {
    throw new MalleeError('BadMessage', `what Redis holds at ${key} is no record of a store`)
  }
  const value = held.slice(version.length + created.length + 2)
  return { key, value, version: Number(version), created: Number(created) }
}
