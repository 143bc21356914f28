// The walk through EC2's interfaces and addresses, tags, instance profiles, and analyses of paths.

import type { Row } from './row.ts'

const CARD = { NetworkInterfaceId: '<free>' }
const TAGS = [{ Key: 'part', Value: 'walk' }]

export const ADDRESS_ROWS: readonly Row[] = [
  [
    'CreateNetworkInterface',
    { SubnetId: '<subnet>', Groups: ['<group>'], Description: 'of the walk' },
    {
      want: { 'NetworkInterface.Description': 'of the walk' },
      keep: { free: 'NetworkInterface.NetworkInterfaceId' },
    },
  ],
  [
    'DescribeNetworkInterfaces',
    { NetworkInterfaceIds: ['<free>'] },
    { wait: 'network_interface_available' },
  ],
  [
    'AssignPrivateIpAddresses',
    { ...CARD, SecondaryPrivateIpAddressCount: 1 },
    { keep: { secondary: 'AssignedPrivateIpAddresses.0.PrivateIpAddress' } },
  ],
  ['UnassignPrivateIpAddresses', { ...CARD, PrivateIpAddresses: ['<secondary>'] }],
  [
    'AssignIpv6Addresses',
    { ...CARD, Ipv6AddressCount: 1 },
    { keep: { six: 'AssignedIpv6Addresses.0' } },
  ],
  [
    'UnassignIpv6Addresses',
    { ...CARD, Ipv6Addresses: ['<six>'] },
    { want: { 'UnassignedIpv6Addresses.0': '<six>' } },
  ],
  ['ModifyNetworkInterfaceAttribute', { ...CARD, SourceDestCheck: { Value: false } }],
  [
    'DescribeNetworkInterfaceAttribute',
    { ...CARD, Attribute: 'sourceDestCheck' },
    { want: { 'SourceDestCheck.Value': false } },
  ],
  ['ResetNetworkInterfaceAttribute', { ...CARD, SourceDestCheck: 'true' }],
  [
    'DescribeNetworkInterfaces',
    { Filters: [{ Name: 'description', Values: ['of the walk'] }] },
    {
      want: {
        'NetworkInterfaces.length': 1,
        'NetworkInterfaces.0.SourceDestCheck': true,
        'NetworkInterfaces.0.Status': 'available',
      },
    },
  ],
  [
    'AttachNetworkInterface',
    { ...CARD, InstanceId: '<instance>', DeviceIndex: 1 },
    { keep: { attached: 'AttachmentId' } },
  ],
  [
    'AllocateAddress',
    { Domain: 'vpc' },
    { want: { PublicIp: '~^203\\.0\\.113\\.' }, keep: { address: 'AllocationId', ip: 'PublicIp' } },
  ],
  [
    'AssociateAddress',
    { AllocationId: '<address>', NetworkInterfaceId: '<free>' },
    { keep: { bound: 'AssociationId' } },
  ],
  [
    'DescribeAddresses',
    { Filters: [{ Name: 'network-interface-id', Values: ['<free>'] }] },
    { want: { 'Addresses.0.PublicIp': '<ip>', 'Addresses.0.AssociationId': '<bound>' } },
  ],
  [
    'DescribeAddressesAttribute',
    { AllocationIds: ['<address>'], Attribute: 'domain-name' },
    { want: { 'Addresses.0.PtrRecord': null } },
  ],
  [
    'DescribeAddressesAttribute',
    { Attribute: 'domain-name' },
    { want: { 'Addresses.0.AllocationId': '<address>' } },
  ],
  ['DisassociateAddress', { AssociationId: '<bound>' }],
  ['DetachNetworkInterface', { AttachmentId: '<attached>' }],
  [
    'DescribeNetworkInterfaces',
    { NetworkInterfaceIds: ['<free>'] },
    { until: true, want: { 'NetworkInterfaces.0.Status': 'available' } },
  ],
  [
    'CreateNatGateway',
    { SubnetId: '<subnet>', AllocationId: '<address>' },
    { keep: { nat: 'NatGateway.NatGatewayId' } },
  ],
  [
    'DescribeNatGateways',
    { NatGatewayIds: ['<nat>'] },
    { until: true, want: { 'NatGateways.0.State': 'available' } },
  ],
  ['DescribeNatGateways', { NatGatewayIds: ['<nat>'] }, { wait: 'nat_gateway_available' }],
  [
    'DescribeNatGateways',
    { Filter: [{ Name: 'vpc-id', Values: ['<vpc>'] }] },
    { want: { 'NatGateways.0.NatGatewayAddresses.0.PublicIp': '<ip>' } },
  ],
]

