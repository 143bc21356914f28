// Security groups as flows. A rule whose other end is a set of addresses (a group's members, a
// prefix list) is one flow at the port and one flow for each address, joined by conjunction(): a
// member costs one flow on a host, however many ports and rules ask for it.

import { create } from '@bufbuild/protobuf'
import { type Group, type GroupRule, GroupSchema } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { type Cidr, type Family, formatCidr, parseCidr } from '../../topology/cidr.ts'
import { trafficMatches } from './flow-matches.ts'
import { DIRECT, type GroupTables, INCOMING, OUTGOING, TOGETHER } from './flow-tables.ts'

/** Up to so many prefixes, flows of their own are fewer than a set's. */
const MAX_DIRECT_CIDRS = 2
const FAMILIES: readonly Family[] = [4, 6]
const ALL = { protocol: -1, fromPort: -1, toPort: -1, cidrs: ['0.0.0.0/0', '::/0'] }

/** A group that forbids nothing. */
export const EVERYTHING: Group = create(GroupSchema, {
  rules: [
    { ...ALL, egress: false },
    { ...ALL, egress: true },
  ],
})

/** Who is at the other end of a rule, when they are many. */
export type PeerSet =
  | { readonly key: string; readonly groupId: string }
  | { readonly key: string; readonly cidrs: readonly string[] }

export function tablesOf(rule: Pick<GroupRule, 'egress'>): GroupTables {
  return rule.egress ? OUTGOING : INCOMING
}

/** Null for a rule that names its few prefixes itself. */
export function peerSetOf({ groupId, cidrs }: GroupRule): PeerSet | null {
  if (groupId !== '') return { key: `group ${groupId}`, groupId }
  if (cidrs.length <= MAX_DIRECT_CIDRS) return null
  const prefixes = [...new Set(cidrs)].sort()
  return { key: `cidrs ${prefixes.join()}`, cidrs: prefixes }
}

/** What the rules of all groups of a port allow; `setNumber` knows each peer set's number. */
export function portGroupFlows(
  ofport: number,
  groups: readonly Group[],
  setNumber: (set: PeerSet) => number,
): string[] {
  const direct = new Set<string>()
  const joint = new Map<string, Set<number>>()
  for (const rule of groups.flatMap(({ rules }) => rules)) {
    const tables = tablesOf(rule)
    const start = (priority: number, match: string) =>
      `table=${tables.decide},priority=${priority},${tables.port}=${ofport},${match}`
    const traffic = (family: Family) =>
      trafficMatches(family, { protocol: rule.protocol, from: rule.fromPort, to: rule.toPort })
    const set = peerSetOf(rule)
    if (set === null) {
      for (const cidr of parsed(rule.cidrs)) {
        for (const match of traffic(cidr.family)) {
          const whole = start(DIRECT, `${match}${peer(tables, cidr)}`)
          direct.add(`${whole},actions=goto_table:${tables.commit}`)
        }
      }
      continue
    }
    for (const match of FAMILIES.flatMap(traffic)) {
      const whole = start(TOGETHER, match)
      joint.set(whole, (joint.get(whole) ?? new Set()).add(setNumber(set)))
    }
  }
  // A match that several rules share is one flow.
  const jointFlows = [...joint].map(
    ([match, sets]) => `${match},actions=${conjunctions([...sets], 2)}`,
  )
  return [...direct, ...jointFlows]
}

/** The flow of a prefix that is in peer sets. */
export function peerFlow(tables: GroupTables, prefix: Cidr, sets: readonly number[]): string {
  const ip = prefix.family === 4 ? 'ip' : 'ipv6'
  const match = `table=${tables.decide},priority=${TOGETHER},${ip}${peer(tables, prefix)}`
  return `${match},actions=${conjunctions(sets, 1)}`
}

/** Where a peer and a rule of the same set have met. */
export function metFlow(tables: GroupTables, set: number): string {
  const start = `table=${tables.decide},priority=${TOGETHER},conj_id=${set}`
  return `${start},actions=goto_table:${tables.commit}`
}

/** What can be read of them; the rest allows nobody. */
export function parsed(cidrs: readonly string[]): Cidr[] {
  return cidrs.flatMap((text) => {
    const cidr = parseCidr(text)
    return cidr.ok ? [cidr.value] : []
  })
}

function peer({ peer4, peer6 }: GroupTables, cidr: Cidr): string {
  return cidr.length === 0 ? '' : `,${cidr.family === 4 ? peer4 : peer6}=${formatCidr(cidr)}`
}

function conjunctions(sets: readonly number[], dimension: 1 | 2): string {
  const sorted = [...sets].sort((a, b) => a - b)
  return sorted.map((set) => `conjunction(${set},${dimension}/2)`).join()
}
