// The embedded store: one SQLite file, one process. Reads are here; transactions queued in one turn
// of the event loop go to the committer together, and are answered after its fsync.

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
import { EntryCache } from './sqlite-cache.ts'
import { type Commits, commitApart, commitHere } from './sqlite-commits.ts'
import { type Ends, endsOf, MAX_BATCH, type Outcome, type Proposal } from './sqlite-committer.ts'
import { explain, type OpenFile, openFile } from './sqlite-file.ts'
import { byRevision, entryOf, prepareReads, type ReadStatements } from './sqlite-statements.ts'
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

const MAX_QUEUE = 10_000
/** Revisions that a watcher reads from the log at a time. */
const WATCH_PAGE = 200
/** A transaction that took so long is worth a line in the log. */
const SLOW_COMMIT_MS = 500
/** Sorts after every key: U+10FFFF is no character, and no key has room for so many. */
const LAST_KEY = '\u{10ffff}'.repeat(MAX_KEY_BYTES)

export interface SqliteOptions {
  readonly file: string
  readonly log: Log
  readonly clock?: Clock
  readonly randomHex?: RandomHex
  /**
   * Revisions that watchers can go back; 100,000 when not given. 0: nobody watches, and what is
   * written is written once and not into a log as well; a watch hears only that it is too late.
   */
  readonly keep?: number
  /** Commits in a thread of their own: the event loop goes on while the disk syncs. */
  readonly commitsApart?: boolean
}

/**
 * Opens the store in `file`, or makes it (mode 0600). Throws Conflict when another process has it
 * open, BadConfig when it is not ours or newer, StoreFull.
 */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  return new SqliteStore(openFile(options.file, options.randomHex ?? randomHex), options)
}

interface Waiting extends Proposal {
  readonly sinceMs: number
  readonly resolve: (result: TxnResult) => void
  readonly reject: (error: MalleeError) => void
}

type Refused = Extract<Outcome, { refusal: unknown }>

class SqliteStore implements Store {
  readonly #db: DatabaseSync
  readonly #lock: DatabaseSync
  readonly #epoch: string
  readonly #file: string
  readonly #log: Log
  readonly #clock: Clock
  readonly #sql: ReadStatements
  readonly #commits: Commits
  readonly #cache = new EntryCache()
  readonly #keep: number
  readonly #watchers = new Set<() => void>()
  /** As of the newest commit that was heard of; the file may be further. */
  #ends: Ends
  #unsent: Waiting[] = []
  /** Handed to the committer and not answered, in that order. */
  #sent: Waiting[] = []
  #scheduled = false
  /** Why nothing works any more: closed, or the disk's state is unknown. */
  #ended: MalleeError | null = null
  #closing: Promise<void> | null = null
  #drained: () => void = () => undefined

  constructor({ path, db, lock, epoch }: OpenFile, options: SqliteOptions) {
    this.#db = db
    this.#lock = lock
    this.#epoch = epoch
    this.#file = options.file
    this.#log = options.log
    this.#clock = options.clock ?? systemClock
    this.#sql = prepareReads(db)
    const keep = options.keep ?? KEEP_REVISIONS
    this.#keep = keep
    this.#ends = this.#readEnds()
    const commit = options.commitsApart === true ? commitApart : commitHere
    this.#commits = commit({ db, path, keep, told: (outcome) => this.#told(outcome) })
  }

