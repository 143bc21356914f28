// Internet gateways: CreateInternetGateway, AttachInternetGateway, DetachInternetGateway,
// DeleteInternetGateway, DescribeInternetGateways.

import type { InternetGateway } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InternetGatewayRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type Filterable, matching } from './filters.ts'
import { newId, oneInStore } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'

type GatewayHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateInternetGateway'
    | 'AttachInternetGateway'
    | 'DetachInternetGateway'
    | 'DeleteInternetGateway'
    | 'DescribeInternetGateways'
  >
>

const FILTERABLE: Filterable<InternetGateway> = {
  fields: {
    'attachment.state': (one) => one.Attachments?.map(({ State }) => State),
    'attachment.vpc-id': (one) => one.Attachments?.map(({ VpcId }) => VpcId),
    'internet-gateway-id': (one) => one.InternetGatewayId,
    'owner-id': (one) => one.OwnerId,
  },
  tags: (one) => one.Tags,
}

export function internetGatewayHandlers({ state, randomHex }: NetworkParts): GatewayHandlers {
  return {
    CreateInternetGateway: async ({ caller: { account } }, input) => {
      const specified = parseTagSpecifications(input.TagSpecifications, ['internet-gateway'])
      const made = await state.update(async (tx) => {
        await checkQuota(tx, state, account, 'internet-gateways')
        const id = await newId(tx, randomHex, 'internet-gateway')
        const record = { id, account, vpc: '' }
        await tx.put('internet-gateway', [id], record)
        const tags = specified.get('internet-gateway') ?? new Map()
        await addTags(tx, { kind: 'internet-gateway', id, account }, tags)
        endDryRun(input)
        return record
      })
      return { InternetGateway: gatewayOf(await state.fresh(), made) }
    },

    AttachInternetGateway: async ({ caller: { account } }, input) => {
      const id = required('InternetGatewayId', input.InternetGatewayId)
      const vpcId = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        const gateway = await oneInStore(tx, 'internet-gateway', id, account)
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        if (gateway.vpc !== '') {
          const text = `resource ${id} is already attached to network ${gateway.vpc}`
          throw new ApiError('Resource.AlreadyAssociated', text)
        }
        await holdVpc(tx, vpc)
        const [other] = (await state.fresh()).by('internet-gateway', 'vpc', vpcId)
        if (other !== undefined) {
          const text = `Network ${vpcId} already has an internet gateway attached: ${other.id}`
          throw new ApiError('InvalidParameterValue', text)
        }
        endDryRun(input)
        await tx.put('internet-gateway', [id], { ...gateway, vpc: vpcId })
      })
      return {}
    },

    DetachInternetGateway: async ({ caller: { account } }, input) => {
      const id = required('InternetGatewayId', input.InternetGatewayId)
      const vpcId = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        const gateway = await oneInStore(tx, 'internet-gateway', id, account)
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        if (gateway.vpc !== vpcId) {
          const text = `resource ${id} is not attached to network ${vpcId}`
          throw new ApiError('Gateway.NotAttached', text)
        }
        await holdVpc(tx, vpc)
        checkNothingPublic(await state.fresh(), vpcId)
        endDryRun(input)
        await tx.put('internet-gateway', [id], { ...gateway, vpc: '' })
      })
      return {}
    },

    DeleteInternetGateway: async ({ caller: { account } }, input) => {
      const id = required('InternetGatewayId', input.InternetGatewayId)
      await state.update(async (tx) => {
        const gateway = await oneInStore(tx, 'internet-gateway', id, account)
        if (gateway.vpc !== '') {
          const text = `The internetGateway '${id}' has dependencies and cannot be deleted: it is attached to ${gateway.vpc}.`
          throw new ApiError('DependencyViolation', text)
        }
        endDryRun(input)
        await tx.delete('internet-gateway', id)
        await tx.delete('tags', id)
      })
      return {}
    },

    DescribeInternetGateways: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = ownedOrNamed(view, 'internet-gateway', input.InternetGatewayIds, account)
      endDryRun(input)
      const shown = named.map((one) => gatewayOf(view, one))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: InternetGateway): string => one.InternetGatewayId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeInternetGateways', input, found, cursor)
      return { InternetGateways: [...items], NextToken: nextToken }
    },
  }
}

function checkNothingPublic(view: View, vpc: string): void {
  const mapped = view
    .by('interface', 'vpc', vpc)
    .flatMap((one) => view.by('address', 'interface', one.id))
  const [first] = mapped
  if (first === undefined) return
  const text = `Network ${vpc} has some mapped public address(es), ${first.publicIp} at ${first.interface} for one. Please unmap those public address(es) before detaching the gateway.`
  throw new ApiError('DependencyViolation', text)
}

function gatewayOf(view: View, { id, account, vpc }: InternetGatewayRecord): InternetGateway {
  return {
    InternetGatewayId: id,
    OwnerId: account,
    // `available` is what EC2 says of an attached one, and the API's type knows nothing of it.
    Attachments: vpc === '' ? [] : [{ VpcId: vpc, State: 'available' as 'attached' }],
    Tags: tagList(view, id),
  }
}
