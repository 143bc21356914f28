// Where the commits of a SQLite store run: in this thread, which stands still while the disk syncs,
// or in one of their own. The same committer does them in either.

import { Worker } from 'node:worker_threads'
import { messageOf } from '../../common/errors.ts'
import { Committer, type Outcome, type Proposal } from './sqlite-committer.ts'
import type { OpenFile } from './sqlite-file.ts'

export interface CommitsOptions extends Pick<OpenFile, 'db' | 'path'> {
  readonly keep: number
  /** Called once for each commit, in the order in which their proposals were sent. */
  readonly told: (outcome: Outcome) => void
}

export interface Commits {
  /** Proposals that were sent before are committed before, or together with these. */
  readonly send: (batch: readonly Proposal[]) => void
  /** Only when every outcome has been told. The file has no writer afterwards. */
  readonly close: () => Promise<void>
}

/** Through `db`, which nobody else writes to. */
export function commitHere({ db, path, keep, told }: CommitsOptions): Commits {
  const committer = new Committer(db, path, keep)
  return {
    send: (batch) => told(committer.commit(batch)),
    close: async () => undefined,
  }
}

/**
 * In a thread with a connection of its own; `db` only reads from then on. The thread starts with
 * the first proposal. When it dies, what it had not answered has an unknown outcome, and the next
 * proposal starts another one: SQLite rolls back what was half done.
 */
export function commitApart({ db, path, keep, told }: CommitsOptions): Commits {
  db.exec('PRAGMA query_only = ON')
  let worker: Worker | null = null
  let unanswered = 0

  function start(): Worker {
    const url = new URL('./sqlite-thread.ts', import.meta.url)
    const started = new Worker(url, { workerData: { path, keep }, name: 'sqlite' })
    let why = 'it ended by itself'
    started.on('message', (outcome: Outcome) => {
      unanswered -= outcome.count
      // A program that forgot to close its store ends all the same, but no commit is cut short.
      if (unanswered === 0) started.unref()
      told(outcome)
    })
    started.on('error', (error) => {
      why = messageOf(error)
    })
    started.on('exit', () => {
      worker = null
      if (unanswered === 0) return
      const message = `the thread that writes ${path} is gone (outcome unknown): ${why}`
      const lost = { count: unanswered, refusal: { code: 'StoreUnavailable', message } } as const
      unanswered = 0
      told({ ...lost, isEnd: false })
    })
    return started
  }

  return {
    send: (batch) => {
      worker ??= start()
      unanswered += batch.length
      worker.ref()
      worker.postMessage(batch)
    },
    close: async () => {
      const last = worker
      if (last === null) return
      const gone = new Promise((resolve) => last.once('exit', resolve))
      last.ref()
      last.postMessage(null)
      await gone
    },
  }
}
