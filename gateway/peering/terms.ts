// What the two sides of a peering agree to, as one hash: equal at both only when each means the
// same prefixes for the same VPCs.

import { createHash } from 'node:crypto'
import { type TermsSide, termsText } from '../../topology/peering.ts'
import { ownSide } from './agreed.ts'
import type { RemoteRecord } from './negotiation.ts'

/** Lower-case hex SHA-256; all is chosen. `uid` is that of this cloud. */
export function termsOf(record: RemoteRecord, uid: string): string {
  const { id, remote } = record
  const here: TermsSide = { ...ownSide(record), uid, seenAs: remote.seenAs }
  const { account, vpc, theirs } = remote
  const there: TermsSide = { uid: remote.uid, account, vpc, seenAs: theirs }
  const [requester, accepter] = remote.side === 'requester' ? [here, there] : [there, here]
  return createHash('sha256')
    .update(termsText(id, requester, accepter))
    .digest('hex')
}
