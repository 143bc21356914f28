// DescribeNatGateways, and how a NAT gateway is shown.

import type { NatGateway } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { NatGatewayRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type DescribeHandlers = Required<Pick<Ec2Handlers, 'DescribeNatGateways'>>

const FILTERABLE: Filterable<NatGateway> = {
  fields: {
    'nat-gateway-id': (one) => one.NatGatewayId,
    state: (one) => one.State,
    'subnet-id': (one) => one.SubnetId,
    'vpc-id': (one) => one.VpcId,
  },
  tags: (one) => one.Tags,
}

export function describeNatGatewayHandlers({ state }: { state: State }): DescribeHandlers {
  return {
    DescribeNatGateways: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = ownedOrNamed(view, 'nat-gateway', input.NatGatewayIds, account)
      endDryRun(input)
      const shown = named.map((one) => natGatewayOf(view, one))
      // The one action whose parameter is Filter in the model, too.
      const found = matching(shown, input.Filter, FILTERABLE)
      const cursor = (one: NatGateway): string => one.NatGatewayId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeNatGateways', input, found, cursor)
      return { NatGateways: [...items], NextToken: nextToken }
    },
  }
}

export function natGatewayOf(view: View, nat: NatGatewayRecord): NatGateway {
  const one = view.get('interface', nat.interface)
  const address = one === null ? undefined : view.by('address', 'interface', one.id)[0]
  return {
    NatGatewayId: nat.id,
    VpcId: nat.vpc,
    SubnetId: nat.subnet,
    State: nat.state,
    FailureCode: nat.failure?.code,
    FailureMessage: nat.failure?.message,
    ConnectivityType: nat.connectivity,
    CreateTime: new Date(nat.createdAtMs),
    DeleteTime: nat.deletedAtMs === null ? undefined : new Date(nat.deletedAtMs),
    NatGatewayAddresses:
      one === null
        ? []
        : [
            {
              AllocationId: address?.id,
              AssociationId: address?.association,
              PublicIp: address?.publicIp,
              NetworkInterfaceId: one.id,
              PrivateIp: one.ipv4,
              IsPrimary: true,
              Status: 'succeeded',
            },
          ],
    Tags: tagList(view, nat.id),
  }
}
