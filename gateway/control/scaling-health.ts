// Is an instance of an Auto Scaling group healthy? Pure. What is silent is not ill: an instance
// whose rack cannot be asked keeps the health that it had.

import { isUnhealthyTarget } from '../autoscaling/targets.ts'
import { isRackConnected } from '../ec2/zones.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { ScalingGroupRecord, ScalingMemberRecord } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'

/** A status check that fails for so long is no hiccup. */
const IMPAIRED_MS = 3 * 60_000
/** A host that is away for so long, while its rack is there, does not come back by itself soon. */
const HOST_AWAY_MS = 10 * 60_000
/** After a gateway's start racks get that long to say anew how their instances are. */
const SETTLING_MS = 3 * 60_000
const SECOND_MS = 1_000

/** Why an instance is taken out of service, as AWS ends the sentence in an activity's cause. */
export interface Illness {
  /** `ended`: it does not run any more. `impaired`: it should, and a check says no. */
  readonly kind: 'ended' | 'impaired'
  readonly text: string
}

export const ENDED: Illness = {
  kind: 'ended',
  text: 'an EC2 health check indicating it has been terminated or stopped',
}
const DEAF: Illness = { kind: 'impaired', text: 'an EC2 instance status checks failure' }
const FAILS: Illness = { kind: 'impaired', text: 'an ELB system health check failure' }
const LEAVES: Illness = { kind: 'impaired', text: 'an EC2 scheduled event of the instance' }
const AWAY: Illness = { kind: 'impaired', text: 'an EC2 system status checks failure' }

export interface HealthParts {
  readonly view: View
  readonly region: string
  /** When this gateway started: what is known from before may be old. */
  readonly startedAtMs: number
  readonly nowMs: number
}

/** Null when there is nothing to say against it. */
export function illnessOf(
  { view, region, startedAtMs, nowMs }: HealthParts,
  group: ScalingGroupRecord,
  member: ScalingMemberRecord,
  instance: InstanceRecord | null,
): Illness | null {
  if (instance === null || instance.desired !== 'running') return ENDED
  const host = view.get('host', instance.rack, instance.host)
  // Its host was taken out of the cloud for good, and its disk with it.
  if (host === null) return ENDED
  // One that does not serve yet, or is put aside, is not asked for more than that.
  if (member.state !== 'InService' || nowMs - startedAtMs < SETTLING_MS) return null
  if (inGrace(group, member, nowMs) || !isRackConnected(view, instance.rack)) return null
  // A rack that is drained is left by balancing, which launches before it terminates.
  if (host.drain !== undefined) return LEAVES
  if (host.status?.connected !== true) {
    const awayMs = nowMs - (host.awaySinceMs ?? nowMs)
    return awayMs >= HOST_AWAY_MS ? AWAY : null
  }
  const { guest, guestSinceMs = nowMs } = instance.observed ?? {}
  const isDeaf = instance.state === 'running' && guest === 'failed'
  if (isDeaf && nowMs - guestSinceMs >= IMPAIRED_MS) return DEAF
  const asksTargets = group.healthCheckType.split(',').includes('ELB')
  return asksTargets && isUnhealthyTarget(view, region, group, member) ? FAILS : null
}

/** The time after it came into service in which no check counts. */
export function inGrace(
  { gracePeriodSeconds }: ScalingGroupRecord,
  { inServiceAtMs }: ScalingMemberRecord,
  nowMs: number,
): boolean {
  return inServiceAtMs !== null && nowMs - inServiceAtMs < gracePeriodSeconds * SECOND_MS
}
