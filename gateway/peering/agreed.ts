// What passes between this cloud and a peer cloud now: only what both sides' newest statements
// allow, in equal words.

import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import {
  type Connection,
  ConnectionState,
  type Statement,
  StatementSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type {
  FormerTerms,
  PeeringRecord,
  PeeringSide,
  RemotePeering,
} from '../store/network-records.ts'
import type { PeerRecord, PeerStatementRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'

export interface Agreed {
  readonly peering: PeeringRecord
  /** Its prefixes are those of the newest terms that both state. */
  readonly remote: RemotePeering
  readonly theirs: Connection
}

/** A record stays the same object until it changes: each is read once. */
const read = new WeakMap<PeerStatementRecord, Statement>()
/** The same object while the peering's record is the same. */
const formerly = new WeakMap<
  FormerTerms,
  { readonly of: RemotePeering; readonly remote: RemotePeering }
>()

/** The VPC peerings with a peer cloud through which packets may pass, by id. */
export function agreedWith(view: View, uid: string): Agreed[] {
  return view.by('peering', 'remote.uid', uid).flatMap((one) => agreedOn(view, one) ?? [])
}

/** One of them; null when nothing passes there. */
export function agreedOn(view: View, peering: PeeringRecord): Agreed | null {
  const { remote, state, id } = peering
  if (remote === undefined || state !== 'active') return null
  const peer = view.get('peer', remote.uid)
  if (peer === null || !isOpen(peer) || !isAllowed(peer, ownSide(peering).account)) return null
  const theirs = connectionOf(view, remote.uid, id)
  const inForce = theirs === null ? null : inForceOf(remote, theirs)
  return theirs === null || inForce === null ? null : { peering, remote: inForce, theirs }
}

/** Does the other side state that it agrees to these terms? */
export function states(theirs: Connection, terms: string): boolean {
  const all = [theirs.terms, ...theirs.formerTerms]
  return theirs.state === ConnectionState.ACTIVE && terms !== '' && all.includes(terms)
}

/**
 * The peering as the newest terms that both state have it; null when there are none. Of former ones
 * only what is still meant: a block that has gone, or is seen as something else by now, is out.
 */
export function inForceOf(remote: RemotePeering, theirs: Connection): RemotePeering | null {
  if (states(theirs, remote.terms)) return remote
  const former = remote.former?.find(({ terms }) => states(theirs, terms))
  if (former === undefined) return null
  const known = formerly.get(former)
  if (known?.of === remote) return known.remote
  const kept = former.own.flatMap((own, i) => {
    const at = remote.own.indexOf(own)
    const seenAs = former.seenAs[i]
    if (at < 0 || seenAs === undefined || remote.seenAs[at] !== seenAs) return []
    return [{ own, seenAs, offers: remote.offers[at] ?? [] }]
  })
  const then: RemotePeering = {
    ...remote,
    own: kept.map(({ own }) => own),
    offers: kept.map(({ offers }) => offers),
    seenAs: kept.map(({ seenAs }) => seenAs),
    theirs: former.theirs.filter((cidr) => remote.theirs.includes(cidr)),
    terms: former.terms,
  }
  formerly.set(former, { of: remote, remote: then })
  return then
}

/** The VPC here of a peering with another cloud, and who has it. */
export function ownSide({ requester, accepter, remote }: PeeringRecord): PeeringSide {
  return remote?.side === 'accepter' ? accepter : requester
}

/** May the account have peerings with that cloud? */
export function isAllowed({ terms }: Pick<PeerRecord, 'terms'>, account: string): boolean {
  return terms.accounts === null || terms.accounts.includes(account)
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

/** What the other side states of all peerings. */
export function connectionsOf(view: View, uid: string): Connection[] {
  return statementsOf(view, uid, 'connection').flatMap(({ body }) =>
    body.case === 'connection' ? body.value : [],
  )
}

/** What the other side states under a key; null when nothing. */
export function statementAt(view: View, uid: string, key: string): Statement | null {
  const record = view.get('peer-statement', uid, ...key.split('/'))
  const holds = record !== null && record.epoch === view.get('peer', uid)?.heard.epoch
  return holds ? statementOf(record) : null
}

/** All of a kind that the other side states, as far as it holds. */
export function statementsOf(view: View, uid: string, kind: 'border' | 'connection'): Statement[] {
  const epoch = view.get('peer', uid)?.heard.epoch
  return view
    .under('peer-statement', uid, kind)
    .filter((record) => record.epoch === epoch)
    .map(statementOf)
}

function statementOf(record: PeerStatementRecord): Statement {
  const known = read.get(record)
  if (known !== undefined) return known
  const json = record.statement as JsonValue
  const statement = fromJson(StatementSchema, json, { ignoreUnknownFields: true })
  read.set(record, statement)
  return statement
}
