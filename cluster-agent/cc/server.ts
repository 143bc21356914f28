// What a CC serves to its rack's nodes: their sessions, image bytes, and joins that it relays.

import { chance, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import { blobService } from '../../proto/blob.ts'
import { askRenewal, memberService, type Parents, RELAY_MS, sayLeave } from '../../proto/member.ts'
import { relayMembership } from '../../proto/membership-client.ts'
import { membershipService } from '../../proto/membership-server.ts'
import { neighbourService } from '../../proto/neighbours.ts'
import { RenewableServer } from '../../proto/renewable-server.ts'
import { type SerialDesk, serialService } from '../../proto/serial.ts'
import { address, type RpcService } from '../../proto/service.ts'
import { SESSION_TIMING } from '../../proto/session.ts'
import { sessionService } from '../../proto/session-server.ts'
import { snapshotBlocksService } from '../../proto/snapshot-blocks.ts'
import { type Offered, storageService } from '../../proto/storage.ts'
import { clientCredentials, type SecuredCall, type TlsIdentity } from '../../proto/tls.ts'
import type { AgentConfig } from '../config.ts'
import type { HostRoles } from '../host-roles.ts'
import { isParentOf } from '../parent.ts'
import { relaySnapshotBlocks, type SnapshotLink } from '../sc/snapshot-relay.ts'
import type { Nodes } from './nodes.ts'

const LOOK_EVERY_MS = 60_000

export interface NodeServerParts {
  readonly config: AgentConfig
  /** The newest. */
  readonly identity: () => TlsIdentity
  readonly roles: HostRoles
  /** Who may have images and say what they have; the name. Throws NotAllowed. */
  readonly admit: (call: SecuredCall) => string
  readonly nodes: Nodes
  /** Where nodes bring the bytes of serial consoles. */
  readonly desk: SerialDesk
  /** Takes streams of storage of the rack's other hosts. */
  readonly offered: (offered: Offered) => Promise<void>
  /** Of the session with the gateway. */
  readonly connection: SnapshotLink['connection']
  readonly log: Log
}

export interface NodeServer {
  /** There is another certificate: opens the server anew with it. Nodes redial. */
  readonly renewed: () => void
  /** Why it is not open; null when it is. */
  readonly trouble: () => string | null
  readonly close: () => Promise<void>
}

/** Throws Unavailable when a port cannot be had. */
export async function startNodeServer(parts: NodeServerParts): Promise<NodeServer> {
  const server = makeServer(parts)
  await server.ensure()
  const loop = new Loop({
    name: 'node server',
    pass: () => server.ensure(),
    everyMs: LOOK_EVERY_MS,
    clock: systemClock,
    chance,
    log: parts.log,
  })
  loop.start()
  return {
    renewed: () => loop.wake(),
    trouble: () => loop.trouble(),
    close: async () => {
      await loop.stop()
      await server.close()
    },
  }
}

function makeServer(parts: NodeServerParts): RenewableServer {
  const { config, identity, roles, admit, nodes, desk, offered, connection, log } = parts
  const clock = systemClock
  const isGateway = isParentOf(config)
  const upward: Parents = {
    endpoints: config.parents,
    credentials: () => clientCredentials(identity(), isGateway),
    clock,
    timeoutMs: RELAY_MS,
  }
  const gateways = config.parents.map(({ host, joinPort: port }) => ({ host, port }))
  return new RenewableServer({
    sessionAddress: address(config.listenHost, config.sessionPort),
    joinAddress: address(config.listenHost, config.joinPort),
    identity,
    log,
    sessionServices: [
      sessionService(nodes.parentEnd(), {
        clock,
        log,
        ...SESSION_TIMING,
      }),
      ...imageServices(),
      serialService(desk, null),
      storageService({ offered }, clock),
      snapshotBlocksService(relaySnapshotBlocks({ connection, clock }, admit)),
      memberService({
        leave: async (caller, host) => {
          checkCaller(caller, host)
          await sayLeave(upward, host)
          nodes.forget(host)
        },
        renew: async (caller, request) => {
          checkCaller(caller, request.host)
          return askRenewal(upward, request)
        },
      }),
    ],
    // A node's join goes on to the gateway as it came; the token is checked there.
    joinServices: [
      membershipService(relayMembership(identity().caPem, gateways, isGateway, clock), {
        clock,
        log,
        sessionPort: () => config.sessionPort,
      }),
    ],
  })

  function imageServices(): RpcService[] {
    const { images } = roles
    if (images === null) return []
    const { holders, end } = images
    const announced = holders.set.bind(holders)
    const of = holders.of.bind(holders)
    return [blobService({ ...end, admit }), neighbourService({ admit, announced, of })]
  }

  /** The gateway takes the word of a CC for its nodes: they are only to speak for themselves. */
  function checkCaller(caller: Identity, host: string): void {
    if (caller.kind === 'host' && caller.host === host && caller.rack === config.rack) return
    throw new MalleeError('NotAllowed', `only ${host} itself can ask that of its CC`)
  }
}
