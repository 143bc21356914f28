// What a desired state says of tenants' routes and public addresses, sorted for this CC: the part
// that the packet filter, the route tables and the announcements have in common.

import { createHash } from 'node:crypto'
import type { PeerLink, VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Interface, Network, Tunnel, Vpc } from '../../proto/gen/mallee/v1/desired_pb.js'
import type {
  Elastic,
  Nat,
  Routing,
  Station,
  TenantRoute,
} from '../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { contains, mustAddress, mustCidr } from '../../topology/cidr.ts'
import type { PublicSide } from './underlay.ts'

export interface Tenants {
  /** The cloud's /48. */
  readonly fabric: string
  readonly publicSide: PublicSide | null
  readonly vpcs: readonly Vpc[]
  /** Those whose gateway is here. */
  readonly networks: readonly Network[]
  readonly interfaces: readonly Interface[]
  readonly tunnels: readonly Tunnel[]
  readonly stations: readonly Station[]
  /** Of those networks, by their VLAN tag. */
  readonly own: readonly Routing[]
  /** Of subnets elsewhere that send here. */
  readonly foreign: readonly Routing[]
  /** What this CC announces; no public address twice. */
  readonly elastics: readonly Elastic[]
  readonly nats: readonly Nat[]
  /** To peer clouds. */
  readonly peerLinks: readonly PeerLink[]
  /** To customers' own devices, those that this CC holds. */
  readonly vpnLinks: readonly VpnLink[]
  /** By their numbers the devices that are there. */
  readonly vpnDevices: ReadonlyMap<number, string>
  /** IP TTL of the metadata service's answers by instance address. */
  readonly hopLimits: ReadonlyMap<string, number>
}

/** Throws BadMessage on addresses that are none. */
export function tenantsOf(
  desired: Desired,
  host: string,
  {
    fabric,
    publicSide,
    vpnDevices = new Map(),
  }: Pick<Tenants, 'fabric' | 'publicSide'> & Partial<Pick<Tenants, 'vpnDevices'>>,
): Tenants {
  const routings = bodies(desired, 'routing')
  const nats = bodies(desired, 'nat').filter((one) => isHere(one.host, host))
  const translated = new Set(nats.map(({ publicIp }) => publicIp))
  const networks = bodies(desired, 'network').filter((one) => isHere(one.gatewayHost, host))
  const tags = new Set(networks.map(({ vlanTag }) => vlanTag))
  const interfaces = bodies(desired, 'interface')
  return {
    fabric,
    publicSide,
    vpcs: bodies(desired, 'vpc'),
    networks,
    interfaces,
    tunnels: bodies(desired, 'tunnel'),
    stations: bodies(desired, 'station'),
    own: routings.filter(({ vlanTag }) => tags.has(vlanTag)),
    foreign: routings.filter(({ vlanTag }) => vlanTag === 0),
    elastics: bodies(desired, 'elastic').filter(
      (one) => isHere(one.host, host) && !translated.has(one.publicIp),
    ),
    nats,
    peerLinks: bodies(desired, 'peerLink'),
    vpnLinks: vpnLinksOf(desired, host),
    vpnDevices,
    hopLimits: hopLimitsOf(desired, interfaces),
  }
}

/** The tunnels to customers' own devices that a CC holds: nobody else of its rack does. */
export function vpnLinksOf(desired: Desired, host: string): VpnLink[] {
  return bodies(desired, 'vpnLink').filter((link) => link.host === host)
}

/** The routes of one family. */
export function routesOf({ routes }: Routing, family: 4 | 6): TenantRoute[] {
  return routes.filter(({ destination }) => mustCidr(destination).family === family)
}

/** The NAT gateway of a route; null when it is not here (any more). */
export function natOf({ nats }: Pick<Tenants, 'nats'>, route: TenantRoute): Nat | null {
  return nats.find(({ id }) => id === route.natId) ?? null
}

/** The network here that an address is in. */
export function networkWith(networks: readonly Network[], address: string): Network | null {
  const parsed = mustAddress(address)
  const holds = (cidr: string): boolean => cidr !== '' && contains(mustCidr(cidr), parsed)
  return networks.find(({ ipv4Cidr, ipv6Cidr }) => holds(ipv4Cidr) || holds(ipv6Cidr)) ?? null
}

/** A number of 28 bits that an id always gets: for marks and tables that must not move. */
export function numberOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) >>> 4
}

function isHere(wanted: string, host: string): boolean {
  return wanted === '' || wanted === host
}

function hopLimitsOf(
  desired: Desired,
  interfaces: readonly Interface[],
): ReadonlyMap<string, number> {
  const limits = new Map(
    bodies(desired, 'instance').map(({ id, metadata }) => [id, metadata?.hopLimit ?? 0]),
  )
  return new Map(
    interfaces.flatMap((one) => {
      const limit = limits.get(one.instanceId) ?? 0
      const addresses = [one.ipv4, one.ipv6, ...one.ipv4More, ...one.ipv6More]
      if (limit < 1 || limit > 64) return []
      return addresses.filter((address) => address !== '').map((address) => [address, limit])
    }),
  )
}
