// The way from a gateway to an instance's serial port: by the session of its rack, which is open
// here or at another gateway. Then that one is dialled, and passes the frames on.

import { create } from '@bufbuild/protobuf'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { type Code, codeOf, MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import type { SerialTarget } from '../../proto/gen/mallee/v1/serial_pb.js'
import { CommandSchema, OpenSerialSchema } from '../../proto/gen/mallee/v1/session_pb.js'
import { openAtGateway, type SerialDesk } from '../../proto/serial.ts'
import type { Frames } from '../../proto/serial-frames.ts'
import { SerialStream } from '../../proto/serial-stream.ts'
import { connected, dial } from '../../proto/service.ts'
import type { OpenSession } from '../../proto/session.ts'
import { clientCredentials, type TlsIdentity } from '../../proto/tls.ts'
import { leasesOf } from '../federation/leases.ts'
import type { Sessions } from '../federation/sessions.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'

/** For the host to have the port and bring the stream, in milliseconds. */
const OPEN_MS = 10_000
/** For a connection to another gateway, at each of its addresses. */
const DIAL_MS = 2_000
const SESSION_BYTES = 16
const COMMAND_BYTES = 8
const CODE = /^[A-Z][A-Za-z]{1,39}$/

export interface SerialLinesParts {
  readonly state: State
  readonly sessions: Sessions
  readonly desk: SerialDesk
  /** This gateway's name, as leases have it. */
  readonly gateway: string
  readonly cloud: string
  readonly identity: () => TlsIdentity
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

export interface SerialLines {
  /**
   * The bytes of an instance's serial port. Throws Conflict when somebody has it, RackAway when
   * nobody reaches its host, and the host's own error.
   */
  readonly open: (instance: InstanceRecord) => Promise<SerialStream>
  /** The same for another gateway, which must name this one. */
  readonly openFor: (caller: Identity, target: SerialTarget) => Promise<Frames>
}

export function serialLines(parts: SerialLinesParts): SerialLines {
  const { state, sessions, desk, gateway, cloud, clock, randomHex, log } = parts

  return {
    open: async ({ id, rack, host }) => {
      const target = { rack, host, instanceId: id }
      const session = sessions.ofRack(rack)
      const frames = await (session === null ? openElsewhere(target) : openHere(session, target))
      return new SerialStream(frames)
    },
    openFor: async (caller, target) => {
      if (caller.kind !== 'gateway') throw new MalleeError('NotAllowed', 'only gateways may ask')
      const session = sessions.ofRack(target.rack)
      if (target.gateway !== gateway || session === null) {
        throw new MalleeError(
          'RackAway',
          `gateway ${gateway} has no session of rack ${target.rack}`,
        )
      }
      return openHere(session, target)
    },
  }

  async function openHere(session: OpenSession, target: Target): Promise<Frames> {
    const { rack, host, instanceId } = target
    const name = randomHex(SESSION_BYTES)
    const refused = new AbortController()
    const brought = desk.expect(name, (peer) => isCcOf(peer, rack), OPEN_MS, refused.signal)
    try {
      const value = create(OpenSerialSchema, { instanceId, session: name })
      const body = { case: 'openSerial', value } as const
      const id = randomHex(COMMAND_BYTES)
      const command = create(CommandSchema, { id, host, timeoutMs: OPEN_MS, body })
      const { errorCode, errorMessage } = await session.command(command)
      if (errorCode !== '') throw refusal(errorCode, errorMessage)
    } catch (error) {
      refused.abort()
      // Its stream may have been faster than its refusal.
      void brought.then((frames) => frames?.end('the session was refused'))
      throw error
    }
    const frames = await brought
    if (frames !== null) return frames
    throw new MalleeError('RackAway', `host ${host} of rack ${rack} brought no stream in time`)
  }

  function isCcOf(peer: Identity, rack: string): boolean {
    return peer.kind === 'host' && peer.rack === rack && peer.roles.includes('cc')
  }

  async function openElsewhere(target: Target): Promise<Frames> {
    const [lease] = leasesOf(await state.fresh(), target.rack)
    if (lease === undefined || lease.gateway === gateway) {
      throw new MalleeError('RackAway', `rack ${target.rack} is not connected`)
    }
    for (const { host, port } of lease.reachedAt ?? []) {
      try {
        return await openAt(host, port, { gateway: lease.gateway, ...target })
      } catch (error) {
        const code = codeOf(error)
        if (code !== 'Unavailable' && code !== 'RackAway' && code !== 'NotAllowed') throw error
        log.info('no way to a gateway', { gateway: lease.gateway, host, port, error })
      }
    }
    const sentence = `gateway ${lease.gateway} has the session of rack ${target.rack} and cannot be reached from here`
    throw new MalleeError('RackAway', sentence)
  }

  async function openAt(
    host: string,
    port: number,
    target: Target & { readonly gateway: string },
  ): Promise<Frames> {
    const isMeant = (peer: Identity): boolean => peer.kind === 'gateway' && peer.cloud === cloud
    const connection = dial(host, port, clientCredentials(parts.identity(), isMeant))
    try {
      await connected(connection, clock.nowMs() + DIAL_MS)
      const frames = await openAtGateway(connection, target)
      return closing(frames, () => connection.close())
    } catch (error) {
      connection.close()
      throw error
    }
  }
}

type Target = Pick<SerialTarget, 'rack' | 'host' | 'instanceId'>

/** The same frames; what they went over is closed when they are over. */
function closing(frames: Frames, close: () => void): Frames {
  return {
    ...frames,
    listen: ({ frame, over }) =>
      frames.listen({
        frame,
        over: (error) => {
          close()
          over(error)
        },
      }),
  }
}

/** As the host said it. Its code may be one of a newer version. */
function refusal(code: string, message: string): MalleeError {
  return new MalleeError(CODE.test(code) ? (code as Code) : 'Unavailable', message)
}
