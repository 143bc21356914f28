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
