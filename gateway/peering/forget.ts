// Nothing of a peer cloud is left. Its peerings end as soon as there is no peer: connections.ts.

import { PEER_NUMBER_POOL } from '../pools.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { Kind } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { auditKey } from './audit.ts'

/** Keys that one transaction deletes at most. */
const MOST = 1_000

/** Deletes all that is kept of the peer; doing it again is going on with it. */
export async function forgetPeer(state: State, uid: string): Promise<void> {
  while (!(await state.update((tx) => forgetPart(state, tx, uid))));
}

/** False while there is more. The record itself goes last, with its number. */
async function forgetPart(state: State, tx: Transaction, uid: string): Promise<boolean> {
  const peer = await tx.get('peer', uid)
  if (peer === null) return true
  const keys = keysOf(await state.fresh(), peer)
  for (const [kind, ...id] of keys.slice(0, MOST)) await tx.delete(kind, ...id)
  if (keys.length > MOST) return false
  await tx.delete('peer-chain', uid)
  await tx.delete('peer', uid)
  await tx.pool(PEER_NUMBER_POOL).give(peer.number)
  return true
}

function keysOf(view: View, { uid, number }: PeerRecord): [Kind, ...string[]][] {
  return [
    ...view
      .withPrefix('peer-link', `${number}/`)
      .map(({ rack, host }): [Kind, ...string[]] => ['peer-link', String(number), rack, host]),
    // Who used one may repeat that, but not after the end.
    ...view
      .all('peer-invitation')
      .filter(({ used }) => used?.uid === uid)
      .map(({ id }): [Kind, ...string[]] => ['peer-invitation', id]),
    ...view
      .withPrefix('peer-statement', `${uid}/`)
      .map(({ key }): [Kind, ...string[]] => ['peer-statement', uid, ...key.split('/')]),
    ...view
      .withPrefix('stated', `${uid}/`)
      .map(({ key }): [Kind, ...string[]] => ['stated', uid, ...key.split('/')]),
    ...view
      .withPrefix('peer-audit', `${uid}/`)
      .map(({ sequence }): [Kind, ...string[]] => ['peer-audit', uid, auditKey(sequence)]),
  ]
}
