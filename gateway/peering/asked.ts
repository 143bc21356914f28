// What a peer cloud asks for: whether it is heard at all, and the peering that comes of it. Of what
// it may not have it learns nothing but that.

import type { Connection } from '../../proto/gen/mallee/v1/peering_pb.js'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { isAllowed, isOpen } from './agreed.ts'
import { checkConnection } from './connection-form.ts'
import { hasEnded, isRemote, pendingMessage, type RemoteRecord } from './negotiation.ts'

/** How long a request waits (VPC quotas). */
export const EXPIRES_MS = 7 * 24 * 3_600_000
/** All that is said of a VPC that may not be had. */
export const HIDDEN = 'Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range'

/** A flood of requests makes no records without end: what is over the limit is not looked at. */
export function mayAsk(view: View, peer: PeerRecord, said: Connection): boolean {
  if (!isOpen(peer) || !checkConnection(said).ok) return false
  return remotesOf(view, peer.uid).length < 2 * peer.terms.limits.maxConnections
}

/** The peering as it begins here. One that may not be is told to its requester alone. */
export function asked(
  view: View,
  peer: PeerRecord,
  said: Connection,
  vpc: VpcRecord | null,
  nowMs: number,
): RemoteRecord {
  const { otherAccount: account, otherVpcId, id } = said
  const isFine = vpc?.account === account && isAllowed(peer, account) && hasRoom(view, peer)
  const accepter = { account, vpc: otherVpcId }
  return {
    id,
    requester: { account: '', vpc: '' },
    accepter: isFine ? accepter : { account: '', vpc: '' },
    state: isFine ? 'pending-acceptance' : 'failed',
    message: isFine ? pendingMessage(account) : HIDDEN,
    createdAtMs: nowMs,
    expiresAtMs: Math.min(Number(said.expiresAtMs), nowMs + EXPIRES_MS),
    endedAtMs: isFine ? null : nowMs,
    requesterDnsResolution: false,
    accepterDnsResolution: false,
    remote: {
      ...{ uid: peer.uid, side: 'accepter', account: said.account, vpc: said.vpcId },
      ...{ own: [], offers: [], seenAs: [], theirs: [], terms: '' },
      ...(isFine ? {} : { refused: accepter }),
    },
  }
}

/** Is one more peering with that cloud within both sides' limits? */
export function hasRoom(view: View, { uid, terms, card }: PeerRecord): boolean {
  const alive = remotesOf(view, uid).filter((one) => !hasEnded(one)).length
  return alive < Math.min(terms.limits.maxConnections, card.limits.maxConnections)
}

/** All peerings with that cloud, also those that have ended and are still to be seen. */
export function remotesOf(view: View, uid: string): readonly RemoteRecord[] {
  return view.by('peering', 'remote.uid', uid) as readonly RemoteRecord[]
}

/** Those with any other cloud whose side here is the VPC, likewise. */
export function remotesOfVpc(view: View, vpc: string): RemoteRecord[] {
  const ours = ['requester.vpc', 'accepter.vpc'] as const
  return ours.flatMap((side) => view.by('peering', side, vpc).filter(isRemote))
}
