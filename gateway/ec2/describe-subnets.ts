// DescribeSubnets, and how a subnet is shown.

import type { Subnet, SubnetIpv6CidrBlockAssociation } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { SubnetRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { derivedId } from './ids.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'
import { freeAddresses } from './subnet-records.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'
import { zoneIdOf, zoneName } from './zones.ts'

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

type SubnetHandlers = Required<Pick<Ec2Handlers, 'DescribeSubnets'>>

export function describeSubnetHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): SubnetHandlers {
  return {
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

export function subnetOf(view: View, region: string, subnet: SubnetRecord): Subnet {
  return {
    SubnetId: subnet.id,
    SubnetArn: `arn:aws:ec2:${region}:${subnet.account}:subnet/${subnet.id}`,
    OwnerId: subnet.account,
    VpcId: subnet.vpc,
    State: 'available',
    AvailabilityZone: zoneName(region, subnet.rack),
    AvailabilityZoneId: zoneIdOf(view, region, subnet.rack),
    ...(subnet.ipv4Cidr === '' ? {} : { CidrBlock: subnet.ipv4Cidr }),
    AvailableIpAddressCount: freeAddresses(view, subnet),
    Ipv6CidrBlockAssociationSet: ipv6AssociationsOf(subnet),
    AssignIpv6AddressOnCreation: subnet.assignIpv6OnCreation,
    Ipv6Native: subnet.ipv4Cidr === '',
    EnableDns64: subnet.enableDns64,
    DefaultForAz: subnet.isDefault,
    MapPublicIpOnLaunch: subnet.mapPublicIpOnLaunch,
    MapCustomerOwnedIpOnLaunch: false,
    PrivateDnsNameOptionsOnLaunch: {
      HostnameType: subnet.hostnameType,
      EnableResourceNameDnsARecord: subnet.resourceNameDnsA,
      EnableResourceNameDnsAAAARecord: subnet.resourceNameDnsAaaa,
    },
    Tags: tagList(view, subnet.id),
  }
}

export function subnetAssociationId({ id, ipv6Cidr }: SubnetRecord): string {
  return derivedId('subnet-cidr-assoc', id, ipv6Cidr)
}

export function subnetAssociationOf(
  subnet: SubnetRecord,
  state: 'associated' | 'disassociated',
): SubnetIpv6CidrBlockAssociation {
  return {
    AssociationId: subnetAssociationId(subnet),
    Ipv6CidrBlock: subnet.ipv6Cidr,
    Ipv6CidrBlockState: { State: state },
  }
}

function ipv6AssociationsOf(subnet: SubnetRecord): SubnetIpv6CidrBlockAssociation[] {
  return subnet.ipv6Cidr === '' ? [] : [subnetAssociationOf(subnet, 'associated')]
}
