// The frames of a serial console's session over a gRPC stream, as either end of it sees them, and
// what lies between two such streams. What the bytes are for: serial-stream.ts.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import { MalleeError, messageOf } from '../common/errors.ts'
import { type SerialFrame, SerialFrameSchema } from './gen/mallee/v1/serial_pb.js'
import { statusToError } from './service.ts'

/** Who has one end of a stream of frames. */
export interface FrameListener {
  readonly frame: (frame: SerialFrame) => void
  /** Called once, when the stream is over. Null when it ended well. */
  readonly over: (error: MalleeError | null) => void
}

/** One end of a stream of frames. */
export interface Frames {
  /** Nothing happens when the stream is over. */
  send(frame: SerialFrame): void
  /** To be called once; frames that came earlier wait for it. */
  listen(listener: FrameListener): void
  /** Says why it ends, and ends. What was sent before still arrives. */
  end(reason: string): void
}

/** What a peer may allow at a time, in bytes. More is a mistake, or an attempt on our memory. */
const MAX_CREDIT = 1 << 20
/** How long the other side may take to hang up, too, in milliseconds. */
const HANG_UP_MS = 2_000
const MAX_REASON_CHARS = 200

/** The half of a gRPC stream that both kinds have. */
type Call<In, Out> = grpc.ClientDuplexStream<Out, In> | grpc.ServerDuplexStream<In, Out>

/**
 * The frames of a call whose other messages are done with. `wrap` makes a message of a frame, and
 * `unwrap` gets it out: undefined is what does not belong there. `first` came already. What is
 * written is bounded by what the other side allowed, so that nobody waits for `drain` here.
 */
export function framesOf<In, Out>(
  call: Call<In, Out>,
  wrap: (frame: SerialFrame) => Out,
  unwrap: (message: In) => SerialFrame | undefined,
  first?: In,
): Frames {
  let listener: FrameListener | null = null
  let over: { readonly error: MalleeError | null } | null = null
  let ended = false
  let timer: NodeJS.Timeout | undefined
  call.on('error', (error) => finish(statusToError(error)))
  call.on('cancelled', () => finish(new MalleeError('Unavailable', 'the other side hung up')))
  call.on('end', () => finish(null))

  function finish(error: MalleeError | null): void {
    if (over !== null) return
    clearTimeout(timer)
    over = { error }
    // The other half of a server's call stays open until it is ended.
    if (!ended) call.end()
    ended = true
    listener?.over(error)
  }

  function receive(message: In): void {
    if (over !== null) return
    const frame = unwrap(message)
    if (frame === undefined) fail(new MalleeError('BadMessage', 'a message out of place'))
    else listener?.frame(frame)
  }

  function fail(error: MalleeError): void {
    hangUp(error.message)
    finish(error)
  }

  function hangUp(reason: string): void {
    if (ended) return
    ended = true
    call.write(wrap(endFrame(reason)))
    call.end()
    // Some other side never reads to the end.
    timer = setTimeout(() => cancel(call), HANG_UP_MS)
    timer.unref()
  }

  return {
    send: (frame) => {
      if (!ended && over === null) call.write(wrap(frame))
    },
    listen: (wanted) => {
      listener = wanted
      if (first !== undefined) receive(first)
      if (over !== null) return wanted.over(over.error)
      call.on('data', receive)
      call.resume()
    },
    end: hangUp,
  }
}

function cancel(call: { cancel?: () => void; destroy: () => unknown }): void {
  if (call.cancel === undefined) call.destroy()
  else call.cancel()
}

export function dataFrame(data: Uint8Array): SerialFrame {
  return create(SerialFrameSchema, { body: { case: 'data', value: data } })
}

export function creditFrame(bytes: number): SerialFrame {
  return create(SerialFrameSchema, { body: { case: 'credit', value: bytes } })
}

function endFrame(reason: string): SerialFrame {
  const value = { reason: reason.slice(0, MAX_REASON_CHARS) }
  return create(SerialFrameSchema, { body: { case: 'end', value } })
}

/** What one side may send: the other one's credit, not used up yet. */
export class Room {
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Throws BadMessage for more than anybody allows. */
  allow(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > MAX_CREDIT) {
      throw new MalleeError('BadMessage', `a credit of ${this.#bytes} bytes is too much`)
    }
  }

  /** Throws BadMessage when that was not allowed. */
  use(bytes: number): void {
    if (bytes === 0 || bytes > this.#bytes) {
      throw new MalleeError('BadMessage', `${bytes} bytes came where ${this.#bytes} were allowed`)
    }
    this.#bytes -= bytes
  }
}

/**
 * Passes frames on between two streams until one of them is over, and holds both sides to what the
 * other one allowed: so it keeps no more than that. Resolves with why it ended.
 */
export function joinFrames(a: Frames, b: Frames): Promise<string> {
  return new Promise((resolve) => {
    const [fromA, fromB] = [new Room(), new Room()]
    pass({ from: a, to: b, use: fromA, allow: fromB, resolve })
    pass({ from: b, to: a, use: fromB, allow: fromA, resolve })
  })
}

interface Passing {
  readonly from: Frames
  readonly to: Frames
  readonly use: Room
  readonly allow: Room
  readonly resolve: (reason: string) => void
}

function pass({ from, to, use, allow, resolve }: Passing): void {
  const stop = (reason: string): void => {
    resolve(reason)
    to.end(reason)
    from.end(reason)
  }
  from.listen({
    frame: (frame) => {
      const { body } = frame
      try {
        if (body.case === 'end') return stop(body.value.reason)
        if (body.case === 'data') use.use(body.value.length)
        if (body.case === 'credit') allow.allow(body.value)
        to.send(frame)
      } catch (error) {
        stop(messageOf(error))
      }
    },
    over: (error) => stop(error?.message ?? 'the other side hung up'),
  })
}
