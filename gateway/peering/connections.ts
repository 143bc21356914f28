// VPC peerings with peer clouds as they come along: what a peer asks for becomes a peering that
// its accepter may see, and each goes on, step by step, as both sides state. Every gateway runs it;
// compare-and-set keeps them out of each other's way.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import { type Connection, ConnectionState } from '../../proto/gen/mallee/v1/peering_pb.js'
import { mustCidr } from '../../topology/cidr.ts'
import { HeldSpaces } from '../ec2/blocks.ts'
import { vpcGround, vpcSpace } from '../ec2/vpc-ground.ts'
import { holdVpc } from '../ec2/vpc-records.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { AppliedChange, State, Transaction, View } from '../store/state.ts'
import { connectionOf, connectionsOf, ownSide } from './agreed.ts'
import { asked, mayAsk, remotesOf } from './asked.ts'
import { MAX_OFFERS } from './connection-form.ts'
import { Kept } from './kept.ts'
import { advance, end, isRemote, type RemoteRecord, renewed, type Step } from './negotiation.ts'
import { besides, offersOf } from './offers.ts'
import { mayBeSeenAs, vpcBlocks } from './seen-as.ts'

export interface ConnectionParts {
  readonly state: State
  readonly clock: Clock
  readonly chance: () => number
  readonly log: Log
}

const EVERY_MS = 60_000
const WAKES = /^(peer|peer-statement|peering|vpc)\//
/** Of one peering in one pass: what a peer states cannot keep it turning. */
const MAX_STEPS = 64
/** Prefixes that a message names. */
const MAX_NAMED = 3

/** Starts the loop. */
export function startConnections(parts: ConnectionParts): { stop: () => Promise<void> } {
  const { state, clock, chance, log } = parts
  const pass = (): Promise<void> => tendConnections(parts)
  const loop = new Loop({ name: 'peerings', pass, everyMs: EVERY_MS, clock, chance, log })
  const wake = (changes: readonly AppliedChange[]): void => {
    if (changes.some(({ key }) => WAKES.test(key))) loop.wake()
  }
  const off = state.onChange(wake)
  loop.start()
  return {
    stop: async () => {
      off()
      await loop.stop()
    },
  }
}

/** One pass; running it twice, or at two gateways at once, changes nothing more. */
export async function tendConnections(parts: ConnectionParts): Promise<void> {
  const view = await parts.state.fresh()
  for (const peer of view.all('peer')) await takeRequests(parts, view, peer)
  for (const record of view.all('peering')) {
    if (isRemote(record) && !isSettled(view, record)) await goOn(parts, record)
  }
}

/** What a peer asks for and nobody has heard of. */
async function takeRequests(
  { state, clock, log }: ConnectionParts,
  view: View,
  peer: PeerRecord,
): Promise<void> {
  for (const said of connectionsOf(view, peer.uid)) {
    if (!isNew(view, said)) continue
    await state.update(async (tx) => {
      if ((await tx.get('peering', said.id)) !== null) return
      if ((await tx.get('peer', peer.uid)) === null) return
      const now = await state.fresh()
      if (!mayAsk(now, peer, said)) return
      const vpc = await tx.get('vpc', said.otherVpcId)
      const made = asked(now, peer, said, vpc, clock.nowMs())
      if (made.state !== 'failed' && vpc !== null) await holdVpc(tx, vpc)
      await tx.put('peering', [said.id], made)
      log.info('peering asked for', { peering: said.id, peer: peer.terms.name, state: made.state })
    })
  }
}

function isNew(view: View, { id, requester, state }: Connection): boolean {
  return requester && state === ConnectionState.REQUESTED && view.get('peering', id) === null
}

/** What there was nothing to do about, as long as it hangs on the same. */
const settled = new Kept<RemoteRecord, boolean>()

