// A session frame by frame, for tests that say what no SessionClient says.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { MalleeError } from '../../common/errors.ts'
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionService,
} from '../../proto/gen/mallee/v1/session_pb.js'
import { dial, methodDefinition, statusToError } from '../../proto/service.ts'
import { clientCredentials, type TlsIdentity } from '../../proto/tls.ts'

export interface RawSession {
  readonly frames: SessionResponse['body'][]
  readonly error: () => MalleeError | null
  readonly ended: () => boolean
  send(body: NonNullable<MessageInitShape<typeof SessionRequestSchema>['body']>): void
  sendMessage(message: SessionRequest): void
  pause(): void
  close(): void
}

export const HELLO = {
  case: 'hello',
  value: { minProtocol: 1, maxProtocol: 1, incarnation: 'raw', clockMs: 0n },
} as const

export function openRaw(port: number, identity: TlsIdentity): RawSession {
  const connection = dial(
    '127.0.0.1',
    port,
    clientCredentials(identity, () => true),
  )
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    SessionService.method.session,
  )
  const call = connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  const frames: SessionResponse['body'][] = []
  let error: MalleeError | null = null
  let ended = false
  call.on('data', ({ body }: SessionResponse) => frames.push(body))
  call.on('error', (cause) => {
    error = statusToError(cause)
    ended = true
  })
  call.on('end', () => {
    ended = true
  })
  return {
    frames,
    error: () => error,
    ended: () => ended,
    send: (body) => {
      call.write(create(SessionRequestSchema, { body }))
    },
    sendMessage: (message) => {
      call.write(message)
    },
    pause: () => {
      call.pause()
    },
    close: () => {
      call.cancel()
      connection.close()
    },
  }
}
