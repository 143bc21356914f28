// For each action the rest of a request that names somebody else's thing: all good, and of the
// caller's own things.

import { DIGEST } from '../ec2/support.ts'
import type { otherGround } from './ground.ts'

export type Things = Awaited<ReturnType<typeof otherGround>>

const ANY = { IpProtocol: '-1', IpRanges: [{ CidrIp: '192.0.2.0/24' }] }
const BARE = [{ IpProtocol: '-1' }]
const RULE = { IpProtocol: '-1', CidrIpv4: '192.0.2.0/24' }
const TO = { DestinationCidrBlock: '192.0.2.0/24' }
const DATA = { InstanceType: 't3.nano' }

type Usual = Readonly<Record<string, object>>

export function usualRequests(own: Things): Usual {
  const rules = { GroupId: own.group, IpPermissions: [ANY] }
  const peers = { GroupId: own.group, IpPermissions: BARE }
  const entry = { RuleNumber: 90, RuleAction: 'allow', Protocol: '-1', CidrBlock: '0.0.0.0/0' }
  const capacity = { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'on-demand' }
  const gateway = { GatewayId: own.gateway }
  return {
    AssignIpv6Addresses: { Ipv6AddressCount: 1 },
    AssignPrivateIpAddresses: { SecondaryPrivateIpAddressCount: 1 },
    AssociateAddress: { AllocationId: own.address },
    'AssociateAddress PublicIp': { InstanceId: own.stopped },
    AssociateIamInstanceProfile: { IamInstanceProfile: { Name: 'web' } },
    AssociateRouteTable: { RouteTableId: own.table, SubnetId: own.farSubnet },
    AssociateSubnetCidrBlock: { Ipv6CidrBlock: 'fd00::/64' },
    AttachVpnGateway: { VpnGatewayId: own.freeVpnGateway },
    DetachVpnGateway: { VpnGatewayId: own.vpnGateway, VpcId: own.vpc },
    EnableVgwRoutePropagation: { GatewayId: own.vpnGateway, RouteTableId: own.table },
    DisableVgwRoutePropagation: { GatewayId: own.vpnGateway, RouteTableId: own.table },
    AssociateVpcCidrBlock: { CidrBlock: '10.99.0.0/24' },
    'AuthorizeSecurityGroupEgress GroupId': rules,
    'AuthorizeSecurityGroupIngress GroupId': rules,
    'RevokeSecurityGroupEgress GroupId': rules,
    'RevokeSecurityGroupIngress GroupId': rules,
    'UpdateSecurityGroupRuleDescriptionsEgress GroupId': rules,
    'UpdateSecurityGroupRuleDescriptionsIngress GroupId': rules,
    AttachVolume: { VolumeId: own.volume, InstanceId: own.running, Device: '/dev/sdg' },
    DetachVolume: { VolumeId: own.usedVolume },
    CopySnapshot: { SourceRegion: 'mallee-1' },
    'CreateSnapshots InstanceSpecification.ExcludeDataVolumeIds': {
      InstanceSpecification: { InstanceId: own.running },
    },
    CreateVolume: { AvailabilityZone: 'mallee-1-a', Size: 1 },
    DescribeSnapshotAttribute: { Attribute: 'createVolumePermission' },
    LockSnapshot: { LockMode: 'governance', LockDuration: 1 },
    ModifySnapshotAttribute: { CreateVolumePermission: { Add: [{ Group: 'all' }] } },
    ResetSnapshotAttribute: { Attribute: 'createVolumePermission' },
    AuthorizeSecurityGroupEgress: peers,
    AuthorizeSecurityGroupIngress: peers,
    RevokeSecurityGroupEgress: peers,
    RevokeSecurityGroupIngress: peers,
    UpdateSecurityGroupRuleDescriptionsEgress: peers,
    UpdateSecurityGroupRuleDescriptionsIngress: peers,
    'RevokeSecurityGroupEgress SecurityGroupRuleIds': { GroupId: own.group },
    'RevokeSecurityGroupIngress SecurityGroupRuleIds': { GroupId: own.group },
    'UpdateSecurityGroupRuleDescriptionsIngress SecurityGroupRuleDescriptions.SecurityGroupRuleId':
      { GroupId: own.group },
    'UpdateSecurityGroupRuleDescriptionsEgress SecurityGroupRuleDescriptions.SecurityGroupRuleId': {
      GroupId: own.group,
    },
    CopyImage: { SourceRegion: 'mallee-1', Name: 'copied' },
    CreateFleet: {
      ...{ Type: 'instant', TargetCapacitySpecification: capacity },
      LaunchTemplateConfigs: [
        {
          LaunchTemplateSpecification: { LaunchTemplateId: own.template, Version: '1' },
          Overrides: [{ SubnetId: own.farSubnet }],
        },
      ],
    },
    CreateImage: { Name: 'imaged', NoReboot: true },
    CreateLaunchTemplateVersion: { LaunchTemplateData: DATA },
    CreateNatGateway: { SubnetId: own.subnet, AllocationId: own.address },
    CreateNetworkAclEntry: entry,
    ReplaceNetworkAclEntry: entry,
    CreateNetworkInsightsPath: {
      Source: own.running,
      Destination: own.pending,
      Protocol: 'tcp',
      ClientToken: 'x',
    },
    CreateRoute: { RouteTableId: own.table, ...TO },
    'CreateRoute RouteTableId': { ...TO, ...gateway },
    'CreateRoute DestinationPrefixListId': { RouteTableId: own.table, ...gateway },
    ReplaceRoute: { RouteTableId: own.table, DestinationCidrBlock: '0.0.0.0/0' },
    'ReplaceRoute RouteTableId': { ...TO, ...gateway },
    'ReplaceRoute DestinationPrefixListId': { RouteTableId: own.table, ...gateway },
    CreateSubnet: { CidrBlock: '10.80.9.0/24' },
    CreateTags: { Tags: [{ Key: 'a', Value: 'b' }] },
    CreateVpnConnection: {
      ...{ Type: 'ipsec.1', Options: { StaticRoutesOnly: true } },
      ...{ CustomerGatewayId: own.customerGateway, VpnGatewayId: own.freeVpnGateway },
    },
    CreateVpnConnectionRoute: { DestinationCidrBlock: '192.0.2.0/24' },
    DeleteVpnConnectionRoute: { DestinationCidrBlock: '192.0.2.0/24' },
    GetActiveVpnTunnelStatus: { VpnTunnelOutsideIpAddress: '192.0.2.1' },
    ModifyVpnConnection: { VpnConnectionId: own.vpnConnection },
    'ModifyVpnConnection VpnConnectionId': { CustomerGatewayId: own.customerGateway },
    ModifyVpnTunnelOptions: {
      ...{ VpnTunnelOutsideIpAddress: '192.0.2.1', TunnelOptions: { StartupAction: 'add' } },
    },
    GetVpnConnectionDeviceSampleConfiguration: { VpnConnectionDeviceTypeId: 'strongswan' },
    CreateVpcPeeringConnection: { PeerVpcId: own.vpc },
    DescribeImageAttribute: { Attribute: 'description' },
    DescribeInstanceAttribute: { Attribute: 'userData' },
    DescribeNetworkInterfaceAttribute: { Attribute: 'description' },
    DescribeVolumeAttribute: { Attribute: 'autoEnableIO' },
    DescribeVpcAttribute: { Attribute: 'enableDnsSupport' },
    EnableImageDeprecation: { DeprecateAt: '2030-01-01T00:00:00Z' },
    ModifyImageAttribute: { Description: { Value: 'x' } },
    ModifyInstanceAttribute: { DisableApiStop: { Value: true } },
    'ModifyInstanceAttribute Groups': { InstanceId: own.running },
    ModifyInstanceCapacityReservationAttributes: {
      CapacityReservationSpecification: { CapacityReservationPreference: 'none' },
    },
    ModifyInstanceCreditSpecification: {
      InstanceCreditSpecifications: [{ CpuCredits: 'unlimited' }],
    },
    ModifyInstanceMaintenanceOptions: { AutoRecovery: 'disabled' },
    ModifyInstancePlacement: { Affinity: 'default' },
    ModifyLaunchTemplate: { DefaultVersion: '1' },
    ModifyNetworkInterfaceAttribute: { Description: { Value: 'x' } },
    'ModifyNetworkInterfaceAttribute Attachment.AttachmentId': {
      ...{ NetworkInterfaceId: own.card, Attachment: { DeleteOnTermination: false } },
    },
    ModifyPrivateDnsNameOptions: { PrivateDnsHostnameType: 'ip-name' },
    ModifySecurityGroupRules: {
      GroupId: own.group,
      SecurityGroupRules: [
        {
          SecurityGroupRuleId: own.rule,
          SecurityGroupRule: { IpProtocol: '-1' },
        },
      ],
    },
    'ModifySecurityGroupRules SecurityGroupRules.SecurityGroupRuleId': {
      ...{ GroupId: own.group, SecurityGroupRules: [{ SecurityGroupRule: RULE }] },
    },
    'ModifySecurityGroupRules GroupId': {
      SecurityGroupRules: [{ SecurityGroupRuleId: own.rule, SecurityGroupRule: RULE }],
    },
    ModifySubnetAttribute: { MapPublicIpOnLaunch: { Value: true } },
    ModifyVolumeAttribute: { AutoEnableIO: { Value: true } },
    ModifyVpcAttribute: { EnableDnsSupport: { Value: false } },
    ModifyVpcPeeringConnectionOptions: {
      AccepterPeeringConnectionOptions: { AllowDnsResolutionFromRemoteVpc: true },
    },
    ModifyVpcTenancy: { InstanceTenancy: 'default' },
    ReplaceIamInstanceProfileAssociation: { IamInstanceProfile: { Name: 'web' } },
    ReplaceNetworkAclAssociation: {
      ...{ AssociationId: own.aclAssociation, NetworkAclId: own.ownAcl },
    },
    StartNetworkInsightsAnalysis: { ClientToken: 'x' },
    ResetImageAttribute: { Attribute: 'launchPermission' },
    ResetInstanceAttribute: { Attribute: 'sourceDestCheck' },
    ResetNetworkInterfaceAttribute: { SourceDestCheck: 'x' },
    RegisterImage: { Name: 'another', ImageLocation: `sha256:${DIGEST}` },
    'RegisterImage BlockDeviceMappings.Ebs.SnapshotId': {
      ...{ Name: 'another', RootDeviceName: '/dev/sda1' },
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1' }],
    },
    'RunInstances BlockDeviceMappings.Ebs.SnapshotId': {
      ...{ ImageId: own.image, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf' }],
    },
    RunInstances: { ImageId: own.image, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
    UnassignIpv6Addresses: { Ipv6Addresses: ['fd00::1'] },
    UnassignPrivateIpAddresses: { PrivateIpAddresses: ['10.80.1.9'] },
  }
}
