// DescribeVpcs, and how a VPC is shown.

import type { Vpc, VpcCidrBlockAssociation, VpcIpv6CidrBlockAssociation } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { VpcRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { derivedId, namedInView, type OwnedKind } from './ids.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'

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

/** As with AWS: clients take any other name for a pool that somebody brought, as Terraform does. */
const IPV6_POOL_NAME = 'Amazon'

export function vpcAssociationId(vpc: string, cidr: string): string {
  return derivedId('vpc-cidr-assoc', vpc, cidr)
}

type VpcHandlers = Required<Pick<Ec2Handlers, 'DescribeVpcs'>>

export function vpcHandlers({ state, region }: { state: State; region: string }): VpcHandlers {
  return {
    DescribeVpcs: async (context, input) => {
      const view = await state.fresh()
      const vpcs = ownedOrNamed(view, 'vpc', input.VpcIds, context.caller.account)
      endDryRun(input)
      const found = matching(
        vpcs.map((vpc) => vpcOf(view, region, vpc)),
        input.Filters,
        VPC_FILTERS,
      )
      const cursor = (vpc: Vpc): string => vpc.VpcId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeVpcs', input, found, cursor)
      return { Vpcs: [...items], NextToken: nextToken }
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

export function vpcOf(view: View, region: string, vpc: VpcRecord): Vpc {
  return {
    VpcId: vpc.id,
    OwnerId: vpc.account,
    State: 'available',
    IsDefault: vpc.isDefault,
    InstanceTenancy: 'default',
    DhcpOptionsId: vpc.dhcpOptions,
    CidrBlock: vpc.ipv4Cidrs[0],
    CidrBlockAssociationSet: vpc.ipv4Cidrs.map((cidr) =>
      ipv4AssociationOf(vpc.id, cidr, 'associated'),
    ),
    Ipv6CidrBlockAssociationSet: vpc.ipv6Cidrs.map((cidr) =>
      ipv6AssociationOf(vpc.id, region, cidr, 'associated'),
    ),
    Tags: tagList(view, vpc.id),
  }
}

export function ipv4AssociationOf(
  vpc: string,
  cidr: string,
  state: 'associated' | 'disassociated',
): VpcCidrBlockAssociation {
  return {
    AssociationId: vpcAssociationId(vpc, cidr),
    CidrBlock: cidr,
    CidrBlockState: { State: state },
  }
}

export function ipv6AssociationOf(
  vpc: string,
  region: string,
  cidr: string,
  state: 'associated' | 'disassociated',
): VpcIpv6CidrBlockAssociation {
  return {
    AssociationId: vpcAssociationId(vpc, cidr),
    Ipv6CidrBlock: cidr,
    Ipv6CidrBlockState: { State: state },
    Ipv6Pool: IPV6_POOL_NAME,
    NetworkBorderGroup: region,
  }
}
