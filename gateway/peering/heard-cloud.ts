// What a peer cloud says of itself is taken over: its card, its limits, whether it has stopped, and
// newer CAs, for which the connection vouches that the message came over.

import { MalleeError } from '../../common/errors.ts'
import { caDigest } from '../../common/pki.ts'
import type { CloudStatement } from '../../proto/gen/mallee/v1/peering_pb.js'
import type { CaBundleRecord, PeerRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import { checkedCard } from './cloud-card.ts'
import { limitsRecord } from './limits.ts'
import { checkOther } from './new-peer.ts'

/** Throws BadMessage for another cloud's card or name, Conflict for CAs that are another's. */
export function withCloud(view: View, peer: PeerRecord, statement: CloudStatement): PeerRecord {
  const other = checkedCard(statement.card)
  // The name is what its certificates are checked for; the uid is what it is known by.
  if (other.uid !== peer.uid || other.name !== peer.card.name) {
    const sentence = `the card is that of ${other.name}, and the caller is ${peer.card.name}`
    throw new MalleeError('BadMessage', sentence)
  }
  checkOther(view, other)
  const { region, endpoints, usedPrefixes } = other
  const { suspended, ended } = statement
  const card = {
    ...{ name: other.name, region, endpoints, usedPrefixes },
    ...{ limits: limitsRecord(statement.limits), suspended: suspended || ended },
    ...(ended && { ended: true as const }),
  }
  return { ...peer, card, ca: newerBundle(peer.ca, other.ca) }
}

/** An older one comes back with a restored backup: what is pinned stays. */
function newerBundle(pinned: CaBundleRecord, said: CaBundleRecord): CaBundleRecord {
  if (said.sequence > pinned.sequence) return said
  if (said.sequence < pinned.sequence || sameCas(pinned, said)) return pinned
  const sentence = `it states other CAs than before under the same sequence ${said.sequence}`
  throw new MalleeError('CaMismatch', sentence)
}

function sameCas(a: CaBundleRecord, b: CaBundleRecord): boolean {
  const [some, others] = [a, b].map((one) => one.certificates.map(caDigest).sort().join())
  return some === others
}