function isSettled(view: View, record: RemoteRecord): boolean {
  const { remote } = record
  const peer = view.get('peer', remote.uid)
  const theirs = peer === null ? null : connectionOf(view, peer.uid, record.id)
  const vpc = view.get('vpc', ownSide(record).vpc)
  const agreement = [peer?.state === 'removing', peer?.card.ended, peer?.terms.name]
  // A block that nobody could see until now may be seen later.
  const blocks = vpc === null ? remote.own.length : vpcBlocks(vpc).length
  const place = { view, record, peer, theirs, nowMs: 0 }
  return settled.get(record, [peer === null, ...agreement, theirs, vpc], () => {
    return blocks === remote.own.length && stepOf(place).kind === 'none'
  })
}

/** All that there is to do, in one transaction. */
async function goOn(parts: ConnectionParts, { id, remote }: RemoteRecord): Promise<void> {
  const { state, clock, log } = parts
  const { uid } = remote
  const settles = await state.update(async (tx) => {
    const peer = await tx.get('peer', uid)
    const view = await state.fresh()
    const theirs = peer === null ? null : connectionOf(view, uid, id)
    const spaces = new HeldSpaces(tx, state)
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const record = await tx.get('peering', id)
      if (record === null || !isRemote(record)) return true
      const place = { spaces, view, record, peer, theirs, nowMs: clock.nowMs() }
      const step = stepOf(place)
      if (step.kind === 'none' || (await apply(tx, place, step))) return true
    }
    return false
  })
  if (!settles) log.warn('a peering does not settle', { peering: id, peer: uid })
}

function stepOf({ view, record, peer, theirs, nowMs }: Omit<Place, 'spaces'>): Step {
  const ownUid = view.get('cloud', 'self')?.uid ?? ''
  const isThere = peer !== null && peer.state !== 'removing' && peer.card.ended !== true
  if (isThere) {
    const moved = movedBlocks(view, record, peer, theirs)
    return moved ?? advance(record, theirs, { name: peer.terms.name, ownUid }, nowMs)
  }
  if (record.endedAtMs !== null) return advance(record, null, { name: '', ownUid }, nowMs)
  return end(record, 'deleted', 'The agreement with the peer cloud has ended', nowMs)
}

/** The VPC has got another block since, or has one no more; null when it is as it was. */
function movedBlocks(
  view: View,
  record: RemoteRecord,
  peer: PeerRecord,
  theirs: Connection | null,
): Step | null {
  const { remote, endedAtMs, state } = record
  // An accepter that has not agreed yet has offered nothing.
  const isOffered = remote.side === 'requester' || state !== 'pending-acceptance'
  const vpc = view.get('vpc', ownSide(record).vpc)
  if (endedAtMs !== null || !isOffered || vpc === null) return null
  const blocks = vpcBlocks(vpc)
  const isKept = remote.own.every((one) => blocks.includes(one))
  if (isKept && remote.own.length === Math.min(blocks.length, MAX_OFFERS)) return null
  const next = offersOf(view, peer, vpc, remote)
  if (next.own.join() === remote.own.join()) return null
  const kept = remote.seenAs.filter((_, i) => blocks.includes(remote.own[i] ?? ''))
  const cidrs = remote.seenAs.filter((cidr, i) => {
    const own = remote.own[i] ?? ''
    return cidr !== own && !blocks.includes(own)
  })
  return { kind: 'release', cidrs, record: renewed(record, theirs, { ...next, seenAs: kept }) }
}

interface Place {
  readonly spaces: HeldSpaces
  readonly view: View
  readonly record: RemoteRecord
  readonly peer: PeerRecord | null
  /** What the other states of it now. */
  readonly theirs: Connection | null
  readonly nowMs: number
}

/** True when there is nothing more to do for now. */
async function apply(
  tx: Transaction,
  place: Place,
  step: Exclude<Step, { kind: 'none' }>,
): Promise<boolean> {
  switch (step.kind) {
    case 'put':
      return await put(tx, step.record)
    case 'release':
      for (const cidr of step.cidrs) await give(place, cidr)
      return await put(tx, step.record)
    case 'choose':
      return await choose(tx, place, step)
    case 'hold':
      return await hold(tx, place, step)
  }
}

