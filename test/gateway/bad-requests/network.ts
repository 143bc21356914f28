// Bad requests about VPCs, subnets, routes, gateways, peerings, interfaces, DHCP options.

import { OTHER_ZONE, ZONE } from './ground.ts'
import type { Row } from './row.ts'

export const NETWORK: readonly Row[] = [
  ['no prefix', 'CreateVpc', { CidrBlock: 'big' }, 'InvalidParameterValue'],
  ['an octet of 256', 'CreateVpc', { CidrBlock: '10.256.0.0/16' }, 'InvalidParameterValue'],
  ['a /8', 'CreateVpc', { CidrBlock: '10.0.0.0/8' }, 'InvalidVpc.Range'],
  ['a /29', 'CreateVpc', { CidrBlock: '10.80.0.0/29' }, 'InvalidVpc.Range'],
  [
    'an unknown tenancy',
    'CreateVpc',
    { CidrBlock: '10.80.0.0/16', InstanceTenancy: 'shared' },
    'InvalidParameterValue',
  ],
  ['things in it', 'DeleteVpc', ({ vpc }) => ({ VpcId: vpc }), 'DependencyViolation'],
  ['a default VPC there already', 'CreateDefaultVpc', {}, 'DefaultVpcAlreadyExists'],
  [
    'an unknown attribute',
    'DescribeVpcAttribute',
    ({ vpc }) => ({ VpcId: vpc, Attribute: 'colour' }),
    'InvalidParameterValue',
  ],
  ['no attribute', 'ModifyVpcAttribute', ({ vpc }) => ({ VpcId: vpc }), 'MissingParameter'],
  [
    'two attributes',
    'ModifyVpcAttribute',
    ({ vpc }) => ({
      ...{ VpcId: vpc, EnableDnsSupport: { Value: true }, EnableDnsHostnames: { Value: true } },
    }),
    'InvalidParameterCombination',
  ],
  [
    'an unknown association',
    'DisassociateVpcCidrBlock',
    { AssociationId: 'vpc-cidr-assoc-0123456789abcdef0' },
    'InvalidVpcCidrBlockAssociationIdError.NotFound',
  ],
  [
    'a prefix outside of its VPC',
    'CreateSubnet',
    ({ vpc }) => ({ VpcId: vpc, CidrBlock: '10.99.0.0/24', AvailabilityZone: ZONE }),
    'InvalidSubnet.Range',
  ],
  [
    'a /29',
    'CreateSubnet',
    ({ vpc }) => ({ VpcId: vpc, CidrBlock: '10.70.9.0/29', AvailabilityZone: ZONE }),
    'InvalidSubnet.Range',
  ],
  [
    'an overlap',
    'CreateSubnet',
    ({ vpc }) => ({ VpcId: vpc, CidrBlock: '10.70.1.128/25', AvailabilityZone: ZONE }),
    'InvalidSubnet.Conflict',
  ],
  [
    'an unknown zone',
    'CreateSubnet',
    ({ vpc }) => ({ VpcId: vpc, CidrBlock: '10.70.9.0/24', AvailabilityZone: 'moon-1a' }),
    'InvalidParameterValue',
  ],
  ['no VPC', 'CreateSubnet', { CidrBlock: '10.70.9.0/24' }, 'MissingParameter'],
  ['no prefix', 'CreateSubnet', ({ vpc }) => ({ VpcId: vpc }), 'MissingParameter'],
  [
    'an unknown VPC',
    'CreateSubnet',
    { VpcId: 'vpc-01234567', CidrBlock: '10.70.9.0/24' },
    'InvalidVpcID.NotFound',
  ],
  [
    'interfaces in it',
    'DeleteSubnet',
    ({ subnet }) => ({ SubnetId: subnet }),
    'DependencyViolation',
  ],
  [
    'a default subnet there already',
    'CreateDefaultSubnet',
    { AvailabilityZone: OTHER_ZONE },
    'DefaultSubnetAlreadyExistsInAvailabilityZone',
  ],
  [
    'a route that is there',
    'CreateRoute',
    ({ table, gateway }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway },
    }),
    'RouteAlreadyExists',
  ],
  [
    'no destination',
    'CreateRoute',
    ({ table, gateway }) => ({ RouteTableId: table, GatewayId: gateway }),
    'MissingParameter',
  ],
  [
    'no prefix',
    'CreateRoute',
    ({ table, gateway }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: 'everything', GatewayId: gateway },
    }),
    'InvalidParameterValue',
  ],
  [
    'two targets',
    'CreateRoute',
    ({ table, gateway, freeCard }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24', GatewayId: gateway },
      NetworkInterfaceId: freeCard,
    }),
    'InvalidParameterCombination',
  ],
  [
    'an unknown gateway',
    'CreateRoute',
    ({ table }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24' },
      GatewayId: 'igw-0123456789abcdef0',
    }),
    'InvalidInternetGatewayID.NotFound',
  ],
  [
    'an unknown NAT gateway',
    'CreateRoute',
    ({ table }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24' },
      NatGatewayId: 'nat-0123456789abcdef0',
    }),
    'NatGatewayNotFound',
  ],
  [
    'a gateway of no VPC',
    'CreateRoute',
    ({ table, freeGateway }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24', GatewayId: freeGateway },
    }),
    'InvalidParameterValue',
  ],
  [
    'no such route',
    'DeleteRoute',
    ({ table }) => ({ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24' }),
    'InvalidRoute.NotFound',
  ],
  [
    'no such route',
    'ReplaceRoute',
    ({ table, gateway }) => ({
      ...{ RouteTableId: table, DestinationCidrBlock: '192.0.2.0/24', GatewayId: gateway },
    }),
    'InvalidRoute.NotFound',
  ],
  [
    'the local route',
    'DeleteRoute',
    ({ table }) => ({ RouteTableId: table, DestinationCidrBlock: '10.70.0.0/16' }),
    'InvalidParameterValue',
  ],
  [
    'a table in use',
    'DeleteRouteTable',
    ({ table }) => ({ RouteTableId: table }),
    'DependencyViolation',
  ],
  [
    'the main table',
    'DeleteRouteTable',
    ({ mainTable }) => ({ RouteTableId: mainTable }),
    'DependencyViolation',
  ],
  [
    'the main association',
    'DisassociateRouteTable',
    ({ mainAssociation }) => ({ AssociationId: mainAssociation }),
    'InvalidParameterValue',
  ],
  [
    'a subnet that has a table',
    'AssociateRouteTable',
    ({ mainTable, subnet }) => ({ RouteTableId: mainTable, SubnetId: subnet }),
    'Resource.AlreadyAssociated',
  ],
  [
    'a subnet of another VPC',
    'AssociateRouteTable',
    ({ table, otherSubnet }) => ({ RouteTableId: table, SubnetId: otherSubnet }),
    'InvalidParameterValue',
  ],
  [
    'a gateway that is attached',
    'AttachInternetGateway',
    ({ gateway, otherVpc }) => ({ InternetGatewayId: gateway, VpcId: otherVpc }),
    'Resource.AlreadyAssociated',
  ],
  [
    'a VPC that has one',
    'AttachInternetGateway',
    ({ freeGateway, vpc }) => ({ InternetGatewayId: freeGateway, VpcId: vpc }),
    'InvalidParameterValue',
  ],
  [
    'a gateway that is not attached',
    'DetachInternetGateway',
    ({ freeGateway, vpc }) => ({ InternetGatewayId: freeGateway, VpcId: vpc }),
    'Gateway.NotAttached',
  ],
  [
    'public addresses behind it',
    'DetachInternetGateway',
    ({ gateway, vpc }) => ({ InternetGatewayId: gateway, VpcId: vpc }),
    'DependencyViolation',
  ],
  [
    'an attached gateway',
    'DeleteInternetGateway',
    ({ gateway }) => ({ InternetGatewayId: gateway }),
    'DependencyViolation',
  ],
  ['no subnet', 'CreateNatGateway', { ConnectivityType: 'private' }, 'MissingParameter'],
  ['no address', 'CreateNatGateway', ({ subnet }) => ({ SubnetId: subnet }), 'MissingParameter'],
  [
    'an unknown address',
    'CreateNatGateway',
    ({ subnet }) => ({ SubnetId: subnet, AllocationId: 'eipalloc-01234567' }),
    'InvalidAllocationID.NotFound',
  ],
  [
    'a bound address',
    'CreateNatGateway',
    ({ subnet, bound }) => ({ SubnetId: subnet, AllocationId: bound }),
    'Resource.AlreadyAssociated',
  ],
  ['one VPC', 'CreateVpcPeeringConnection', ({ vpc }) => ({ VpcId: vpc }), 'MissingParameter'],
  [
    'an unknown VPC of ours',
    'CreateVpcPeeringConnection',
    ({ vpc }) => ({ VpcId: 'vpc-01234567', PeerVpcId: vpc }),
    'InvalidVpcID.NotFound',
  ],
  [
    'no id of a VPC',
    'CreateVpcPeeringConnection',
    ({ vpc }) => ({ VpcId: 'vpc-xyz', PeerVpcId: vpc }),
    'InvalidVpcID.Malformed',
  ],
  [
    'options in use',
    'DeleteDhcpOptions',
    ({ dhcp }) => ({ DhcpOptionsId: dhcp }),
    'DependencyViolation',
  ],
  ['no options', 'CreateDhcpOptions', {}, 'MissingParameter'],
  [
    'an unknown option',
    'CreateDhcpOptions',
    { DhcpConfigurations: [{ Key: 'colour', Values: ['red'] }] },
    'InvalidParameterValue',
  ],
  [
    'a name server that is no address',
    'CreateDhcpOptions',
    { DhcpConfigurations: [{ Key: 'domain-name-servers', Values: ['1.2.3'] }] },
    'InvalidParameterValue',
  ],
]
