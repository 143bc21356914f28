// What CreateVpnConnection and the Modify actions say of a whole connection (EC2 API reference,
// VpnConnectionOptionsSpecification).

import type {
  ModifyVpnConnectionOptionsRequest,
  VpnConnectionOptionsSpecification,
  VpnTunnelOptionsSpecification,
} from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { CustomerGatewayRecord } from '../store/vpn-records.ts'
import { badValue, refuseUnknown } from './input.ts'
import { DEFAULT_OPTIONS, parseTunnelOptions, type TunnelWish } from './vpn-tunnel-options.ts'

type Cidrs = Pick<
  ModifyVpnConnectionOptionsRequest,
  | 'LocalIpv4NetworkCidr'
  | 'RemoteIpv4NetworkCidr'
  | 'LocalIpv6NetworkCidr'
  | 'RemoteIpv6NetworkCidr'
>

/** As in EC2 every connection has so many. */
export const TUNNELS = 2
export const EVERYTHING_IPV4 = '0.0.0.0/0'
const EVERYTHING_IPV6 = '::/0'
const CIDRS = [
  ['LocalIpv4NetworkCidr', EVERYTHING_IPV4],
  ['RemoteIpv4NetworkCidr', EVERYTHING_IPV4],
  ['LocalIpv6NetworkCidr', EVERYTHING_IPV6],
  ['RemoteIpv6NetworkCidr', EVERYTHING_IPV6],
] as const satisfies readonly (readonly [keyof Cidrs, string])[]
const KNOWN = new Set<string>([
  ...['StaticRoutesOnly', 'TunnelOptions', 'OutsideIpAddressType'],
  ...CIDRS.map(([name]) => name),
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['EnableAcceleration', [false]],
  ['TunnelInsideIpVersion', ['ipv4']],
  ['TunnelBandwidth', ['standard']],
])

/** The wishes for both tunnels. Throws the codes of EC2. */
export function parseConnectionOptions(
  options: VpnConnectionOptionsSpecification = {},
  gateway: CustomerGatewayRecord,
): TunnelWish[] {
  if (options.StaticRoutesOnly !== true) {
    const text =
      'Options.StaticRoutesOnly must be true: routes are static here, there is no BGP.' +
      ' CreateVpnConnectionRoute makes them.'
    throw new ApiError('UnsupportedOperation', text)
  }
  refuseUnknown(options, KNOWN, HARMLESS, 'Options.')
  checkNetworkCidrs(options, 'Options.')
  checkOutside(options.OutsideIpAddressType, gateway)
  return tunnelWishes(options.TunnelOptions ?? [], gateway)
}

/** Nothing but everything: what a tunnel carries is said by routes and by the VPC. */
export function checkNetworkCidrs(cidrs: Cidrs, path = ''): void {
  for (const [name, whole] of CIDRS) {
    const value = cidrs[name]
    if (value === undefined || value === '' || value === whole) continue
    const text = `${path}${name} with the value ${value} is not supported, only ${whole}: the connection's routes and the VPC's blocks say what its tunnels carry.`
    throw new ApiError('UnsupportedOperation', text)
  }
}

/** As EC2 calls where a device is. */
export function outsideAddressType({
  ipAddress,
}: Pick<CustomerGatewayRecord, 'ipAddress'>): string {
  return ipAddress.includes(':') ? 'Ipv6' : 'PublicIpv4'
}

function checkOutside(asked: string | undefined, gateway: CustomerGatewayRecord): void {
  if (asked === undefined) return
  const is = outsideAddressType(gateway)
  if (asked === is || (gateway.ipAddress === '' && asked === 'Ipv6')) return
  if (asked === 'PrivateIpv4') {
    const text = 'Options.OutsideIpAddressType PrivateIpv4 is not supported by this cloud.'
    throw new ApiError('UnsupportedOperation', text)
  }
  const why = `The customer gateway ${gateway.id} has the address ${gateway.ipAddress}: expecting ${is}.`
  throw badValue('Options.OutsideIpAddressType', asked, why)
}

function tunnelWishes(
  asked: readonly VpnTunnelOptionsSpecification[],
  gateway: CustomerGatewayRecord,
): TunnelWish[] {
  if (asked.length > TUNNELS) {
    const text = `The request has options for ${asked.length} tunnels; a connection has ${TUNNELS}.`
    throw new ApiError('InvalidParameterValue', text)
  }
  const wishes = Array.from({ length: TUNNELS }, (_, i) =>
    parseTunnelOptions(asked[i] ?? {}, DEFAULT_OPTIONS, {
      path: `Options.TunnelOptions.${i + 1}.`,
      isWireguard: gateway.publicKey !== '',
    }),
  )
  const [first, second] = wishes.map(({ insideCidr }) => insideCidr)
  if (first === null || first !== second) return wishes
  throw badValue('Options.TunnelOptions.2.TunnelInsideCidr', second, 'The first tunnel has it.')
}
