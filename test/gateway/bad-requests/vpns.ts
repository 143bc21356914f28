// Bad requests about VPN connections and the gateways at both of their ends.

import type { Row } from './row.ts'

const DEVICE = { Type: 'ipsec.1', IpAddress: '192.0.2.1' } as const
const KEY = Buffer.alloc(32, 7).toString('base64')
const ELSEWHERE = ['0.0.0.0', '127.0.0.1', '169.254.1.1', '224.0.0.5', '255.255.255.255']
const ELSEWHERE6 = ['::', '::1', 'fe80::1', 'ff02::1', '::ffff:192.0.2.1']

const X = '0123456789abcdef0'

function device(what: string, more: object, code = 'InvalidParameterValue'): Row {
  return [what, 'CreateCustomerGateway', { ...DEVICE, ...more }, code]
}

const STATIC = { StaticRoutesOnly: true }

/** Between the account's device and the gateway that has no connection. */
function connection(more: object): Row[2] {
  return ({ customerGateway, freeVpnGateway }) => ({
    ...{ Type: 'ipsec.1', CustomerGatewayId: customerGateway, VpnGatewayId: freeVpnGateway },
    ...{ Options: STATIC, ...more },
  })
}

export const VPNS: readonly Row[] = [
  [
    'an unknown id',
    'DeleteCustomerGateway',
    { CustomerGatewayId: `cgw-${X}` },
    'InvalidCustomerGatewayID.NotFound',
  ],
  [
    'no id',
    'DescribeCustomerGateways',
    { CustomerGatewayIds: ['router'] },
    'InvalidCustomerGatewayId.Malformed',
  ],
  [
    'an unknown id',
    'DescribeVpnGateways',
    { VpnGatewayIds: [`vgw-${X}`] },
    'InvalidVpnGatewayID.NotFound',
  ],
  [
    'an unknown gateway',
    'AttachVpnGateway',
    ({ otherVpc }) => ({ VpnGatewayId: `vgw-${X}`, VpcId: otherVpc }),
    'InvalidVpnGatewayID.NotFound',
  ],
  ['no id', 'DeleteVpnGateway', { VpnGatewayId: 'vgw-xyz' }, 'InvalidVpnGatewayId.Malformed'],
  ['no type', 'CreateCustomerGateway', { IpAddress: '192.0.2.1' }, 'MissingParameter'],
  device('another type', { Type: 'wireguard.1' }),
  ['no address', 'CreateCustomerGateway', { Type: 'ipsec.1' }, 'MissingParameter'],
  device('a name as address', { IpAddress: 'router.example.com' }),
  device('a prefix as address', { IpAddress: '192.0.2.0/24' }),
  ...[...ELSEWHERE, ...ELSEWHERE6].map((IpAddress) =>
    device(`the address ${IpAddress}`, { IpAddress }),
  ),
  device('two addresses', { PublicIp: '192.0.2.2' }, 'InvalidParameterCombination'),
  device('an ASN of 0', { BgpAsn: 0 }),
  device('a short ASN in the long one', { BgpAsnExtended: 2_147_483_647 }),
  device('too long an ASN', { BgpAsnExtended: 4_294_967_296 }),
  device('two ASNs', { BgpAsn: 1, BgpAsnExtended: 4_200_000_000 }, 'InvalidParameterCombination'),
  device('a long name', { DeviceName: 'x'.repeat(256) }),
  device('a line break in its name', { DeviceName: 'router\nroot' }),
  device('a WireGuard device without a key', { DeviceName: 'wireguard:' }),
  device('a key of 31 bytes', { DeviceName: `wireguard:${Buffer.alloc(31).toString('base64')}` }),
  device('a key that is not canonical', { DeviceName: `wireguard:${KEY.replace('c=', 'd=')}` }),
  device('a key of base64url', { DeviceName: `wireguard:${'_'.repeat(43)}=` }),
  device('a key and more', { DeviceName: `wireguard:${KEY} office` }),
  device('WireGuard in capitals', { DeviceName: `WireGuard:${KEY}` }),
  device(
    'a certificate',
    { CertificateArn: 'arn:aws:acm:x:1:certificate/1' },
    'UnsupportedOperation',
  ),
  ['another type', 'CreateVpnGateway', { Type: 'openvpn' }, 'InvalidParameterValue'],
  [
    'a public ASN',
    'CreateVpnGateway',
    { Type: 'ipsec.1', AmazonSideAsn: 65_535 },
    'InvalidParameterValue',
  ],
  [
    'an unknown zone',
    'CreateVpnGateway',
    { Type: 'ipsec.1', AvailabilityZone: 'moon-1a' },
    'InvalidParameterValue',
  ],
  [
    'a VPC that has one',
    'AttachVpnGateway',
    ({ freeVpnGateway, vpc }) => ({ VpnGatewayId: freeVpnGateway, VpcId: vpc }),
    'InvalidVpcState',
  ],
  [
    'one that is attached',
    'AttachVpnGateway',
    ({ vpnGateway, otherVpc }) => ({ VpnGatewayId: vpnGateway, VpcId: otherVpc }),
    'VpnGatewayAttachmentLimitExceeded',
  ],
  [
    'another VPC than its own',
    'DetachVpnGateway',
    ({ vpnGateway, otherVpc }) => ({ VpnGatewayId: vpnGateway, VpcId: otherVpc }),
    'InvalidVpnGatewayAttachment.NotFound',
  ],
  [
    'one that is attached',
    'DeleteVpnGateway',
    ({ vpnGateway }) => ({ VpnGatewayId: vpnGateway }),
    'IncorrectState',
  ],
  [
    'a gateway of no VPC',
    'EnableVgwRoutePropagation',
    ({ freeVpnGateway, table }) => ({ GatewayId: freeVpnGateway, RouteTableId: table }),
    'Gateway.NotAttached',
  ],
  [
    'an unknown id',
    'DescribeVpnConnections',
    { VpnConnectionIds: [`vpn-${X}`] },
    'InvalidVpnConnectionID.NotFound',
  ],
  [
    'no id',
    'DeleteVpnConnection',
    { VpnConnectionId: 'office' },
    'InvalidVpnConnectionId.Malformed',
  ],
  ['routes by BGP', 'CreateVpnConnection', connection({ Options: {} }), 'UnsupportedOperation'],
  ['another type', 'CreateVpnConnection', connection({ Type: 'openvpn' }), 'InvalidParameterValue'],
  [
    'a bad key',
    'CreateVpnConnection',
    connection({ Options: { ...STATIC, TunnelOptions: [{ PreSharedKey: '0-0-0-0-0' }] } }),
    'InvalidParameterValue',
  ],
  [
    'a transit gateway',
    'CreateVpnConnection',
    connection({ TransitGatewayId: `tgw-${X}` }),
    'UnsupportedOperation',
  ],
  [
    'no such VPN gateway',
    'CreateVpnConnection',
    connection({ VpnGatewayId: `vgw-${X}` }),
    'InvalidVpnGatewayID.NotFound',
  ],
  [
    'a link-local destination',
    'CreateVpnConnectionRoute',
    ({ vpnConnection }) => ({
      ...{ VpnConnectionId: vpnConnection, DestinationCidrBlock: '169.254.0.0/24' },
    }),
    'InvalidParameterValue',
  ],
  [
    'a route that is not there',
    'DeleteVpnConnectionRoute',
    ({ vpnConnection }) => ({
      ...{ VpnConnectionId: vpnConnection, DestinationCidrBlock: '192.0.2.0/24' },
    }),
    'InvalidRoute.NotFound',
  ],
  [
    'a connection that no host has yet',
    'GetVpnConnectionDeviceSampleConfiguration',
    ({ vpnConnection }) => ({
      ...{ VpnConnectionId: vpnConnection, VpnConnectionDeviceTypeId: 'strongswan' },
    }),
    'IncorrectState',
  ],
  [
    'a device of another kind',
    'GetVpnConnectionDeviceSampleConfiguration',
    ({ vpnConnection }) => ({
      ...{ VpnConnectionId: vpnConnection, VpnConnectionDeviceTypeId: 'wireguard' },
    }),
    'InvalidParameterValue',
  ],
  [
    'an internet gateway',
    'EnableVgwRoutePropagation',
    ({ gateway, table }) => ({ GatewayId: gateway, RouteTableId: table }),
    'InvalidVpnGatewayId.Malformed',
  ],
  [
    'a VPN gateway of no VPC',
    'CreateRoute',
    ({ freeVpnGateway, table }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '198.18.0.0/16', GatewayId: freeVpnGateway },
    }),
    'InvalidParameterValue',
  ],
]
