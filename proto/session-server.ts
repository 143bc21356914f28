// The parent's end of the federation: the Session service, and which sessions are open. An agent
// has one session: a newer one ends the older, which a broken line may have left half open.

import type * as grpc from '@grpc/grpc-js'
import { MalleeError } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import {
  type SessionRequest,
  type SessionResponse,
  SessionService,
} from './gen/mallee/v1/session_pb.js'
import { ParentSession, type SessionTiming } from './parent-session.ts'
import { errorToStatus, type RpcService, serviceDefinition } from './service.ts'
import type { ParentEnd } from './session.ts'
import { peerIdentity, peerKeyFingerprint } from './tls.ts'

const MAX_SESSIONS = 10_000

/** The service for startRpcServer. Both intervals go to the agents with their welcome. */
export function sessionService(parent: ParentEnd, timing: SessionTiming): RpcService {
  /** Every stream, also before its welcome. */
  const streams = new Set<ParentSession>()
  const open = new Map<string, ParentSession>()

  function session(call: grpc.ServerDuplexStream<SessionRequest, SessionResponse>): void {
    let agent: Identity
    let fingerprint: string
    try {
      agent = peerIdentity(call)
      fingerprint = peerKeyFingerprint(call)
      if (streams.size >= MAX_SESSIONS) {
        throw new MalleeError('TooManyRequests', `${MAX_SESSIONS} sessions are open`)
      }
    } catch (error) {
      timing.log.warn('session refused', { error })
      call.emit('error', errorToStatus(error))
      return
    }
    const name = agent.kind === 'host' ? `${agent.rack}/${agent.host}` : agent.kind
    streams.add(
      new ParentSession(call, {
        ...timing,
        parent,
        agent,
        keyFingerprint: fingerprint,
        supersede: (newer) => {
          const older = open.get(name)
          if (older !== undefined) timing.log.warn('session superseded', { agent })
          older?.end(null)
          open.set(name, newer)
        },
        ended: (gone) => {
          streams.delete(gone)
          if (open.get(name) === gone) open.delete(name)
        },
      }),
    )
  }

  return {
    definition: serviceDefinition(SessionService),
    implementation: { session },
    drain: async (reason) => {
      await Promise.all([...streams].map((stream) => stream.close(reason)))
    },
  }
}
