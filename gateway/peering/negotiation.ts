// What becomes of a VPC peering with a peer cloud, from what both sides state. Pure. Both sides run
// it until neither has anything to do: the requester asks, the accepter's user agrees, each chooses
// by which prefixes it sees the other, and both state the terms that come of it.

import { type Connection, ConnectionState } from '../../proto/gen/mallee/v1/peering_pb.js'
import { never } from '../../topology/result.ts'
import type { FormerTerms, PeeringRecord, RemotePeering } from '../store/network-records.ts'
import { states } from './agreed.ts'
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
/** Terms of before that are kept at a time. */
const MAX_FORMER = 4

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
  const remote = { ...withFormer(record.remote, []), terms: '' }
  return put(record, { state: told, message, endedAtMs: nowMs, remote })
}

/**
 * With other prefixes. What both state stays in force until both state what comes of these, as far
 * as it is still meant (agreed.ts): no packet has to wait for the new ones.
 */
export function renewed(
  record: RemoteRecord,
  theirs: Connection | null,
  fields: Partial<RemotePeering>,
): RemoteRecord {
  const { remote, state } = record
  const { own, seenAs, theirs: chosen, terms } = remote
  const newest = terms === '' ? [] : [{ own, seenAs, theirs: chosen, terms }]
  const former = stillStated([...newest, ...(remote.former ?? [])], theirs)
  const next = { ...withFormer({ ...remote, ...fields }, former), terms: '' }
  if (!isUnderWay(record) || former.length > 0) return { ...record, remote: next }
  const isOpen = state === 'active'
  return {
    ...{ ...record, state: 'provisioning', remote: next },
    message: isOpen ? 'Provisioning' : record.message,
  }
}

/** Down to the newest that the other states as well: it may yet come to those before that. */
function stillStated(all: readonly FormerTerms[], theirs: Connection | null): FormerTerms[] {
  const last = theirs === null ? -1 : all.findIndex(({ terms }) => states(theirs, terms))
  const [inForce] = all.slice(last)
  if (last < 0 || inForce === undefined) return []
  return [...all.slice(0, Math.min(last, MAX_FORMER - 1)), inForce]
}

function withFormer(remote: RemotePeering, former: readonly FormerTerms[]): RemotePeering {
  const { former: _, ...rest } = remote
  return former.length === 0 ? rest : { ...rest, former }
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
function nextChoice(record: RemoteRecord, said: Connection): Step | null {
  const { offers } = said
  const { theirs: chosen } = record.remote
  const theirs = inOrderOf(chosen, offers)
  if (theirs.join() !== chosen.join()) {
    const cidrs = chosen.filter((cidr) => !theirs.includes(cidr))
    return { kind: 'release', cidrs, record: renewed(record, said, { theirs }) }
  }
  const index = offers.findIndex(({ candidates }, n) => !candidates.includes(chosen[n] ?? ''))
  if (index < 0) return null
  const candidates = offers[index]?.candidates ?? []
  return { kind: 'choose', index, candidates, former: chosen[index] ?? '' }
}

/**
 * What was chosen, each where a block is offered under it: blocks that go move those behind them.
 * Where none is, one that is offered no more stays for now, and the first gap is the end.
 */
function inOrderOf(chosen: readonly string[], offers: Connection['offers']): string[] {
  const left = new Set(chosen)
  const found = offers.map(({ candidates }, n) => {
    const at = chosen[n] ?? ''
    const fits = (cidr: string): boolean => left.has(cidr) && candidates.includes(cidr)
    const cidr = fits(at) ? at : chosen.find(fits)
    if (cidr !== undefined) left.delete(cidr)
    return cidr
  })
  const rest = [...left]
  const dense = found.map((cidr) => cidr ?? rest.shift())
  const gap = dense.indexOf(undefined)
  return (gap < 0 ? dense : dense.slice(0, gap)).flatMap((cidr) => cidr ?? [])
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
  // What holds goes on holding while the other speaks of blocks that have gone here since.
  const held = states(theirs, remote.terms) ? remote.terms : ''
  const terms = isWhole ? termsOf(record, ownUid) : held
  const isSaid = states(theirs, terms)
  const former = isSaid ? [] : stillStated(remote.former ?? [], theirs)
  const isFirst = terms !== '' && remote.side === 'requester'
  const next = isSaid || isFirst || former.length > 0 ? 'active' : 'provisioning'
  const message = next === 'active' ? 'Active' : 'Provisioning'
  const isSame = former.length === (remote.former ?? []).length && record.message === message
  if (remote.terms === terms && state === next && isSame) return NONE
  const agreed = { ...withFormer(remote, former), terms }
  return put(record, { state: next, message, remote: agreed })
}
