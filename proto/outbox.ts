// Frames on their way into a stream. Honours the stream's `write() === false` and `drain`: what
// the other end does not read waits here, and never more than a bounded number of frames.

import { MalleeError } from '../common/errors.ts'

/** The writing half of a gRPC stream. */
export interface Sink<Frame> {
  write(frame: Frame): boolean
  on(event: 'drain', listener: () => void): unknown
}

const MAX_QUEUED = 1024

export class Outbox<Frame> {
  readonly #sink: Sink<Frame>
  readonly #queue: Frame[] = []
  readonly #waiting: (() => void)[] = []
  #blocked = false
  #closed = false

  constructor(sink: Sink<Frame>) {
    this.#sink = sink
    sink.on('drain', () => {
      this.#blocked = false
      this.#flush()
    })
  }

  /** Throws Unavailable when too much waits already: the other end does not read. */
  push(frame: Frame): void {
    if (this.#closed) return
    if (this.#queue.length >= MAX_QUEUED) {
      throw new MalleeError('Unavailable', `the peer does not read: ${MAX_QUEUED} frames wait`)
    }
    this.#queue.push(frame)
    this.#flush()
  }

  /** Nothing waits: what is pushed now leaves at once. */
  idle(): boolean {
    return !this.#blocked && this.#queue.length === 0
  }

  /** Resolves when idle, or closed. For whoever has many big frames. */
  async ready(): Promise<void> {
    while (!this.#closed && !this.idle()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Drops what waits, and everything that is pushed later. */
  close(): void {
    this.#closed = true
    this.#queue.length = 0
    this.#release()
  }

  #flush(): void {
    while (!this.#blocked) {
      const frame = this.#queue.shift()
      if (frame === undefined) break
      this.#blocked = !this.#sink.write(frame)
    }
    if (this.idle()) this.#release()
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
