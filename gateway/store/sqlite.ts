// The embedded store: one SQLite file, one process. All transactions queued in one turn of the
// event loop share one commit, hence one fsync, and are answered after it.

import type { DatabaseSync } from 'node:sqlite'
import { type Clock, type RandomHex, randomHex, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  checkPageLimit,
  checkTransaction,
  isAtOrAfter,
  KEEP_REVISIONS,
  MAX_KEY_BYTES,
  prefixEnd,
} from './limits.ts'
import { explain, openFile } from './sqlite-file.ts'
import { byRevision, prepare, type Statements } from './sqlite-statements.ts'
import {
  type Change,
  Compacted,
  type Compare,
  type Entry,
  type Op,
  type Page,
  type Store,
  type TxnResult,
} from './store.ts'

/** Transactions of one commit: bounds how long the event loop stands still. */
const MAX_BATCH = 1_000
const MAX_QUEUE = 10_000
/** Revisions that a watcher reads from the log at a time. */
const WATCH_PAGE = 200
/** The log is cut when it is a tenth longer than wanted, so that most commits delete nothing. */
const SLACK = 0.1
/** A commit that stops the event loop for so long is worth a line in the log. */
const SLOW_COMMIT_MS = 500
/** Sorts after every key: U+10FFFF is no character, and no key has room for so many. */
const LAST_KEY = '\u{10ffff}'.repeat(MAX_KEY_BYTES)

export interface SqliteOptions {
  readonly file: string
  readonly log: Log
  readonly clock?: Clock
  readonly randomHex?: RandomHex
  /** Revisions that watchers can go back, at least 1; 100,000 when not given. */
  readonly keep?: number
}

/**
 * Opens the store in `file`, or makes it (mode 0600). Throws Conflict when another process has it
 * open, BadConfig when it is not ours or newer, StoreFull.
 */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const { db, lock, epoch } = openFile(options.file, options.randomHex ?? randomHex)
  return new SqliteStore(db, lock, epoch, options)
}

interface Waiting {
  readonly when: readonly Compare[]
  readonly then: readonly Op[]
  readonly resolve: (result: TxnResult) => void
  readonly reject: (error: MalleeError) => void
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync
  readonly #lock: DatabaseSync
  readonly #epoch: string
  readonly #file: string
  readonly #log: Log
  readonly #clock: Clock
  readonly #keep: number
  readonly #sql: Statements
  readonly #watchers = new Set<() => void>()
  #revision = 0
  /** The log holds every revision after this one. */
  #floor = 0
  #queue: Waiting[] = []
  #scheduled = false
  /** Why nothing works any more: closed, or the disk's state is unknown. */
  #ended: MalleeError | null = null

  constructor(db: DatabaseSync, lock: DatabaseSync, epoch: string, options: SqliteOptions) {
    this.#db = db
    this.#lock = lock
    this.#epoch = epoch
    this.#file = options.file
    this.#log = options.log
    this.#clock = options.clock ?? systemClock
    this.#keep = Math.max(1, options.keep ?? KEEP_REVISIONS)
    this.#sql = prepare(db)
    this.#readEnds()
  }

