// Large bodies are hashed on threads beside the one that has the connections: an MD5 takes longer
// than all else that is done with a body. The bytes are in memory that they share.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { HashSums, HashWish } from './body-hashes.ts'

/** More bodies than that at once share threads. */
const MAX_THREADS = 8

/** What a thread is asked; `body` tells bodies apart. `isWhole` ends one, false to drop it. */
export type Asked = { readonly id: number; readonly body: number } & (
  | { readonly wish: HashWish }
  | { readonly bytes: Uint8Array }
  | { readonly isWhole: boolean }
)

export interface Told {
  readonly id: number
  readonly sums: HashSums | null
}

/** As BodyHashes. Every promise rejects when the thread dies, and only then. */
export interface FarHashes {
  /** Resolves when the thread has read the bytes, which must not change until then. */
  readonly update: (bytes: Uint8Array) => Promise<void>
  readonly end: () => Promise<HashSums>
  readonly drop: () => void
}

type Question = { readonly wish: HashWish } | { bytes: Uint8Array } | { isWhole: boolean }

interface Waiting {
  readonly done: (sums: HashSums | null) => void
  readonly failed: (error: Error) => void
}

const threads = new Set<HashThread>()

/** Begins a body on the thread that has the fewest; the bytes are to be in shared memory. */
export function startFarHashes(wish: HashWish): FarHashes {
  const body = leastBusy().open(wish)
  let isOpen = true
  const close = (isWhole: boolean): Promise<HashSums | null> => {
    isOpen = false
    return body.close(isWhole)
  }
  return {
    update: async (bytes) => void (await body.ask({ bytes })),
    end: async () => {
      const sums = await close(true)
      if (sums === null) throw new Error('a thread knows nothing of its body')
      return sums
    },
    drop: () => {
      if (isOpen) close(false).catch(() => undefined)
    },
  }
}

function leastBusy(): HashThread {
  const [first] = [...threads].sort((a, b) => a.bodies - b.bodies)
  const isEnough = threads.size >= Math.min(MAX_THREADS, availableParallelism())
  if (first !== undefined && (first.bodies === 0 || isEnough)) return first
  const thread = new HashThread((one) => threads.delete(one))
  threads.add(thread)
  return thread
}

class HashThread {
  /** Begun and not ended. */
  bodies = 0
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #ids = 0

  constructor(gone: (thread: HashThread) => void) {
    // Nothing of how this process was started is for the thread.
    this.#worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { execArgv: [] })
    this.#worker.on('message', ({ id, sums }: Told) => {
      this.#waiting.get(id)?.done(sums)
      this.#waiting.delete(id)
    })
    const died = (cause: unknown): void => {
      gone(this)
      const error = new Error('a thread that hashes bodies died', { cause })
      for (const { failed } of this.#waiting.values()) failed(error)
      this.#waiting.clear()
    }
    this.#worker.on('error', died).on('exit', died)
    // It is no reason for the process to live. Last, as a listener would make it one again.
    this.#worker.unref()
  }

  open(wish: HashWish): {
    readonly ask: (question: Question) => Promise<HashSums | null>
    readonly close: (isWhole: boolean) => Promise<HashSums | null>
  } {
    this.bodies += 1
    this.#ids += 1
    const body = this.#ids
    const begun = this.#ask(body, { wish })
    begun.catch(() => undefined)
    return {
      ask: (question) => this.#ask(body, question),
      close: (isWhole) => {
        this.bodies -= 1
        return this.#ask(body, { isWhole })
      },
    }
  }

  #ask(body: number, question: Question): Promise<HashSums | null> {
    this.#ids += 1
    const id = this.#ids
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed })
      this.#worker.postMessage({ id, body, ...question })
    })
  }
}
