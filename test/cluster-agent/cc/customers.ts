// Customers' own devices behind the router of two racks: hosts with WireGuard as wg(8) makes it,
// all with the same LAN, and what a gateway would desire of the tunnels to them.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import type { Machine } from '../../../common/machine.ts'
import { type VpnLink, VpnLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { formatAddress } from '../../../topology/cidr.ts'
import { VPN_PORT } from '../../../topology/ranges.ts'
import { insideCidr, insideEnds } from '../../../topology/vpn.ts'
import { joinHosts, type SimulatedHost, startHost } from '../../support/netns.ts'

/** The same behind every device. */
export const FAR = ['192.168.0.0/24', 'fd77::/64'] as const
export const [FAR4, FAR6] = ['192.168.0.5', 'fd77::5']
/** Where devices listen. */
const DEVICE_PORT = 51_820

export interface CustomerPlan {
  readonly name: string
  /** Of the underlay: 192.0.N.2. */
  readonly net: number
  /** Of its VPC. */
  readonly blocks: readonly [ipv4: string, ipv6: string]
}

export interface Customer extends CustomerPlan {
  readonly host: SimulatedHost
  readonly machine: Machine
}

/** One tunnel: a WireGuard device at the customer's. */
export interface Tunnel {
  readonly number: number
  readonly customer: Customer
  /** Of the customer's device for it. */
  readonly device: string
  readonly publicKey: string
  /** Of the rack that holds it: 192.0.N.2. */
  readonly rack: 1 | 2
  /** Empty: the device dials. */
  readonly endpoint: string
}

/** In every desired state, of the rack's CC that holds the tunnel. */
export function linkOf({ number, customer, publicKey, endpoint }: Tunnel, mtu = 1420): VpnLink {
  const { cloud, device } = insideEnds(insideCidr(number))
  return create(VpnLinkSchema, {
    ...{ number, id: `vpn-${number}`, host: 'h1', mtu },
    kind: {
      case: 'wireguard',
      value: {
        ...{ publicKey, endpoint, listenPort: VPN_PORT + number },
        presharedKey: Buffer.alloc(32, number),
      },
    },
    remotePrefixes: [...FAR],
    localPrefixes: [...customer.blocks],
    insideAddress: `${formatAddress(cloud)}/30`,
    farInsideAddress: `${formatAddress(device)}/30`,
  })
}

export function withLinks(desired: Desired, links: readonly VpnLink[]): Desired {
  const all = new Map(desired)
  for (const value of links) {
    const key = `vpn/${value.number}`
    all.set(key, resource(key, { case: 'vpnLink', value }))
  }
  return all
}

/** Routes to what is behind a tunnel's device. */
export function byTunnel(number: number) {
  return FAR.map((one) => [one, RouteKind.VPN, String(number)] as const)
}

/** The key that a CC says it has for a tunnel. */
export function keyFor(cc: Cc, number: number): string {
  const found = cc.statuses().find(({ key }) => key === `vpn/${number}`)
  if (found?.body.case !== 'vpnLink') throw new Error(`tunnel ${number} is not reported`)
  return found.body.value.publicKey
}

/** A host with a LAN that answers HTTP with the customer's name. */
export async function startCustomer(
  plan: CustomerPlan,
  { inet, machine, dir }: { inet: SimulatedHost; machine: Machine; dir: string },
): Promise<Customer> {
  const host = await startHost(plan.name, dir)
  const { exec, paths } = host
  const [v4, link] = [`192.0.${plan.net}`, `cust${plan.net}`]
  await joinHosts([host, 'eth0'], [inet, link])
  await inet.exec(['ip', 'address', 'add', `${v4}.1/24`, 'dev', link])
  const lines = [
    `address add ${v4}.2/24 dev eth0`,
    `route add default via ${v4}.1`,
    `address add ${FAR4}/32 dev lo`,
    `address add ${FAR6}/128 dev lo nodad`,
    'route add unreachable 192.168.0.200',
  ]
  await exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  await exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  const www = join(paths.runDir, 'www')
  await mkdir(www, { recursive: true })
  await writeFile(join(www, 'hello'), plan.name)
  await exec(['busybox', 'httpd', '-p', '[::]:80', '-h', www])
  return { ...plan, host, machine }
}

/** Makes the customer's device of a tunnel, with a key of its own. */
export async function makeDevice(
  number: number,
  customer: Customer,
  { rack, dials }: { rack: 1 | 2; dials: boolean },
): Promise<Tunnel> {
  const { host, machine, net } = customer
  const { exec, paths } = host
  const [device, port] = [`wg${number}`, DEVICE_PORT + number]
  if (machine.wireguard === 'kernel') {
    await exec(['ip', 'link', 'add', device, 'type', 'wireguard'])
  } else {
    const outputFile = join(paths.runDir, 'wireguard.log')
    await exec(['setsid', 'wireguard-go', device], { env: { LOG_LEVEL: 'error' }, outputFile })
  }
  const key = (await exec(['wg', 'genkey'])).stdout
  const keyFile = join(paths.stateDir, `${device}.key`)
  await writeFile(keyFile, key, { mode: 0o600 })
  const publicKey = (await exec(['wg', 'pubkey'], { input: key })).stdout.trim()
  await exec(['wg', 'set', device, 'listen-port', String(port), 'private-key', keyFile])
  const endpoint = dials ? '' : `192.0.${net}.2:${port}`
  return { number, customer, device, publicKey, rack, endpoint }
}

/** What the configuration says that a customer downloads; all of its VPC goes by this one. */
export async function configureDevice(tunnel: Tunnel, cloudKey: string): Promise<void> {
  const { number, customer, device, rack, endpoint } = tunnel
  const { exec, paths } = customer.host
  const file = join(paths.stateDir, `${device}.psk`)
  await writeFile(file, `${Buffer.alloc(32, number).toString('base64')}\n`, { mode: 0o600 })
  const dial = endpoint === '' ? ['endpoint', `192.0.${rack}.2:${VPN_PORT + number}`] : []
  await exec([
    ...['wg', 'set', device, 'peer', cloudKey, 'preshared-key', file, ...dial],
    ...['persistent-keepalive', '25', 'allowed-ips', '0.0.0.0/0,::/0'],
  ])
  const [block4, block6] = customer.blocks
  const lines = [
    `link set ${device} addrgenmode none`,
    `link set ${device} mtu 1420 up`,
    `address replace ${formatAddress(insideEnds(insideCidr(number)).device)}/30 dev ${device}`,
    `route replace ${block4} dev ${device}`,
    `route replace ${block6} dev ${device}`,
  ]
  await exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
}
