// The contents of the packet filter's sets and maps: everything in it that changes with tenants.

import type { Network, Vpc } from '../../proto/gen/mallee/v1/desired_pb.js'
import { type Nat, RouteKind, type Routing } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { formatAddress, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { gatewayPort } from './names.ts'
import { bare, type Choice, disjoint } from './prefixes.ts'
import { natOf, networkWith, numberOf, routesOf, type Tenants } from './tenants.ts'

/** Connection marks: by which kind of route an instance's first packet goes. */
export const WAY = { internet: 1, interface: 2, rack: 3, egressOnly: 4 } as const
/** One of these and a number of 28 bits: through that NAT gateway. */
export const NAT_PUBLIC = 0x8000_0000
export const NAT_PRIVATE = 0x4000_0000

export interface EdgeSet {
  readonly name: string
  /** What stands behind its name in nft's own words. */
  readonly head: string
  /** As nft writes them, sorted. */
  readonly elements: readonly string[]
}

export function edgeSets(tenants: Tenants): EdgeSet[] {
  const [set, map] = [edgeSet, edgeSet]
  const { vpcs, networks, elastics, nats } = tenants
  const pair = 'flags interval'
  // Once for all sets that are made of it: it is most of the work.
  const ways = { 4: waysOf(tenants, 4), 6: waysOf(tenants, 6) }
  return [
    ...([4, 6] as const).flatMap((family) => {
      const address = `ipv${family}_addr`
      const of = (body: string, flags = pair): string => `type ${body}\n    ${flags}`
      return [
        set(`pairs${family}`, of(`${address} . ${address}`), pairsOf(vpcs, family)),
        set(`senders${family}`, of(`ifname . ${address}`), sendersOf(networks, family)),
        set(`reach${family}`, of(`ifname . ${address}`), reachOf(tenants, family)),
        map(
          `ways${family}`,
          of(`ifname . ${address} : mark`),
          ways[family].map(({ to, mark }) => `${to} : ${markText(mark)}`),
        ),
        map(`far${family}`, of(`${address} . ${address} : mark`), farOf(tenants, family)),
        set(`back${family}`, of(`ifname . ${address}`), toBy(WAY.rack, ways[family])),
      ]
    }),
    set('inbound6', `type ifname . ipv6_addr\n    ${pair}`, toBy(WAY.internet, ways[6])),
    set('free', 'type ifname . ether_addr', freeOf(tenants)),
    map(
      'eip_in',
      'type ipv4_addr : ipv4_addr',
      elastics.map((one) => `${ip(one.publicIp)} : ${ip(one.privateIp)}`),
    ),
    map(
      'eip_out',
      'type ipv4_addr : ipv4_addr',
      elastics.map((one) => `${ip(one.privateIp)} : ${ip(one.publicIp)}`),
    ),
    set(
      'eip_pairs',
      'type ipv4_addr . ipv4_addr',
      elastics.map((one) => `${ip(one.publicIp)} . ${ip(one.privateIp)}`),
    ),
    set(
      'eip_private',
      'type ipv4_addr',
      elastics.map(({ privateIp }) => ip(privateIp)),
    ),
    map(
      'nat_out',
      'type mark : ipv4_addr',
      nats.map((nat) => `${markText(natMark(nat))} : ${natAddress(nat)}`),
    ),
    set(
      'nat_pairs',
      'type ipv4_addr . mark',
      nats.map((nat) => `${natAddress(nat)} . ${markText(natMark(nat))}`),
    ),
    set('nat_reach4', `type mark . ipv4_addr\n    ${pair}`, natReachOf(tenants)),
    set('announced', 'type ipv4_addr', announcedIpv4(tenants)),
    set('tenants4', `type ipv4_addr\n    ${pair}`, ownPrefixes(tenants)),
  ]
}

/** The public addresses that this CC answers for. */
export function announcedIpv4({ elastics, nats }: Pick<Tenants, 'elastics' | 'nats'>): string[] {
  return [...elastics, ...nats].filter((one) => one.publicIp !== '').map((one) => ip(one.publicIp))
}

/** The mark of connections through a NAT gateway. */
function natMark({ id, publicIp }: Nat): number {
  return (publicIp === '' ? NAT_PRIVATE : NAT_PUBLIC) + numberOf(id)
}

export function markText(mark: number): string {
  return `0x${mark.toString(16).padStart(8, '0')}`
}

/** Of elements in any order, also more than once. */
export function edgeSet(name: string, head: string, elements: readonly string[]): EdgeSet {
  return { name, head, elements: [...new Set(elements)].sort(ascending) }
}

function pairsOf(vpcs: readonly Vpc[], family: 4 | 6): string[] {
  return vpcs.flatMap((vpc) => {
    const own = blocksOf(vpc, family)
    const theirs = vpc.peers.flatMap((peer) => blocksOf(peer, family))
    return own.flatMap((from) => [
      ...own.map((to) => `${from} . ${to}`),
      ...theirs.flatMap((to) => [`${from} . ${to}`, `${to} . ${from}`]),
    ])
  })
}

function blocksOf(
  vpc: { readonly ipv4Cidrs: readonly string[]; readonly ipv6Cidrs: readonly string[] },
  family: 4 | 6,
): string[] {
  return (family === 4 ? vpc.ipv4Cidrs : vpc.ipv6Cidrs).map((cidr) => bare(mustCidr(cidr)))
}

function sendersOf(networks: readonly Network[], family: 4 | 6): string[] {
  return networks.flatMap((network) => {
    const cidr = family === 4 ? network.ipv4Cidr : network.ipv6Cidr
    return cidr === '' ? [] : [at(network.vlanTag, bare(mustCidr(cidr)))]
  })
}

/** Where a network's instances may go by their private addresses: its VPC and the VPC's peers. */
function reachOf({ vpcs, networks }: Tenants, family: 4 | 6): string[] {
  const byId = new Map(vpcs.map((vpc) => [vpc.id, reachable(vpc, family)]))
  return networks.flatMap(({ vpcId, vlanTag }) =>
    (byId.get(vpcId) ?? []).map((cidr) => at(vlanTag, cidr)),
  )
}

function reachable(vpc: Vpc, family: 4 | 6): string[] {
  return [vpc, ...vpc.peers].flatMap((one) => blocksOf(one, family))
}

interface Way {
  /** A network's gateway and a prefix. */
  readonly to: string
  readonly mark: number
}

function waysOf(tenants: Tenants, family: 4 | 6): Way[] {
  const known = new Map<string, Choice<number>[]>()
  return tenants.own.flatMap((routing) =>
    choices(tenants, routing, family, known).map(({ prefix, value }) => ({
      to: at(routing.vlanTag, prefix),
      mark: value,
    })),
  )
}

function farOf(tenants: Tenants, family: 4 | 6): string[] {
  const known = new Map<string, Choice<number>[]>()
  return tenants.foreign.flatMap((routing) => {
    const from = family === 4 ? routing.ipv4Cidr : routing.ipv6Cidr
    if (from === '') return []
    return choices(tenants, routing, family, known).map(
      ({ prefix, value }) => `${bare(mustCidr(from))} . ${prefix} : ${markText(value)}`,
    )
  })
}

/** From where a subnet may be reached by a way: from where its own packets take that way to. */
function toBy(way: number, ways: readonly Way[]): string[] {
  return ways.filter(({ mark }) => mark === way).map(({ to }) => to)
}

/** Subnets share route tables: `known` keeps what one comes to. */
function choices(
  tenants: Tenants,
  routing: Routing,
  family: 4 | 6,
  known: Map<string, Choice<number>[]>,
): Choice<number>[] {
  const routes = routesOf(routing, family).map((route) => ({
    prefix: route.destination,
    value: wayMark(tenants, route),
  }))
  const key = routes.map(({ prefix, value }) => `${prefix} ${value}`).join()
  const found = known.get(key) ?? disjoint(routes)
  known.set(key, found)
  return found
}

function wayMark(tenants: Tenants, route: Parameters<typeof natOf>[1]): number | null {
  if (route.kind === RouteKind.INTERNET) return WAY.internet
  if (route.kind === RouteKind.EGRESS_ONLY) return WAY.egressOnly
  if (route.kind === RouteKind.INTERFACE) return WAY.interface
  if (route.kind === RouteKind.RACK) return WAY.rack
  // The connection's other tunnel may be in another rack: what is known goes on when it takes over.
  if (route.kind === RouteKind.VPN) return WAY.rack
  if (route.kind !== RouteKind.NAT) return null
  const nat = natOf(tenants, route)
  return nat === null ? null : natMark(nat)
}

/** Interfaces that may send what is from others. */
function freeOf({ networks, interfaces }: Tenants): string[] {
  const tags = new Map(networks.map(({ id, vlanTag }) => [id, vlanTag]))
  return interfaces.flatMap(({ networkId, sourceDestCheck, mac }) => {
    const tag = tags.get(networkId)
    return sourceDestCheck || tag === undefined ? [] : [at(tag, mac.toLowerCase())]
  })
}

/** A private NAT gateway's packets go where its own VPC's may. */
function natReachOf({ nats, networks, vpcs }: Tenants): string[] {
  return nats.flatMap((nat) => {
    if (nat.publicIp !== '') return []
    const vpcId = networkWith(networks, nat.privateIp)?.vpcId
    const vpc = vpcs.find(({ id }) => id === vpcId)
    if (vpc === undefined) return []
    return reachable(vpc, 4).map((cidr) => `${markText(natMark(nat))} . ${cidr}`)
  })
}

/** What never leaves by the public side as a source. Of nested prefixes the outer one. */
function ownPrefixes({ vpcs, foreign }: Tenants): string[] {
  const all = [
    ...vpcs.flatMap((vpc) => vpc.ipv4Cidrs),
    ...foreign.map(({ ipv4Cidr }) => ipv4Cidr).filter((cidr) => cidr !== ''),
  ]
  return disjoint([...new Set(all)].map((prefix) => ({ prefix, value: true }))).map(
    ({ prefix }) => prefix,
  )
}

function natAddress({ publicIp, privateIp }: Nat): string {
  return ip(publicIp === '' ? privateIp : publicIp)
}

function at(tag: number, what: string): string {
  return `"${gatewayPort(tag)}" . ${what}`
}

function ip(address: string): string {
  return formatAddress(mustAddress(address))
}
