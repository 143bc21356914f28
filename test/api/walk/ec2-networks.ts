// The walk through EC2's networks: VPCs, subnets, and what they are made of.

import type { Row } from './row.ts'

const ZONE = 'mallee-1-a'

/** The default VPC goes and comes again; the account has another one afterwards. */
export const DEFAULT_ROWS: readonly Row[] = [
  [
    'DescribeVpcs',
    { Filters: [{ Name: 'is-default', Values: ['true'] }] },
    { want: { 'Vpcs.length': 1, 'Vpcs.0.OwnerId': '<account>' }, keep: { usual: 'Vpcs.0.VpcId' } },
  ],
  [
    'DescribeSubnets',
    { Filters: [{ Name: 'vpc-id', Values: ['<usual>'] }] },
    {
      want: { 'Subnets.length': 2, 'Subnets.*.DefaultForAz': true },
      keep: { usualA: 'Subnets.0.SubnetId', usualB: 'Subnets.1.SubnetId' },
    },
  ],
  ['DeleteSubnet', { SubnetId: '<usualA>' }],
  ['DeleteSubnet', { SubnetId: '<usualB>' }],
  [
    'DescribeInternetGateways',
    { Filters: [{ Name: 'attachment.vpc-id', Values: ['<usual>'] }] },
    { keep: { usualGateway: 'InternetGateways.0.InternetGatewayId' } },
  ],
  ['DetachInternetGateway', { InternetGatewayId: '<usualGateway>', VpcId: '<usual>' }],
  ['DeleteInternetGateway', { InternetGatewayId: '<usualGateway>' }],
  ['DeleteVpc', { VpcId: '<usual>' }],
  ['CreateDefaultVpc', {}, { want: { 'Vpc.IsDefault': true }, keep: { usual: 'Vpc.VpcId' } }],
  [
    'DescribeSubnets',
    { Filters: [{ Name: 'availability-zone', Values: [ZONE] }] },
    { keep: { usualA: 'Subnets.0.SubnetId' } },
  ],
  ['DeleteSubnet', { SubnetId: '<usualA>' }],
  [
    'CreateDefaultSubnet',
    { AvailabilityZone: ZONE },
    { want: { 'Subnet.DefaultForAz': true, 'Subnet.VpcId': '<usual>' } },
  ],
]

