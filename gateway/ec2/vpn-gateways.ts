// VPN gateways, the cloud's end of VPN connections: CreateVpnGateway, AttachVpnGateway,
// DetachVpnGateway, DeleteVpnGateway, DescribeVpnGateways.

import type { VpnGateway } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { Transaction, View } from '../store/state.ts'
import type { VpnGatewayRecord } from '../store/vpn-records.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type Filterable, matching } from './filters.ts'
import { newId, oneInStore } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { checkQuota } from './quotas.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'
import { checkUnused, GATEWAY_TYPE, liveInStore } from './vpn-ends.ts'
import { zoneName } from './zones.ts'

type VpnGatewayHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateVpnGateway'
    | 'AttachVpnGateway'
    | 'DetachVpnGateway'
    | 'DeleteVpnGateway'
    | 'DescribeVpnGateways'
  >
>

const KIND = 'vpn-gateway'
const DEFAULT_ASN = 64_512
/** For private use (RFC 6996); EC2 takes no other. */
const PRIVATE_ASNS = [
  { first: 64_512, last: 65_534 },
  { first: 4_200_000_000, last: 4_294_967_294 },
] as const

const FILTERABLE: Filterable<VpnGateway> = {
  fields: {
    'amazon-side-asn': (one) => one.AmazonSideAsn,
    'attachment.state': (one) => one.VpcAttachments?.map(({ State }) => State),
    'attachment.vpc-id': (one) => one.VpcAttachments?.map(({ VpcId }) => VpcId),
    'availability-zone': (one) => one.AvailabilityZone,
    state: (one) => one.State,
    type: (one) => one.Type,
    'vpn-gateway-id': (one) => one.VpnGatewayId,
  },
  tags: (one) => one.Tags,
}

export function vpnGatewayHandlers({ state, randomHex, region }: NetworkParts): VpnGatewayHandlers {
  return {
    CreateVpnGateway: async ({ caller: { account }, nowMs }, input) => {
      const amazonSideAsn = checkedAsn(input)
      const specified = parseTagSpecifications(input.TagSpecifications, [KIND])
      const made = await state.update(async (tx) => {
        checkZone(await state.fresh(), region, input.AvailabilityZone)
        await checkQuota(tx, state, account, 'vpn-gateways')
        const id = await newId(tx, randomHex, KIND)
        const life = { state: 'available', createdAtMs: nowMs, deletedAtMs: null } as const
        const record = { id, account, vpc: '', amazonSideAsn, ...life }
        await tx.put(KIND, [id], record)
        await addTags(tx, { kind: KIND, id, account }, specified.get(KIND) ?? new Map())
        endDryRun(input)
        return record
      })
      return { VpnGateway: shown(await state.fresh(), made) }
    },

    AttachVpnGateway: async ({ caller: { account } }, input) => {
      const id = required('VpnGatewayId', input.VpnGatewayId)
      const vpcId = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        const gateway = await liveInStore(tx, KIND, id, account)
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        await holdVpc(tx, vpc)
        const [there] = (await state.fresh()).by(KIND, 'vpc', vpcId)
        if (there !== undefined) {
          const text = `VPC ${vpcId} is currently attached to the Virtual Private Gateway ${there.id}.`
          throw new ApiError('InvalidVpcState', text)
        }
        if (gateway.vpc !== '') {
          const text = `The vpnGateway '${id}' is attached to ${gateway.vpc}; it can be attached to one VPC.`
          throw new ApiError('VpnGatewayAttachmentLimitExceeded', text)
        }
        endDryRun(input)
        await tx.put(KIND, [id], { ...gateway, vpc: vpcId })
      })
      return { VpcAttachment: { VpcId: vpcId, State: 'attached' } }
    },

    DetachVpnGateway: async ({ caller: { account } }, input) => {
      const id = required('VpnGatewayId', input.VpnGatewayId)
      const vpcId = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        const gateway = await liveInStore(tx, KIND, id, account)
        if (gateway.vpc !== vpcId) {
          const text = `The vpnGateway '${id}' is not attached to the VPC '${vpcId}'`
          throw new ApiError('InvalidVpnGatewayAttachment.NotFound', text)
        }
        endDryRun(input)
        await stopPropagation(tx, await state.fresh(), gateway)
        await tx.put(KIND, [id], { ...gateway, vpc: '' })
      })
      return {}
    },

    DeleteVpnGateway: async ({ caller: { account }, nowMs }, input) => {
      const id = required('VpnGatewayId', input.VpnGatewayId)
      await state.update(async (tx) => {
        const gateway = await liveInStore(tx, KIND, id, account)
        if (gateway.vpc !== '') {
          const text = `The vpnGateway '${id}' is attached to ${gateway.vpc}: detach it first.`
          throw new ApiError('IncorrectState', text)
        }
        checkUnused(await state.fresh(), KIND, id)
        endDryRun(input)
        await tx.put(KIND, [id], { ...gateway, state: 'deleted', deletedAtMs: nowMs })
      })
      return {}
    },

    DescribeVpnGateways: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const named = ownedOrNamed(view, KIND, input.VpnGatewayIds, account)
      endDryRun(input)
      const gateways = named.map((one) => shown(view, one))
      return { VpnGateways: matching(gateways, input.Filters, FILTERABLE) }
    },
  }
}

function checkedAsn(input: Ec2Inputs['CreateVpnGateway']): number {
  const type = required('Type', input.Type)
  if (type !== GATEWAY_TYPE) throw badValue('Type', type, `Expecting ${GATEWAY_TYPE}.`)
  const { AmazonSideAsn: asn = DEFAULT_ASN } = input
  if (PRIVATE_ASNS.some(({ first, last }) => asn >= first && asn <= last)) return asn
  const ranges = PRIVATE_ASNS.map(({ first, last }) => `${first} to ${last}`)
  throw badValue('AmazonSideAsn', asn, `Expecting a private ASN, ${ranges.join(' or ')}.`)
}

/** It is in all zones, as EC2 may have it; one that is none is a mistake all the same. */
function checkZone(view: View, region: string, zone: string | undefined): void {
  // Terraform says '' for nothing.
  if (zone === undefined || zone === '') return
  if (view.all('rack').some(({ name }) => zoneName(region, name) === zone)) return
  throw badValue('AvailabilityZone', zone, 'There is no such zone.')
}

/** Who begins it holds the gateway: what the view shows after that is all there is. */
async function stopPropagation(
  tx: Transaction,
  view: View,
  { id, vpc }: VpnGatewayRecord,
): Promise<void> {
  for (const shownTable of view.by('route-table', 'vpc', vpc)) {
    if (shownTable.propagating?.includes(id) !== true) continue
    const table = await tx.get('route-table', shownTable.id)
    if (table === null) continue
    const propagating = (table.propagating ?? []).filter((one) => one !== id)
    await tx.put('route-table', [table.id], { ...table, propagating })
  }
}

function shown(view: View, gateway: VpnGatewayRecord): VpnGateway {
  const { id, vpc, amazonSideAsn } = gateway
  return {
    VpnGatewayId: id,
    State: gateway.state,
    Type: GATEWAY_TYPE,
    AmazonSideAsn: amazonSideAsn,
    VpcAttachments: vpc === '' ? [] : [{ VpcId: vpc, State: 'attached' }],
    Tags: tagList(view, id),
  }
}