async function put(tx: Transaction, record: RemoteRecord): Promise<boolean> {
  await tx.put('peering', [record.id], record)
  return false
}

/** What is in force goes on as it is, and the rest is tried again later; else it has failed. */
async function without(tx: Transaction, { record, nowMs }: Place, why: string): Promise<boolean> {
  if (record.state === 'active') {
    const message = `Active. ${why}`
    if (record.message !== message) await put(tx, { ...record, message })
    return true
  }
  const step = end(record, 'failed', why, nowMs)
  return step.kind === 'put' ? await put(tx, step.record) : true
}

async function choose(
  tx: Transaction,
  place: Place,
  { index, candidates, former }: Extract<Step, { kind: 'choose' }>,
): Promise<boolean> {
  const { view, record, peer, theirs: said } = place
  const { remote } = record
  for (const cidr of candidates) {
    if (peer === null || !mayBeSeenAs(view, peer, record, cidr)) continue
    if (!(await take(place, cidr))) continue
    if (former !== '') await give(place, former)
    const theirs = placed(remote.theirs, index, cidr)
    return await put(tx, renewed(record, said, { theirs }))
  }
  const more = candidates.length - MAX_NAMED
  const named = candidates.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
  const why = `None of the prefixes ${named} of ${remote.vpc} is free here`
  return await without(tx, place, why)
}

/** What cannot be held is offered no more: the other chooses again. */
async function hold(
  tx: Transaction,
  place: Place,
  { index, cidr, former }: Extract<Step, { kind: 'hold' }>,
): Promise<boolean> {
  const { record, theirs } = place
  const { remote } = record
  if (cidr === remote.own[index] || (await take(place, cidr))) {
    if (former !== '' && former !== remote.own[index]) await give(place, former)
    const seenAs = placed(remote.seenAs, index, cidr)
    return await put(tx, renewed(record, theirs, { seenAs }))
  }
  const best = remote.offers.flatMap((one, i) => (i === index ? [] : one.slice(0, 1)))
  const left = besides(remote.offers[index] ?? [], best).filter((one) => one !== cidr)
  const offers = remote.offers.with(index, left)
  if (left.length > 0) return await put(tx, renewed(record, theirs, { offers }))
  return await without(tx, place, `No prefix is left by which ${remote.own[index]} could be seen`)
}

/** Peerings of one VPC with the same other one have its prefixes in common. */
async function take(place: Place, text: string): Promise<boolean> {
  const { spaces, record } = place
  if (await isShared(place, text)) return true
  const cidr = mustCidr(text)
  const taker = { space: spaceOf(text), holder: record.id, account: record.remote.uid }
  const reserved = (view: View) => vpcGround(view, cidr.family).reserved
  return await spaces.take(taker, reserved, cidr)
}

async function give(place: Place, cidr: string): Promise<void> {
  if (!(await isShared(place, cidr))) await place.spaces.give(spaceOf(cidr), cidr)
}

/** Does another peering that lives mean the same VPC by that prefix? */
async function isShared({ spaces, record }: Place, cidr: string): Promise<boolean> {
  const { id, remote } = record
  // Nobody takes or gives between this and the commit.
  const view = await spaces.seen(spaceOf(cidr))
  const { vpc } = ownSide(record)
  return remotesOf(view, remote.uid).some((one) => {
    if (one.id === id || one.endedAtMs !== null) return false
    const isSameOwn = ownSide(one).vpc === vpc
    const isTheirs = one.remote.vpc === remote.vpc && one.remote.theirs.includes(cidr)
    return isTheirs || (isSameOwn && one.remote.seenAs.includes(cidr))
  })
}

/** At most one behind the last. */
function placed(list: readonly string[], index: number, cidr: string): string[] {
  return [...list.slice(0, index), cidr, ...list.slice(index + 1)]
}

function spaceOf(cidr: string): string {
  return vpcSpace(mustCidr(cidr).family)
}
