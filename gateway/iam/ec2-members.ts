// Where EC2's requests name resources: the members of inputs, as the SDK calls them, by type.

/** Type of resource → paths of members that hold ids. A path goes through lists by itself. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  instance: ['InstanceId', 'InstanceIds', 'InstanceSpecification.InstanceId'],
  image: ['ImageId', 'ImageIds'],
  snapshot: ['SnapshotId', 'SnapshotIds', 'BlockDeviceMappings.Ebs.SnapshotId'],
  volume: ['VolumeId', 'VolumeIds'],
  vpc: ['VpcId', 'VpcIds'],
  subnet: ['SubnetId', 'SubnetIds', 'AddSubnetIds', 'RemoveSubnetIds'],
  'security-group': [
    ...['GroupId', 'GroupIds', 'Groups', 'SecurityGroupId', 'SecurityGroupIds'],
    ...['AddSecurityGroupIds', 'RemoveSecurityGroupIds'],
  ],
  'security-group-rule': ['SecurityGroupRuleIds', 'SecurityGroupRules.SecurityGroupRuleId'],
  'network-interface': ['NetworkInterfaceId', 'NetworkInterfaceIds'],
  'route-table': ['RouteTableId', 'RouteTableIds', 'AddRouteTableIds', 'RemoveRouteTableIds'],
  'internet-gateway': ['InternetGatewayId'],
  'egress-only-internet-gateway': ['EgressOnlyInternetGatewayId'],
  'customer-gateway': ['CustomerGatewayId', 'CustomerGatewayIds'],
  'vpn-connection': ['VpnConnectionId', 'VpnConnectionIds'],
  'vpn-connection-device-type': ['VpnConnectionDeviceTypeId'],
  'vpn-gateway': ['VpnGatewayId', 'VpnGatewayIds', 'GatewayId'],
  natgateway: ['NatGatewayId', 'NatGatewayIds'],
  'elastic-ip': ['AllocationId', 'AllocationIds'],
  'vpc-peering-connection': ['VpcPeeringConnectionId', 'VpcPeeringConnectionIds'],
  'vpc-endpoint': ['VpcEndpointId', 'VpcEndpointIds'],
  'dhcp-options': ['DhcpOptionsId', 'DhcpOptionsIds'],
  'prefix-list': ['PrefixListId', 'PrefixListIds'],
  'network-acl': ['NetworkAclId', 'NetworkAclIds'],
  'network-insights-path': ['NetworkInsightsPathId', 'NetworkInsightsPathIds'],
  'network-insights-analysis': ['NetworkInsightsAnalysisId', 'NetworkInsightsAnalysisIds'],
  'import-image-task': ['ImportTaskId', 'ImportTaskIds'],
  'launch-template': [
    ...['LaunchTemplateId', 'LaunchTemplate.LaunchTemplateId'],
    'LaunchTemplateConfigs.LaunchTemplateSpecification.LaunchTemplateId',
  ],
  fleet: ['FleetId', 'FleetIds'],
  'spot-instances-request': ['SpotInstanceRequestId', 'SpotInstanceRequestIds'],
  'ipam-pool': ['IpamPoolId', 'Ipv4IpamPoolId', 'Ipv6IpamPoolId'],
  // By name, as in their ARNs.
  'key-pair': ['KeyName'],
  'placement-group': ['Placement.GroupName'],
}

/** Every id of the type that the input names, once each. */
export function idsIn(input: object, type: string): string[] {
  return [...new Set((PATHS[type] ?? []).flatMap((path) => textsAt(input, path)))]
}

/** The texts at `A.B.C`, through lists. */
export function textsAt(value: unknown, path: string): string[] {
  let found: readonly unknown[] = [value]
  for (const name of path.split('.')) {
    found = found.flatMap((one) => (isObject(one) && Object.hasOwn(one, name) ? one[name] : []))
  }
  return found.filter((one) => typeof one === 'string' && one !== '') as string[]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