  async get(key: string): Promise<Entry | null> {
    this.#mustWork()
    const row = this.#sql.get.get(key) as unknown as Entry | undefined
    return row === undefined ? null : { ...row }
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<Page> {
    this.#mustWork()
    const limit = checkPageLimit(options.limit)
    const { after } = options
    const isBeyond = after !== undefined && isAtOrAfter(after, prefix)
    const statement = isBeyond ? this.#sql.listAfter : this.#sql.listFrom
    const end = prefixEnd(prefix) ?? LAST_KEY
    const rows = statement.all(isBeyond ? after : prefix, end, limit + 1)
    const entries = (rows.slice(0, limit) as unknown as Entry[]).map((row) => ({ ...row }))
    return { entries, revision: this.#revision, more: rows.length > limit }
  }

  async txn(when: readonly Compare[], then: readonly Op[]): Promise<TxnResult> {
    checkTransaction(when, then)
    this.#mustWork()
    if (this.#queue.length >= MAX_QUEUE) {
      throw new MalleeError('Unavailable', `${MAX_QUEUE} transactions wait already`)
    }
    return await new Promise((resolve, reject) => {
      this.#queue.push({ when, then, resolve, reject })
      this.#schedule()
    })
  }

  async revision(): Promise<number> {
    this.#mustWork()
    return this.#revision
  }

  async *watch(
    prefix: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Change[]> {
    const end = prefixEnd(prefix) ?? LAST_KEY
    let seen = from
    while (!signal.aborted && this.#ended === null) {
      if (seen < this.#floor || seen > this.#revision) throw new Compacted(seen)
      if (seen === this.#revision) {
        await this.#nextCommit(signal)
        continue
      }
      const to = Math.min(this.#revision, seen + WATCH_PAGE)
      const rows = this.#sql.changes.all(seen, to, prefix, end) as unknown as Change[]
      for (const changes of byRevision(rows)) {
        yield changes
        if (signal.aborted) return
      }
      seen = to
    }
  }

  async epoch(): Promise<string> {
    return this.#epoch
  }

  /** Commits what waits, then gives the file to the next process. */
  async close(): Promise<void> {
    while (this.#queue.length > 0) this.#flush()
    if (!this.#db.isOpen) return
    this.#ended ??= new MalleeError('StoreUnavailable', `${this.#file} is closed`)
    this.#wakeWatchers()
    this.#db.close()
    this.#lock.close()
  }

  #mustWork(): void {
    if (this.#ended !== null) throw this.#ended
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
      if (this.#queue.length > 0) this.#schedule()
    })
  }

  #flush(): void {
    const batch = this.#queue.splice(0, MAX_BATCH)
    if (batch.length === 0) return
    const startedMs = this.#clock.nowMs()
    let answers: readonly TxnResult[]
    try {
      if (this.#ended !== null) throw this.#ended
      answers = this.#commit(batch)
    } catch (cause) {
      const error = cause instanceof MalleeError ? cause : this.#rollBack(cause)
      for (const { reject } of batch) reject(error)
      return
    }
    const tookMs = this.#clock.nowMs() - startedMs
    if (tookMs > SLOW_COMMIT_MS) {
      this.#log.warn('slow commit', { file: this.#file, tookMs, transactions: batch.length })
    }
    for (const [index, { resolve }] of batch.entries()) {
      const answer = answers[index]
      if (answer !== undefined) resolve(answer)
    }
    this.#wakeWatchers()
  }

  /** Nothing in memory moves before COMMIT has returned. */
  #commit(batch: readonly Waiting[]): readonly TxnResult[] {
    this.#sql.begin.run()
    let revision = this.#revision
    const answers: TxnResult[] = []
    for (const { when, then } of batch) {
      const broken = when.find(({ key, version }) => this.#versionOf(key) !== version)
      if (broken !== undefined) {
        answers.push({ ok: false, key: broken.key, version: this.#versionOf(broken.key) })
        continue
      }
      if (this.#write(then, revision + 1)) revision += 1
      answers.push({ ok: true, revision })
    }
    const floor = this.#compact(revision)
    this.#sql.commit.run()
    this.#revision = revision
    this.#floor = floor
    return answers
  }

  #versionOf(key: string): number {
    return Number(this.#sql.version.get(key)?.['version'] ?? 0)
  }

  /** False when there was nothing to change: deleting what does not exist makes no revision. */
  #write(ops: readonly Op[], revision: number): boolean {
    let seq = 0
    for (const op of ops) {
      if ('put' in op) {
        this.#sql.put.run(op.put, op.value, revision, revision)
        this.#sql.append.run(revision, seq++, op.put, op.value)
      } else if (Number(this.#sql.remove.run(op.del).changes) > 0) {
        this.#sql.append.run(revision, seq++, op.del, null)
      }
    }
    return seq > 0
  }

  #compact(revision: number): number {
    if (revision - this.#floor <= this.#keep * (1 + SLACK)) return this.#floor
    const floor = revision - this.#keep
    this.#sql.cut.run(floor)
    return floor
  }

  #rollBack(cause: unknown): MalleeError {
    const { error, fatal } = explain(cause, this.#file)
    this.#log.error('commit failed', { file: this.#file, error })
    try {
      if (this.#db.isTransaction) this.#sql.rollback.run()
      this.#readEnds()
      if (fatal) this.#end(error)
    } catch (second) {
      this.#end(explain(second, this.#file).error)
    }
    return error
  }

  #end(error: MalleeError): void {
    const message = `${error.message}; restart the gateway when the disk is well`
    this.#ended = new MalleeError('StoreUnavailable', message, { cause: error })
    this.#wakeWatchers()
  }

  /** Both ends of the log as the disk has them. The newest revision is never cut off. */
  #readEnds(): void {
    const { first, last } = this.#sql.ends.get() as { first: number | null; last: number | null }
    this.#revision = last ?? 0
    this.#floor = first === null ? 0 : first - 1
  }

  #wakeWatchers(): void {
    for (const wake of this.#watchers) wake()
  }

  #nextCommit(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#watchers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#watchers.add(wake)
      signal.addEventListener('abort', wake)
      if (signal.aborted) wake()
    })
  }
}
