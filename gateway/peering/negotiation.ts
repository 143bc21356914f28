// What becomes of a VPC peering with a peer cloud, from what both sides state. Pure. Both sides run
// it until neither has anything to do: the requester asks, the accepter's user agrees, each chooses
// by which prefixes it sees the other, and both state the terms that come of it.

import { type Connection, ConnectionState } from '../../proto/gen/mallee/v1/peering_pb.js'
import { never } from '../../topology/result.ts'
import type { PeeringRecord, RemotePeering } from '../store/network-records.ts'
import { checkConnection } from './connection-form.ts'
import { termsOf } from './terms.ts'

export type RemoteRecord = PeeringRecord & { readonly remote: RemotePeering }

export type Step =
  | { readonly kind: 'none' }
  | { readonly kind: 'put'; readonly record: RemoteRecord }
  /** One of these becomes what the other's block is seen as: the first that is free here. */
  | {
      readonly kind: 'choose'
      readonly index: number
      readonly candidates: readonly string[]
      readonly former: string
    }
  /** The other sees an own block as this: nobody else here may have it. */
  | {
      readonly kind: 'hold'
      readonly index: number
      readonly cidr: string
      readonly former: string
    }
  /** What is held here for nothing goes, and the record is this. */
  | { readonly kind: 'release'; readonly cidrs: readonly string[]; readonly record: RemoteRecord }

const NONE: Step = { kind: 'none' }
const MAX_MESSAGE_CHARS = 200

/** One step; `theirs` is what the other states of it now, null when nothing. */
export function advance(
  record: RemoteRecord,
  theirs: Connection | null,
  peer: { readonly name: string; readonly ownUid: string },
  nowMs: number,
): Step {
  if (hasEnded(record)) return releaseOf(record)
  if (theirs === null) return withdrawn(record, peer.name, nowMs)
  if (!isOfSame(record, theirs)) return NONE
  switch (theirs.state) {
    case ConnectionState.REQUESTED:
    case ConnectionState.ACCEPTED:
    case ConnectionState.ACTIVE:
      return isUnderWay(record) || record.remote.side === 'requester'
        ? agree(record, theirs, peer.ownUid, nowMs)
        : NONE
    case ConnectionState.PENDING:
      return record.state === 'initiating-request'
        ? put(record, {
            state: 'pending-acceptance',
            message: pendingMessage(record.remote.account),
          })
        : NONE
    case ConnectionState.REJECTED:
      return end(record, 'rejected', `Rejected by ${record.remote.account}`, nowMs)
    case ConnectionState.EXPIRED:
      return end(record, 'expired', 'Expired: it was not accepted in time', nowMs)
    case ConnectionState.FAILED:
      return end(record, 'failed', plain(theirs.message), nowMs)
    case ConnectionState.DELETED:
      return end(record, 'deleted', `Deleted by ${record.remote.account}`, nowMs)
    case ConnectionState.UNSPECIFIED:
      return NONE
    default:
      return never(theirs.state)
  }
}

/** It says so, and why. Of what was in force nothing else but its end is told (EC2's states). */
export function end(
  record: RemoteRecord,
  state: 'rejected' | 'expired' | 'failed' | 'deleted',
  message: string,
  nowMs: number,
): Step {
  const told = record.state === 'active' ? 'deleted' : state
  const remote = { ...record.remote, terms: '' }
  return put(record, { state: told, message, endedAtMs: nowMs, remote })
}

export function hasEnded({ endedAtMs }: Pick<PeeringRecord, 'endedAtMs'>): boolean {
  return endedAtMs !== null
}

export function isRemote(record: PeeringRecord): record is RemoteRecord {
  return record.remote !== undefined
}

export function pendingMessage(account: string): string {
  return `Pending Acceptance by ${account}`
}

function isUnderWay({ state }: RemoteRecord): boolean {
  return state === 'provisioning' || state === 'active'
}

/** Words of somebody else: printable ASCII, and not many. */
function plain(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_MESSAGE_CHARS)
}

