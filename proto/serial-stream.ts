// The bytes of a serial console's session as a Node stream. Each side sends only what the other one
// allowed, end to end: a slow reader holds up its own session, and nothing waits on the way there.

import { Duplex } from 'node:stream'
import { MalleeError, messageOf } from '../common/errors.ts'
import type { SerialFrame } from './gen/mallee/v1/serial_pb.js'
import { creditFrame, dataFrame, type Frames, Room } from './serial-frames.ts'

/** What the other side may send ahead of our reader, in bytes. */
const WINDOW = 64 << 10
/** Credit is given in steps, so that a key typed costs one frame and not two. */
const CREDIT_STEP = WINDOW / 4
const CHUNK = 16 << 10

/**
 * One end of a session. Reading ends when the other side ended it, destroying says `why` to it.
 * The frames are this stream's from now on.
 */
export class SerialStream extends Duplex {
  readonly #frames: Frames
  readonly #room = new Room()
  readonly #theirs = new Room()
  /** What the other side is told when this one ends. */
  why = 'the session was ended'
  #endedBy: string | null = null
  #sent = 0
  #received = 0
  /** Bytes that the other side was allowed so far. */
  #allowed = 0
  #waiting: { rest: Uint8Array; readonly done: () => void } | null = null

  constructor(frames: Frames) {
    super({ allowHalfOpen: false, readableHighWaterMark: CHUNK, writableHighWaterMark: CHUNK })
    this.#frames = frames
    // It may break before anybody listens: that is no reason for the process to end.
    this.on('error', () => undefined)
    frames.listen({
      frame: (frame) => this.#take(frame),
      over: (error) => {
        if (this.#endedBy === null) this.destroy(error ?? undefined)
      },
    })
    this.#grant()
  }

  /** Why the other side ended it; null when it did not. */
  get endedBy(): string | null {
    return this.#endedBy
  }

  /** Bytes so far, to the other side and from it. */
  get carried(): { readonly sent: number; readonly received: number } {
    return { sent: this.#sent, received: this.#received }
  }

  override _read(): void {
    this.#grant()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#waiting = { rest: chunk, done }
    this.#flush()
  }

  override _final(done: () => void): void {
    this.#frames.end(this.why)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#waiting = null
    this.#frames.end(error === null ? this.why : messageOf(error))
    done(error)
  }

  #take({ body }: SerialFrame): void {
    if (this.destroyed || this.#endedBy !== null) return
    try {
      switch (body.case) {
        case 'data':
          this.#theirs.use(body.value.length)
          this.#received += body.value.length
          // A copy: the message that it is part of may be far larger.
          this.push(Buffer.from(body.value))
          break
        case 'credit':
          this.#room.allow(body.value)
          this.#flush()
          break
        case 'end':
          this.#ended(body.value.reason)
          break
        default:
          throw new MalleeError('BadMessage', 'a frame that is not known')
      }
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  #ended(reason: string): void {
    this.#endedBy = reason
    // Nobody takes any more what is still to be sent.
    this.#flush()
    this.push(null)
  }

  #flush(): void {
    while (this.#waiting !== null) {
      const { rest, done } = this.#waiting
      const bytes = Math.min(rest.length, this.#room.bytes, CHUNK)
      const isMoot = rest.length === 0 || this.#endedBy !== null
      if (bytes === 0 && !isMoot) return
      if (!isMoot) {
        this.#room.use(bytes)
        this.#sent += bytes
        this.#frames.send(dataFrame(rest.subarray(0, bytes)))
        this.#waiting = { rest: rest.subarray(bytes), done }
        continue
      }
      this.#waiting = null
      done()
    }
  }

  /** As much as there is room for before our reader. */
  #grant(): void {
    if (this.destroyed || this.#endedBy !== null) return
    const more = this.#received - this.readableLength + WINDOW - this.#allowed
    if (more < CREDIT_STEP) return
    this.#allowed += more
    this.#theirs.allow(more)
    this.#frames.send(creditFrame(more))
  }
}