  async get(key: string): Promise<Entry | null> {
    this.#mustWork()
    return this.#read(key)
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<Page> {
    this.#mustWork()
    const limit = checkPageLimit(options.limit)
    const { after } = options
    const isBeyond = after !== undefined && isAtOrAfter(after, prefix)
    const statement = isBeyond ? this.#sql.listAfter : this.#sql.listFrom
    const end = prefixEnd(prefix) ?? LAST_KEY
    const rows = statement.all(isBeyond ? after : prefix, end, limit + 1)
    const entries = rows.slice(0, limit).map(entryOf)
    return { entries, revision: this.#ends.revision, more: rows.length > limit }
  }

  async txn(when: readonly Compare[], then: readonly Op[]): Promise<TxnResult> {
    checkTransaction(when, then)
    this.#mustWork()
    const seen = then.length === 0 ? this.#look(when) : null
    if (seen !== null) return seen
    if (this.#unsent.length + this.#sent.length >= MAX_QUEUE) {
      throw new MalleeError('Unavailable', `${MAX_QUEUE} transactions wait already`)
    }
    return await new Promise((resolve, reject) => {
      const sinceMs = this.#clock.nowMs()
      this.#unsent.push({ when, then, sinceMs, resolve, reject })
      this.#schedule()
    })
  }

  async revision(): Promise<number> {
    this.#mustWork()
    // Of the file: reads show a commit before it is heard of, and who read it waits for a mirror.
    return this.#readEnds().revision
  }

  async *watch(
    prefix: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Change[]> {
    const end = prefixEnd(prefix) ?? LAST_KEY
    let seen = from
    while (!signal.aborted && this.#ended === null) {
      const { revision } = this.#ends
      if (seen > revision) throw new Compacted(seen)
      if (seen === revision) {
        await this.#nextCommit(signal)
        continue
      }
      const to = Math.min(revision, seen + WATCH_PAGE)
      const rows = this.#sql.changes.all(seen, to, prefix, end) as unknown as Change[]
      // Asked afterwards: a commit that was not heard of yet may have cut the log before the rows.
      if (seen < this.#readEnds().floor) throw new Compacted(seen)
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
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.#ended ??= new MalleeError('StoreUnavailable', `${this.#file} is closed`)
    this.#wakeWatchers()
    while (this.#unsent.length > 0) this.#send()
    if (this.#sent.length > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
    }
    await this.#commits.close()
    this.#db.close()
    this.#lock.close()
  }

  #mustWork(): void {
    if (this.#ended !== null) throw this.#ended
  }

  #read(key: string): Entry | null {
    const known = this.#cache.get(key)
    if (known !== undefined) return known
    const row = this.#sql.get.get(key)
    const entry = row === undefined ? null : entryOf(row)
    this.#cache.add(key, entry)
    return entry
  }

  /** Who writes nothing waits for nobody; null: a commit that is not heard of is in the way. */
  #look(when: readonly Compare[]): TxnResult | null {
    const versions = when.map(({ key }) => this.#read(key)?.version ?? 0)
    const at = when.findIndex(({ version }, index) => version !== versions[index])
    const { revision } = this.#ends
    // Last: when nothing was committed since, all that was read is of one moment.
    if (this.#readEnds().revision !== revision) return null
    const broken = when[at]
    if (broken === undefined) return { ok: true, revision }
    return { ok: false, key: broken.key, version: versions[at] ?? 0 }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#send()
      if (this.#unsent.length > 0) this.#schedule()
    })
  }

  #send(): void {
    const batch = this.#unsent.splice(0, MAX_BATCH)
    if (batch.length === 0) return
    this.#sent.push(...batch)
    for (const { then } of batch) this.#cache.begin(then)
    this.#commits.send(batch.map(({ when, then }) => ({ when, then })))
  }

  #told(outcome: Outcome): void {
    const batch = this.#sent.splice(0, outcome.count)
    this.#tellSlow(batch)
    for (const { then } of batch) this.#cache.end(then)
    if ('refusal' in outcome) {
      this.#refuse(batch, outcome)
    } else {
      this.#ends = outcome.ends
      for (const [index, { resolve }] of batch.entries()) {
        const answer = outcome.answers[index]
        if (answer !== undefined) resolve(answer)
      }
    }
    this.#wakeWatchers()
    if (this.#sent.length === 0) this.#drained()
  }

  #tellSlow(batch: readonly Waiting[]): void {
    const tookMs = this.#clock.nowMs() - (batch[0]?.sinceMs ?? 0)
    if (tookMs <= SLOW_COMMIT_MS) return
    this.#log.warn('slow commit', { file: this.#file, tookMs, transactions: batch.length })
  }

  #refuse(batch: readonly Waiting[], { refusal, isEnd }: Refused): void {
    const error = new MalleeError(refusal.code, refusal.message)
    this.#log.error('commit failed', { file: this.#file, error })
    for (const { reject } of batch) reject(error)
    try {
      if (isEnd) this.#end(error)
      // A thread that died may have committed more than it said.
      else this.#ends = this.#readEnds()
    } catch (cause) {
      this.#end(explain(cause, this.#file).error)
    }
  }

  #readEnds(): Ends {
    return endsOf(this.#sql.ends.get(), this.#keep)
  }

  #end(error: MalleeError): void {
    const message = `${error.message}; restart the gateway when the disk is well`
    this.#ended ??= new MalleeError('StoreUnavailable', message, { cause: error })
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
