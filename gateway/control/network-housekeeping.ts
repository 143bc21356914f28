// What becomes of tenants' networks by itself: NAT gateways that begin and end, peerings that
// nobody accepts, what fades after it ended, public addresses that have rested.

import { isWaiting } from '../ec2/peering-records.ts'
import { hasRested } from '../ec2/public-addresses.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { State } from '../store/state.ts'
import { type NatParts, tendNatGateways } from './nat-life.ts'

const HOUR_MS = 3_600_000
/** Peerings that came to nothing, and those that were deleted (VPC peering guide, "lifecycle"). */
const ENDED_PEERING_MS = 2 * HOUR_MS

/** Running it twice, or at two gateways at once, changes nothing more. */
export async function tendNetworks(parts: NatParts, nowMs: number): Promise<void> {
  const { state } = parts
  await tendNatGateways(parts, nowMs)
  await tendPeerings(state, nowMs)
  await forgetRested(state, nowMs)
}

async function tendPeerings(state: State, nowMs: number): Promise<void> {
  for (const peering of state.view().all('peering')) {
    if (nextPeering(peering, nowMs) === peering) continue
    await state.update(async (tx) => {
      const record = await tx.get('peering', peering.id)
      if (record === null) return
      const next = nextPeering(record, nowMs)
      if (next === record) return
      if (next !== null) return await tx.put('peering', [peering.id], next)
      await tx.delete('tags', peering.id)
      await tx.delete('peering', peering.id)
    })
  }
}

function nextPeering(peering: PeeringRecord, nowMs: number): PeeringRecord | null {
  if (isWaiting(peering) && nowMs >= peering.expiresAtMs) {
    const message = 'Expired: it was not accepted in time'
    return { ...peering, state: 'expired', message, endedAtMs: nowMs }
  }
  const { endedAtMs } = peering
  return endedAtMs !== null && nowMs - endedAtMs > ENDED_PEERING_MS ? null : peering
}

async function forgetRested(state: State, nowMs: number): Promise<void> {
  for (const { address } of state
    .view()
    .all('public-address')
    .filter((one) => hasRested(one, nowMs))) {
    await state.update(async (tx) => {
      const record = await tx.get('public-address', address)
      if (record !== null && hasRested(record, tx.nowMs())) {
        await tx.delete('public-address', address)
      }
    })
  }
}
