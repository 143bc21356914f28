// VPN connections in numbers: which CCs hold a connection's tunnels, and the addresses inside of
// them.

import { type Address, type Cidr, mustCidr, nthAddress, nthBlock } from './cidr.ts'
import { hash32 } from './hash.ts'
import { ascending } from './order.ts'
import { VPN_NUMBERS } from './ranges.ts'

/** As EC2 has it: a /30 for each tunnel. */
const INSIDE = mustCidr('169.254.0.0/16')
const INSIDE_LENGTH = 30
/** The first ones are what EC2 reserves; past the last are the services of every network. */
const FIRST_BLOCK = 1_024

export interface TunnelEnd {
  readonly rack: string
  readonly host: string
}

/**
 * The CCs that hold a connection's tunnels, the best first: the second in another rack where there
 * is one, else on another host, and none on the same one. By rendezvous hashing: a CC that comes or
 * goes moves only what it gets or had.
 */
export function endsFor<T extends TunnelEnd>(id: string, ccs: readonly T[]): T[] {
  const weigh = ({ rack, host }: T): number => hash32(`${id} ${rack} ${host}`)
  const sorted = ccs
    .map((one) => ({ one, weight: weigh(one) }))
    .sort(
      (a, b) =>
        b.weight - a.weight ||
        ascending(a.one.rack, b.one.rack) ||
        ascending(a.one.host, b.one.host),
    )
    .map(({ one }) => one)
  const [first, ...others] = sorted
  if (first === undefined) return []
  const second = others.find(({ rack }) => rack !== first.rack) ?? others[0]
  return second === undefined ? [first] : [first, second]
}

/** The /30 of a tunnel's own addresses; RangeError for a number that is none. */
export function insideCidr(number: number): Cidr {
  if (number < VPN_NUMBERS.first || number > VPN_NUMBERS.last) {
    throw new RangeError(`${number} is no number of a VPN tunnel`)
  }
  const block = nthBlock(INSIDE, INSIDE_LENGTH, FIRST_BLOCK + number)
  if (block === null) throw new RangeError(`there is no inner block for the tunnel ${number}`)
  return block
}

/** The cloud's address in a tunnel's /30, and the device's, as EC2 gives them. */
export function insideEnds(cidr: Cidr): { readonly cloud: Address; readonly device: Address } {
  return { cloud: nthAddress(cidr, 1), device: nthAddress(cidr, 2) }
}
