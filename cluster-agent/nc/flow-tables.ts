// The switch's pipeline as numbers: which table does what, and what the tables hold that is the
// same on every host. metadata is the network's VLAN tag, reg0 the instance port that a frame came
// from (0: it came from elsewhere), reg1 the one it goes to, reg2 the network ACL that judges it.

export const CLASSIFY = 0
export const NEIGHBOURS = 1
export const GROUP_OUT = 10
export const ACL_OUT = 20
export const DELIVER = 30
export const ACL_IN = 40
export const GROUP_IN = 50
export const OUTPUT = 60

/** Tables of one direction of security groups. A zone of connection tracking is one port. */
export interface GroupTables {
  /** Looks the packet up, then: connections that go on, decides of new ones, notes those down. */
  readonly track: number
  readonly known: number
  readonly decide: number
  readonly commit: number
  readonly next: number
  /** The register of the guarded port, and how the address at the other end is matched. */
  readonly port: 'reg0' | 'reg1'
  readonly peer4: string
  readonly peer6: string
}

export const OUTGOING: GroupTables = {
  ...{ track: GROUP_OUT, known: 11, decide: 12, commit: 13, next: ACL_OUT },
  ...{ port: 'reg0', peer4: 'nw_dst', peer6: 'ipv6_dst' },
}
export const INCOMING: GroupTables = {
  ...{ track: GROUP_IN, known: 51, decide: 52, commit: 53, next: OUTPUT },
  ...{ port: 'reg1', peer4: 'nw_src', peer6: 'ipv6_src' },
}

/** Where entries of network ACLs are. */
export const ACL_ENTRIES = { out: 21, in: 41 } as const

/** Priorities where groups decide: always, a rule by itself, a rule and its peers together. */
export const ALWAYS = 300
export const DIRECT = 200
export const TOGETHER = 100

/** The bit that makes a MAC more than one station's. */
export const MULTICAST = 'dl_dst=01:00:00:00:00:00/01:00:00:00:00:00'

/** What speaks for the cloud itself: metadata, names, time. No group or ACL is asked about it. */
export const SERVICES = { ipv4: '169.254.169.0/24', ipv6: 'fd00:ec2::/32' } as const

/** Every gateway's link-local address. */
const GATEWAY_LINK_LOCAL = 'fe80::1'

/** What is the same on every host. */
export function staticFlows(): string[] {
  return [
    ...[CLASSIFY, NEIGHBOURS, DELIVER].map((table) => `table=${table},priority=0,actions=drop`),
    // As in EC2, instances reach each other one by one.
    `table=${GROUP_OUT},priority=100,${MULTICAST},actions=drop`,
    ...['ip,nw_dst=224.0.0.0/4', 'ip,nw_dst=255.255.255.255', 'ipv6,ipv6_dst=ff00::/8'].map(
      (match) => `table=${GROUP_OUT},priority=90,${match},actions=drop`,
    ),
    ...groupPipeline(OUTGOING),
    ...services(4, 'dst').map((match) => flow(OUTGOING.decide, ALWAYS, match, OUTGOING.commit)),
    ...aclGate(ACL_OUT, ACL_ENTRIES.out, DELIVER, 'dst'),
    // Only what may be flooded comes here with such an address: ARP, neighbour discovery, DHCP.
    `table=${DELIVER},priority=100,${MULTICAST},actions=NORMAL`,
    ...unasked().map((match) => flow(ACL_IN, 100, match, OUTPUT)),
    ...aclGate(ACL_IN, ACL_ENTRIES.in, GROUP_IN, 'src'),
    ...groupPipeline(INCOMING),
    `table=${OUTPUT},priority=0,actions=output:NXM_NX_REG1[]`,
  ]
}

export function flow(table: number, priority: number, match: string, next: number): string {
  return `table=${table},priority=${priority},${match},actions=goto_table:${next}`
}

/** What reaches an instance whatever its groups say; the senders of it are guarded. */
function unasked(): string[] {
  return [
    ...['arp', 'icmp6,icmp_type=135', 'icmp6,icmp_type=136'],
    ...['udp,tp_src=67,tp_dst=68', 'udp6,tp_src=547,tp_dst=546', 'icmp6,icmp_type=134'].map(
      (match) => `reg0=0,${match}`,
    ),
  ]
}

function groupPipeline({ track, known, decide, commit, next, port }: GroupTables): string[] {
  const zone = `zone=NXM_NX_${port.toUpperCase()}[0..15]`
  const families = ['ip', 'ipv6']
  return [
    `table=${track},priority=0,actions=drop`,
    ...families.map((ip) => `table=${track},priority=50,${ip},actions=ct(table=${known},${zone})`),
    `table=${known},priority=0,actions=drop`,
    `table=${known},priority=50,ct_state=+trk+inv,actions=drop`,
    // Related: the ICMP errors of a connection, without which path MTU discovery fails.
    flow(known, 40, 'ct_state=+trk+est-inv', next),
    flow(known, 40, 'ct_state=+trk+rel-inv', next),
    flow(known, 10, 'ct_state=+trk+new-inv', decide),
    `table=${decide},priority=0,actions=drop`,
    `table=${commit},priority=0,actions=drop`,
    ...families.map(
      (ip) => `table=${commit},priority=10,${ip},actions=ct(commit,${zone}),goto_table:${next}`,
    ),
  ]
}

function aclGate(table: number, entries: number, next: number, end: 'src' | 'dst'): string[] {
  return [
    ...services(6, end).map((match) => flow(table, 60, match, next)),
    `table=${table},priority=0,actions=goto_table:${next}`,
    `table=${entries},priority=0,actions=drop`,
  ]
}

/** Link-local addresses are never beyond the border: with 4 only the gateway's, with 6 all. */
function services(reach: 4 | 6, end: 'src' | 'dst'): string[] {
  return [
    `ip,nw_${end}=${SERVICES.ipv4}`,
    `ipv6,ipv6_${end}=${SERVICES.ipv6}`,
    `ipv6,ipv6_${end}=${reach === 4 ? GATEWAY_LINK_LOCAL : 'fe80::/10'}`,
  ]
}
