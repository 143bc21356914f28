// The walk through what leads into EC2's networks and out of them: gateways, routes, peerings; and
// the end of all networks.

import type { Row } from './row.ts'

export const ROUTE_ROWS: readonly Row[] = [
  ['CreateInternetGateway', {}, { keep: { gateway: 'InternetGateway.InternetGatewayId' } }],
  [
    'DescribeInternetGateways',
    { InternetGatewayIds: ['<gateway>'] },
    { wait: 'internet_gateway_exists' },
  ],
  ['AttachInternetGateway', { InternetGatewayId: '<gateway>', VpcId: '<vpc>' }],
  [
    'CreateEgressOnlyInternetGateway',
    { VpcId: '<vpc>' },
    { keep: { egress: 'EgressOnlyInternetGateway.EgressOnlyInternetGatewayId' } },
  ],
  [
    'DescribeEgressOnlyInternetGateways',
    {},
    { want: { 'EgressOnlyInternetGateways.0.EgressOnlyInternetGatewayId': '<egress>' } },
  ],
  ['CreateRouteTable', { VpcId: '<vpc>' }, { keep: { table: 'RouteTable.RouteTableId' } }],
  ['CreateRouteTable', { VpcId: '<vpc>' }, { keep: { otherTable: 'RouteTable.RouteTableId' } }],
  [
    'CreateRoute',
    { RouteTableId: '<table>', DestinationCidrBlock: '0.0.0.0/0', GatewayId: '<gateway>' },
    { want: { Return: true } },
  ],
  [
    'CreateRoute',
    {
      ...{ RouteTableId: '<table>', DestinationIpv6CidrBlock: '::/0' },
      EgressOnlyInternetGatewayId: '<egress>',
    },
    { want: { Return: true } },
  ],
  [
    'ReplaceRoute',
    { RouteTableId: '<table>', DestinationIpv6CidrBlock: '::/0', GatewayId: '<gateway>' },
  ],
  [
    'AssociateRouteTable',
    { RouteTableId: '<otherTable>', SubnetId: '<subnet>' },
    { keep: { tied: 'AssociationId' } },
  ],
  [
    'ReplaceRouteTableAssociation',
    { AssociationId: '<tied>', RouteTableId: '<table>' },
    { keep: { tied: 'NewAssociationId' } },
  ],
  [
    'DescribeRouteTables',
    { Filters: [{ Name: 'association.subnet-id', Values: ['<subnet>'] }] },
    {
      want: { 'RouteTables.length': 1, 'RouteTables.0.Routes.*.GatewayId': '<gateway>' },
      keep: { tied: 'RouteTables.0.Associations.0.RouteTableAssociationId' },
    },
  ],
  ['CreateVpc', { CidrBlock: '10.<net2>.0.0/16' }, { keep: { otherVpc: 'Vpc.VpcId' } }],
  [
    'CreateVpcPeeringConnection',
    { VpcId: '<vpc>', PeerVpcId: '<otherVpc>' },
    { keep: { peering: 'VpcPeeringConnection.VpcPeeringConnectionId' } },
  ],
  [
    'DescribeVpcPeeringConnections',
    { VpcPeeringConnectionIds: ['<peering>'] },
    { wait: 'vpc_peering_connection_exists' },
  ],
  [
    'AcceptVpcPeeringConnection',
    { VpcPeeringConnectionId: '<peering>' },
    { want: { 'VpcPeeringConnection.Status.Code': '*' } },
  ],
  [
    'DescribeVpcPeeringConnections',
    { Filters: [{ Name: 'status-code', Values: ['active'] }] },
    { want: { 'VpcPeeringConnections.0.VpcPeeringConnectionId': '<peering>' } },
  ],
  [
    'ModifyVpcPeeringConnectionOptions',
    {
      VpcPeeringConnectionId: '<peering>',
      RequesterPeeringConnectionOptions: { AllowDnsResolutionFromRemoteVpc: true },
    },
    { want: { 'RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc': true } },
  ],
  [
    'CreateRoute',
    {
      ...{ RouteTableId: '<table>', DestinationCidrBlock: '10.<net2>.0.0/16' },
      VpcPeeringConnectionId: '<peering>',
    },
  ],
]

export const NETWORK_END_ROWS: readonly Row[] = [
  [
    'DeleteVpcPeeringConnection',
    { VpcPeeringConnectionId: '<peering>' },
    { want: { Return: true } },
  ],
  [
    'DescribeVpcPeeringConnections',
    { VpcPeeringConnectionIds: ['<peering>'] },
    { wait: 'vpc_peering_connection_deleted' },
  ],
  [
    'CreateVpcPeeringConnection',
    { VpcId: '<vpc>', PeerVpcId: '<otherVpc>' },
    { keep: { peering: 'VpcPeeringConnection.VpcPeeringConnectionId' } },
  ],
  [
    'RejectVpcPeeringConnection',
    { VpcPeeringConnectionId: '<peering>' },
    { want: { Return: true } },
  ],
  ['DeleteRoute', { RouteTableId: '<table>', DestinationCidrBlock: '0.0.0.0/0' }],
  ['DisassociateRouteTable', { AssociationId: '<tied>' }],
  ['DeleteRouteTable', { RouteTableId: '<table>' }],
  ['DeleteRouteTable', { RouteTableId: '<otherTable>' }],
  [
    'DeleteEgressOnlyInternetGateway',
    { EgressOnlyInternetGatewayId: '<egress>' },
    { want: { ReturnCode: true } },
  ],
  ['DetachInternetGateway', { InternetGatewayId: '<gateway>', VpcId: '<vpc>' }],
  ['DeleteInternetGateway', { InternetGatewayId: '<gateway>' }],
  ['DeleteSubnet', { SubnetId: '<subnet>' }],
  ['DeleteSubnet', { SubnetId: '<farSubnet>' }],
  ['DeleteSubnet', { SubnetId: '<wideSubnet>' }],
  ['DeleteVpc', { VpcId: '<otherVpc>' }],
  ['DeleteVpc', { VpcId: '<vpc>' }],
  ['DescribeVpcs', { VpcIds: ['<vpc>'] }, { refused: 'InvalidVpcID.NotFound' }],
  [
    'DescribeInternetGateways',
    { Filters: [{ Name: 'internet-gateway-id', Values: ['<gateway>'] }] },
    { want: { 'InternetGateways.0': null } },
  ],
]
