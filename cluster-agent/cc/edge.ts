// What the CC's host forwards and answers: only between prefixes of one VPC, only with a sender's
// own address, and to itself little more than DHCP and ping. Owns the nft table `inet mallee`.

import { createHash } from 'node:crypto'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Network, Vpc } from '../../proto/gen/mallee/v1/desired_pb.js'
import { ascending } from '../../topology/order.ts'
import { applyRuleset, readTable, tableComment } from '../host/nft.ts'
import { EDGE_TABLE, gatewayPort, TUNNEL_DEVICE } from './names.ts'

export interface EdgeDesired {
  /** The cloud's /48: its CCs may ping each other inside of the tunnels. */
  readonly fabric: string
  readonly vpcs: readonly Vpc[]
  readonly networks: readonly Network[]
}

/** The table carries its own digest as comment: a table with another one is replaced as a whole. */
export function edgeReconciler(
  exec: Exec,
  desired: EdgeDesired,
): Reconciler<string | null, string> {
  const { digest, ruleset } = edgeRules(desired)
  return {
    name: 'edge',
    observe: async () => tableComment((await readTable(exec, 'inet', EDGE_TABLE)) ?? ''),
    plan: (seen) => (seen === digest ? [] : [ruleset]),
    apply: (step) => applyRuleset(exec, step),
  }
}

/** One transaction: the old table goes, the new one comes; running connections stay. */
export function edgeRules({ fabric, vpcs, networks }: EdgeDesired): {
  digest: string
  ruleset: string
} {
  const body = `
${set(
  'pairs4',
  'ipv4_addr . ipv4_addr',
  vpcs.flatMap((vpc) => pairs(vpc.ipv4Cidrs)),
)}
${set(
  'pairs6',
  'ipv6_addr . ipv6_addr',
  vpcs.flatMap((vpc) => pairs(vpc.ipv6Cidrs)),
)}
${set(
  'senders4',
  'ifname . ipv4_addr',
  networks.flatMap((one) => sender(one, one.ipv4Cidr)),
)}
${set(
  'senders6',
  'ifname . ipv6_addr',
  networks.flatMap((one) => sender(one, one.ipv6Cidr)),
)}
${chains(fabric)}`
  const digest = createHash('sha256').update(body).digest('hex').slice(0, 32)
  const table = `table inet ${EDGE_TABLE}`
  return {
    digest,
    ruleset: `${table}\ndelete ${table}\n${table} {\n  comment "${digest}"\n${body}}\n`,
  }
}

// What came in by the tunnel has been checked already: WireGuard takes from a peer only what its
// allowed-ips say. Both directions must be ours: without the way out, a packet whose tunnel is not
// there yet would leave by the default route, in clear. The limits are for all senders together.
function chains(fabric: string): string {
  const limit = 'limit rate 1000/second burst 1000 packets accept'
  return `  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "gw*" jump own_address
    ct state established,related accept
    ct state invalid drop
    iifname "gw*" oifname { "gw*", "${TUNNEL_DEVICE}" } jump same_vpc
    iifname "${TUNNEL_DEVICE}" oifname "gw*" jump same_vpc
  }

  chain input {
    type filter hook input priority filter; policy accept;
    iifname "gw*" goto from_tenant
    iifname "${TUNNEL_DEVICE}" goto from_tunnel
  }

  chain own_address {
    meta nfproto ipv4 iifname . ip saddr != @senders4 drop
    meta nfproto ipv6 iifname . ip6 saddr != @senders6 drop
  }

  chain same_vpc {
    ip saddr . ip daddr @pairs4 accept
    ip6 saddr . ip6 daddr @pairs6 accept
  }

  chain from_tenant {
    udp sport 68 udp dport 67 accept
    ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } \\
      ip6 hoplimit 255 accept
    ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type echo-request ${limit}
    ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type echo-reply accept
    jump own_address
    goto ping
  }

  chain from_tunnel {
    ip6 saddr ${fabric} ip6 daddr ${fabric} icmpv6 type echo-request ${limit}
    goto ping
  }

  chain ping {
    ct state established,related ct direction reply accept
    ip saddr . ip daddr @pairs4 icmp type echo-request ${limit}
    ip6 saddr . ip6 daddr @pairs6 icmpv6 type echo-request ${limit}
    drop
  }
`
}

function set(name: string, type: string, elements: readonly string[]): string {
  const list = [...new Set(elements)].sort(ascending)
  // An empty list of elements is a syntax error.
  const given = list.length === 0 ? '' : `    elements = { ${list.join(',\n      ')} }\n`
  return `  set ${name} {\n    type ${type}\n    flags interval\n${given}  }\n`
}

function pairs(cidrs: readonly string[]): string[] {
  return cidrs.flatMap((from) => cidrs.map((to) => `${from} . ${to}`))
}

function sender(network: Network, cidr: string): string[] {
  return cidr === '' ? [] : [`"${gatewayPort(network.vlanTag)}" . ${cidr}`]
}
