// Where instances go: over the racks with room, in each over its hosts. And why not there.

import { ascending } from './order.ts'
import { no, ok, type Result } from './result.ts'

export interface Resources {
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
}

export interface PlaceHost {
  readonly rack: string
  readonly host: string
  /** Exactly what instances may still take; below 0 where a host shrank. */
  readonly free: Resources
  /** How many instances are on it. */
  readonly instances: number
  readonly eligible: boolean
  /** Why it is not eligible, as the end of a sentence: `is draining`. */
  readonly why: string
}

export interface PlaceRequest {
  readonly minCount: number
  readonly maxCount: number
  /** null: any. */
  readonly rack: string | null
  readonly spread: true
}

export interface Place {
  readonly rack: string
  readonly host: string
}

/** What is known of a rack or host while a request is being placed. */
interface Site {
  readonly name: string
  /** Of this request. */
  placed: number
  instances: number
  /** How many more of this request fit. */
  room: number
}

interface RackSite extends Site {
  readonly hosts: Site[]
}

/**
 * As many places as there is room for, up to maxCount, one after the other: in the rack with the
 * fewest instances of this request, then the fewest instances, then most room, then the first by
 * name; and so among its hosts. NoCapacity when they are fewer than minCount. The same question
 * has the same answer, in whatever order the hosts are listed.
 */
export function place(
  hosts: readonly PlaceHost[],
  need: Resources,
  { minCount, maxCount, rack }: PlaceRequest,
): Result<Place[], 'NoCapacity'> {
  const racks = sites(
    hosts.filter((host) => rack === null || host.rack === rack),
    need,
  )
  const places: Place[] = []
  while (places.length < maxCount) {
    const site = best(racks)
    const host = site === null ? null : best(site.hosts)
    if (site === null || host === null) break
    for (const one of [site, host]) {
      one.placed += 1
      one.instances += 1
      one.room -= 1
    }
    places.push({ rack: site.name, host: host.name })
  }
  return places.length < minCount ? no('NoCapacity') : ok(places)
}

/** One sentence per host, by rack and host: why not, or how many fit. */
export function explain(hosts: readonly PlaceHost[], need: Resources): string[] {
  return [...hosts].sort(byName).map((one) => {
    const name = `host ${one.host} of rack ${one.rack}`
    if (!one.eligible) return `${name} ${one.why}`
    const short = shortages(one.free, need)
    if (short.length > 0) return `${name} has ${short.join(' and ')}`
    return `${name} has room for ${roomFor(one.free, need)}`
  })
}

/** How many instances fit; Infinity when nothing is needed. Only what is needed counts. */
export function roomFor(free: Resources, need: Resources): number {
  const fits = (have: number, want: number): number =>
    want > 0 ? Math.floor(have / want) : Number.POSITIVE_INFINITY
  const room = Math.min(
    fits(free.vcpus, need.vcpus),
    fits(free.memoryMib, need.memoryMib),
    fits(free.diskGib, need.diskGib),
  )
  return Math.max(0, room)
}

function shortages(free: Resources, need: Resources): string[] {
  const short = (have: number, want: number, unit: string): string[] =>
    want > Math.max(0, have) ? [`${Math.max(0, have)} of ${want} ${unit} free`] : []
  return [
    ...short(free.vcpus, need.vcpus, 'vCPUs'),
    ...short(free.memoryMib, need.memoryMib, 'MiB of memory'),
    ...short(free.diskGib, need.diskGib, 'GiB of disk'),
  ]
}

function sites(hosts: readonly PlaceHost[], need: Resources): RackSite[] {
  const racks = new Map<string, RackSite>()
  for (const { rack, host, free, instances, eligible } of hosts) {
    const room = eligible ? roomFor(free, need) : 0
    const site = racks.get(rack) ?? { name: rack, placed: 0, instances: 0, room: 0, hosts: [] }
    site.instances += instances
    site.room += room
    site.hosts.push({ name: host, placed: 0, instances, room })
    racks.set(rack, site)
  }
  return [...racks.values()]
}

function best<S extends Site>(among: readonly S[]): S | null {
  let found: S | null = null
  for (const one of among) {
    if (one.room > 0 && (found === null || before(one, found))) found = one
  }
  return found
}

function before(a: Site, b: Site): boolean {
  if (a.placed !== b.placed) return a.placed < b.placed
  if (a.instances !== b.instances) return a.instances < b.instances
  if (a.room !== b.room) return a.room > b.room
  return a.name < b.name
}

function byName(a: Place, b: Place): number {
  return ascending(a.rack, b.rack) || ascending(a.host, b.host)
}
