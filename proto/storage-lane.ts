// A stream on which one side asks and the other one answers, as either end of it sees it: a message
// at a time, no faster than the other side takes them. What they mean: storage.ts and its users.

import type * as grpc from '@grpc/grpc-js'
import { MalleeError } from '../common/errors.ts'
import { errorToStatus, statusToError } from './service.ts'

/** Both kinds of calls that have a stream in each direction. */
type Call<In, Out> = grpc.ClientDuplexStream<Out, In> | grpc.ServerDuplexStream<In, Out>

/** One end of such a stream. */
export interface Lane<In, Out> {
  /** Resolves when there is room for the next message. Throws Unavailable once it is over. */
  send(message: Out): Promise<void>
  /** The next message; null when the other side has ended well. Throws the other side's error. */
  next(): Promise<In | null>
  /** Ends it, with what the other side is to hear; what is under way is cut off. */
  close(error?: MalleeError): void
  /** Aborted once it is over, for whichever reason. */
  readonly gone: AbortSignal
}

/** `wrap` makes a message of what is sent; `unwrap` gets out what came, null what is misplaced. */
export function laneOf<In, Out, InMessage, OutMessage>(
  call: Call<InMessage, OutMessage>,
  wrap: (out: Out) => OutMessage,
  unwrap: (message: InMessage) => In | null,
): Lane<In, Out> {
  const gone = new AbortController()
  let failure: MalleeError | null = null
  let isClosedHere = false
  let hasEnded = false
  let wake: () => void = () => undefined

  const over = (error: MalleeError | null): void => {
    failure ??= error
    gone.abort()
    wake()
  }
  call.on('error', (error) => over(statusToError(error)))
  call.on('cancelled', () => over(null))
  call.on('close', () => over(null))
  // No iterator: one that waits destroys a stream that ends by an error, before that is sent.
  call.on('readable', () => wake())
  call.on('end', () => {
    hasEnded = true
    wake()
  })

  function ended(): MalleeError {
    return failure ?? new MalleeError('Unavailable', 'the other side hung up')
  }

  function close(error?: MalleeError): void {
    if (isClosedHere) return
    isClosedHere = true
    const { cancel } = call as Partial<Pick<grpc.ClientDuplexStream<unknown, unknown>, 'cancel'>>
    over(error ?? null)
    if (cancel !== undefined) cancel.call(call)
    // A server hangs up by saying how the call ended.
    else call.emit('error', errorToStatus(error ?? new MalleeError('Unavailable', 'it is over')))
  }

  return {
    gone: gone.signal,
    close,
    send: async (message) => {
      if (gone.signal.aborted) throw ended()
      if (call.write(wrap(message))) return
      await new Promise<void>((resolve) => {
        const done = (): void => {
          call.off('drain', done)
          gone.signal.removeEventListener('abort', done)
          resolve()
        }
        call.on('drain', done)
        gone.signal.addEventListener('abort', done)
      })
      if (gone.signal.aborted) throw ended()
    },
    next: async () => {
      for (;;) {
        if (isClosedHere) throw ended()
        const message = call.read() as InMessage | null
        if (message !== null) {
          const value = unwrap(message)
          if (value !== null) return value
          const error = new MalleeError('BadMessage', 'a message out of place')
          close(error)
          throw error
        }
        if (failure !== null) throw failure
        if (hasEnded) {
          over(null)
          return null
        }
        if (gone.signal.aborted) throw ended()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** Passes messages on between two lanes until one of them is over; then both are. */
export async function joinLanes<A, B>(below: Lane<A, B>, above: Lane<B, A>): Promise<void> {
  await Promise.all([pass(below, above), pass(above, below)])
}

async function pass<T>(
  from: Pick<Lane<T, unknown>, 'next' | 'close'>,
  to: Pick<Lane<unknown, T>, 'send' | 'close'>,
): Promise<void> {
  try {
    for (;;) {
      const message = await from.next()
      if (message === null) break
      await to.send(message)
    }
    to.close()
    from.close()
  } catch (error) {
    const why = statusToError(error)
    to.close(why)
    from.close(why)
  }
}
