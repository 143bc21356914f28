// The life of a NAT gateway: available when the CC that translates for it has it on its disk,
// failed when that takes too long, and faded some time after its end.

import { removeInterface } from '../ec2/release.ts'
import type { Held } from '../federation/feed.ts'
import type { Sessions } from '../federation/sessions.ts'
import type { NatGatewayRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { canTell, touchedBy } from './affected.ts'
import { natAt } from './desired-tenants.ts'
import { ccFor } from './desired-tunnels.ts'
import { PENDING_LIMIT_MS } from './instance-state.ts'

/** EC2 shows one that was deleted, or failed, for about an hour. */
const ENDED_MS = 3_600_000

export interface NatParts {
  readonly state: State
  /** Those that are open in this process: other gateways look after the CCs of theirs. */
  readonly sessions: Sessions
  /** When this gateway started, in milliseconds since 1970. */
  readonly startedAtMs: number
  readonly leaseMs: number
}

interface Seen {
  /** Does its CC hold it? */
  readonly isHeld: boolean
  readonly mayFail: boolean
  readonly nowMs: number
}

/** Does a NAT gateway of this rack wait for its CC? */
export function hasPendingNat(view: View, rack: string): boolean {
  return view.by('nat-gateway', 'rack', rack).some((nat) => nat.state === 'pending')
}

/** Running it twice, or at several gateways at once, changes nothing more. */
export async function tendNatGateways(parts: NatParts, nowMs: number): Promise<void> {
  const { state, startedAtMs, leaseMs } = parts
  const held = await heldNats(parts)
  // While no gateway ran no CC could say what it holds: they get the time to come back.
  const mayFail = nowMs - startedAtMs > leaseMs
  for (const nat of state.view().all('nat-gateway')) {
    const seen = { isHeld: held.has(nat.id), mayFail, nowMs }
    if (nextNat(nat, seen) === nat) continue
    await state.update(async (tx) => {
      const record = await tx.get('nat-gateway', nat.id)
      if (record === null) return
      const next = nextNat(record, seen)
      if (next === record) return
      if (next?.state === 'failed') {
        const one = await tx.get('interface', record.interface)
        if (one !== null) await removeInterface(tx, one)
      }
      if (next !== null) return await tx.put('nat-gateway', [nat.id], next)
      await tx.delete('tags', nat.id)
      await tx.delete('nat-gateway', nat.id)
    })
  }
}

/** What the NAT gateway is now; null when it has faded. */
function nextNat(nat: NatGatewayRecord, { isHeld, mayFail, nowMs }: Seen): NatGatewayRecord | null {
  switch (nat.state) {
    case 'pending':
      if (isHeld) return { ...nat, state: 'available' }
      return mayFail && nowMs - nat.createdAtMs > PENDING_LIMIT_MS ? failed(nat, nowMs) : nat
    case 'available':
      return nat
    case 'deleting':
      return { ...nat, state: 'deleted' }
    case 'deleted':
    case 'failed':
      return nowMs - (nat.deletedAtMs ?? nat.createdAtMs) > ENDED_MS ? null : nat
  }
}

function failed(nat: NatGatewayRecord, nowMs: number): NatGatewayRecord {
  // The one of EC2's failures that is nobody's request's fault, in its words (API reference,
  // "NatGateway").
  const message = `Network interface ${nat.interface}, created and used internally by this NAT gateway is in an invalid state. Please try again.`
  const failure = { code: 'InternalError', message }
  return { ...nat, state: 'failed', failure, deletedAtMs: nowMs }
}

/** The pending ones that CCs with a session here hold as they are now. */
async function heldNats({ state, sessions }: NatParts): Promise<ReadonlySet<string>> {
  const held = new Set<string>()
  for (const { name: rack } of state.view().all('rack')) {
    if (!hasPendingNat(state.view(), rack)) continue
    for (const [host, ids] of pendingByCc(state.view(), rack)) {
      const missed = await missedBy(state, sessions.heldBy({ rack, host }), rack)
      if (missed === null) continue
      for (const id of ids) {
        if (!missed.has(`nat/${id}`)) held.add(id)
      }
    }
  }
  return held
}

/** Those that can be told to a CC, by the CC that shall translate. */
function pendingByCc(view: View, rack: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { id, state, vpc } of view.by('nat-gateway', 'rack', rack)) {
    const host = state === 'pending' && natAt(view, rack, id) !== null && ccFor(view, rack, vpc)
    if (host) found.set(host, [...(found.get(host) ?? []), id])
  }
  return found
}

/**
 * The keys of a rack's desired state that may have changed since an agent was told; null when that
 * cannot be said. Then the agent gets everything anew, and its next acknowledgement can be read.
 */
async function missedBy(
  state: State,
  held: Held | null,
  rack: string,
): Promise<ReadonlySet<string> | null> {
  if (held?.epoch !== state.epoch()) return null
  const changes = await state.changesSince(held.generation)
  if (changes === null || held.epoch !== state.epoch() || !canTell(changes)) return null
  const touched = touchedBy(state.view(), changes)
  const here = touched.filter((one) => one.rack === null || one.rack === rack)
  return new Set(here.map(({ key }) => key))
}
