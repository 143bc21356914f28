// Placement groups: which hosts a group lets an instance go to, and the choice among them. A group
// keeps its instances together, apart, or apart by partitions that share no host.

import { ascending } from './order.ts'
import {
  type Place,
  type PlaceHost,
  type PlaceRequest,
  type Resources,
  roomFor,
} from './placement.ts'
import { no, ok, type Result } from './result.ts'

export interface GroupPlace extends Place {
  /** From 1; null in groups without partitions. */
  readonly partition: number | null
}

export interface GroupRule {
  readonly strategy: 'cluster' | 'spread' | 'partition'
  /** Of a spread group: what two instances never share. */
  readonly level: 'rack' | 'host'
  /** Of a partition group: how many there are. */
  readonly partitions: number
  /** The partition that the request wants; null: any. */
  readonly partition: number | null
  /** Where the group's instances are. */
  readonly members: readonly GroupPlace[]
}

type Counts = Pick<PlaceRequest, 'minCount' | 'maxCount'>

/** A host while a request is being placed. */
interface Site {
  readonly host: PlaceHost
  room: number
  placed: number
}

interface Candidate {
  readonly site: Site
  readonly partition: number | null
}

/**
 * As many places as the group and the hosts allow, up to maxCount. NoCapacity when they are fewer
 * than minCount. The same question has the same answer, in whatever order the hosts are listed.
 */
export function placeInGroup(
  hosts: readonly PlaceHost[],
  need: Resources,
  { minCount, maxCount }: Counts,
  rule: GroupRule,
): Result<GroupPlace[], 'NoCapacity'> {
  const places =
    rule.strategy === 'cluster'
      ? placeTogether(hosts, need, maxCount, rule)
      : placeApart(hosts, need, maxCount, rule)
  return places.length < minCount ? no('NoCapacity') : ok(places)
}

/** What the group minds of a host, as the end of a sentence about it; null: nothing. */
export function groupTrouble({ rack, host }: Place, rule: GroupRule): string | null {
  const there = rule.members.filter((one) => one.rack === rack && one.host === host)
  switch (rule.strategy) {
    case 'cluster': {
      const home = rule.members[0]?.rack ?? rack
      return home === rack ? null : `is not in rack ${home}, where the placement group is`
    }
    case 'spread': {
      if (there.length > 0) return 'has an instance of the placement group already'
      const isTaken = rule.level === 'rack' && rule.members.some((one) => one.rack === rack)
      return isTaken ? 'is in a rack that has an instance of the placement group already' : null
    }
    case 'partition': {
      const other = there.find((one) => one.partition !== rule.partition)
      if (other === undefined || rule.partition === null) return null
      return `belongs to partition ${other.partition} of the placement group`
    }
  }
}

/** In one rack: the group's own, else the one that most fit into; on few hosts. */
function placeTogether(
  hosts: readonly PlaceHost[],
  need: Resources,
  maxCount: number,
  rule: GroupRule,
): GroupPlace[] {
  const allowed = hosts.filter((host) => groupTrouble(host, rule) === null)
  const racks = [...new Set(allowed.map(({ rack }) => rack))]
  const choices = racks.map((rack) => {
    const sites = sitesOf(
      allowed.filter((host) => host.rack === rack),
      need,
    )
    sites.sort(
      (a, b) =>
        countOn(rule.members, b.host) - countOn(rule.members, a.host) ||
        b.room - a.room ||
        ascending(a.host.host, b.host.host),
    )
    const instances = sites.reduce((sum, { host }) => sum + host.instances, 0)
    const room = sites.reduce((sum, site) => sum + site.room, 0)
    return { rack, instances, room, places: filled(sites, maxCount) }
  })
  choices.sort(
    (a, b) =>
      b.places.length - a.places.length ||
      a.instances - b.instances ||
      b.room - a.room ||
      ascending(a.rack, b.rack),
  )
  return choices[0]?.places ?? []
}

function filled(sites: readonly Site[], maxCount: number): GroupPlace[] {
  const places: GroupPlace[] = []
  for (const { host, room } of sites) {
    for (let n = 0; n < room && places.length < maxCount; n += 1) {
      places.push({ rack: host.rack, host: host.host, partition: null })
    }
  }
  return places
}

/** One after the other: each where the fewest of the group are, by partition, rack and host. */
function placeApart(
  hosts: readonly PlaceHost[],
  need: Resources,
  maxCount: number,
  rule: GroupRule,
): GroupPlace[] {
  const sites = sitesOf(hosts, need)
  const members = [...rule.members]
  const places: GroupPlace[] = []
  while (places.length < maxCount) {
    const found = best(sites, { ...rule, members })
    if (found === null) break
    found.site.room -= 1
    found.site.placed += 1
    const { rack, host } = found.site.host
    const one = { rack, host, partition: found.partition }
    members.push(one)
    places.push(one)
  }
  return places
}

function best(sites: readonly Site[], rule: GroupRule): Candidate | null {
  const wanted =
    rule.strategy === 'spread'
      ? [null]
      : rule.partition === null
        ? Array.from({ length: rule.partitions }, (_, i) => i + 1)
        : [rule.partition]
  // The partition with the fewest instances that has a host at all.
  const bySize = wanted
    .map((partition) => ({
      partition,
      size: rule.members.filter((one) => one.partition === partition).length,
    }))
    .sort((a, b) => a.size - b.size || (a.partition ?? 0) - (b.partition ?? 0))
  for (const { partition } of bySize) {
    const site = bestSite(sites, { ...rule, partition })
    if (site !== null) return { site, partition }
  }
  return null
}

function bestSite(sites: readonly Site[], rule: GroupRule): Site | null {
  let found: { site: Site; rank: readonly number[] } | null = null
  for (const site of sites) {
    if (site.room < 1 || groupTrouble(site.host, rule) !== null) continue
    const rank = rankOf(site, rule)
    if (found === null || isBefore({ site, rank }, found)) found = { site, rank }
  }
  return found?.site ?? null
}

/** Smaller is better. A partition stays on its hosts, so that hosts are left for the others. */
function rankOf({ host, room, placed }: Site, { members, partition }: GroupRule): number[] {
  const inRack = members.filter((one) => one.rack === host.rack)
  const others = inRack.filter((one) => one.partition !== partition)
  const isOwn = countOn(members, host) > 0
  const near = partition === null ? inRack : others
  return [isOwn ? 0 : 1, near.length, host.instances + placed, -room]
}

function isBefore(
  a: { site: Site; rank: readonly number[] },
  b: { site: Site; rank: readonly number[] },
): boolean {
  for (const [i, n] of a.rank.entries()) if (n !== b.rank[i]) return n < (b.rank[i] ?? 0)
  const { host: one } = a.site
  const { host: two } = b.site
  return (ascending(one.rack, two.rack) || ascending(one.host, two.host)) < 0
}

function sitesOf(hosts: readonly PlaceHost[], need: Resources): Site[] {
  return hosts.map((host) => ({
    host,
    room: host.eligible ? roomFor(host.free, need) : 0,
    placed: 0,
  }))
}

function countOn(members: readonly GroupPlace[], { rack, host }: Place): number {
  return members.filter((one) => one.rack === rack && one.host === host).length
}
