// What a customer's device needs to know of a VPN connection, gathered from the records; in the
// words of devices: configuration-*.ts.

import { covers, formatAddress, mustCidr } from '../../topology/cidr.ts'
import { insideEnds } from '../../topology/vpn.ts'
import type { View } from '../store/state.ts'
import type {
  VpnConnectionRecord,
  VpnTunnelOptions,
  VpnTunnelRecord,
} from '../store/vpn-records.ts'
import type { OpenVpnKey } from './keys.ts'
import { tunnelState } from './links.ts'

export interface Configuration {
  readonly connection: string
  readonly customerGateway: string
  readonly vpnGateway: string
  /** The VPC's blocks of both families; none while the VPN gateway is attached to none. */
  readonly vpcCidrs: readonly string[]
  /** The prefixes behind the device; none that the VPC has itself. */
  readonly routes: readonly string[]
  readonly device: {
    /** '' of one that dials from anywhere. */
    readonly address: string
    /** '' of one that speaks IPsec. */
    readonly publicKey: string
  }
  readonly tunnels: readonly TunnelConfiguration[]
}

export interface TunnelConfiguration {
  /** 1 or 2. */
  readonly index: number
  /** Unique in the cloud. */
  readonly number: number
  /** A CC holds it. */
  readonly isHeld: boolean
  /** Where the device dials; '' until it is known. */
  readonly endpoint: string
  /** The endpoint's address. */
  readonly address: string
  /** Of the cloud's WireGuard device. */
  readonly publicKey: string
  /** The pre-shared key, as EC2 has it. */
  readonly key: string
  readonly insideCidr: string
  readonly insideCloud: string
  readonly insideDevice: string
  readonly options: VpnTunnelOptions
}

/** Of a connection that is not deleted: its keys are gone then. */
export function configurationOf(
  view: View,
  openKey: OpenVpnKey,
  connection: VpnConnectionRecord,
): Configuration {
  const gateway = view.get('vpn-gateway', connection.vpnGateway)
  const vpc = view.get('vpc', gateway?.vpc ?? '')
  const device = view.get('customer-gateway', connection.customerGateway)
  const vpcCidrs = [...(vpc?.ipv4Cidrs ?? []), ...(vpc?.ipv6Cidrs ?? [])]
  return {
    connection: connection.id,
    customerGateway: connection.customerGateway,
    vpnGateway: connection.vpnGateway,
    vpcCidrs,
    routes: connection.routes.filter((route) => !isWithin(route, vpcCidrs)),
    device: { address: device?.ipAddress ?? '', publicKey: device?.publicKey ?? '' },
    tunnels: connection.tunnels.map((tunnel, i) => ({
      index: i + 1,
      ...tunnelOf(view, openKey, connection, tunnel),
    })),
  }
}

/**
 * Why a device cannot be set up yet, in a sentence; null when it can. A tunnel that no CC holds is
 * no reason: a cloud of one CC has one for every connection.
 */
export function missingOf({ vpnGateway, vpcCidrs, tunnels, routes, device }: Configuration) {
  if (vpcCidrs.length === 0) return `The VPN gateway ${vpnGateway} is attached to no VPC`
  const held = tunnels.filter(({ isHeld }) => isHeld)
  if (held.length === 0) return 'No host of the cloud holds a tunnel of it yet'
  const isWireguard = device.publicKey !== ''
  const silent = held.find((one) => one.endpoint === '' || (isWireguard && one.publicKey === ''))
  if (silent !== undefined) {
    return `The host of its tunnel ${silent.index} has not said yet where the device reaches it`
  }
  if (isWireguard || routes.length > 0) return null
  return 'It has no routes, which IPsec negotiates: CreateVpnConnectionRoute makes them'
}

/** Of blocks those that have the family of a route: to the others nothing answers. */
export function answered(cidrs: readonly string[], routes: readonly string[]): string[] {
  return cidrs.filter((cidr) => routes.some((route) => isIpv6(route) === isIpv6(cidr)))
}

export function isIpv6(text: string): boolean {
  return text.includes(':')
}

function isWithin(route: string, blocks: readonly string[]): boolean {
  return blocks.some((block) => covers(mustCidr(block), mustCidr(route)))
}

function tunnelOf(
  view: View,
  openKey: OpenVpnKey,
  connection: VpnConnectionRecord,
  tunnel: VpnTunnelRecord,
): Omit<TunnelConfiguration, 'index'> {
  const { endpoint, address, publicKey } = tunnelState(view, connection, tunnel)
  const { cloud, device } = insideEnds(mustCidr(tunnel.insideCidr))
  return {
    number: tunnel.number,
    ...{ isHeld: tunnel.host !== '', endpoint, address, publicKey, key: openKey(tunnel) },
    insideCidr: tunnel.insideCidr,
    insideCloud: formatAddress(cloud),
    insideDevice: formatAddress(device),
    options: tunnel.options,
  }
}
