// Sessions on serial consoles between members: the parent waits for the stream that its agent
// brings, the agent brings it, and a gateway asks the one that has the rack's session.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import {
  type AttachRequest,
  AttachRequestSchema,
  type AttachResponse,
  AttachResponseSchema,
  type OpenRequest,
  OpenRequestSchema,
  type OpenResponse,
  OpenResponseSchema,
  type SerialFrame,
  SerialService,
  type SerialTarget,
  SerialTargetSchema,
} from './gen/mallee/v1/serial_pb.js'
import { type Frames, framesOf, joinFrames } from './serial-frames.ts'
import {
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
  statusToError,
} from './service.ts'
import { peerIdentity } from './tls.ts'

/** Sessions that one parent waits for at a time. */
const MAX_EXPECTED = 256
const FIRST_MESSAGE_MS = 5_000

interface Expected {
  readonly from: (peer: Identity) => boolean
  readonly take: (frames: Frames) => void
}

/** Where a parent's agents bring the streams of the sessions that it asked them for. */
export class SerialDesk {
  readonly #clock: Clock
  readonly #expected = new Map<string, Expected>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Waits for the stream of a session; who brings it must be `from`. Null when nobody does within
   * `timeoutMs`, or when the signal aborts first. Throws TooManyRequests when too many are awaited.
   */
  async expect(
    session: string,
    from: (peer: Identity) => boolean,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Frames | null> {
    if (this.#expected.size >= MAX_EXPECTED) {
      throw new MalleeError('TooManyRequests', `${MAX_EXPECTED} serial consoles are being opened`)
    }
    const over = new AbortController()
    const abort = (): void => over.abort()
    signal.addEventListener('abort', abort, { once: true })
    let found: Frames | null = null
    const take = (frames: Frames): void => {
      found = frames
      over.abort()
    }
    this.#expected.set(session, { from, take })
    if (signal.aborted) abort()
    await this.#clock.sleep(timeoutMs, over.signal)
    this.#expected.delete(session)
    signal.removeEventListener('abort', abort)
    return found
  }

  /** Throws NotFound for a session that nobody waits for, NotAllowed for another one's. */
  bring(session: string, peer: Identity, frames: () => Frames): void {
    const expected = this.#expected.get(session)
    if (expected === undefined) throw new MalleeError('NotFound', 'nobody waits for this session')
    if (!expected.from(peer)) throw new MalleeError('NotAllowed', 'the session is of another host')
    this.#expected.delete(session)
    expected.take(frames())
  }
}

/** Opens a session for another gateway; the frames are its. Throws MalleeError. */
export type OpenForGateway = (caller: Identity, target: SerialTarget) => Promise<Frames>

/** The parent's service. `openFor` is null on a CC. */
export function serialService(desk: SerialDesk, openFor: OpenForGateway | null): RpcService {
  const open = new Set<Frames>()

  function track(frames: Frames): Frames {
    open.add(frames)
    return {
      ...frames,
      listen: ({ frame, over }) => {
        const gone = (error: MalleeError | null): void => {
          open.delete(frames)
          over(error)
        }
        frames.listen({ frame, over: gone })
      },
    }
  }

  function attach(call: grpc.ServerDuplexStream<AttachRequest, AttachResponse>): void {
    withFirst(call, async ({ body }) => {
      if (body.case !== 'session') throw new MalleeError('BadMessage', 'the session comes first')
      const frames = () => track(framesOf(call, attachResponse, frameIn))
      desk.bring(body.value, peerIdentity(call), frames)
    })
  }

  function openHere(call: grpc.ServerDuplexStream<OpenRequest, OpenResponse>): void {
    withFirst(call, async ({ body }) => {
      if (body.case !== 'target') throw new MalleeError('BadMessage', 'the target comes first')
      if (openFor === null) throw new MalleeError('NotSupported', 'this is no gateway')
      const host = await openFor(peerIdentity(call), body.value)
      void joinFrames(track(framesOf(call, openResponse, frameIn)), host)
    })
  }

  return {
    definition: serviceDefinition(SerialService),
    implementation: { attach, open: openHere },
    drain: async (reason) => {
      for (const frames of open) frames.end(reason)
    },
  }
}

/** Brings the stream of a session to the parent, over the connection of the agent's session. */
export function attachSerial(connection: grpc.Client, session: string): Frames {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    SerialService.method.attach,
  )
  const call = connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  call.write(create(AttachRequestSchema, { body: { case: 'session', value: session } }))
  return framesOf(call, attachRequest, ({ frame }) => frame)
}

/** Asks a gateway for a session with a host of a rack whose session it has. */
export function openAtGateway(
  connection: grpc.Client,
  target: Omit<SerialTarget, '$typeName' | '$unknown'>,
): Promise<Frames> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    SerialService.method.open,
  )
  const call = connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  const value = create(SerialTargetSchema, target)
  call.write(create(OpenRequestSchema, { body: { case: 'target', value } }))
  return new Promise((resolve, reject) => {
    const refused = (error: Error): void => reject(statusToError(error))
    call.on('error', refused)
    call.on('end', () => refused(new MalleeError('Unavailable', 'the gateway hung up')))
    // Whose host has the port says at once how much it takes.
    call.once('data', (first: OpenResponse) => {
      call.pause()
      resolve(framesOf(call, openRequest, ({ frame }) => frame, first))
    })
  })
}

function attachRequest(value: SerialFrame): AttachRequest {
  return create(AttachRequestSchema, { body: { case: 'frame', value } })
}

function attachResponse(frame: SerialFrame): AttachResponse {
  return create(AttachResponseSchema, { frame })
}

function openRequest(value: SerialFrame): OpenRequest {
  return create(OpenRequestSchema, { body: { case: 'frame', value } })
}

function openResponse(frame: SerialFrame): OpenResponse {
  return create(OpenResponseSchema, { frame })
}

function frameIn({ body }: AttachRequest | OpenRequest): SerialFrame | undefined {
  return body.case === 'frame' ? body.value : undefined
}

/** The first message of a call; the rest waits. What `run` throws is the call's end. */
function withFirst<In, Out>(
  call: grpc.ServerDuplexStream<In, Out>,
  run: (message: In) => Promise<void>,
): void {
  const fail = (error: unknown): void => void call.emit('error', errorToStatus(error))
  const late = new MalleeError('BadMessage', 'nothing came')
  const timer = setTimeout(() => fail(late), FIRST_MESSAGE_MS)
  const ignore = (): void => clearTimeout(timer)
  call.on('error', ignore)
  call.on('cancelled', ignore)
  call.once('data', (message: In) => {
    clearTimeout(timer)
    call.pause()
    run(message).catch(fail)
  })
}
