// Where instances go: hosts with room, spread over racks first, then over hosts. Deterministic, and
// able to say why a host was not taken.

import { no, ok, type Result } from './result.ts'

export interface Need {
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
}

export interface PlaceHost {
  readonly rack: string
  readonly host: string
  readonly free: Need
  readonly instances: number
  readonly eligible: boolean
  /** Why it is not eligible; empty when it is. */
  readonly why: string
}

export interface PlaceRequest {
  readonly minCount: number
  readonly maxCount: number
  /** The only rack that may be used, or null for any. */
  readonly rack: string | null
  readonly spread: true
}

export interface Placement {
  readonly rack: string
  readonly host: string
}

interface Candidate {
  readonly rack: string
  readonly host: string
  free: Need
  instances: number
  placed: number
}

/** Up to maxCount places, at least minCount, or none at all. */
export function place(
  hosts: readonly PlaceHost[],
  need: Need,
  request: PlaceRequest,
): Result<Placement[], 'NoCapacity'> {
  const candidates: Candidate[] = hosts
    .filter((host) => host.eligible && (request.rack === null || host.rack === request.rack))
    .map(({ rack, host, free, instances }) => ({ rack, host, free, instances, placed: 0 }))
  const placements: Placement[] = []
  while (placements.length < request.maxCount) {
    const racks = rackLoads(candidates)
    const [best] = candidates
      .filter(({ free }) => fits(free, need))
      .sort((a, b) => compareRacks(racks, a.rack, b.rack) || compareHosts(a, b))
    if (best === undefined) break
    best.free = minus(best.free, need)
    best.placed += 1
    best.instances += 1
    placements.push({ rack: best.rack, host: best.host })
  }
  return placements.length < request.minCount ? no('NoCapacity') : ok(placements)
}

/** One sentence for each host: why it takes no instance of this need, or how many it would take. */
export function explain(hosts: readonly PlaceHost[], need: Need): string[] {
  return hosts.map(({ rack, host, free, eligible, why }) => {
    const name = `${rack}/${host}`
    if (!eligible) return `${name}: ${why}`
    const lacks = (['vcpus', 'memoryMib', 'diskGib'] as const)
      .filter((what) => free[what] < need[what])
      .map((what) => `${UNITS[what]} ${Math.max(0, free[what])} free of ${need[what]} needed`)
    return lacks.length === 0 ? `${name}: has room` : `${name}: ${lacks.join(', ')}`
  })
}

const UNITS = { vcpus: 'vCPUs', memoryMib: 'MiB of memory', diskGib: 'GiB of disk' } as const

interface RackLoad {
  placed: number
  instances: number
  freeVcpus: number
}

function rackLoads(candidates: readonly Candidate[]): Map<string, RackLoad> {
  const loads = new Map<string, RackLoad>()
  for (const { rack, placed, instances, free } of candidates) {
    const load = loads.get(rack) ?? { placed: 0, instances: 0, freeVcpus: 0 }
    load.placed += placed
    load.instances += instances
    load.freeVcpus += free.vcpus
    loads.set(rack, load)
  }
  return loads
}

function compareRacks(loads: ReadonlyMap<string, RackLoad>, a: string, b: string): number {
  const [x, y] = [loads.get(a), loads.get(b)]
  if (a === b || x === undefined || y === undefined) return 0
  return (
    x.placed - y.placed ||
    x.instances - y.instances ||
    y.freeVcpus - x.freeVcpus ||
    (a < b ? -1 : 1)
  )
}

function compareHosts(a: Candidate, b: Candidate): number {
  return (
    a.placed - b.placed ||
    a.instances - b.instances ||
    b.free.vcpus - a.free.vcpus ||
    (a.host < b.host ? -1 : 1)
  )
}

function fits(free: Need, need: Need): boolean {
  return (
    free.vcpus >= need.vcpus && free.memoryMib >= need.memoryMib && free.diskGib >= need.diskGib
  )
}

function minus(free: Need, need: Need): Need {
  return {
    vcpus: free.vcpus - need.vcpus,
    memoryMib: free.memoryMib - need.memoryMib,
    diskGib: free.diskGib - need.diskGib,
  }
}
