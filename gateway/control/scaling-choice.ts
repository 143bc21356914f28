// Which instances of an Auto Scaling group go, and where new ones are launched. Pure.

import { compareText } from '../ec2/paging.ts'
import type { ScalingGroupRecord, ScalingMemberRecord } from '../store/scaling-records.ts'

const HOUR_MS = 3_600_000

/** A rack that the group launches in, as it is now. */
export interface ZoneSeen {
  readonly rack: string
  /** '' is the default subnet. */
  readonly subnets: readonly string[]
  /** It can be asked and takes new instances. */
  readonly usable: boolean
}

/** A member that may go. */
export interface Candidate {
  readonly member: ScalingMemberRecord
  readonly launchedAtMs: number
  /** The version of the template that it was launched from; -1 of another template than now. */
  readonly version: number
}

/**
 * Whom a scale-in takes, `count` at most: each time from the zone that has most, first from zones
 * that are the group's no more, and of those whom the policies choose (Auto Scaling user guide,
 * "Termination policies"). Members that are protected stay.
 */
export function victims(
  group: Pick<ScalingGroupRecord, 'terminationPolicies'>,
  zones: readonly ZoneSeen[],
  active: readonly Candidate[],
  count: number,
  nowMs: number,
): ScalingMemberRecord[] {
  const own = new Set(zones.map(({ rack }) => rack))
  let left = [...active]
  const chosen: ScalingMemberRecord[] = []
  while (chosen.length < count) {
    const counts = countsOf(left.map(({ member }) => member))
    const weight = ({ rack }: ScalingMemberRecord): number =>
      own.has(rack) ? (counts.get(rack) ?? 0) : Number.POSITIVE_INFINITY
    const free = left.filter(({ member }) => !member.protected)
    const most = Math.max(...free.map(({ member }) => weight(member)))
    const inZone = free.filter(({ member }) => weight(member) === most)
    const [next] = byPolicies(group.terminationPolicies, inZone, nowMs)
    if (next === undefined) break
    chosen.push(next.member)
    left = left.filter((one) => one !== next)
  }
  return chosen
}

/** Each policy keeps those that are worst by it; what is left is in order of age. */
function byPolicies(
  policies: readonly string[],
  candidates: readonly Candidate[],
  nowMs: number,
): Candidate[] {
  let left = [...candidates]
  for (const policy of policies) {
    const rank = rankBy(policy, nowMs)
    if (rank === null) continue
    const least = Math.min(...left.map(rank))
    left = left.filter((one) => rank(one) === least)
  }
  return left.sort(
    (a, b) => a.launchedAtMs - b.launchedAtMs || compareText(a.member.instance, b.member.instance),
  )
}

function rankBy(policy: string, nowMs: number): ((one: Candidate) => number) | null {
  switch (policy) {
    case 'OldestInstance':
      return (one) => one.launchedAtMs
    case 'NewestInstance':
      return (one) => -one.launchedAtMs
    case 'Default':
    case 'OldestLaunchTemplate':
      return (one) => one.version
    case 'ClosestToNextInstanceHour':
      return (one) => -((nowMs - one.launchedAtMs) % HOUR_MS)
    default:
      // Nobody was launched from a launch configuration, and all allocation strategies are one.
      return null
  }
}

/** Where the next instances go, and how many: the zone that has fewest, as many as even it out. */
export function nextLaunch(
  group: Pick<ScalingGroupRecord, 'distribution'>,
  zones: readonly ZoneSeen[],
  active: readonly ScalingMemberRecord[],
  refused: ReadonlySet<string>,
  count: number,
): { rack: string; subnet: string; count: number } | null {
  const counts = countsOf(active)
  const has = ({ rack }: ZoneSeen): number => counts.get(rack) ?? 0
  const fewest = Math.min(...zones.map(has))
  const open = zones
    .filter((zone) => zone.usable && !refused.has(zone.rack))
    .filter((zone) => group.distribution === 'balanced-best-effort' || has(zone) === fewest)
    .sort((a, b) => has(a) - has(b))
  const [first] = open
  if (first === undefined) return null
  // The level to which the instances would rise if all open zones were filled up evenly.
  let level = has(first)
  const room = (): number => open.reduce((sum, zone) => sum + Math.max(0, level - has(zone)), 0)
  while (room() < count) level += 1
  const fair = Math.min(count, level - has(first))
  return { rack: first.rack, subnet: subnetOf(first, active), count: fair }
}

/** A zone that shall get one for another that has two more, or that is the group's no more. */
export function imbalance(
  zones: readonly ZoneSeen[],
  active: readonly ScalingMemberRecord[],
  reachable: (rack: string) => boolean,
): { rack: string; subnet: string } | null {
  const counts = countsOf(active)
  const has = (rack: string): number => counts.get(rack) ?? 0
  const usable = zones.filter((zone) => zone.usable)
  const [least] = [...usable].sort((a, b) => has(a.rack) - has(b.rack))
  if (least === undefined) return null
  const own = new Set(zones.map(({ rack }) => rack))
  const free = active.filter((one) => !one.protected)
  const isStray = free.some(({ rack }) => !own.has(rack) && reachable(rack))
  const isUneven = usable.some(
    ({ rack }) => has(rack) - has(least.rack) >= 2 && free.some((one) => one.rack === rack),
  )
  return isStray || isUneven ? { rack: least.rack, subnet: subnetOf(least, active) } : null
}

/** The subnet of a zone that has fewest of the group. */
function subnetOf({ subnets }: ZoneSeen, active: readonly ScalingMemberRecord[]): string {
  const has = (subnet: string): number => active.filter((one) => one.subnet === subnet).length
  return [...subnets].sort((a, b) => has(a) - has(b))[0] ?? ''
}

function countsOf(members: readonly ScalingMemberRecord[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { rack } of members) counts.set(rack, (counts.get(rack) ?? 0) + 1)
  return counts
}
