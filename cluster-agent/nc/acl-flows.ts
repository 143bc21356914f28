// Network ACLs as flows: the entries of one ACL in their order, once for all of its networks.

import type { Acl, AclEntry } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { type Cidr, formatCidr, parseCidr } from '../../topology/cidr.ts'
import { trafficMatches } from './flow-matches.ts'
import { ACL_ENTRIES, DELIVER, GROUP_IN } from './flow-tables.ts'

/** The first entry's; each further one has the next lower. */
const FIRST_PRIORITY = 40_000
const ICMPS = [1, 58]

/** What no entry fits is dropped by the table's last flow. */
export function aclFlows({ entries }: Acl, aclNumber: number): string[] {
  return entries.flatMap((entry, index) => entryFlows(entry, FIRST_PRIORITY - index, aclNumber))
}

function entryFlows(entry: AclEntry, priority: number, aclNumber: number): string[] {
  const cidr = parseCidr(entry.cidr)
  if (!cidr.ok) return []
  const [table, next] = entry.egress ? [ACL_ENTRIES.out, DELIVER] : [ACL_ENTRIES.in, GROUP_IN]
  const end = peerMatch(cidr.value, entry.egress ? 'dst' : 'src')
  const { protocol, fromPort, toPort, icmpType, icmpCode } = entry
  const [from, to] = ICMPS.includes(protocol) ? [icmpType, icmpCode] : [fromPort, toPort]
  const action = entry.allow ? `goto_table:${next}` : 'drop'
  return trafficMatches(cidr.value.family, { protocol, from, to }).map(
    (match) =>
      `table=${table},priority=${priority},reg2=${aclNumber},${match}${end},actions=${action}`,
  )
}

function peerMatch(cidr: Cidr, end: 'src' | 'dst'): string {
  if (cidr.length === 0) return ''
  return `,${cidr.family === 4 ? 'nw' : 'ipv6'}_${end}=${formatCidr(cidr)}`
}
