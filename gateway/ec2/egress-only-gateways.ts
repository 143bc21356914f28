// Egress-only internet gateways: CreateEgressOnlyInternetGateway, DeleteEgressOnlyInternetGateway,
// DescribeEgressOnlyInternetGateways.

import type { EgressOnlyInternetGateway } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { EgressOnlyGatewayRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type Filterable, matching } from './filters.ts'
import { newId, oneInStore } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'

type GatewayHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateEgressOnlyInternetGateway'
    | 'DeleteEgressOnlyInternetGateway'
    | 'DescribeEgressOnlyInternetGateways'
  >
>

const KIND = 'egress-only-gateway'
/** Of a VPC; its routes use one. */
const MAX_GATEWAYS = 5

const FILTERABLE: Filterable<EgressOnlyInternetGateway> = {
  fields: {},
  tags: (one) => one.Tags,
}

export function egressOnlyGatewayHandlers({ state, randomHex }: NetworkParts): GatewayHandlers {
  return {
    CreateEgressOnlyInternetGateway: async (context, input) => {
      const { account } = context.caller
      const vpcId = required('VpcId', input.VpcId)
      const tags = parseTagSpecifications(input.TagSpecifications, [KIND]).get(KIND) ?? new Map()
      const token = input.ClientToken ?? ''
      const use = { context, action: 'CreateEgressOnlyInternetGateway', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null && (await tx.get(KIND, before)) !== null) return before
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        await holdVpc(tx, vpc)
        const count = (await state.fresh()).by(KIND, 'vpc', vpcId).length
        if (count >= MAX_GATEWAYS) {
          const text = `${vpcId} has ${count} egress-only gateways; ${MAX_GATEWAYS} are allowed.`
          throw new ApiError('EgressOnlyInternetGatewayLimitExceeded', text)
        }
        const made = await newId(tx, randomHex, KIND)
        await tx.put(KIND, [made], { id: made, account, vpc: vpcId })
        await addTags(tx, { kind: KIND, id: made, account }, tags)
        await keepAnswer(tx, use, made)
        endDryRun(input)
        return made
      })
      const view = await state.fresh()
      const record = view.get(KIND, id)
      return {
        ClientToken: token === '' ? undefined : token,
        EgressOnlyInternetGateway: record === null ? undefined : gatewayOf(view, record),
      }
    },

    DeleteEgressOnlyInternetGateway: async ({ caller: { account } }, input) => {
      const id = required('EgressOnlyInternetGatewayId', input.EgressOnlyInternetGatewayId)
      await state.update(async (tx) => {
        await oneInStore(tx, KIND, id, account)
        endDryRun(input)
        await tx.delete(KIND, id)
        await tx.delete('tags', id)
      })
      return { ReturnCode: true }
    },

    DescribeEgressOnlyInternetGateways: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = ownedOrNamed(view, KIND, input.EgressOnlyInternetGatewayIds, account)
      endDryRun(input)
      const shown = named.map((one) => gatewayOf(view, one))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: EgressOnlyInternetGateway): string =>
        one.EgressOnlyInternetGatewayId ?? ''
      const action = 'DescribeEgressOnlyInternetGateways'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, 255)
      return { EgressOnlyInternetGateways: [...items], NextToken: nextToken }
    },
  }
}

function gatewayOf(view: View, { id, vpc }: EgressOnlyGatewayRecord): EgressOnlyInternetGateway {
  return {
    EgressOnlyInternetGatewayId: id,
    Attachments: [{ VpcId: vpc, State: 'attached' }],
    Tags: tagList(view, id),
  }
}
