// What dnsmasq reads, as texts: a configuration that hardly ever changes, and four files that it
// reads again when told: hosts by MAC, options by gateway port, names and their addresses, and the
// domains of those names that are nobody else's.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { MalleeError } from '../../common/errors.ts'
import type { DnsName } from '../../proto/gen/mallee/v1/balancers_pb.js'
import type {
  Interface,
  Network,
  RackConfig,
  Tunnel,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import type { Member } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { type Cidr, covers, formatAddress, lastAddress, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import type { Paths } from '../paths.ts'
import { namesFile, ownDomains, zoneOf } from './dns-names.ts'
import { DNS_IPV4, DNS_IPV6, gatewayPort } from './names.ts'

export interface DhcpDesired {
  readonly rack: Pick<RackConfig, 'region' | 'rack' | 'mtu'>
  /** Those whose gateway is here. */
  readonly networks: readonly Network[]
  /** All of the rack's: their names are told here as well. */
  readonly rackNetworks: readonly Network[]
  readonly interfaces: readonly Interface[]
  /** Whose names this rack tells besides its own. */
  readonly members: readonly Member[]
  readonly tunnels: readonly Tunnel[]
  readonly names: readonly DnsName[]
}

/** By address, the MACs that may still hold its lease. */
export type Served = Readonly<Record<string, readonly string[]>>

export interface DhcpFiles {
  /** Named by its content: the command line of the process tells what it runs with. */
  readonly configFile: string
  /** Empty without networks: then none runs. */
  readonly config: string
  readonly options: string
  readonly names: string
  readonly domains: string
  /** By address, who has it. */
  readonly owners: Served
  /** The hosts' lines for what the daemon has already given out. */
  readonly hosts: (served: Served) => string
}

/** All gateway ports. */
const GATEWAYS = 'gw*'
/** What dnsmasq may ever be asked for; a network elsewhere changes the configuration. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10']
/** Its own default is 1,000; more than all tags times a large subnet cannot be. */
const MAX_LEASES = 1_000_000
const LEASE = '1h'
/** Short, as EC2's: a lease keeps its address from every other client until it ends. */
const LEASE_IPV6_S = 450
/** Seconds between advertisements, and how long a router counts as one after the last. */
const RA_INTERVAL_S = 60
const RA_LIFETIME_S = 1800
/** The same on all CCs, as their answers are; the number is the one for documentation. */
const DUID = '32473,6d:61:6c:6c:65:65'
const DNS_CACHE = 10_000
const DNS_PENDING = 1_000
const LOCAL_TTL_S = 60

export function dhcpFiles(paths: Paths, desired: DhcpDesired): DhcpFiles {
  const at = dhcpPlaces(paths)
  const networks = desired.networks.toSorted((a, b) => a.vlanTag - b.vlanTag)
  const named = interfacesIn(desired.rackNetworks, desired.interfaces)
  const interfaces = interfacesIn(networks, named)
  const config = networks.length === 0 ? '' : configOf(at, desired, networks)
  const digest = createHash('sha256').update(config).digest('hex').slice(0, 16)
  return {
    configFile: join(at.dir, `${digest}.conf`),
    config,
    options: lines(networks.flatMap(optionLines)),
    names: namesFile({ ...desired, networks: desired.rackNetworks, interfaces: named }),
    domains: ownDomains(desired.names),
    owners: Object.fromEntries(
      interfaces.flatMap(({ mac, ipv4, ipv6 }) =>
        [ipv4, ipv6].filter((one) => one !== '').map((one) => [one, [mac]]),
      ),
    ),
    hosts: (served) => {
      const present = new Set(interfaces.map(({ mac }) => mac))
      return lines(
        interfaces.map((one) => {
          const former = (served[one.ipv4] ?? []).filter((mac) => !present.has(mac))
          return hostLine(one, former)
        }),
      )
    },
  }
}

/** By MAC. */
function interfacesIn(
  networks: readonly Network[],
  interfaces: readonly Interface[],
): readonly Interface[] {
  const known = new Set(networks.map(({ id }) => id))
  return interfaces
    .filter(({ networkId }) => known.has(networkId))
    .toSorted((a, b) => ascending(a.mac, b.mac))
}

function configOf(
  at: ReturnType<typeof dhcpPlaces>,
  { rack }: DhcpDesired,
  networks: readonly Network[],
): string {
  const zone = zoneOf(rack)
  return lines([
    // Gateways come and go while it runs.
    'bind-dynamic',
    `interface=${GATEWAYS}`,
    `listen-address=${DNS_IPV4},${DNS_IPV6}`,
    'except-interface=lo',
    `pid-file=${at.pidFile}`,
    `log-facility=${at.log}`,
    ...dnsLines(at, zone),
    'quiet-dhcp',
    'quiet-dhcp6',
    'quiet-ra',
    'leasefile-ro',
    `dhcp-lease-max=${MAX_LEASES}`,
    // Without, it takes one from an interface, and there may be none when it starts.
    `dhcp-duid=${DUID}`,
    // A request for an address that we do not remember is one from before our start.
    'dhcp-authoritative',
    'no-ping',
    // What guests call themselves is nobody's business; and a lease's name is that of the files.
    'dhcp-ignore-names',
    'dhcp-fqdn',
    `domain=${checked(zone)}`,
    `dhcp-hostsfile=${at.hosts}`,
    `dhcp-optsfile=${at.options}`,
    ...rangesOf(networks).map(
      (range) => `dhcp-range=${baseOf(range)},static,${netmask(range)},${LEASE}`,
    ),
    // Forced: not every client asks for it, and every one needs it. Only here can it be forced.
    `dhcp-option-force=option:mtu,${rack.mtu}`,
    ...networks
      .filter(({ mtu }) => mtu !== rack.mtu)
      .map((one) => `dhcp-option-force=tag:${gatewayPort(one.vlanTag)},option:mtu,${one.mtu}`),
    // A static range sets the advertisement's M flag and no A flag: addresses come by DHCPv6 only.
    'enable-ra',
    `dhcp-range=::,static,constructor:${GATEWAYS},64,${LEASE_IPV6_S}`,
    // With the MTU of the gateway port.
    `ra-param=${GATEWAYS},high,${RA_INTERVAL_S},${RA_LIFETIME_S}`,
  ])
}

function dnsLines(at: ReturnType<typeof dhcpPlaces>, zone: string): string[] {
  return [
    // The host's own; it reads them again when they change.
    'resolv-file=/etc/resolv.conf',
    'no-hosts',
    `addn-hosts=${at.names}`,
    `servers-file=${at.domains}`,
    `cache-size=${DNS_CACHE}`,
    `dns-forward-max=${DNS_PENDING}`,
    `local-ttl=${LOCAL_TTL_S}`,
    `local=/${checked(zone.slice(zone.lastIndexOf('.') + 1))}/`,
    'domain-needed',
    'bogus-priv',
    'dns-loop-detect',
    // A public name must not lead a guest's browser to the guest's own metadata.
    'bogus-nxdomain=169.254.0.0/16',
    'bogus-nxdomain=fd00:ec2::/32',
  ]
}

function rangesOf(networks: readonly Network[]): string[] {
  const known = PRIVATE.map(mustCidr)
  const others = networks
    .map(({ ipv4Cidr }) => ipv4Cidr)
    .filter((cidr) => cidr !== '' && !known.some((one) => covers(one, mustCidr(cidr))))
  return [...PRIVATE, ...new Set(others)]
}

function optionLines(network: Network): string[] {
  const { ipv4Cidr, ipv4Gateway, ipv6Cidr } = network
  const found: string[] = []
  const domains = network.domain.split(' ').filter((one) => one !== '')
  const servers = ofFamilies(network.nameServers)
  const ntp = ofFamilies(network.ntpServers)
  const cloud = network.dns && network.nameServers.length === 0
  if (ipv4Cidr !== '') {
    found.push(
      // The range is wider than the network.
      `option:netmask,${netmask(ipv4Cidr)}`,
      `28,${formatAddress(lastAddress(mustCidr(ipv4Cidr)))}`,
      `option:router,${ipv4Gateway}`,
      // Without servers the option must stand there empty: else dnsmasq tells its own address.
      listed('option:dns-server', cloud ? [DNS_IPV4] : servers.ipv4),
      listed('option:domain-name', domains.slice(0, 1)),
    )
    if (domains.length > 1) found.push(listed('option:domain-search', domains))
    if (ntp.ipv4.length > 0) found.push(listed('option:ntp-server', ntp.ipv4))
    const { netbiosNameServers: netbios, netbiosNodeType } = network
    if (netbios.length > 0) found.push(listed('option:netbios-ns', netbios))
    if (netbiosNodeType > 0) found.push(`option:netbios-nodetype,${netbiosNodeType}`)
  }
  if (ipv6Cidr !== '') {
    found.push(
      listed('option6:dns-server', bracketed(cloud ? [DNS_IPV6] : servers.ipv6)),
      listed('option6:domain-search', domains),
    )
    if (ntp.ipv6.length > 0) found.push(listed('option6:sntp-server', bracketed(ntp.ipv6)))
  }
  return found.map((line) => `tag:${gatewayPort(network.vlanTag)},${line}`)
}

// No tag is set here: dnsmasq 2.90 crashes when it reads such a line again after it has used it.
function hostLine({ mac, ipv4, ipv6, hostname }: Interface, former: readonly string[]): string {
  // An address may go to any of its MACs, also while another one's lease has not ended.
  const parts = [
    mac,
    ...former,

    ipv4,
    ipv6 === '' ? '' : `[${ipv6}]`,
    hostname,
  ]
  return parts
    .filter((part) => part !== '')
    .map(checked)
    .join(',')
}

function listed(option: string, values: readonly string[]): string {
  return [option, ...values.map(checked)].join(',')
}

function bracketed(addresses: readonly string[]): string[] {
  return addresses.map((one) => `[${one}]`)
}

function ofFamilies(addresses: readonly string[]): { ipv4: string[]; ipv6: string[] } {
  return {
    ipv4: addresses.filter((one) => !one.includes(':')),
    ipv6: addresses.filter((one) => one.includes(':')),
  }
}

// The files have no quoting: a comma or a new line in a value would be another field or line.
function checked(value: string): string {
  if (/^[\w.:[\]-]{1,253}$/.test(value)) return value
  throw new MalleeError('BadMessage', `${JSON.stringify(value)} cannot stand in dnsmasq's files`)
}

function baseOf(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}

function netmask(cidr: string): string {
  const { length }: Cidr = mustCidr(cidr)
  const bits = 0xffff_ffff_0000_0000n >> BigInt(length)
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.')
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('')
}

export function dhcpPlaces(paths: Paths) {
  const dir = join(paths.runDir, 'dhcp')
  return {
    dir,
    hosts: join(dir, 'hosts'),
    options: join(dir, 'options'),
    names: join(dir, 'names'),
    domains: join(dir, 'domains'),
    /** What the running daemon knows. */
    told: join(dir, 'told.json'),
    pidFile: join(dir, 'dnsmasq.pid'),
    log: join(dir, 'dnsmasq.log'),
  } as const
}
