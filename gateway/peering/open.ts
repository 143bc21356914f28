// Peering with other clouds as one thing for whoever builds a gateway: what it serves, the loops
// that tell peers what this side states, and what operators may do.

import { isIssuedBy } from '../../common/ca-bundle.ts'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { readIfThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { MAX_INVITATION_PLACES } from '../../common/peer-invitation.ts'
import { type CertificateAuthority, identityOfCertificate } from '../../common/pki.ts'
import type { HostAndPort } from '../../common/token.ts'
import type { Receipt } from '../../proto/gen/mallee/v1/peering_pb.js'
import { invitationService } from '../../proto/invitation-service.ts'
import { peeringService } from '../../proto/peering-service.ts'
import type { RpcService } from '../../proto/service.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import { filesOf, type GatewayConfig } from '../files.ts'
import { reachedAt } from '../serial/reached-at.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { State } from '../store/state.ts'
import { FAREWELL_MS } from './acts.ts'
import { hashOf } from './chain.ts'
import { ensureOwnCloud } from './cloud-card.ts'
import { Exchange } from './exchange.ts'
import { heard, noAgreement } from './heard.ts'
import { accepted, type InvitingParts, inspected } from './invitations.ts'
import type { PeeringMetrics } from './metrics.ts'
import { PeeringPort } from './port.ts'
import { positionOf, receiptsOf } from './positions.ts'

export interface PeeringParts {
  readonly state: State
  readonly config: Pick<
    GatewayConfig,
    'stateDir' | 'listenHost' | 'peeringPort' | 'reachableAt' | 'peeringReachableAt'
  >
  readonly ca: CertificateAuthority
  readonly identity: () => TlsIdentity
  readonly gateway: string
  readonly joinPort: () => number
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: PeeringMetrics
}

export interface Peering {
  /** For the join port. */
  readonly joinService: RpcService
  readonly inviting: InvitingParts
  /** What stands in the way with a peer, in this gateway's eyes; null when nothing does. */
  readonly trouble: (uid: string) => string | null
  /** True when the other knows all that is stated now, within a few seconds. */
  readonly tell: (uid: string) => Promise<boolean>
  /** The receipts that the other has given; throws what it refuses with, or Unavailable. */
  readonly receipts: (uid: string, epoch: string, after: number) => Promise<readonly Receipt[]>
  readonly stop: () => Promise<void>
}

const MAX_KNOWN = 1_000

export async function openPeering(parts: PeeringParts): Promise<Peering> {
  const { state, config, ca, identity, clock, randomHex, chance, log, metrics } = parts
  const next = await readIfThere(filesOf(config.stateDir).nextCaCertificate)
  const cas = [ca.certificatePem, ...(next === null ? [] : [next])] as const
  // Only who has peers needs it now; a next CA that was put there is announced to them.
  if (state.view().get('cloud', 'self')?.uid !== undefined) {
    await ensureOwnCloud(state, { cas, nowMs: clock.nowMs(), randomHex })
  }
  const refusals = new Map<string, string>()
  const service = peeringService(
    {
      caller: callerOf(state),
      deliver: async (uid, request) => {
        const answer = await heard({ state, clock, identity, log }, uid, request)
        refusals.delete(uid)
        return answer
      },
      position: (uid) => {
        exchange.hint(uid)
        return positionOf({ state, clock }, uid)
      },
      receipts: (uid, request) => receiptsOf(state, uid, request),
      refused: (uid, code, error) => {
        metrics.peerRefused(code)
        // A link that does not follow is how a restored backup is found.
        if (uid === null || code === 'StaleGeneration') return
        if (!refusals.has(uid)) log.warn('peer refused', { uid, code, error })
        refusals.set(uid, error instanceof Error ? error.message : code)
      },
    },
    { clock, log },
  )
  const places = (at: number) => placesOf(config, at)
  const port = new PeeringPort({
    ...{ state, service, identity, clock, chance, log },
    listen: { host: config.listenHost, port: config.peeringPort },
    reachedAt: places,
  })
  const exchange = new Exchange({ ...parts, delivered: metrics.peerDelivered })
  const inviting: InvitingParts = {
    ...{ state, clock, randomHex, log, cas },
    listening: () => port.listening(),
    joinPlaces: () => {
      const [first, ...others] = places(parts.joinPort())
      if (first === undefined) throw new MalleeError('Unavailable', 'this gateway has no address')
      return [first, ...others.slice(0, MAX_INVITATION_PLACES - 1)]
    },
  }
  return {
    inviting,
    joinService: invitationService(
      {
        inspect: (request) => inspected(inviting, request),
        accept: (request) => accepted(inviting, request),
      },
      { clock, log },
    ),
    trouble: (uid) => exchange.trouble(uid) ?? refusals.get(uid) ?? null,
    tell: (uid) => exchange.tell(uid, FAREWELL_MS),
    receipts: (uid, epoch, after) => exchange.receipts(uid, epoch, after),
    stop: async () => {
      await exchange.stop()
      await port.stop()
    },
  }
}

function placesOf(config: PeeringParts['config'], port: number): HostAndPort[] {
  const { listenHost, reachableAt, peeringReachableAt } = config
  return reachedAt({ listenHost, reachableAt: peeringReachableAt ?? reachableAt }, port)
}

/** Whose gateway has a certificate: the peer whose pinned CA made it, for that peer's name. */
function callerOf(state: State): (certificate: Uint8Array) => string {
  const known = new Map<string, { readonly uid: string; readonly ca: string }>()
  return (certificate) => {
    const view = state.view()
    const at = hashOf(certificate)
    const before = known.get(at)
    if (before !== undefined) {
      // Pinned, and there, also now.
      if (view.get('peer', before.uid)?.ca.certificates.includes(before.ca)) return before.uid
      known.delete(at)
    }
    const identity = identityOfCertificate(certificate)
    const fits = ({ card }: PeerRecord) =>
      identity.kind === 'gateway' && identity.cloud === card.name
    for (const peer of view.all('peer').filter(fits)) {
      const ca = peer.ca.certificates.find((pem) => isIssuedBy(certificate, pem))
      if (ca === undefined) continue
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(at, { uid: peer.uid, ca })
      return peer.uid
    }
    throw noAgreement()
  }
}
