// The rack's edge: who may forward to whom, and what tenants may say to the CC itself. One nftables
// table, replaced whole in one transaction when its digest says that it is another.

import { createHash } from 'node:crypto'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Network, Vpc } from '../../proto/gen/mallee/v1/desired_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { applyRuleset, deleteTable, readTable, tableComment } from '../host/nft.ts'
import { gatewayPort } from './names.ts'

const TABLE = 'mallee'
/** Answers to tenants' pings of their gateway, per second and all together. */
const ICMP_PER_SECOND = 200

export function edgeReconciler(
  exec: Exec,
  desired: Desired,
): Reconciler<{ wanted: string; digest: string; has: string | null }, string> {
  return {
    name: 'edge',
    observe: async () => {
      const text = await readTable(exec, 'inet', TABLE)
      const wanted = edgeRules(bodies(desired, 'network'), bodies(desired, 'vpc'))
      return { wanted, digest: digestOf(wanted), has: text === null ? null : tableComment(text) }
    },
    plan: ({ wanted, digest, has }) => (has === digest ? [] : [ruleset(wanted, digest)]),
    apply: (rules) => applyRuleset(exec, rules),
  }
}

export async function removeEdge(exec: Exec): Promise<void> {
  await deleteTable(exec, 'inet', TABLE)
}

/**
 * The table's content. Forwarding: what was begun goes on; a network sends only from its own
 * prefixes; two prefixes talk when one VPC has both; the rest is dropped. Packets of other racks
 * come through WireGuard, which lets each rack send only from what is its own.
 */
export function edgeRules(networks: readonly Network[], vpcs: readonly Vpc[]): string {
  const ports = networks.map((network) => gatewayPort(network.vlanTag))
  return [
    namedSet('tenants', 'ifname', ports.map(quoted)),
    ...([4, 6] as const).flatMap((family) => {
      const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr'
      const own = networks.map(
        (one) =>
          `${quoted(gatewayPort(one.vlanTag))} . ${family === 4 ? one.ipv4Cidr : one.ipv6Cidr}`,
      )
      return [
        namedSet(`own${family}`, `ifname . ${type}`, own, 'interval'),
        namedSet(`pairs${family}`, `${type} . ${type}`, pairsOf(vpcs, family), 'interval'),
      ]
    }),
    `  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname @tenants jump routed
    oifname @tenants jump routed
  }
  chain routed {
    ct state invalid drop
    iifname @tenants meta nfproto ipv4 iifname . ip saddr != @own4 drop
    iifname @tenants meta nfproto ipv6 iifname . ip6 saddr != @own6 drop
    ct state established,related accept
    ip saddr . ip daddr @pairs4 accept
    ip6 saddr . ip6 daddr @pairs6 accept
    drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @tenants jump local
  }
  chain local {
    ct state established,related accept
    udp dport { 67, 547 } accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
    icmp type echo-request limit rate ${ICMP_PER_SECOND}/second accept
    icmpv6 type echo-request limit rate ${ICMP_PER_SECOND}/second accept
    icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } accept
    drop
  }`,
  ].join('\n')
}

function pairsOf(vpcs: readonly Vpc[], family: 4 | 6): string[] {
  return vpcs.flatMap((vpc) => {
    const cidrs = family === 4 ? vpc.ipv4Cidrs : vpc.ipv6Cidrs
    return cidrs.flatMap((from) => cidrs.map((to) => `${from} . ${to}`))
  })
}

function namedSet(name: string, type: string, elements: readonly string[], flags?: string): string {
  const lines = [`  set ${name} {`, `    type ${type}`]
  if (flags !== undefined) lines.push(`    flags ${flags}`)
  if (elements.length > 0) lines.push(`    elements = { ${elements.join(', ')} }`)
  return [...lines, '  }'].join('\n')
}

function ruleset(content: string, digest: string): string {
  // The first line makes sure that there is one to delete.
  return `table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  comment "${digest}"
${content}
}
`
}

function digestOf(content: string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 32)
}

function quoted(name: string): string {
  return `"${name}"`
}
