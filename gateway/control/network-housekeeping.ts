// What becomes of tenants' networks by itself: NAT gateways that begin and end, peerings that
// nobody accepts, what fades after it ended, public addresses that have rested.

import { hasRested } from '../ec2/public-addresses.ts'
import { isRackConnected } from '../ec2/zones.ts'
import type { NatGatewayRecord, PeeringRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'

const HOUR_MS = 3_600_000
/** EC2 shows a deleted NAT gateway for about an hour. */
const DELETED_NAT_MS = HOUR_MS
/** Peerings that came to nothing, and those that were deleted (VPC peering guide, "lifecycle"). */
const ENDED_PEERING_MS = 2 * HOUR_MS

/** Running it twice, or at two gateways at once, changes nothing more. */
export async function tendNetworks(state: State, nowMs: number): Promise<void> {
  await tendNatGateways(state, nowMs)
  await tendPeerings(state, nowMs)
  await forgetRested(state, nowMs)
}

async function tendNatGateways(state: State, nowMs: number): Promise<void> {
  const view = state.view()
  for (const nat of view.all('nat-gateway')) {
    if (nextNat(view, nat, nowMs) === nat) continue
    await state.update(async (tx) => {
      const record = await tx.get('nat-gateway', nat.id)
      if (record === null) return
      const next = nextNat(view, record, nowMs)
      if (next === record) return
      if (next !== null) return await tx.put('nat-gateway', [nat.id], next)
      await tx.delete('tags', nat.id)
      await tx.delete('nat-gateway', nat.id)
    })
  }
}

/** What the NAT gateway is now; null when it has faded. */
function nextNat(view: View, nat: NatGatewayRecord, nowMs: number): NatGatewayRecord | null {
  // Its rack is told at once when it is connected, and when it is not nothing translates.
  if (nat.state === 'pending' && isRackConnected(view, nat.rack)) {
    return { ...nat, state: 'available' }
  }
  if (nat.state === 'deleting') return { ...nat, state: 'deleted' }
  const hasEnded = nat.state === 'deleted' || nat.state === 'failed'
  return hasEnded && nowMs - (nat.deletedAtMs ?? nat.createdAtMs) > DELETED_NAT_MS ? null : nat
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
  if (peering.state === 'pending-acceptance' && nowMs >= peering.expiresAtMs) {
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
