// What an operator does about a peer cloud: other terms, a stop, an end. Each holds here at once,
// whether or not the other side answers.

import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { PeerRecord, PeerTerms } from '../store/peer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { appendAudit } from './audit.ts'
import { forgetPeer } from './forget.ts'
import { checkTerms } from './limits.ts'
import { regionFor } from './new-peer.ts'

export interface ActingParts {
  readonly state: State
  readonly clock: Clock
  readonly log: Log
}

/** How long the other side is tried to be told of the end, in milliseconds. */
export const FAREWELL_MS = 10_000
/** After a gateway that died while it removed a peer, another goes on. */
const REMOVED_AFTER_MS = 60_000
const DAY_MS = 86_400_000

/** Throws NotFound. */
export function peerNamed(view: View, name: string): PeerRecord {
  const found = view.all('peer').find(({ terms }) => terms.name === name)
  if (found !== undefined) return found
  throw new MalleeError('NotFound', `there is no peer ${name}`)
}

/** Throws NotFound, BadArgument, NameTaken for its region's name. */
export async function changePeer(
  { state, clock, log }: ActingParts,
  name: string,
  next: (before: PeerTerms) => PeerTerms,
): Promise<void> {
  const { uid } = peerNamed(await state.fresh(), name)
  await state.update(async (tx) => {
    const peer = await peerOf(tx, uid, name)
    const view = await state.fresh()
    const terms = next(peer.terms)
    checkTerms(view, terms, clock.nowMs())
    const isRenamed = terms.region !== undefined && terms.region !== peer.region
    const of = { uid, region: peer.card.region }
    const region = isRenamed ? regionFor(view, terms, of) : peer.region
    await putWith(tx, { ...peer, terms, region }, { act: 'set', terms })
  })
  log.info('peer changed', { peer: name })
}

/** Packets stop here at once. Suspending what is suspended changes nothing. Throws NotFound. */
export function suspendPeer(parts: ActingParts, name: string): Promise<void> {
  return setState(parts, name, 'suspended')
}

/** Throws NotFound, Conflict when the agreement's time is over. */
export function resumePeer(parts: ActingParts, name: string): Promise<void> {
  return setState(parts, name, 'active')
}

/**
 * Nothing goes on from here on; `sayFarewell` tries to tell the other, then all of it is forgotten.
 * True when the other knows. Throws NotFound.
 */
export async function removePeer(
  { state, log }: ActingParts,
  name: string,
  sayFarewell: (uid: string) => Promise<boolean>,
): Promise<boolean> {
  const { uid } = peerNamed(await state.fresh(), name)
  await state.update(async (tx) => {
    const peer = await tx.get('peer', uid)
    if (peer === null || peer.state === 'removing') return
    const endsAtMs = tx.nowMs() + REMOVED_AFTER_MS
    await putWith(tx, { ...peer, state: 'removing', endsAtMs }, { act: 'remove' })
  })
  const isTold = await sayFarewell(uid)
  await forgetPeer(state, uid)
  log.info('peer removed', { peer: name, uid, isTold })
  return isTold
}

/** Housekeeping: agreements whose time is over are suspended, removals that were left are ended. */
export async function tendPeers({ state, clock, log }: ActingParts): Promise<void> {
  const nowMs = clock.nowMs()
  const view = state.view()
  for (const { uid, terms, state: now, endsAtMs = nowMs } of view.all('peer')) {
    if (now === 'removing' && endsAtMs < nowMs) await forgetPeer(state, uid)
    if (now !== 'active' || !isOver(terms, nowMs)) continue
    await state.update(async (tx) => {
      const peer = await tx.get('peer', uid)
      if (peer?.state !== 'active' || !isOver(peer.terms, nowMs)) return
      await putWith(tx, { ...peer, state: 'suspended' }, { act: 'expired' })
      log.info('agreement is over', { peer: terms.name, uid })
    })
  }
  const old = view.all('peer-invitation').filter((one) => nowMs - one.expiresAtMs > DAY_MS)
  if (old.length === 0) return
  await state.update(async (tx) => {
    for (const { id } of old) await tx.delete('peer-invitation', id)
  })
}

async function setState(
  { state, clock, log }: ActingParts,
  name: string,
  next: 'active' | 'suspended',
): Promise<void> {
  const { uid } = peerNamed(await state.fresh(), name)
  await state.update(async (tx) => {
    const peer = await peerOf(tx, uid, name)
    if (peer.state === next) return
    if (next === 'active' && isOver(peer.terms, clock.nowMs())) {
      const at = new Date(peer.terms.limits.expiresAtMs).toISOString()
      throw new MalleeError('Conflict', `the agreement with ${name} was until ${at}: set --expires`)
    }
    const act = next === 'active' ? 'resume' : 'suspend'
    await putWith(tx, { ...peer, state: next }, { act })
  })
  log.info(next === 'active' ? 'peer resumed' : 'peer suspended', { peer: name })
}

async function peerOf(tx: Transaction, uid: string, name: string): Promise<PeerRecord> {
  const peer = await tx.get('peer', uid)
  if (peer !== null && peer.state !== 'removing') return peer
  throw new MalleeError('NotFound', `there is no peer ${name}`)
}

async function putWith(tx: Transaction, peer: PeerRecord, detail: object): Promise<void> {
  const entry = { atMs: tx.nowMs(), what: 'operator', detail } as const
  await tx.put('peer', [peer.uid], await appendAudit(tx, peer, entry))
}

function isOver({ limits: { expiresAtMs } }: PeerTerms, nowMs: number): boolean {
  return expiresAtMs !== 0 && expiresAtMs <= nowMs
}
