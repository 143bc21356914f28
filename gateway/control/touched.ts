// What a change touches, as data, and the small questions that decide it.

import { EVERY_RACK } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { tunnelsTo } from '../vpn/tunnels.ts'
import { peersOf } from './presence.ts'

export interface Touched {
  readonly key: string
  /** The only rack that may hold it, or null when any may. */
  readonly rack: string | null
}

/** A record before and after; before is undefined when nobody knows. */
export interface Seen<T> {
  readonly id: string
  readonly before: T | null | undefined
  readonly after: T | null
}

/** Changes of one revision, or of several after one another. */
export interface Batch {
  readonly view: View
  /** The keys of the records that changed. */
  readonly keys: ReadonlySet<string>
  /** What says which racks know which VPC is among them: subnets, peerings, VPN connections. */
  readonly movesVpcs: boolean
  /** Listeners or nodes of load balancers are among them. */
  readonly movesNodes: boolean
}

/** Did it come, go, or change in one of these fields? */
export function differs<T>({ before, after }: Seen<T>, fields: readonly (keyof T)[]): boolean {
  if (!before || !after) return true
  return fields.some((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
}

/** The records that there are of the two. */
export function versions<T>({ before, after }: Seen<T>): T[] {
  return [before, after].filter((one) => one !== null && one !== undefined)
}

/** One for each rack; EVERY_RACK among them, or null, is any rack. */
export function inRacks(racks: Iterable<string> | null, ...keys: readonly string[]): Touched[] {
  const set = racks === null ? null : new Set(racks)
  if (set === null || set.has(EVERY_RACK)) return keys.map((key) => ({ key, rack: null }))
  return keys.flatMap((key) => [...set].map((rack) => ({ key, rack })))
}

/** The racks that have one of these VPCs, or a tunnel to it. */
export function racksWith({ view, movesVpcs }: Batch, vpcs: Iterable<string>): string[] | null {
  if (movesVpcs) return null
  return [...vpcs].flatMap((vpc) => [
    ...view.subnetsOf('vpc', vpc).map((subnet) => subnet.rack),
    ...tunnelsTo(view, vpc).map(({ tunnel }) => tunnel.rack),
  ])
}

/** The racks that have the VPC or a peer of it. */
export function racksReaching(batch: Batch, vpc: string): string[] | null {
  return racksWith(batch, [vpc, ...peersOf(batch.view, vpc)])
}
