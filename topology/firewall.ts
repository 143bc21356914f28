// Which rule of a security group, and which entry of a network ACL, decides over a packet. The same
// answer as hosts give, for people who ask why.

import { type Address, contains, parseCidr } from './cidr.ts'

/** Of a security group. One of the first four says who is at the other end; the others are ''. */
export interface FirewallRule {
  readonly ipv4: string
  readonly ipv6: string
  readonly group: string
  readonly prefixList: string
  readonly id: string
  readonly egress: boolean
  /** `tcp`, `udp`, `icmp`, `icmpv6`, a number as text, or `-1` for all. */
  readonly protocol: string
  /** Ports, or the ICMP type and code; -1 is all of them. */
  readonly fromPort: number
  readonly toPort: number
}

/** An entry of a network ACL. */
export interface AclRule {
  /** 1 to 32766; the lowest that fits decides. What none fits is refused. */
  readonly number: number
  readonly egress: boolean
  /** The IANA number as text, or `-1`. */
  readonly protocol: string
  readonly action: 'allow' | 'deny'
  readonly cidr: string
  readonly fromPort: number
  readonly toPort: number
  readonly icmpType: number
  readonly icmpCode: number
}

export interface Traffic {
  /** Seen from the interface or the subnet whose rules are asked. */
  readonly egress: boolean
  /** IANA number. */
  readonly protocol: number
  /** The destination's port; of ICMP the type. Null for protocols without. */
  readonly port: number | null
  /** Of ICMP. */
  readonly code?: number
  /** Who is at the other end. */
  readonly peer: Address
}

export interface GroupTraffic extends Traffic {
  /** The groups of the peer's interface, when it has one that rules may name. */
  readonly peerGroups: readonly string[]
  /** The prefixes of a prefix list. */
  readonly prefixesOf: (prefixList: string) => readonly string[]
}

export interface AclVerdict {
  readonly allowed: boolean
  /** The entry that decides: the first that fits, DEFAULT_ENTRY when none does. */
  readonly number: number
}

/** The number of the last entry, `*`, that refuses what no other fits (EC2, NetworkAclEntry). */
export const DEFAULT_ENTRY = 32_767

const ALL = -1
const ICMP: readonly number[] = [1, 58]
const WITH_PORTS: readonly number[] = [6, 17]
const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 }

/** The IANA number of a protocol as rules write it; -1 is all. */
export function protocolNumber(protocol: string): number {
  return Object.hasOwn(NUMBERS, protocol) ? (NUMBERS[protocol] ?? ALL) : Number(protocol)
}

/** The id of the first rule that lets the traffic pass; null when no rule does. */
export function groupVerdict(rules: readonly FirewallRule[], traffic: GroupTraffic): string | null {
  return rules.find((rule) => passes(rule, traffic))?.id ?? null
}

export function aclVerdict(entries: readonly AclRule[], traffic: Traffic): AclVerdict {
  const fitting = entries
    .filter((entry) => entry.egress === traffic.egress && entryFits(entry, traffic))
    .sort((a, b) => a.number - b.number)
  const [first] = fitting
  if (first === undefined) return { allowed: false, number: DEFAULT_ENTRY }
  return { allowed: first.action === 'allow', number: first.number }
}

function passes(rule: FirewallRule, traffic: GroupTraffic): boolean {
  if (rule.egress !== traffic.egress) return false
  const protocol = protocolNumber(rule.protocol)
  if (protocol !== ALL && protocol !== traffic.protocol) return false
  if (WITH_PORTS.includes(protocol) && !isBetween(traffic.port, rule.fromPort, rule.toPort)) {
    return false
  }
  if (ICMP.includes(protocol) && !icmpFits(rule.fromPort, rule.toPort, traffic)) return false
  if (rule.group !== '') return traffic.peerGroups.includes(rule.group)
  const prefixes =
    rule.prefixList === '' ? [rule.ipv4, rule.ipv6] : traffic.prefixesOf(rule.prefixList)
  return prefixes.some((prefix) => isIn(prefix, traffic.peer))
}

function entryFits(entry: AclRule, traffic: Traffic): boolean {
  if (!isIn(entry.cidr, traffic.peer)) return false
  const protocol = protocolNumber(entry.protocol)
  if (protocol === ALL) return true
  if (protocol !== traffic.protocol) return false
  if (WITH_PORTS.includes(protocol)) return isBetween(traffic.port, entry.fromPort, entry.toPort)
  return !ICMP.includes(protocol) || icmpFits(entry.icmpType, entry.icmpCode, traffic)
}

function isBetween(port: number | null, from: number, to: number): boolean {
  if (from === ALL) return true
  return port !== null && port >= from && port <= to
}

function icmpFits(type: number, code: number, traffic: Traffic): boolean {
  if (type === ALL) return true
  return type === traffic.port && (code === ALL || code === traffic.code)
}

function isIn(prefix: string, address: Address): boolean {
  const parsed = parseCidr(prefix)
  return parsed.ok && contains(parsed.value, address)
}
