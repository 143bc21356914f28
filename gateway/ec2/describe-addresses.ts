// DescribeAddresses, DescribeAddressesAttribute. Automatic addresses are their interfaces' only.

import type { Address, AddressAttribute } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { AddressRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { unknownAddress } from './addresses.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInView, notFound } from './ids.ts'
import { badValue, endDryRun, isAsked } from './input.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'

type DescribeHandlers = Required<
  Pick<Ec2Handlers, 'DescribeAddresses' | 'DescribeAddressesAttribute'>
>

const FILTERABLE: Filterable<Address> = {
  fields: {
    'allocation-id': (one) => one.AllocationId,
    'association-id': (one) => one.AssociationId,
    domain: (one) => one.Domain,
    'instance-id': (one) => one.InstanceId,
    'network-border-group': (one) => one.NetworkBorderGroup,
    'network-interface-id': (one) => one.NetworkInterfaceId,
    'network-interface-owner-id': (one) => one.NetworkInterfaceOwnerId,
    'private-ip-address': (one) => one.PrivateIpAddress,
    'public-ip': (one) => one.PublicIp,
  },
  tags: (one) => one.Tags,
}

export function describeAddressHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): DescribeHandlers {
  return {
    DescribeAddresses: async ({ caller }, input) => {
      const view = await state.fresh()
      const named = elasticOf(view, input.AllocationIds, caller.account)
      const missing = input.PublicIps?.find((ip) => !named.some((one) => one.publicIp === ip))
      if (missing !== undefined) throw unknownAddress(missing)
      endDryRun(input)
      const shown = named
        .filter(({ publicIp }) => isAsked(input.PublicIps, publicIp))
        .map((address) => addressOf(view, region, address))
      return { Addresses: matching(shown, input.Filters, FILTERABLE) }
    },

    // No address has a name of its own: nothing sets one.
    DescribeAddressesAttribute: async (context, input) => {
      const { Attribute: attribute = 'domain-name' } = input
      if (attribute !== 'domain-name') throw badValue('Attribute', attribute, 'It is domain-name.')
      const view = await state.fresh()
      const named = elasticOf(view, input.AllocationIds, context.caller.account)
      endDryRun(input)
      const shown = named.map(({ id, publicIp }) => ({ AllocationId: id, PublicIp: publicIp }))
      const cursor = (one: AddressAttribute): string => one.AllocationId ?? ''
      const action = 'DescribeAddressesAttribute'
      const { items, nextToken } = pageOf<AddressAttribute>(context, action, input, shown, cursor)
      return { Addresses: [...items], NextToken: nextToken }
    },
  }
}

function elasticOf(
  view: View,
  ids: readonly string[] | undefined,
  account: string,
): readonly AddressRecord[] {
  if (ids === undefined || ids.length === 0) {
    return view.by('address', 'account', account).filter((one) => !one.auto)
  }
  const named = namedInView(view, 'address', ids, account)
  const automatic = named.filter((one) => one.auto)
  if (automatic.length > 0) {
    throw notFound(
      'address',
      automatic.map((one) => one.id),
    )
  }
  return named
}

function addressOf(view: View, region: string, address: AddressRecord): Address {
  const one = view.get('interface', address.interface)
  return {
    AllocationId: address.id,
    PublicIp: address.publicIp,
    PublicIpv4Pool: address.pool,
    NetworkBorderGroup: region,
    Domain: 'vpc',
    InstanceId: one === null || one.instance === '' ? undefined : one.instance,
    AssociationId: address.association === '' ? undefined : address.association,
    NetworkInterfaceId: one?.id,
    NetworkInterfaceOwnerId: one?.account,
    PrivateIpAddress: address.privateIp === '' ? undefined : address.privateIp,
    Tags: tagList(view, address.id),
  }
}
