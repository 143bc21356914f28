// DescribeVpcPeeringConnections, and how a peering is shown to each of its two accounts.

import type { VpcPeeringConnection, VpcPeeringConnectionVpcInfo } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { connectionOf } from '../peering/agreed.ts'
import { isRemote, type RemoteRecord } from '../peering/negotiation.ts'
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
  if (isRemote(peering)) return remoteShape(view, region, peering, account)
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

/** The other side's VPC by the prefixes that it is seen by here: these go into routes and rules. */
function remoteShape(
  view: View,
  region: string,
  peering: RemoteRecord,
  account: string,
): VpcPeeringConnection {
  const { id, remote, state, message } = peering
  const isRequester = remote.side === 'requester'
  const [mine, dns] = isRequester
    ? [peering.requester, peering.requesterDnsResolution]
    : [peering.accepter, peering.accepterDnsResolution]
  const own = sideOf(view, region, mine, dns, true)
  const other: VpcPeeringConnectionVpcInfo = {
    OwnerId: remote.account,
    VpcId: remote.vpc,
    Region: view.get('peer', remote.uid)?.region,
    ...cidrsOf(remote.theirs),
    ...optionsOf(connectionOf(view, remote.uid, id)?.dns ?? false),
  }
  return {
    VpcPeeringConnectionId: id,
    RequesterVpcInfo: isRequester ? own : other,
    AccepterVpcInfo: isRequester ? other : own,
    Status: { Code: state, Message: message },
    ExpirationTime: state === 'pending-acceptance' ? new Date(peering.expiresAtMs) : undefined,
    Tags: view.get('tags', id)?.account === account ? tagList(view, id) : [],
  }
}

function cidrsOf(all: readonly string[]): Partial<VpcPeeringConnectionVpcInfo> {
  if (all.length === 0) return {}
  const ipv4 = all.filter((cidr) => !cidr.includes(':'))
  const ipv6 = all.filter((cidr) => cidr.includes(':'))
  return {
    CidrBlock: ipv4[0],
    CidrBlockSet: ipv4.map((CidrBlock) => ({ CidrBlock })),
    Ipv6CidrBlockSet: ipv6.map((Ipv6CidrBlock) => ({ Ipv6CidrBlock })),
  }
}

function optionsOf(dnsResolution: boolean): Pick<VpcPeeringConnectionVpcInfo, 'PeeringOptions'> {
  return {
    PeeringOptions: {
      AllowDnsResolutionFromRemoteVpc: dnsResolution,
      AllowEgressFromLocalClassicLinkToRemoteVpc: false,
      AllowEgressFromLocalVpcToRemoteClassicLink: false,
    },
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
  return { ...ends, ...cidrsOf([...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs]), ...optionsOf(dnsResolution) }
}
