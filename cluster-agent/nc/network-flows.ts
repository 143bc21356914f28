// How a network's frames come from and go to other hosts: by the trunk with the network's tag, by
// the gateway where the CC is on this host, by VXLAN where the network is stretched over racks.

import type { Network } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  ACL_ENTRIES,
  ACL_IN,
  ACL_OUT,
  ALWAYS,
  CLASSIFY,
  DELIVER,
  flow,
  GROUP_IN,
  MULTICAST,
  OUTGOING,
} from './flow-tables.ts'

/** The ports of one network that are no instance's; null where there is none. */
export interface NetworkPorts {
  readonly gateway: { readonly ofport: number; readonly mac: string } | null
  readonly vxlan: number | null
  readonly trunk: number | null
  /** The gateway's MAC, and all that it may ever have had; null when that is not known. */
  readonly edge: { readonly mac: string; readonly any: string } | null
}

/** What is flooded within a rack; all else that has many receivers ends here. */
const FLOODED = [
  'arp',
  'udp,tp_dst=67',
  'udp,tp_dst=68',
  'udp6,tp_dst=546',
  'udp6,tp_dst=547',
  ...[130, 131, 132, 133, 134, 135, 136, 143].map((type) => `icmp6,icmp_type=${type}`),
]
const TAGGED = 'vlan_tci=0x1000/0x1000'

/** Other hosts have guarded what comes here; NORMAL keeps it in its VLAN. */
export function trunkFlows(trunk: number): string[] {
  const from = (priority: number, match: string, action: string) =>
    `table=${CLASSIFY},priority=${priority},in_port=${trunk},${match},actions=${action}`
  return [
    ...FLOODED.map((match) => from(95, `${TAGGED},${MULTICAST},${match}`, 'NORMAL')),
    from(94, MULTICAST, 'drop'),
  ]
}

/** Above all that is said of the trunk and of multicast. */
const STORAGE = 96

/**
 * The storage network: between the host's own port and the trunk, and nowhere else. No flow of an
 * instance's port leads here.
 */
export function storageFlows(
  { tag, ofport }: { readonly tag: number; readonly ofport: number },
  trunk: number | null,
): string[] {
  const from = (match: string, actions: string) =>
    `table=${CLASSIFY},priority=${STORAGE},in_port=${match},actions=${actions}`
  if (trunk === null) return [from(`${ofport}`, 'drop')]
  const tagged = `push_vlan:0x8100,set_field:${0x1000 | tag}->vlan_vid`
  return [
    from(`${ofport}`, `${tagged},output:${trunk}`),
    from(`${trunk},dl_vlan=${tag}`, `pop_vlan,output:${ofport}`),
  ]
}

/** `aclNumber` is null for a network without an ACL. */
export function networkFlows(
  network: Network,
  ports: NetworkPorts,
  aclNumber: number | null,
): string[] {
  const { vlanTag: tag } = network
  const { gateway, vxlan, trunk } = ports
  const enter = `set_field:${tag}->metadata,goto_table:${DELIVER}`
  const from = (port: number, priority: number, match: string, actions: string) =>
    `table=${CLASSIFY},priority=${priority},in_port=${port}${match},actions=${actions}`
  const flows: string[] = []
  if (trunk !== null) flows.push(from(trunk, 90, `,dl_vlan=${tag}`, `pop_vlan,${enter}`))
  if (gateway !== null) {
    const { ofport, mac } = gateway
    flows.push(from(ofport, 95, `,${MULTICAST}`, 'NORMAL'), from(ofport, 90, '', enter))
    const match = `metadata=${tag},dl_dst=${mac}`
    flows.push(`table=${DELIVER},priority=40,${match},actions=output:${ofport}`)
  }
  if (vxlan !== null) {
    // Its device answers for stations elsewhere; floods of other racks stay there.
    flows.push(from(vxlan, 95, `,${MULTICAST}`, 'drop'), from(vxlan, 90, '', enter))
  }
  return [
    ...flows,
    ...elsewhere(tag, ports),
    ...moved(tag, ports),
    ...toGateway(network),
    ...(aclNumber === null ? [] : borderFlows(network, aclNumber)),
  ]
}

/** A station that is not here: behind the trunk, or the tunnel, which drops who it misses. */
function elsewhere(tag: number, { trunk, vxlan }: NetworkPorts): string[] {
  // Before the tag is pushed.
  const actions = [...(vxlan === null ? [] : [`output:${vxlan}`]), ...byTrunk(tag, trunk)]
  if (actions.length === 0) return []
  return [`table=${DELIVER},priority=20,metadata=${tag},actions=${actions.join(',')}`]
}

function byTrunk(tag: number, trunk: number | null): string[] {
  if (trunk === null) return []
  return ['push_vlan:0x8100', `set_field:${0x1000 | tag}->vlan_vid`, `output:${trunk}`]
}

/**
 * When another CC becomes the gateway, guests need not hear of it: what they send to any gateway
 * that the network ever had here goes to the present one.
 */
function moved(tag: number, { edge, gateway, trunk }: NetworkPorts): string[] {
  if (edge === null) return []
  const isHere = gateway?.mac === edge.mac
  const out = isHere ? [`output:${gateway.ofport}`] : byTrunk(tag, trunk)
  if (out.length === 0) return []
  const actions = [`set_field:${edge.mac}->eth_dst`, ...out].join(',')
  return [`table=${DELIVER},priority=30,metadata=${tag},dl_dst=${edge.any},actions=${actions}`]
}

/** As in EC2, no group is asked about the subnet's router. */
function toGateway({ vlanTag, ipv4Gateway, ipv6Gateway }: Network): string[] {
  return [
    ...(ipv4Gateway === '' ? [] : [`ip,nw_dst=${ipv4Gateway}`]),
    ...(ipv6Gateway === '' ? [] : [`ipv6,ipv6_dst=${ipv6Gateway}`]),
  ].map((match) => {
    return flow(OUTGOING.decide, ALWAYS, `metadata=${vlanTag},${match}`, OUTGOING.commit)
  })
}

/** Within the subnet no ACL is asked; across its border its ACL is, without state. */
function borderFlows({ vlanTag, ipv4Cidr, ipv6Cidr }: Network, aclNumber: number): string[] {
  const gates = [
    { gate: ACL_OUT, entries: ACL_ENTRIES.out, inside: DELIVER, end: 'dst' },
    { gate: ACL_IN, entries: ACL_ENTRIES.in, inside: GROUP_IN, end: 'src' },
  ] as const
  return gates.flatMap(({ gate, entries, inside, end }) => {
    const own = [
      ...(ipv4Cidr === '' ? [] : [`ip,nw_${end}=${ipv4Cidr}`]),
      ...(ipv6Cidr === '' ? [] : [`ipv6,ipv6_${end}=${ipv6Cidr}`]),
    ]
    const judged = `set_field:${aclNumber}->reg2,goto_table:${entries}`
    return [
      ...own.map((match) => flow(gate, 50, `metadata=${vlanTag},${match}`, inside)),
      `table=${gate},priority=20,metadata=${vlanTag},actions=${judged}`,
    ]
  })
}
