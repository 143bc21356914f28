// DescribeVpcs, DescribeSubnets, DescribeSecurityGroups.

import type { Subnet, Vpc } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { SubnetRecord, VpcRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { derivedId, namedInView, type OwnedKind } from './ids.ts'
import { endDryRun } from './input.ts'
import { freeAddresses } from './networks.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'
import { zoneIdOf, zoneName } from './zones.ts'

type NetworkHandlers = Required<Pick<Ec2Handlers, 'DescribeVpcs' | 'DescribeSubnets'>>

const VPC_FILTERS: Filterable<Vpc> = {
  fields: {
    cidr: (vpc) => vpc.CidrBlock,
    'cidr-block-association.association-id': (vpc) =>
      vpc.CidrBlockAssociationSet?.map((one) => one.AssociationId),
    'cidr-block-association.cidr-block': (vpc) =>
      vpc.CidrBlockAssociationSet?.map((one) => one.CidrBlock),
    'cidr-block-association.state': (vpc) =>
      vpc.CidrBlockAssociationSet?.map((one) => one.CidrBlockState?.State),
    'dhcp-options-id': (vpc) => vpc.DhcpOptionsId,
    'ipv6-cidr-block-association.association-id': (vpc) =>
      vpc.Ipv6CidrBlockAssociationSet?.map((one) => one.AssociationId),
    'ipv6-cidr-block-association.ipv6-cidr-block': (vpc) =>
      vpc.Ipv6CidrBlockAssociationSet?.map((one) => one.Ipv6CidrBlock),
    'ipv6-cidr-block-association.ipv6-pool': (vpc) =>
      vpc.Ipv6CidrBlockAssociationSet?.map((one) => one.Ipv6Pool),
    'ipv6-cidr-block-association.state': (vpc) =>
      vpc.Ipv6CidrBlockAssociationSet?.map((one) => one.Ipv6CidrBlockState?.State),
    'is-default': (vpc) => vpc.IsDefault,
    isDefault: (vpc) => vpc.IsDefault,
    'owner-id': (vpc) => vpc.OwnerId,
    state: (vpc) => vpc.State,
    'vpc-id': (vpc) => vpc.VpcId,
  },
  tags: (vpc) => vpc.Tags,
}

const SUBNET_FILTERS: Filterable<Subnet> = {
  fields: {
    ...absent('customer-owned-ipv4-pool', 'outpost-arn'),
    'availability-zone': (subnet) => subnet.AvailabilityZone,
    availabilityZone: (subnet) => subnet.AvailabilityZone,
    'availability-zone-id': (subnet) => subnet.AvailabilityZoneId,
    availabilityZoneId: (subnet) => subnet.AvailabilityZoneId,
    'available-ip-address-count': (subnet) => subnet.AvailableIpAddressCount,
    'cidr-block': (subnet) => subnet.CidrBlock,
    cidr: (subnet) => subnet.CidrBlock,
    cidrBlock: (subnet) => subnet.CidrBlock,
    'default-for-az': (subnet) => subnet.DefaultForAz,
    defaultForAz: (subnet) => subnet.DefaultForAz,
    'enable-dns64': (subnet) => subnet.EnableDns64,
    'ipv6-cidr-block-association.association-id': (subnet) =>
      subnet.Ipv6CidrBlockAssociationSet?.map((one) => one.AssociationId),
    'ipv6-cidr-block-association.ipv6-cidr-block': (subnet) =>
      subnet.Ipv6CidrBlockAssociationSet?.map((one) => one.Ipv6CidrBlock),
    'ipv6-cidr-block-association.state': (subnet) =>
      subnet.Ipv6CidrBlockAssociationSet?.map((one) => one.Ipv6CidrBlockState?.State),
    'ipv6-native': (subnet) => subnet.Ipv6Native,
    'map-public-ip-on-launch': (subnet) => subnet.MapPublicIpOnLaunch,
    'owner-id': (subnet) => subnet.OwnerId,
    'private-dns-name-options-on-launch.hostname-type': (subnet) =>
      subnet.PrivateDnsNameOptionsOnLaunch?.HostnameType,
    state: (subnet) => subnet.State,
    'subnet-arn': (subnet) => subnet.SubnetArn,
    'subnet-id': (subnet) => subnet.SubnetId,
    'vpc-id': (subnet) => subnet.VpcId,
  },
  tags: (subnet) => subnet.Tags,
}

export function vpcHandlers({ state, region }: { state: State; region: string }): NetworkHandlers {
  return {
    DescribeVpcs: async (context, input) => {
      const view = await state.fresh()
      const vpcs = ownedOrNamed(view, 'vpc', input.VpcIds, context.caller.account)
      endDryRun(input)
      const found = matching(
        vpcs.map((vpc) => vpcOf(view, vpc)),
        input.Filters,
        VPC_FILTERS,
      )
      const cursor = (vpc: Vpc): string => vpc.VpcId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeVpcs', input, found, cursor)
      return { Vpcs: [...items], NextToken: nextToken }
    },

    DescribeSubnets: async (context, input) => {
      const view = await state.fresh()
      const subnets = ownedOrNamed(view, 'subnet', input.SubnetIds, context.caller.account)
      endDryRun(input)
      const found = matching(
        subnets.map((subnet) => subnetOf(view, region, subnet)),
        input.Filters,
        SUBNET_FILTERS,
      )
      const cursor = (subnet: Subnet): string => subnet.SubnetId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeSubnets', input, found, cursor)
      return { Subnets: [...items], NextToken: nextToken }
    },
  }
}

/** What the request names, or all that the account has. */
export function ownedOrNamed<K extends OwnedKind>(
  view: View,
  kind: K,
  ids: readonly string[] | undefined,
  account: string,
): ReturnType<typeof namedInView<K>> {
  if (ids !== undefined && ids.length > 0) return namedInView(view, kind, ids, account)
  return view.all(kind).filter((one) => one.account === account)
}

function vpcOf(view: View, vpc: VpcRecord): Vpc {
  return {
    VpcId: vpc.id,
    OwnerId: vpc.account,
    State: 'available',
    IsDefault: vpc.isDefault,
    InstanceTenancy: 'default',
    // What EC2 says of a VPC without a DHCP options set of its own.
    DhcpOptionsId: 'default',
    CidrBlock: vpc.ipv4Cidrs[0],
    CidrBlockAssociationSet: vpc.ipv4Cidrs.map((cidr) => ({
      AssociationId: derivedId('vpc-cidr-assoc', vpc.id, cidr),
      CidrBlock: cidr,
      CidrBlockState: { State: 'associated' },
    })),
    Ipv6CidrBlockAssociationSet: vpc.ipv6Cidrs.map((cidr) => ({
      AssociationId: derivedId('vpc-cidr-assoc', vpc.id, cidr),
      Ipv6CidrBlock: cidr,
      Ipv6CidrBlockState: { State: 'associated' },
      Ipv6Pool: 'Mallee',
    })),
    Tags: tagList(view, vpc.id),
  }
}

function subnetOf(view: View, region: string, subnet: SubnetRecord): Subnet {
  return {
    SubnetId: subnet.id,
    SubnetArn: `arn:aws:ec2:${region}:${subnet.account}:subnet/${subnet.id}`,
    OwnerId: subnet.account,
    VpcId: subnet.vpc,
    State: 'available',
    AvailabilityZone: zoneName(region, subnet.rack),
    AvailabilityZoneId: zoneIdOf(view, region, subnet.rack),
    CidrBlock: subnet.ipv4Cidr,
    AvailableIpAddressCount: freeAddresses(view, subnet),
    Ipv6CidrBlockAssociationSet: [
      {
        AssociationId: derivedId('subnet-cidr-assoc', subnet.id, subnet.ipv6Cidr),
        Ipv6CidrBlock: subnet.ipv6Cidr,
        Ipv6CidrBlockState: { State: 'associated' },
      },
    ],
    AssignIpv6AddressOnCreation: true,
    Ipv6Native: false,
    EnableDns64: false,
    DefaultForAz: subnet.isDefault,
    MapPublicIpOnLaunch: false,
    MapCustomerOwnedIpOnLaunch: false,
    PrivateDnsNameOptionsOnLaunch: {
      HostnameType: 'ip-name',
      EnableResourceNameDnsARecord: false,
      EnableResourceNameDnsAAAARecord: false,
    },
    Tags: tagList(view, subnet.id),
  }
}
