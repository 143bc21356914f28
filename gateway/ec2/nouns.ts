// What EC2 calls its things: the prefixes of their ids, and the codes for ids that are none or
// unknown. Code names are irregular and follow the EC2 API reference, "Error codes".

/** Kinds of records that belong to an account and can be named in a request. */
export type OwnedKind =
  | 'instance'
  | 'image'
  | 'vpc'
  | 'subnet'
  | 'security-group'
  | 'interface'
  | 'route-table'
  | 'internet-gateway'
  | 'egress-only-gateway'
  | 'nat-gateway'
  | 'dhcp-options'
  | 'prefix-list'
  | 'network-acl'
  | 'address'
  | 'key-pair'
  | 'launch-template'
  | 'placement-group'
  | 'insights-path'
  | 'insights-analysis'
  | 'import-task'
  | 'volume'
  | 'volume-snapshot'
  | 'customer-gateway'
  | 'vpn-gateway'
  | 'vpn-connection'

/** What tags may be on, also what is a part of a record or has two owners. */
export type TaggedKind = OwnedKind | 'security-group-rule' | 'peering'

export interface Noun {
  readonly prefix: string
  /** Of ids that say what kind of such a thing it is. */
  readonly otherPrefixes?: readonly string[]
  /** Of such ids, those whose type is another one. */
  readonly otherTypes?: readonly Pick<Noun, 'prefix' | 'resourceType'>[]
  /** null: AWS calls an id of a wrong form not found as well. */
  readonly malformed: string | null
  readonly notFound: string
  readonly words: string
  /** As tags and their filters call it. */
  readonly resourceType: string
}

function noun(
  prefix: string,
  words: string,
  resourceType: string,
  notFound: string,
  malformed: string | null = null,
): Noun {
  return { prefix, words, resourceType, notFound, malformed }
}

export const NOUNS: Readonly<Record<TaggedKind, Noun>> = {
  instance: noun(
    'i',
    'instance ID',
    'instance',
    'InvalidInstanceID.NotFound',
    'InvalidInstanceID.Malformed',
  ),
  image: {
    ...noun('ami', 'image ID', 'image', 'InvalidAMIID.NotFound', 'InvalidAMIID.Malformed'),
    otherPrefixes: ['aki', 'ari'],
  },
  vpc: noun('vpc', 'vpc ID', 'vpc', 'InvalidVpcID.NotFound', 'InvalidVpcID.Malformed'),
  subnet: noun(
    'subnet',
    'subnet ID',
    'subnet',
    'InvalidSubnetID.NotFound',
    'InvalidSubnetID.Malformed',
  ),
  'security-group': noun(
    'sg',
    'security group ID',
    'security-group',
    'InvalidGroup.NotFound',
    'InvalidGroupId.Malformed',
  ),
  'security-group-rule': noun(
    'sgr',
    'security group rule ID',
    'security-group-rule',
    'InvalidSecurityGroupRuleId.NotFound',
    'InvalidSecurityGroupRuleId.Malformed',
  ),
  interface: noun(
    'eni',
    'network interface ID',
    'network-interface',
    'InvalidNetworkInterfaceID.NotFound',
    'InvalidNetworkInterfaceId.Malformed',
  ),
  'route-table': noun(
    'rtb',
    'routeTable ID',
    'route-table',
    'InvalidRouteTableID.NotFound',
    'InvalidRouteTableId.Malformed',
  ),
  'internet-gateway': noun(
    'igw',
    'internetGateway ID',
    'internet-gateway',
    'InvalidInternetGatewayID.NotFound',
    'InvalidInternetGatewayId.Malformed',
  ),
  'egress-only-gateway': noun(
    'eigw',
    'egress only internet gateway ID',
    'egress-only-internet-gateway',
    'InvalidGatewayID.NotFound',
  ),
  'nat-gateway': noun(
    'nat',
    'NAT gateway ID',
    'natgateway',
    'NatGatewayNotFound',
    'NatGatewayMalformed',
  ),
  peering: noun(
    'pcx',
    'vpcPeeringConnection ID',
    'vpc-peering-connection',
    'InvalidVpcPeeringConnectionID.NotFound',
    'InvalidVpcPeeringConnectionId.Malformed',
  ),
  'dhcp-options': noun(
    'dopt',
    'dhcpOption ID',
    'dhcp-options',
    'InvalidDhcpOptionID.NotFound',
    'InvalidDhcpOptionsId.Malformed',
  ),
  'prefix-list': noun(
    'pl',
    'prefix list ID',
    'prefix-list',
    'InvalidPrefixListID.NotFound',
    'InvalidPrefixListId.Malformed',
  ),
  'network-acl': noun(
    'acl',
    'networkAcl ID',
    'network-acl',
    'InvalidNetworkAclID.NotFound',
    'InvalidNetworkAclId.Malformed',
  ),
  address: noun('eipalloc', 'allocation ID', 'elastic-ip', 'InvalidAllocationID.NotFound'),
  'key-pair': noun('key', 'key pair ID', 'key-pair', 'InvalidKeyPair.NotFound'),
  'launch-template': noun(
    'lt',
    'launch template ID',
    'launch-template',
    'InvalidLaunchTemplateId.NotFound',
    'InvalidLaunchTemplateId.Malformed',
  ),
  'placement-group': noun(
    'pg',
    'placement group ID',
    'placement-group',
    'InvalidPlacementGroup.Unknown',
    'InvalidPlacementGroupId.Malformed',
  ),
  'insights-path': noun(
    'nip',
    'network insights path ID',
    'network-insights-path',
    'InvalidNetworkInsightsPathId.NotFound',
  ),
  'insights-analysis': noun(
    'nia',
    'network insights analysis ID',
    'network-insights-analysis',
    'InvalidNetworkInsightsAnalysisId.NotFound',
  ),
  'import-task': {
    ...noun(
      'import-ami',
      'import task ID',
      'import-image-task',
      'InvalidConversionTaskId',
      'InvalidConversionTaskId.Malformed',
    ),
    otherPrefixes: ['import-snap'],
    otherTypes: [{ prefix: 'import-snap', resourceType: 'import-snapshot-task' }],
  },
  volume: noun('vol', 'volume', 'volume', 'InvalidVolume.NotFound', 'InvalidVolumeID.Malformed'),
  'volume-snapshot': noun(
    'snap',
    'snapshot',
    'snapshot',
    'InvalidSnapshot.NotFound',
    'InvalidSnapshotID.Malformed',
  ),
  'customer-gateway': noun(
    'cgw',
    'customerGateway ID',
    'customer-gateway',
    'InvalidCustomerGatewayID.NotFound',
    'InvalidCustomerGatewayId.Malformed',
  ),
  'vpn-gateway': noun(
    'vgw',
    'vpnGateway ID',
    'vpn-gateway',
    'InvalidVpnGatewayID.NotFound',
    'InvalidVpnGatewayId.Malformed',
  ),
  'vpn-connection': noun(
    'vpn',
    'vpnConnection ID',
    'vpn-connection',
    'InvalidVpnConnectionID.NotFound',
    'InvalidVpnConnectionId.Malformed',
  ),
}
