// Which gateway tells a target: one at a time, so that two seldom send the same. Whoever dies loses
// it after a moment.

import type { Clock } from '../../../common/clock.ts'
import type { Store } from '../../store/store.ts'
import { outboxLeaseKey } from '../index/keys.ts'

/** How long it is held without being taken again. */
export const LEASE_MS = 20_000

interface Lease {
  readonly holder: string
  readonly untilMs: number
}

export interface LeaseParts {
  readonly store: Store
  readonly clock: Clock
  /** Random, of this process. */
  readonly holder: string
}

/** Takes or keeps it; until when, null when another gateway has it. */
export async function takeLease(
  { store, clock, holder }: LeaseParts,
  target: string,
): Promise<number | null> {
  const at = outboxLeaseKey(target)
  const found = await store.get(at)
  const before = found === null ? null : (JSON.parse(found.value) as Lease)
  const nowMs = clock.nowMs()
  // A clock that went back must not keep it held for longer than it could be.
  const isHeld = before !== null && before.untilMs > nowMs && before.untilMs <= nowMs + LEASE_MS
  if (isHeld && before.holder !== holder) return null
  const lease: Lease = { holder, untilMs: nowMs + LEASE_MS }
  const when = [{ key: at, version: found?.version ?? 0 }]
  const { ok } = await store.txn(when, [{ put: at, value: JSON.stringify(lease) }])
  return ok ? lease.untilMs : null
}

/** Gives it back for others to take at once. */
export async function giveLease({ store, holder }: LeaseParts, target: string): Promise<void> {
  const at = outboxLeaseKey(target)
  const found = await store.get(at)
  if (found === null || (JSON.parse(found.value) as Lease).holder !== holder) return
  await store.txn([{ key: at, version: found.version }], [{ del: at }])
}
