// What of the peering actions is about a VPC of a peer cloud: PeerRegion is that cloud's region, as
// it is called here. What comes of it is gateway/peering's.

import { ApiError } from '../aws/api-error.ts'
import { isAllowed, isOpen, ownSide } from '../peering/agreed.ts'
import { EXPIRES_MS, hasRoom } from '../peering/asked.ts'
import { hasEnded, isRemote, type RemoteRecord } from '../peering/negotiation.ts'
import { offersOf } from '../peering/offers.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { badValue } from './input.ts'

export interface RemoteWish {
  readonly vpc: VpcRecord
  readonly account: string
  readonly peerOwnerId: string | undefined
  readonly peerVpcId: string
}

/** The peer cloud whose region it is; null for this cloud's own. Throws InvalidParameterValue. */
export function peerOfRegion(
  view: View,
  asked: string | undefined,
  own: string,
): PeerRecord | null {
  if (asked === undefined || asked === own) return null
  const peers = view.all('peer')
  const peer = peers.find((one) => one.region === asked)
  if (peer !== undefined) return peer
  const known = [own, ...peers.map((one) => one.region)].join(', ')
  throw badValue('PeerRegion', asked, `This cloud and its peers are the regions ${known}.`)
}

/** A request as it begins: the peer cloud has not heard of it yet. */
export function requestOf(
  view: View,
  peer: PeerRecord,
  id: string,
  wish: RemoteWish,
  nowMs: number,
): RemoteRecord {
  const { vpc, account, peerOwnerId, peerVpcId } = wish
  const { name } = peer.terms
  if (peerOwnerId === undefined) {
    const text = `The request must contain the parameter PeerOwnerId: an account of ${name}`
    throw new ApiError('MissingParameter', text)
  }
  if (!/^\d{12}$/.test(peerOwnerId)) {
    throw badValue('PeerOwnerId', peerOwnerId, 'An account is 12 digits.')
  }
  checkMayPeer(view, peer, account)
  const other = alive(view, vpc.id).find(({ remote }) => remote.vpc === peerVpcId)
  if (other !== undefined) {
    const text = `A peering of ${vpc.id} and ${peerVpcId} is there: ${other.id} is ${other.state}`
    throw new ApiError('VpcPeeringConnectionAlreadyExists', text)
  }
  return {
    id,
    requester: { account, vpc: vpc.id },
    accepter: { account: '', vpc: '' },
    state: 'initiating-request',
    message: `Initiating Request to ${peerOwnerId}`,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + EXPIRES_MS,
    endedAtMs: null,
    requesterDnsResolution: false,
    accepterDnsResolution: false,
    remote: {
      ...{ uid: peer.uid, side: 'requester', account: peerOwnerId, vpc: peerVpcId },
      ...offersOf(view, peer, vpc),
      ...{ seenAs: [], theirs: [], terms: '' },
    },
  }
}

/** As its accepter has agreed: prefixes are being chosen from now on. */
export async function acceptRemote(
  tx: Transaction,
  view: View,
  record: RemoteRecord,
  vpc: VpcRecord,
): Promise<RemoteRecord> {
  const peer = await tx.get('peer', record.remote.uid)
  if (peer === null) {
    const text = `The peer cloud of ${record.id} has no agreement with this one any more`
    throw new ApiError('OperationNotPermitted', text)
  }
  checkMayPeer(view, peer, vpc.account, record.id)
  const remote = { ...record.remote, ...offersOf(view, peer, vpc) }
  return { ...record, state: 'provisioning', message: 'Provisioning', remote }
}

function checkMayPeer(view: View, peer: PeerRecord, account: string, own = ''): void {
  const { name } = peer.terms
  const no = (text: string): ApiError => new ApiError('OperationNotPermitted', text)
  if (!isAllowed(peer, account)) throw no(`The account ${account} may not peer with ${name}`)
  if (!isOpen(peer)) throw no(`The agreement with ${name} is suspended`)
  // One that waits here has its place already.
  if (own !== '' || hasRoom(view, peer)) return
  const most = Math.min(peer.terms.limits.maxConnections, peer.card.limits.maxConnections)
  const text = `There are as many peerings with ${name} as both sides allow: ${most}`
  throw new ApiError('VpcPeeringConnectionsPerVpcLimitExceeded', text)
}

function alive(view: View, vpc: string): RemoteRecord[] {
  const ours = (one: PeeringRecord): boolean => ownSide(one).vpc === vpc
  return view
    .all('peering')
    .filter((one): one is RemoteRecord => isRemote(one) && ours(one) && !hasEnded(one))
}