export const EXTRA_ROWS: readonly Row[] = [
  [
    'CreateTags',
    { Resources: ['<instance>', '<free>'], Tags: TAGS },
    { argv: ['--resources', '<instance>', '<free>', '--tags', 'Key=part,Value=walk'] },
  ],
  [
    'DescribeTags',
    { Filters: [{ Name: 'key', Values: ['part'] }] },
    { want: { 'Tags.length': 2, 'Tags.*.ResourceId': '<free>' } },
  ],
  ['DeleteTags', { Resources: ['<instance>', '<free>'], Tags: TAGS }],
  ['DescribeTags', { Filters: [{ Name: 'key', Values: ['part'] }] }, { want: { 'Tags.0': null } }],
  [
    'AssociateIamInstanceProfile',
    { InstanceId: '<instance>', IamInstanceProfile: { Name: 'walk' } },
    { keep: { acting: 'IamInstanceProfileAssociation.AssociationId' } },
  ],
  [
    'DescribeIamInstanceProfileAssociations',
    { Filters: [{ Name: 'instance-id', Values: ['<instance>'] }] },
    { want: { 'IamInstanceProfileAssociations.*.AssociationId': '<acting>' } },
  ],
  [
    'ReplaceIamInstanceProfileAssociation',
    { AssociationId: '<acting>', IamInstanceProfile: { Name: 'walk' } },
    { keep: { acting: 'IamInstanceProfileAssociation.AssociationId' } },
  ],
  [
    'DisassociateIamInstanceProfile',
    { AssociationId: '<acting>' },
    { want: { 'IamInstanceProfileAssociation.InstanceId': '<instance>' } },
  ],
  [
    'CreateNetworkInsightsPath',
    { Source: '<instance>', Destination: '<second>', Protocol: 'tcp', DestinationPort: 80 },
    { keep: { path: 'NetworkInsightsPath.NetworkInsightsPathId' } },
  ],
  [
    'StartNetworkInsightsAnalysis',
    { NetworkInsightsPathId: '<path>' },
    { keep: { analysis: 'NetworkInsightsAnalysis.NetworkInsightsAnalysisId' } },
  ],
  [
    'DescribeNetworkInsightsPaths',
    {},
    { want: { 'NetworkInsightsPaths.0.NetworkInsightsPathId': '<path>' } },
  ],
  [
    'DescribeNetworkInsightsAnalyses',
    {},
    { want: { 'NetworkInsightsAnalyses.0.Status': 'succeeded' } },
  ],
  [
    'DeleteNetworkInsightsAnalysis',
    { NetworkInsightsAnalysisId: '<analysis>' },
    { want: { NetworkInsightsAnalysisId: '<analysis>' } },
  ],
  [
    'DeleteNetworkInsightsPath',
    { NetworkInsightsPathId: '<path>' },
    { want: { NetworkInsightsPathId: '<path>' } },
  ],
]

export const ADDRESS_END_ROWS: readonly Row[] = [
  ['DeleteNatGateway', { NatGatewayId: '<nat>' }, { want: { NatGatewayId: '<nat>' } }],
  [
    'DescribeNatGateways',
    { NatGatewayIds: ['<nat>'] },
    { until: true, want: { 'NatGateways.0.State': 'deleted' } },
  ],
  ['DescribeNatGateways', { NatGatewayIds: ['<nat>'] }, { wait: 'nat_gateway_deleted' }],
  ['ReleaseAddress', { AllocationId: '<address>' }],
  ['DeleteNetworkInterface', CARD],
]
