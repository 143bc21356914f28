// Verdicts of security groups and network ACLs, as tables: the rules once, then who passes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mustAddress } from '../../topology/cidr.ts'
import {
  type AclRule,
  aclVerdict,
  type FirewallRule,
  groupVerdict,
  protocolNumber,
} from '../../topology/firewall.ts'

const ANY = { ipv4: '', ipv6: '', group: '', prefixList: '', fromPort: -1, toPort: -1 }

const RULES: readonly FirewallRule[] = [
  rule('web', 'tcp', { ipv4: '10.1.0.0/16', fromPort: 80, toPort: 443 }),
  rule('web6', 'tcp', { ipv6: '::/0', fromPort: 80, toPort: 80 }),
  rule('zero', 'udp', { ipv4: '0.0.0.0/0', fromPort: 0, toPort: 0 }),
  rule('friends', '-1', { group: 'sg-friends' }),
  rule('ping', 'icmp', { ipv4: '10.2.0.0/16', fromPort: 8, toPort: -1 }),
  rule('big', 'icmp', { ipv4: '10.3.0.0/16', fromPort: 3, toPort: 4 }),
  rule('ping6', 'icmpv6', { ipv6: 'fd00::/8' }),
  rule('ipsec', '50', { ipv4: '10.4.0.0/16' }),
  rule('list', 'tcp', { prefixList: 'pl-1', fromPort: 22, toPort: 22 }),
  { ...rule('out', '-1', { ipv4: '0.0.0.0/0' }), egress: true },
]

for (const [what, peer, protocol, port, more, want] of [
  ['the first port of a range', '10.1.2.3', 6, 80, {}, 'web'],
  ['the last port of a range', '10.1.2.3', 6, 443, {}, 'web'],
  ['a port beyond', '10.1.2.3', 6, 444, {}, null],
  ['an address beyond', '10.2.2.3', 6, 80, {}, null],
  ['another protocol', '10.1.2.3', 17, 80, {}, null],
  ['a rule of the other family', 'fd00::1', 6, 443, {}, null],
  ['a rule of IPv6', 'fd00::1', 6, 80, {}, 'web6'],
  ['port 0, which is no wildcard', '10.9.9.9', 17, 1, {}, null],
  ['port 0 itself', '10.9.9.9', 17, 0, {}, 'zero'],
  ['a member of a group', '10.9.9.9', 6, 5000, { peerGroups: ['sg-friends'] }, 'friends'],
  ['a member of another group', '10.9.9.9', 6, 5000, { peerGroups: ['sg-web'] }, null],
  ['ICMP of a type, any code', '10.2.0.1', 1, 8, { code: 7 }, 'ping'],
  ['ICMP of another type', '10.2.0.1', 1, 0, { code: 0 }, null],
  ['ICMP of a type and code', '10.3.0.1', 1, 3, { code: 4 }, 'big'],
  ['ICMP of another code', '10.3.0.1', 1, 3, { code: 1 }, null],
  ['ICMPv6 of any type', 'fd00::1', 58, 135, { code: 0 }, 'ping6'],
  ['a protocol by number', '10.4.0.1', 50, null, {}, 'ipsec'],
  ['a prefix list', '192.0.2.7', 6, 22, {}, 'list'],
  ['beyond a prefix list', '198.51.100.7', 6, 22, {}, null],
  ['the way out', '198.51.100.7', 6, 22, { egress: true }, 'out'],
] as const) {
  test(`groupVerdict: ${what}: ${want}`, () => {
    const traffic = { egress: false, peerGroups: [], protocol, port, ...more }
    const prefixesOf = (id: string): string[] => (id === 'pl-1' ? ['192.0.2.0/24'] : [])
    const asked = { ...traffic, peer: mustAddress(peer), prefixesOf }
    assert.equal(groupVerdict(RULES, asked), want)
  })
}

const ENTRIES: readonly AclRule[] = [
  entry(200, 'allow', '-1', { cidr: '10.0.0.0/8' }),
  entry(100, 'deny', '6', { cidr: '10.1.0.0/16', fromPort: 22, toPort: 22 }),
  entry(90, 'allow', '6', { cidr: '10.1.9.0/24', fromPort: 0, toPort: 65_535 }),
  entry(110, 'deny', '1', { cidr: '10.1.0.0/16', icmpType: 8, icmpCode: -1 }),
  entry(300, 'allow', '58', { cidr: '::/0', icmpType: -1, icmpCode: -1 }),
  { ...entry(50, 'deny', '-1', { cidr: '0.0.0.0/0' }), egress: true },
]

for (const [what, peer, protocol, port, egress, want] of [
  ['the lowest number decides, whatever the order', '10.1.9.9', 6, 22, false, 'allow 90'],
  ['a refusal before a general leave', '10.1.1.1', 6, 22, false, 'deny 100'],
  ['what that does not fit', '10.1.1.1', 6, 80, false, 'allow 200'],
  ['ICMP', '10.1.1.1', 1, 8, false, 'deny 110'],
  ['ICMP of another type', '10.1.1.1', 1, 0, false, 'allow 200'],
  ['ICMPv6', 'fd00::1', 58, 135, false, 'allow 300'],
  ['what nothing fits', 'fd00::1', 6, 80, false, 'deny 32767'],
  ['the way out', '10.1.9.9', 6, 22, true, 'deny 50'],
] as const) {
  test(`aclVerdict: ${what}: ${want}`, () => {
    const traffic = { egress, protocol, port, code: 0, peer: mustAddress(peer) }
    const { allowed, number } = aclVerdict(ENTRIES, traffic)
    assert.equal(`${allowed ? 'allow' : 'deny'} ${number}`, want)
  })
}

for (const [protocol, want] of [
  ['tcp', 6],
  ['udp', 17],
  ['icmp', 1],
  ['icmpv6', 58],
  ['50', 50],
  ['-1', -1],
] as const) {
  test(`protocolNumber of ${protocol} is ${want}`, () => {
    assert.equal(protocolNumber(protocol), want)
  })
}

function rule(id: string, protocol: string, more: Partial<FirewallRule>): FirewallRule {
  return { ...ANY, id, egress: false, protocol, ...more }
}

function entry(
  number: number,
  action: 'allow' | 'deny',
  protocol: string,
  more: Partial<AclRule> & { readonly cidr: string },
): AclRule {
  const all = { fromPort: -1, toPort: -1, icmpType: -1, icmpCode: -1 }
  return { ...all, number, egress: false, protocol, action, ...more }
}
