// Whether a Redis server is fit to hold a store, and whether it still tells the history that this
// process knows: asked on every new connection, before anything else.

import type { Redis } from 'ioredis'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { HISTORY, type RedisKeys, runScript } from './redis-scripts.ts'

const EPOCH_BYTES = 8

export interface HistoryOptions {
  readonly keys: RedisKeys
  /** How logs and errors name the server. */
  readonly name: string
  readonly log: Log
  readonly randomHex: RandomHex
  /** Accept a server that forgets everything when it stops. */
  readonly allowVolatile: boolean
}

/** What this process was told: the epoch, and the newest revision that it has seen in it. */
export class History {
  readonly #options: HistoryOptions
  #epoch = ''
  #highest = 0
  #toldFsync = false

  constructor(options: HistoryOptions) {
    this.#options = options
  }

  get epoch(): string {
    return this.#epoch
  }

  get highest(): number {
    return this.#highest
  }

  /** Remembers an answer's revision, unless the answer is of an epoch that has ended. */
  saw(epoch: string, revision: number): void {
    if (epoch === this.#epoch && revision > this.#highest) this.#highest = revision
  }

  /** False when the answer is of another history: check the server before going on. */
  holds(epoch: unknown, revision: number): boolean {
    return epoch === this.#epoch && revision >= this.#highest
  }

  /**
   * Checks settings and history of the server at the other end of `redis`; afterwards `epoch` is
   * the store's. Returns its newest revision. Throws BadConfig the first time and StoreUnavailable
   * later, with what to change.
   */
  async check(redis: Redis): Promise<number> {
    const { keys, name, log, randomHex } = this.#options
    const info = parseInfo(await redis.info())
    const complaint = this.#complaint(info) ?? (await this.#fsyncComplaint(redis))
    if (complaint !== null) {
      const code = this.#epoch === '' ? 'BadConfig' : 'StoreUnavailable'
      throw new MalleeError(code, `Redis at ${name} ${complaint}`)
    }
    const known = this.#epoch
    const args = [info.get('run_id') ?? '', randomHex(EPOCH_BYTES), known, this.#highest]
    const answer = await runScript(redis, HISTORY, [keys.rev, keys.hist], args)
    const [epoch, revision] = answer as [string, string]
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#highest = 0
      if (known !== '') log.warn('store has a new epoch', { store: name, epoch, revision })
    }
    this.saw(epoch, Number(revision))
    return Number(revision)
  }

  #complaint(info: ReadonlyMap<string, string>): string | null {
    if (info.get('role') !== 'master') {
      return `is a ${info.get('role')}: name the address that follows the primary`
    }
    const policy = info.get('maxmemory_policy')
    if (policy !== 'noeviction') {
      return `drops records when memory is short (maxmemory-policy ${policy}): set maxmemory-policy noeviction`
    }
    if (info.get('aof_enabled') !== '1' && !this.#options.allowVolatile) {
      return 'keeps nothing on disk (appendonly no): set appendonly yes and appendfsync always'
    }
    return null
  }

  async #fsyncComplaint(redis: Redis): Promise<string | null> {
    if (this.#options.allowVolatile) return null
    const { name, log } = this.#options
    const policy = await fsyncPolicy(redis)
    if (policy === 'no') {
      return 'never asks the disk to write (appendfsync no): set appendfsync always'
    }
    if (policy !== 'always' && !this.#toldFsync) {
      this.#toldFsync = true
      const advice = 'a crash may lose what was just acknowledged: set appendfsync always'
      log.warn('redis is not fully durable', { store: name, appendfsync: policy, advice })
    }
    return null
  }
}

// Managed servers forbid CONFIG.
async function fsyncPolicy(redis: Redis): Promise<string> {
  try {
    const answer = (await redis.config('GET', 'appendfsync')) as string[]
    return answer[1] ?? 'unknown'
  } catch (error) {
    if (/^(ERR unknown command|NOPERM)/.test(messageOf(error))) return 'unknown'
    throw error
  }
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\r\n').filter((line) => line.includes(':'))
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
}