function put(record: RemoteRecord, fields: Partial<PeeringRecord>): Step {
  return { kind: 'put', record: { ...record, ...fields } as RemoteRecord }
}

/** An own block that is seen as itself is its VPC's, and stays. */
function releaseOf(record: RemoteRecord): Step {
  const { remote } = record
  const own = remote.seenAs.filter((cidr, index) => cidr !== remote.own[index])
  const cidrs = [...own, ...remote.theirs]
  if (remote.seenAs.length + remote.theirs.length === 0) return NONE
  const bare = { ...record, remote: { ...remote, seenAs: [], theirs: [] } }
  return { kind: 'release', cidrs, record: bare }
}

/** The other states nothing of it: that is where it begins, and an end of what was agreed. */
function withdrawn(record: RemoteRecord, peer: string, nowMs: number): Step {
  const waits = record.remote.side === 'requester' && !isUnderWay(record)
  return waits ? NONE : end(record, 'deleted', `${peer} knows of it no more`, nowMs)
}

function isOfSame({ id, remote }: RemoteRecord, theirs: Connection): boolean {
  return (
    theirs.id === id &&
    theirs.requester === (remote.side === 'accepter') &&
    theirs.account === remote.account &&
    theirs.vpcId === remote.vpc
  )
}

function agree(record: RemoteRecord, theirs: Connection, ownUid: string, nowMs: number): Step {
  const { remote } = record
  const form = checkConnection(theirs)
  if (!form.ok)
    return end(record, 'failed', `What the peer cloud states is void: ${form.why}`, nowMs)
  const isAnswer = remote.side === 'accepter' || theirs.state !== ConnectionState.REQUESTED
  if (!isAnswer) return NONE
  if (!isUnderWay(record)) return put(record, { state: 'provisioning', message: 'Provisioning' })
  const choice = nextChoice(record, theirs)
  if (choice !== null) return choice
  const held = nextHold(remote, theirs)
  if (held !== null) return held
  return settle(record, theirs, ownUid)
}

/** A block of the other's that is not seen as anything yet, or as what it offers no more. */
function nextChoice(record: RemoteRecord, { offers }: Connection): Step | null {
  const { theirs: chosen } = record.remote
  if (chosen.length > offers.length) {
    const remote = { ...record.remote, theirs: chosen.slice(0, offers.length), terms: '' }
    const fewer = { ...record, state: 'provisioning', remote } as const
    return { kind: 'release', cidrs: chosen.slice(offers.length), record: fewer }
  }
  const index = offers.findIndex(({ candidates }, n) => !candidates.includes(chosen[n] ?? ''))
  if (index < 0) return null
  const candidates = offers[index]?.candidates ?? []
  return { kind: 'choose', index, candidates, former: chosen[index] ?? '' }
}

/** What the other has chosen of what is offered to it, and is not held here yet. */
function nextHold({ own, offers, seenAs }: RemotePeering, { chosen }: Connection): Step | null {
  for (const [index, cidr] of chosen.entries()) {
    if (offers[index]?.includes(cidr) !== true || seenAs[index] === cidr) continue
    if (index > seenAs.length || own[index] === undefined) continue
    return { kind: 'hold', index, cidr, former: seenAs[index] ?? '' }
  }
  return null
}

function settle(record: RemoteRecord, theirs: Connection, ownUid: string): Step {
  const { remote, state } = record
  const isWhole =
    remote.theirs.length === theirs.offers.length &&
    remote.seenAs.length === remote.own.length &&
    theirs.chosen.length === remote.own.length &&
    remote.seenAs.every((cidr, index) => cidr === theirs.chosen[index])
  const terms = isWhole ? termsOf(record, ownUid) : ''
  const agreed = terms !== '' && (remote.side === 'requester' || isSaid(theirs, terms))
  const next = agreed ? 'active' : 'provisioning'
  if (remote.terms === terms && state === next) return NONE
  const message = agreed ? 'Active' : 'Provisioning'
  return put(record, { state: next, message, remote: { ...remote, terms } })
}

function isSaid({ state, terms }: Connection, own: string): boolean {
  return state === ConnectionState.ACTIVE && terms === own
}
