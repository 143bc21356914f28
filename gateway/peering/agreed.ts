// What passes between this cloud and a peer cloud now: only what both sides' newest statements
// allow, in equal words.

import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import {
  type Connection,
  ConnectionState,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { PeeringRecord, RemotePeering } from '../store/network-records.ts'
import type { PeerRecord, PeerStatementRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'

export interface Agreed {
  readonly peering: PeeringRecord
  readonly remote: RemotePeering
  readonly theirs: Connection
}

/** The VPC peerings with a peer cloud through which packets may pass, by id. */
export function agreedWith(view: View, uid: string): Agreed[] {
  const peer = view.get('peer', uid)
  if (peer === null || !isOpen(peer)) return []
  return view.all('peering').flatMap((peering) => {
    const { remote, state, id } = peering
    if (remote?.uid !== uid || state !== 'active' || remote.terms === '') return []
    const theirs = connectionOf(view, uid, id)
    if (theirs?.state !== ConnectionState.ACTIVE || theirs.terms !== remote.terms) return []
    return [{ peering, remote, theirs }]
  })
}

/** Neither side has stopped it. */
export function isOpen({ state, card }: Pick<PeerRecord, 'state' | 'card'>): boolean {
  return state === 'active' && !card.suspended
}

/** What the other side states of a peering; null when nothing. */
export function connectionOf(view: View, uid: string, id: string): Connection | null {
  const record = view.get('peer-statement', uid, 'connection', id)
  // What came with a chain that has ended since holds no more.
  const holds = record !== null && record.epoch === view.get('peer', uid)?.heard.epoch
  const body = holds ? statementOf(record).body : undefined
  return body?.case === 'connection' ? body.value : null
}

function statementOf({ statement }: PeerStatementRecord): Statement {
  return fromJson(StatementSchema, statement as JsonValue, { ignoreUnknownFields: true })
}
