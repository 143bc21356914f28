// The one writer of a SQLite store: transactions that come together share one commit, hence one
// fsync. It runs wherever it is put (sqlite-commits.ts).

import type { DatabaseSync } from 'node:sqlite'
import { type Code, MalleeError } from '../../common/errors.ts'
import { explain } from './sqlite-file.ts'
import { prepareWrites, type WriteStatements } from './sqlite-statements.ts'
import type { Compare, Op, TxnResult } from './store.ts'

/** Transactions of one commit: bounds how long one waits for others. */
export const MAX_BATCH = 1_000
/** The log is cut when it is a tenth longer than wanted, so that most commits delete nothing. */
const SLACK = 0.1

export interface Proposal {
  readonly when: readonly Compare[]
  readonly then: readonly Op[]
}

/** Both ends of the log: it holds every revision after `floor` up to the newest. */
export interface Ends {
  readonly revision: number
  readonly floor: number
}

/** What became of the first `count` proposals that had no outcome yet. Passes between threads. */
export type Outcome =
  | { readonly count: number; readonly answers: readonly TxnResult[]; readonly ends: Ends }
  | {
      readonly count: number
      readonly refusal: { readonly code: Code; readonly message: string }
      /** Nothing goes on: what the disk holds is unknown. */
      readonly isEnd: boolean
    }

export class Committer {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #keep: number
  readonly #sql: WriteStatements
  #ends: Ends
  #ended: MalleeError | null = null

  /** `file` is for messages; the log keeps `keep` revisions. */
  constructor(db: DatabaseSync, file: string, keep: number) {
    this.#db = db
    this.#file = file
    this.#keep = keep
    this.#sql = prepareWrites(db)
    this.#ends = this.#readEnds()
  }

  /** All of them in one commit, each on its own terms; or nothing of any. */
  commit(batch: readonly Proposal[]): Outcome {
    const count = batch.length
    try {
      if (this.#ended !== null) throw this.#ended
      return { count, answers: this.#write(batch), ends: this.#ends }
    } catch (cause) {
      const { code, message } = cause instanceof MalleeError ? cause : this.#rollBack(cause)
      return { count, refusal: { code, message }, isEnd: this.#ended !== null }
    }
  }

  /** Nothing in memory moves before COMMIT has returned. */
  #write(batch: readonly Proposal[]): readonly TxnResult[] {
    this.#sql.begin.run()
    let { revision } = this.#ends
    const answers: TxnResult[] = []
    for (const { when, then } of batch) {
      const broken = when.find(({ key, version }) => this.#versionOf(key) !== version)
      if (broken !== undefined) {
        answers.push({ ok: false, key: broken.key, version: this.#versionOf(broken.key) })
        continue
      }
      if (this.#apply(then, revision + 1)) revision += 1
      answers.push({ ok: true, revision })
    }
    const floor = this.#keep === 0 ? this.#note(revision) : this.#cut(revision)
    this.#sql.commit.run()
    this.#ends = { revision, floor }
    return answers
  }

  #versionOf(key: string): number {
    return Number(this.#sql.version.get(key)?.['version'] ?? 0)
  }

  /** False when there was nothing to change: deleting what does not exist makes no revision. */
  #apply(ops: readonly Op[], revision: number): boolean {
    let seq = 0
    for (const op of ops) {
      if ('put' in op) {
        this.#sql.put.run(op.put, op.value, revision, revision)
        this.#append(revision, seq++, op.put, op.value)
      } else if (Number(this.#sql.remove.run(op.del).changes) > 0) {
        this.#append(revision, seq++, op.del, null)
      }
    }
    return seq > 0
  }

  #append(revision: number, seq: number, key: string, value: string | null): void {
    if (this.#keep > 0) this.#sql.append.run(revision, seq, key, value)
  }

  /** Without a log the newest revision is all that is remembered. */
  #note(revision: number): number {
    if (revision > this.#ends.revision) {
      this.#sql.append.run(revision, 0, '', null)
      this.#sql.cut.run(revision - 1)
    }
    return revision
  }

  #cut(revision: number): number {
    const { floor } = this.#ends
    if (revision - floor <= this.#keep * (1 + SLACK)) return floor
    const cut = revision - this.#keep
    this.#sql.cut.run(cut)
    return cut
  }

  #rollBack(cause: unknown): MalleeError {
    const { error, fatal } = explain(cause, this.#file)
    try {
      if (this.#db.isTransaction) this.#sql.rollback.run()
      this.#ends = this.#readEnds()
      if (fatal) this.#ended = error
    } catch (second) {
      this.#ended = explain(second, this.#file).error
    }
    return error
  }

  #readEnds(): Ends {
    return endsOf(this.#sql.ends.get(), this.#keep)
  }
}

/** From a row of `ends`. The newest revision is never cut off; with a `keep` of 0 it is all. */
export function endsOf(row: unknown, keep: number): Ends {
  const { first, last } = row as { first: number | null; last: number | null }
  const revision = last ?? 0
  return { revision, floor: keep === 0 ? revision : (first ?? 1) - 1 }
}
