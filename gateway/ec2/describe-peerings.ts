// DescribeVpcPeeringConnections, and how a peering is shown to each of its two accounts.

import type { VpcPeeringConnection, VpcPeeringConnectionVpcInfo } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'
import { peeringsNamed } from './peering-records.ts'
import { tagList } from './tagging.ts'

type DescribeHandlers = Required<Pick<Ec2Handlers, 'DescribeVpcPeeringConnections'>>

const FILTERABLE: Filterable<VpcPeeringConnection> = {
  fields: {
    'accepter-vpc-info.cidr-block': (one) => one.AccepterVpcInfo?.CidrBlock,
    'accepter-vpc-info.owner-id': (one) => one.AccepterVpcInfo?.OwnerId,
    'accepter-vpc-info.vpc-id': (one) => one.AccepterVpcInfo?.VpcId,
    'expiration-time': (one) => one.ExpirationTime?.toISOString(),
    'requester-vpc-info.cidr-block': (one) => one.RequesterVpcInfo?.CidrBlock,
    'requester-vpc-info.owner-id': (one) => one.RequesterVpcInfo?.OwnerId,
    'requester-vpc-info.vpc-id': (one) => one.RequesterVpcInfo?.VpcId,
    'status-code': (one) => one.Status?.Code,
    'status-message': (one) => one.Status?.Message,
    'vpc-peering-connection-id': (one) => one.VpcPeeringConnectionId,
  },
  tags: (one) => one.Tags,
}

export function describePeeringHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): DescribeHandlers {
  return {
    DescribeVpcPeeringConnections: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = peeringsNamed(view, input.VpcPeeringConnectionIds, account)
      endDryRun(input)
      const shown = named.map((one) => peeringShape(view, region, one, account))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: VpcPeeringConnection): string => one.VpcPeeringConnectionId ?? ''
      const action = 'DescribeVpcPeeringConnections'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { VpcPeeringConnections: [...items], NextToken: nextToken }
    },
  }
}

export function peeringShape(
  view: View,
  region: string,
  peering: PeeringRecord,
  account: string,
): VpcPeeringConnection {
  const { id, requester, accepter, state, message } = peering
  const isTheirTags = view.get('tags', id)?.account === account
  // Of a VPC that the peering never reached nothing is told but what was asked.
  const isKnown = state !== 'failed' || requester.account === accepter.account
  return {
    VpcPeeringConnectionId: id,
    RequesterVpcInfo: sideOf(view, region, requester, peering.requesterDnsResolution, true),
    AccepterVpcInfo: sideOf(view, region, accepter, peering.accepterDnsResolution, isKnown),
    Status: { Code: state, Message: message },
    ExpirationTime: state === 'pending-acceptance' ? new Date(peering.expiresAtMs) : undefined,
    Tags: isTheirTags ? tagList(view, id) : [],
  }
}

function sideOf(
  view: View,
  region: string,
  { account, vpc: id }: PeeringRecord['requester'],
  dnsResolution: boolean,
  isKnown: boolean,
): VpcPeeringConnectionVpcInfo {
  const ends = { OwnerId: account, VpcId: id, Region: region }
  const vpc = isKnown ? view.get('vpc', id) : null
  if (vpc === null || vpc.account !== account) return ends
  return {
    ...ends,
    CidrBlock: vpc.ipv4Cidrs[0],
    CidrBlockSet: vpc.ipv4Cidrs.map((CidrBlock) => ({ CidrBlock })),
    Ipv6CidrBlockSet: vpc.ipv6Cidrs.map((Ipv6CidrBlock) => ({ Ipv6CidrBlock })),
    PeeringOptions: {
      AllowDnsResolutionFromRemoteVpc: dnsResolution,
      AllowEgressFromLocalClassicLinkToRemoteVpc: false,
      AllowEgressFromLocalVpcToRemoteClassicLink: false,
    },
  }
}