export const NETWORK_ROWS: readonly Row[] = [
  [
    'CreateVpc',
    {
      ...{ CidrBlock: '10.<net>.0.0/16', AmazonProvidedIpv6CidrBlock: true },
      TagSpecifications: [
        { ResourceType: 'vpc', Tags: [{ Key: 'Name', Value: 'walk é <&> "1"' }] },
      ],
    },
    {
      want: { 'Vpc.CidrBlock': '10.<net>.0.0/16', 'Vpc.Tags.*.Value': 'walk é <&> "1"' },
      keep: { vpc: 'Vpc.VpcId' },
    },
  ],
  ['DescribeVpcs', { VpcIds: ['<vpc>'] }, { wait: 'vpc_exists' }],
  ['DescribeVpcs', { VpcIds: ['<vpc>'] }, { wait: 'vpc_available' }],
  [
    'ModifyVpcAttribute',
    { VpcId: '<vpc>', EnableDnsHostnames: { Value: true } },
    { argv: ['--vpc-id', '<vpc>', '--enable-dns-hostnames'] },
  ],
  [
    'DescribeVpcAttribute',
    { VpcId: '<vpc>', Attribute: 'enableDnsHostnames' },
    { want: { 'EnableDnsHostnames.Value': true } },
  ],
  ['ModifyVpcTenancy', { VpcId: '<vpc>', InstanceTenancy: 'default' }],
  [
    'AssociateVpcCidrBlock',
    { VpcId: '<vpc>', CidrBlock: '10.<net1>.0.0/20' },
    { keep: { block: 'CidrBlockAssociation.AssociationId' } },
  ],
  [
    'DescribeVpcs',
    { Filters: [{ Name: 'tag:Name', Values: ['walk*'] }] },
    {
      argv: ['--filters', 'Name=tag:Name,Values=walk*,none'],
      want: { 'Vpcs.0.CidrBlockAssociationSet.*.CidrBlock': '10.<net1>.0.0/20' },
      keep: { ipv6: 'Vpcs.0.Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock ~(.*)::/56' },
    },
  ],
  ['DisassociateVpcCidrBlock', { AssociationId: '<block>' }],
  [
    'CreateSubnet',
    { VpcId: '<vpc>', CidrBlock: '10.<net>.1.0/24', AvailabilityZone: ZONE },
    { want: { 'Subnet.AvailabilityZone': ZONE }, keep: { subnet: 'Subnet.SubnetId' } },
  ],
  [
    'CreateSubnet',
    { VpcId: '<vpc>', CidrBlock: '10.<net>.2.0/24', AvailabilityZone: 'mallee-1-b' },
    { keep: { farSubnet: 'Subnet.SubnetId' } },
  ],
  [
    'CreateSubnet',
    { VpcId: '<vpc>', CidrBlock: '10.<net>.3.0/24', AvailabilityZone: 'mallee-1-any' },
    { keep: { wideSubnet: 'Subnet.SubnetId' } },
  ],
  ['DescribeSubnets', { SubnetIds: ['<subnet>', '<farSubnet>'] }, { wait: 'subnet_available' }],
  [
    'ModifySubnetAttribute',
    { SubnetId: '<subnet>', MapPublicIpOnLaunch: { Value: true } },
    { argv: ['--subnet-id', '<subnet>', '--map-public-ip-on-launch'] },
  ],
  [
    'DescribeSubnets',
    { Filters: [{ Name: 'vpc-id', Values: ['<vpc>'] }] },
    { want: { 'Subnets.length': 3, 'Subnets.*.MapPublicIpOnLaunch': true } },
  ],
  [
    'AssociateSubnetCidrBlock',
    { SubnetId: '<farSubnet>', Ipv6CidrBlock: '<ipv6>::/64' },
    { keep: { block: 'Ipv6CidrBlockAssociation.AssociationId' } },
  ],
  ['DisassociateSubnetCidrBlock', { AssociationId: '<block>' }],
  [
    'AssociateSubnetCidrBlock',
    { SubnetId: '<subnet>', Ipv6CidrBlock: '<ipv6>::/64' },
    { want: { 'Ipv6CidrBlockAssociation.Ipv6CidrBlock': '<ipv6>::/64' } },
  ],
  [
    'CreateDhcpOptions',
    { DhcpConfigurations: [{ Key: 'domain-name', Values: ['walk.example'] }] },
    { keep: { dhcp: 'DhcpOptions.DhcpOptionsId' } },
  ],
  ['AssociateDhcpOptions', { DhcpOptionsId: '<dhcp>', VpcId: '<vpc>' }],
  [
    'DescribeDhcpOptions',
    { Filters: [{ Name: 'value', Values: ['walk.example'] }] },
    { want: { 'DhcpOptions.0.DhcpOptionsId': '<dhcp>' } },
  ],
  ['AssociateDhcpOptions', { DhcpOptionsId: 'default', VpcId: '<vpc>' }],
  ['DeleteDhcpOptions', { DhcpOptionsId: '<dhcp>' }],
  [
    'DescribeIpams',
    {},
    { want: { 'Ipams.length': 1 }, keep: { scope: 'Ipams.0.PrivateDefaultScopeId' } },
  ],
  ['DescribeIpamScopes', {}, { want: { 'IpamScopes.*.IpamScopeId': '<scope>' } }],
  [
    'DescribeIpamPools',
    {
      Filters: [
        { Name: 'address-family', Values: ['ipv4'] },
        { Name: 'ipam-scope-type', Values: ['private'] },
      ],
    },
    { want: { 'IpamPools.*.AddressFamily': 'ipv4' }, keep: { pool: 'IpamPools.0.IpamPoolId' } },
  ],
  [
    'GetIpamPoolCidrs',
    { IpamPoolId: '<pool>' },
    { want: { 'IpamPoolCidrs.0.Cidr': '10.0.0.0/8' } },
  ],
  [
    'GetIpamPoolAllocations',
    { IpamPoolId: '<pool>' },
    { want: { 'IpamPoolAllocations.*.ResourceId': '<vpc>' } },
  ],
]
