// One step of telling a peer cloud what this side states now: record the next link, send it, record
// the receipt. Every gateway may do it at any time: what is sent is what stands in the store, and
// each step is done only if nobody was faster.

import { fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf'
import { type Clock, MAX_JOIN_SKEW_MS, type RandomHex } from '../../common/clock.ts'
import { codeOf, MalleeError } from '../../common/errors.ts'
import {
  type Batch,
  BatchSchema,
  type Receipt,
  ReceiptSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import type { PeerConnection } from '../../proto/peering-client.ts'
import type { ChainHead, PeerChainRecord, PeerRecord, StatedRecord } from '../store/peer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { appendAudit } from './audit.ts'
import {
  firstLink,
  type Link,
  nextEpoch,
  nextLink,
  sameHead,
  statementDigest,
  toHex,
} from './chain.ts'
import { auditDetail } from './heard.ts'
import { Kept } from './kept.ts'
import { checkReceipt } from './receipt.ts'
import { stated } from './stated.ts'

export interface DeliveringParts {
  readonly state: State
  readonly gateway: string
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly connection: Pick<PeerConnection, 'deliver' | 'position'>
  /** Ends what is under way. */
  readonly signal: AbortSignal
}

/** What the other has given a receipt for. */
const givenIn = new Kept<readonly StatedRecord[], ReadonlyMap<string, string>>()

type Pending = NonNullable<PeerChainRecord['pending']>

/** For so long another gateway that has begun to send is left to it, in milliseconds. */
const OTHERS_TURN_MS = 5_000
/** Records of chains that have ended, deleted at a time. */
const MOST_FORGOTTEN = 1_000

/**
 * `idle`: the other has given a receipt for all. `busy`: another gateway sends. `went`: one link
 * more is known there; there may be others. Throws what the other refuses with, BadMessage for a
 * receipt that does not count, CaMismatch, Unavailable.
 */
export async function deliverStep(
  parts: DeliveringParts,
  uid: string,
): Promise<'idle' | 'busy' | 'went'> {
  const { state, gateway, clock } = parts
  const view = await state.fresh()
  const peer = view.get('peer', uid)
  if (peer === null || peer.card.ended === true) return 'idle'
  // Nothing can be said before it is known where this cloud is reached.
  if (view.all('peering-endpoint').length === 0) return 'idle'
  const before = view.get('peer-chain', uid)?.pending ?? null
  if (before !== null && before.gateway !== gateway) {
    if (clock.nowMs() - before.atMs < OTHERS_TURN_MS) return 'busy'
  }
  const link = before === null ? linkFor(parts, view, peer) : null
  if (before === null && link === null) return 'idle'
  const pending = before ?? (await begin(parts, peer, link))
  return pending === null ? 'busy' : await send(parts, peer, pending)
}

/**
 * Asks where the chain stands with the other: when it holds something else than this side knows,
 * one of the two has lost something, and another chain begins.
 */
export async function comparePosition(parts: DeliveringParts, uid: string): Promise<void> {
  const { state, connection, signal } = parts
  const view = await state.fresh()
  const peer = view.get('peer', uid)
  if (peer === null || peer.card.ended === true) return
  if (view.get('peer-chain', uid)?.pending != null) return
  const said = await connection.position(addressOf(peer), signal)
  const there = {
    epoch: toHex(said.epoch),
    sequence: Number(said.sequence),
    hash: toHex(said.hash),
  }
  if (sameHead(there, peer.stated)) return
  await begin(parts, peer, newChain(parts, await state.fresh(), peer, there.epoch))
}

/** What is kept of chains that have ended goes. */
export async function forgetOldChains(state: State, uid: string): Promise<void> {
  const view = state.view()
  const peer = view.get('peer', uid)
  if (peer === null) return
  const { stated: mine, heard } = peer
  const given = view.under('stated', uid).filter((one) => one.epoch < mine.epoch)
  const told = view.under('peer-statement', uid).filter((one) => one.epoch < heard.epoch)
  if (given.length + told.length === 0) return
  await state.update(async (tx) => {
    for (const { key } of given.slice(0, MOST_FORGOTTEN)) {
      const id = [uid, ...key.split('/')]
      const now = await tx.get('stated', ...id)
      if (now !== null && now.epoch < mine.epoch) await tx.delete('stated', ...id)
    }
    for (const { key } of told.slice(0, MOST_FORGOTTEN)) {
      const id = [uid, ...key.split('/')]
      const now = await tx.get('peer-statement', ...id)
      if (now !== null && now.epoch < heard.epoch) await tx.delete('peer-statement', ...id)
    }
  })
}

export function addressOf({ card, ca }: PeerRecord) {
  return { endpoints: card.endpoints, cloud: card.name, cas: ca.certificates }
}

function linkFor({ clock, randomHex }: DeliveringParts, view: View, peer: PeerRecord): Link | null {
  const { uid, stated: head } = peer
  if (head.epoch === '') return newChain({ clock, randomHex }, view, peer, '')
  const all = view.under('stated', uid)
  const given = givenIn.get(all, [head.epoch], () => {
    const held = all.filter(({ epoch }) => epoch === head.epoch)
    return new Map(held.map(({ key, digest }) => [key, digest]))
  })
  const now = stated(view, uid)
  return nextLink({ from: ownUid(view), to: uid, head, given, now }, clock.nowMs())
}

function newChain(
  { clock, randomHex }: Pick<DeliveringParts, 'clock' | 'randomHex'>,
  view: View,
  { uid, stated: { epoch } }: PeerRecord,
  there: string,
): Link {
  const nowMs = clock.nowMs()
  const next = nextEpoch([epoch, there], nowMs, randomHex)
  return firstLink({ from: ownUid(view), to: uid, now: stated(view, uid) }, next, nowMs)
}

function ownUid(view: View): string {
  return view.get('cloud', 'self')?.uid ?? ''
}

/** Null when there is nothing to send, or another gateway was faster. */
async function begin(
  { state, gateway, clock }: DeliveringParts,
  { uid, stated: head }: PeerRecord,
  link: Link | null,
): Promise<Pending | null> {
  if (link === null) return null
  const batch = Buffer.from(link.bytes).toString('base64')
  const pending = { head: link.head, batch, gateway, atMs: clock.nowMs() }
  return await state.update(async (tx) => {
    const peer = await tx.get('peer', uid)
    const chain = await tx.get('peer-chain', uid)
    if (peer === null || chain === null) return null
    if (chain.pending !== null || !sameHead(peer.stated, head)) return null
    await tx.put('peer-chain', [uid], { ...chain, pending })
    return pending
  })
}

async function send(parts: DeliveringParts, peer: PeerRecord, pending: Pending): Promise<'went'> {
  const { state, connection, clock, signal } = parts
  const { uid } = peer
  const bytes = Buffer.from(pending.batch, 'base64')
  let receipt: Receipt | undefined
  try {
    receipt = (await connection.deliver(addressOf(peer), bytes, signal)).receipt
  } catch (error) {
    if (codeOf(error) !== 'StaleGeneration') throw error
    await beginAnew(parts, peer, pending)
    return 'went'
  }
  const view = state.view()
  const signer = { name: peer.card.name, cas: peer.ca.certificates }
  checkReceipt(receipt, { from: ownUid(view), to: uid }, pending.head, signer)
  if (Number(receipt?.receivedAtMs ?? 0n) - clock.nowMs() > MAX_JOIN_SKEW_MS) {
    throw new MalleeError('ClockSkew', 'the receipt of the other cloud is from the future')
  }
  const said = receipt === undefined ? null : toJson(ReceiptSchema, receipt)
  await state.update((tx) => record(tx, uid, pending, said, clock.nowMs()))
  return 'went'
}

/** The other does not hold what the link follows: one of the two came back from a backup. */
async function beginAnew(
  parts: DeliveringParts,
  peer: PeerRecord,
  { head }: Pending,
): Promise<void> {
  const { state, connection, signal } = parts
  const { uid } = peer
  const there = toHex((await connection.position(addressOf(peer), signal)).epoch)
  const link = newChain(parts, await state.fresh(), peer, later(there, head.epoch))
  const batch = Buffer.from(link.bytes).toString('base64')
  await state.update(async (tx) => {
    const chain = await tx.get('peer-chain', uid)
    if (chain?.pending == null || !sameHead(chain.pending.head, head)) return
    const pending = { ...chain.pending, head: link.head, batch }
    await tx.put('peer-chain', [uid], { ...chain, pending })
  })
}

/** The receipt is there: unless another gateway has recorded it. */
async function record(
  tx: Transaction,
  uid: string,
  { head, batch: base64 }: Pending,
  receipt: JsonValue,
  atMs: number,
): Promise<void> {
  const peer = await tx.get('peer', uid)
  const chain = await tx.get('peer-chain', uid)
  if (peer === null || chain?.pending == null || !sameHead(chain.pending.head, head)) return
  const batch = fromBinary(BatchSchema, Buffer.from(base64, 'base64'))
  await putStated(tx, uid, batch, head)
  const entry = { atMs, what: 'stated', detail: auditDetail(batch, head), receipt } as const
  await tx.put('peer', [uid], await appendAudit(tx, { ...peer, stated: head }, entry))
  await tx.put('peer-chain', [uid], { ...chain, pending: null })
}

async function putStated(
  tx: Transaction,
  uid: string,
  { statements }: Batch,
  { epoch }: ChainHead,
): Promise<void> {
  for (const one of statements) {
    const id = [uid, ...one.key.split('/')]
    if (one.body.case === undefined) await tx.delete('stated', ...id)
    else {
      await tx.put('stated', id, { uid, key: one.key, epoch, digest: statementDigest(one) })
    }
  }
}

function later(a: string, b: string): string {
  return a > b ? a : b
}
