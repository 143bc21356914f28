// Entries of network ACLs: as requests write them, as records keep them, as the API shows them.

import type { NetworkAclEntry } from '@aws-sdk/client-ec2'
import { formatCidr, parseLooseCidr } from '../../topology/cidr.ts'
import { DEFAULT_ENTRY } from '../../topology/firewall.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import type { NetworkAclEntry as EntryRecord } from '../store/network-records.ts'
import { badValue, required } from './input.ts'
import { hasPorts, isIcmp, parsePorts, parseProtocol, parseProtocolNumber } from './protocols.ts'

type EntryInput = Ec2Inputs['CreateNetworkAclEntry']

/** Above are the entries that every ACL ends with. */
const MAX_NUMBER = 32_766
const ALL = -1
const TCP_UDP = ['6', '17']
const ICMP = ['1', '58']

/** Number and direction tell the entries of an ACL apart. */
export function parsePlace({
  RuleNumber: number,
  Egress: egress,
}: {
  readonly RuleNumber?: number | undefined
  readonly Egress?: boolean | undefined
}): Pick<EntryRecord, 'number' | 'egress'> {
  const n = required('RuleNumber', number)
  if (Number.isInteger(n) && n >= 1 && n <= MAX_NUMBER) {
    return { number: n, egress: required('Egress', egress) }
  }
  throw badValue('RuleNumber', n, `Expecting 1 to ${MAX_NUMBER}.`)
}

export function parseEntry(input: EntryInput): EntryRecord {
  const place = parsePlace(input)
  const asked = required('Protocol', input.Protocol)
  const name = parseProtocol('protocol', asked)
  const action = required('RuleAction', input.RuleAction)
  if (action !== 'allow' && action !== 'deny') {
    throw badValue('RuleAction', action, 'Expecting allow or deny.')
  }
  const { cidr, family } = prefixOf(input)
  const entry = { ...place, protocol: parseProtocolNumber('protocol', asked), action, cidr }
  const none = { fromPort: ALL, toPort: ALL, icmpType: ALL, icmpCode: ALL }
  if (hasPorts(name)) {
    const { From: from, To: to } = required('PortRange', input.PortRange)
    return { ...entry, ...none, ...parsePorts(name, from, to) }
  }
  // ICMPv6 of an IPv4 prefix is all of it, whatever the request says (EC2, CreateNetworkAclEntry).
  if (!isIcmp(name) || (name === 'icmpv6' && family === 4)) return { ...entry, ...none }
  const { Type: type, Code: code } = required('IcmpTypeCode', input.IcmpTypeCode)
  const icmp = parsePorts('icmp', type, code)
  return { ...entry, ...none, icmpType: icmp.fromPort, icmpCode: icmp.toPort }
}

/** By direction and number, and last what refuses the rest. */
export function entriesShown(entries: readonly EntryRecord[], hasIpv6: boolean): NetworkAclEntry[] {
  return [true, false].flatMap((egress) => [
    ...entries
      .filter((entry) => entry.egress === egress)
      .sort((a, b) => a.number - b.number)
      .map(entryShown),
    lastEntry(egress, { RuleNumber: DEFAULT_ENTRY, CidrBlock: '0.0.0.0/0' }),
    ...(hasIpv6
      ? [lastEntry(egress, { RuleNumber: DEFAULT_ENTRY + 1, Ipv6CidrBlock: '::/0' })]
      : []),
  ])
}

function entryShown(entry: EntryRecord): NetworkAclEntry {
  const { protocol, cidr, fromPort: From, toPort: To, icmpType: Type, icmpCode: Code } = entry
  return {
    RuleNumber: entry.number,
    Egress: entry.egress,
    Protocol: protocol,
    RuleAction: entry.action,
    ...(cidr.includes(':') ? { Ipv6CidrBlock: cidr } : { CidrBlock: cidr }),
    PortRange: TCP_UDP.includes(protocol) ? { From, To } : undefined,
    IcmpTypeCode: ICMP.includes(protocol) ? { Type, Code } : undefined,
  }
}

function lastEntry(egress: boolean, rest: NetworkAclEntry): NetworkAclEntry {
  return { ...rest, Egress: egress, Protocol: '-1', RuleAction: 'deny' }
}

function prefixOf({ CidrBlock: ipv4, Ipv6CidrBlock: ipv6 }: EntryInput): {
  cidr: string
  family: 4 | 6
} {
  if (ipv4 !== undefined && ipv6 !== undefined) {
    const text = 'The parameters CidrBlock and Ipv6CidrBlock may not be used together'
    throw new ApiError('InvalidParameterCombination', text)
  }
  const family = ipv6 === undefined ? 4 : 6
  const name = family === 4 ? 'cidrBlock' : 'ipv6CidrBlock'
  const text = required('CidrBlock', ipv6 ?? ipv4)
  const parsed = parseLooseCidr(text)
  if (parsed.ok && parsed.value.family === family) {
    return { cidr: formatCidr(parsed.value), family }
  }
  const example = family === 4 ? '203.0.113.0/24' : '2001:db8::/32'
  throw badValue(name, text, `This is not a valid IPv${family} CIDR block like ${example}.`)
}
