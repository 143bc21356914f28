// The names that a rack's DNS knows by itself: of its own interfaces, of those in other racks whose
// addresses it holds for their security groups, and those that the gateway gives to load balancers.

import { MalleeError } from '../../common/errors.ts'
import type { DnsName } from '../../proto/gen/mallee/v1/balancers_pb.js'
import type {
  Interface,
  Network,
  RackConfig,
  Tunnel,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import type { Member } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { contains, mustAddress, mustCidr } from '../../topology/cidr.ts'

export interface NamesDesired {
  readonly rack: Pick<RackConfig, 'region' | 'rack'>
  readonly networks: readonly Network[]
  readonly interfaces: readonly Interface[]
  readonly members: readonly Member[]
  readonly tunnels: readonly Tunnel[]
  readonly names: readonly DnsName[]
}

/** The domain of a rack's instances. */
export function zoneOf({ region, rack }: Pick<RackConfig, 'region' | 'rack'>): string {
  return `${region}-${rack}.internal`
}

/** In the form of hosts(5): the first name of an address is the answer to a reverse query. */
export function namesFile(desired: NamesDesired): string {
  const { rack, networks, interfaces } = desired
  const stretched = new Set(networks.filter((one) => one.stretched).map(({ id }) => id))
  const own = new Set(interfaces.map(({ id }) => id))
  const lines = interfaces.flatMap((one) => {
    const racks = stretched.has(one.networkId) ? [rack.rack, 'any'] : [rack.rack]
    const zones = racks.map((name) => zoneOf({ region: rack.region, rack: name }))
    const addresses = [one.ipv4, one.ipv6, ...one.ipv4More, ...one.ipv6More]
    return linesOf(one.hostname, addresses, zones)
  })
  const others = new Map(
    desired.members
      // Those of peer clouds have a point in the names of their groups, and come with names.
      .filter(({ interfaceId, groupId }) => !own.has(interfaceId) && !groupId.includes('.'))
      .map(({ interfaceId, addresses }) => [interfaceId, addresses]),
  )
  const rackAt = finder(desired.tunnels)
  for (const addresses of others.values()) {
    const first = addresses.find((one) => !one.includes(':'))
    const where = first === undefined ? null : rackAt(first)
    if (where === null) continue
    lines.push(...linesOf('', addresses, [zoneOf({ region: rack.region, rack: where })]))
  }
  // Last: an address is called back by the name of its interface.
  for (const { name, addresses } of desired.names) {
    lines.push(...addresses.map((address) => `${checked(address)} ${checked(name)}`))
  }
  return lines.map((line) => `${line}\n`).join('')
}

/**
 * Domains about which nobody else is asked: a name with addresses of one family has none of the
 * other, and no name server outside would know that.
 */
export function ownDomains(names: readonly DnsName[]): string {
  return names.map(({ name }) => `server=/${checked(name)}/\n`).join('')
}

/** IPv6 addresses go under the primary IPv4 address's name, each other IPv4 address has its own. */
function linesOf(
  hostname: string,
  addresses: readonly string[],
  zones: readonly string[],
): string[] {
  const first = addresses.find((one) => one !== '' && !one.includes(':'))
  const primary = hostname === '' && first !== undefined ? nameOf(first) : hostname
  return addresses
    .filter((one) => one !== '')
    .flatMap((address) => {
      const name = address === first || address.includes(':') ? primary : nameOf(address)
      if (name === '') return []
      return [[checked(address), ...zones.map((zone) => checked(`${name}.${zone}`))].join(' ')]
    })
}

function nameOf(ipv4: string): string {
  return `ip-${ipv4.replaceAll('.', '-')}`
}

/** The rack that speaks for an address; of several prefixes the longest one's. */
function finder(tunnels: readonly Tunnel[]): (address: string) => string | null {
  const prefixes = tunnels
    .flatMap(({ rack, allowedIps }) => allowedIps.map((one) => ({ rack, cidr: mustCidr(one) })))
    .sort((a, b) => b.cidr.length - a.cidr.length)
  return (address) => {
    const at = mustAddress(address)
    return prefixes.find(({ cidr }) => contains(cidr, at))?.rack ?? null
  }
}

function checked(value: string): string {
  if (/^[\w.:-]{1,253}$/.test(value)) return value
  throw new MalleeError('BadMessage', `${JSON.stringify(value)} cannot stand in a file of names`)
}
