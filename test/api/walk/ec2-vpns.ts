// The walk through EC2's VPN connections: customer gateways, VPN gateways, the routes to them.

import type { Row } from './row.ts'

export const VPN_ROWS: readonly Row[] = [
  [
    'CreateCustomerGateway',
    { Type: 'ipsec.1', PublicIp: '192.0.2.7', BgpAsn: 65_001 },
    { keep: { customer: 'CustomerGateway.CustomerGatewayId' } },
  ],
  [
    'DescribeCustomerGateways',
    { CustomerGatewayIds: ['<customer>'] },
    { wait: 'customer_gateway_available' },
  ],
  [
    'DescribeCustomerGateways',
    { Filters: [{ Name: 'bgp-asn', Values: ['65001'] }] },
    { want: { 'CustomerGateways.0.IpAddress': '192.0.2.7' } },
  ],
  [
    'CreateVpnGateway',
    { Type: 'ipsec.1', AmazonSideAsn: 64_600 },
    { keep: { vgw: 'VpnGateway.VpnGatewayId' } },
  ],
  [
    'AttachVpnGateway',
    { VpnGatewayId: '<vgw>', VpcId: '<vpc>' },
    { want: { 'VpcAttachment.State': 'attached' } },
  ],
  [
    'DescribeVpnGateways',
    { Filters: [{ Name: 'attachment.vpc-id', Values: ['<vpc>'] }] },
    { want: { 'VpnGateways.0.VpnGatewayId': '<vgw>', 'VpnGateways.0.AmazonSideAsn': 64_600 } },
  ],
  ['EnableVgwRoutePropagation', { GatewayId: '<vgw>', RouteTableId: '<table>' }],
  [
    'CreateRoute',
    { RouteTableId: '<table>', DestinationCidrBlock: '198.18.0.0/16', GatewayId: '<vgw>' },
    { want: { Return: true } },
  ],
  [
    'DescribeRouteTables',
    { RouteTableIds: ['<table>'] },
    {
      want: {
        'RouteTables.0.PropagatingVgws.0.GatewayId': '<vgw>',
        'RouteTables.0.Routes.*.GatewayId': '<vgw>',
      },
    },
  ],
  [
    'CreateVpnConnection',
    {
      ...{ Type: 'ipsec.1', CustomerGatewayId: '<customer>', VpnGatewayId: '<vgw>' },
      Options: { StaticRoutesOnly: true, TunnelOptions: [{ PreSharedKey: 'walked.key_1' }] },
    },
    {
      want: { 'VpnConnection.Options.TunnelOptions.0.PreSharedKey': 'walked.key_1' },
      keep: { vpn: 'VpnConnection.VpnConnectionId' },
    },
  ],
  ['CreateVpnConnectionRoute', { VpnConnectionId: '<vpn>', DestinationCidrBlock: '198.18.7.0/24' }],
  [
    'DescribeVpnConnections',
    { Filters: [{ Name: 'route.destination-cidr-block', Values: ['198.18.7.0/24'] }] },
    // A CC of each rack has made its tunnel.
    {
      until: true,
      want: {
        'VpnConnections.0.VgwTelemetry.0.Status': 'UP',
        'VpnConnections.0.VgwTelemetry.1.Status': 'UP',
      },
      keep: { outside: 'VpnConnections.0.VgwTelemetry.0.OutsideIpAddress' },
    },
  ],
  ['DescribeVpnConnections', { VpnConnectionIds: ['<vpn>'] }, { wait: 'vpn_connection_available' }],
  [
    'GetVpnConnectionDeviceSampleConfiguration',
    { VpnConnectionId: '<vpn>', VpnConnectionDeviceTypeId: 'strongswan' },
    { want: { VpnConnectionDeviceSampleConfiguration: '~local_ts = 198.18.7.0/24' } },
  ],
  [
    'GetVpnConnectionDeviceTypes',
    {},
    { want: { 'VpnConnectionDeviceTypes.*.Vendor': 'WireGuard' } },
  ],
  [
    'ModifyVpnTunnelOptions',
    {
      ...{ VpnConnectionId: '<vpn>', VpnTunnelOutsideIpAddress: '<outside>' },
      TunnelOptions: { PreSharedKey: 'walked.key_2' },
    },
    { want: { 'VpnConnection.Options.TunnelOptions.0.PreSharedKey': 'walked.key_2' } },
  ],
  [
    'GetActiveVpnTunnelStatus',
    { VpnConnectionId: '<vpn>', VpnTunnelOutsideIpAddress: '<outside>' },
    { want: { 'ActiveVpnTunnelStatus.IkeVersion': 'ikev2' } },
  ],
  [
    'ModifyVpnConnectionOptions',
    { VpnConnectionId: '<vpn>', LocalIpv4NetworkCidr: '0.0.0.0/0' },
    { want: { 'VpnConnection.VpnConnectionId': '<vpn>' } },
  ],
  [
    'ModifyVpnConnection',
    { VpnConnectionId: '<vpn>', CustomerGatewayId: '<customer>' },
    { want: { 'VpnConnection.CustomerGatewayId': '<customer>' } },
  ],
  ['DeleteCustomerGateway', { CustomerGatewayId: '<customer>' }, { refused: 'IncorrectState' }],
  ['DeleteVpnConnectionRoute', { VpnConnectionId: '<vpn>', DestinationCidrBlock: '198.18.7.0/24' }],
  ['DeleteVpnConnection', { VpnConnectionId: '<vpn>' }],
  ['DescribeVpnConnections', { VpnConnectionIds: ['<vpn>'] }, { wait: 'vpn_connection_deleted' }],
  ['DeleteRoute', { RouteTableId: '<table>', DestinationCidrBlock: '198.18.0.0/16' }],
  ['DisableVgwRoutePropagation', { GatewayId: '<vgw>', RouteTableId: '<table>' }],
  ['DeleteVpnGateway', { VpnGatewayId: '<vgw>' }, { refused: 'IncorrectState' }],
  ['DetachVpnGateway', { VpnGatewayId: '<vgw>', VpcId: '<vpc>' }],
  ['DeleteVpnGateway', { VpnGatewayId: '<vgw>' }],
  [
    'DescribeVpnGateways',
    { VpnGatewayIds: ['<vgw>'] },
    { want: { 'VpnGateways.0.State': 'deleted' } },
  ],
  ['DeleteCustomerGateway', { CustomerGatewayId: '<customer>' }],
  [
    'DescribeCustomerGateways',
    { CustomerGatewayIds: ['<customer>'] },
    { want: { 'CustomerGateways.0.State': 'deleted' } },
  ],
]
