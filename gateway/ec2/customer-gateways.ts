// Customer gateways, customers' own devices: CreateCustomerGateway, DeleteCustomerGateway,
// DescribeCustomerGateways. What a device is: customer-devices.ts.

import type { CustomerGateway } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { Transaction, View } from '../store/state.ts'
import type { CustomerGatewayRecord } from '../store/vpn-records.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type CustomerDevice, deviceOf, MAX_SHORT_ASN } from './customer-devices.ts'
import { type Filterable, matching } from './filters.ts'
import { derivedId, newId } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'
import { checkUnused, GATEWAY_TYPE, liveInStore } from './vpn-ends.ts'

type CustomerGatewayHandlers = Required<
  Pick<Ec2Handlers, 'CreateCustomerGateway' | 'DeleteCustomerGateway' | 'DescribeCustomerGateways'>
>

const KIND = 'customer-gateway'

const FILTERABLE: Filterable<CustomerGateway> = {
  fields: {
    'bgp-asn': (one) => one.BgpAsn ?? one.BgpAsnExtended,
    'customer-gateway-id': (one) => one.CustomerGatewayId,
    'ip-address': (one) => one.IpAddress,
    state: (one) => one.State,
    type: (one) => one.Type,
  },
  tags: (one) => one.Tags,
}

export function customerGatewayHandlers({
  state,
  randomHex,
}: NetworkParts): CustomerGatewayHandlers {
  return {
    CreateCustomerGateway: async ({ caller: { account }, nowMs }, input) => {
      const specified = parseTagSpecifications(input.TagSpecifications, [KIND])
      const id = await state.update(async (tx) => {
        const device = deviceOf(input, (await tx.get('cloud', 'self'))?.fabricPrefix ?? '')
        // As in EC2 the same again is the one that is there, with the tags that it has.
        const before = (await tx.get('name', ...nameOf(account, device)))?.holder
        if (before !== undefined) {
          endDryRun(input)
          return before
        }
        await checkQuota(tx, state, account, 'customer-gateways')
        const made = await newId(tx, randomHex, KIND)
        await tx.put(KIND, [made], {
          ...{ id: made, account, ...device },
          ...{ state: 'available', createdAtMs: nowMs, deletedAtMs: null },
        })
        await putName(tx, account, device, made)
        await addTags(tx, { kind: KIND, id: made, account }, specified.get(KIND) ?? new Map())
        endDryRun(input)
        return made
      })
      const view = await state.fresh()
      const record = view.get(KIND, id)
      return { CustomerGateway: record === null ? undefined : shown(view, record) }
    },

    DeleteCustomerGateway: async ({ caller: { account }, nowMs }, input) => {
      const id = required('CustomerGatewayId', input.CustomerGatewayId)
      await state.update(async (tx) => {
        const gateway = await liveInStore(tx, KIND, id, account)
        checkUnused(await state.fresh(), KIND, id)
        endDryRun(input)
        await tx.delete('name', ...nameOf(account, gateway))
        await tx.put(KIND, [id], { ...gateway, state: 'deleted', deletedAtMs: nowMs })
      })
      return {}
    },

    DescribeCustomerGateways: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const named = ownedOrNamed(view, KIND, input.CustomerGatewayIds, account)
      endDryRun(input)
      const gateways = named.map((one) => shown(view, one))
      return { CustomerGateways: matching(gateways, input.Filters, FILTERABLE) }
    },
  }
}

async function putName(
  tx: Transaction,
  account: string,
  device: CustomerDevice,
  holder: string,
): Promise<void> {
  const name = nameOf(account, device)
  await tx.put('name', name, { name: name[2], holder })
}

/** One account has one gateway of a type, address and ASN, and of a WireGuard device's key. */
function nameOf(
  account: string,
  { ipAddress, bgpAsn, publicKey }: CustomerDevice,
): [string, string, string] {
  return [KIND, account, derivedId('device', ipAddress, String(bgpAsn), publicKey)]
}

function shown(view: View, gateway: CustomerGatewayRecord): CustomerGateway {
  const { id, ipAddress, deviceName, bgpAsn } = gateway
  const isShort = bgpAsn <= MAX_SHORT_ASN
  return {
    CustomerGatewayId: id,
    State: gateway.state,
    Type: GATEWAY_TYPE,
    IpAddress: ipAddress === '' ? undefined : ipAddress,
    BgpAsn: isShort ? String(bgpAsn) : undefined,
    BgpAsnExtended: isShort ? undefined : String(bgpAsn),
    DeviceName: deviceName === '' ? undefined : deviceName,
    Tags: tagList(view, id),
  }
}
