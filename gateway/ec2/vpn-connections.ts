// CreateVpnConnection, DeleteVpnConnection, DescribeVpnConnections.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { Sealer } from '../secrets.ts'
import type { Transaction, View } from '../store/state.ts'
import type {
  VpnConnectionRecord,
  VpnGatewayRecord,
  VpnTunnelRecord,
} from '../store/vpn-records.ts'
import { settle, vpnCcs } from '../vpn/ends.ts'
import { type OpenVpnKey, vpnKeys } from '../vpn/keys.ts'
import { connectionsOf } from '../vpn/tunnels.ts'
import type { NetworkParts } from './create-vpc.ts'
import { matching } from './filters.ts'
import { newId } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { checkQuota, checkQuotaOf } from './quotas.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'
import { parseConnectionOptions } from './vpn-connection-options.ts'
import { vpnConnectionOf, vpnFilters } from './vpn-connection-shape.ts'
import { GATEWAY_TYPE, holdEnd, liveInStore } from './vpn-ends.ts'
import type { TunnelWish } from './vpn-tunnel-options.ts'
import { endTunnel, newTunnel } from './vpn-tunnel-records.ts'

export interface VpnParts extends NetworkParts {
  readonly sealer: Sealer
}

type ConnectionHandlers = Required<
  Pick<Ec2Handlers, 'CreateVpnConnection' | 'DeleteVpnConnection' | 'DescribeVpnConnections'>
>

const KIND = 'vpn-connection'
const KNOWN = new Set([
  ...['CustomerGatewayId', 'Type', 'VpnGatewayId', 'Options', 'TagSpecifications', 'DryRun'],
])
const HARMLESS = new Map<string, readonly unknown[]>([['PreSharedKeyStorage', ['Standard']]])

export function vpnConnectionHandlers(parts: VpnParts): ConnectionHandlers {
  const { state, sealer } = parts
  const openKey = vpnKeys(sealer)
  return {
    CreateVpnConnection: async ({ caller: { account }, nowMs }, input) => {
      const customerGateway = required('CustomerGatewayId', input.CustomerGatewayId)
      checkType(input)
      refuseUnknown(input, KNOWN, HARMLESS)
      const vpnGateway = required('VpnGatewayId', input.VpnGatewayId)
      const tags = parseTagSpecifications(input.TagSpecifications, [KIND]).get(KIND) ?? new Map()
      const id = await state.update(async (tx) => {
        const device = await liveInStore(tx, 'customer-gateway', customerGateway, account)
        const gateway = await liveInStore(tx, 'vpn-gateway', vpnGateway, account)
        await holdEnd(tx, 'customer-gateway', device)
        await holdEnd(tx, 'vpn-gateway', gateway)
        const wishes = parseConnectionOptions(input.Options, device)
        const view = await state.fresh()
        const twin = connectionBetween(view, customerGateway, vpnGateway)
        if (twin !== null) {
          checkSame(openKey, twin, wishes)
          endDryRun(input)
          return twin.id
        }
        await checkQuota(tx, state, account, 'vpn-connections')
        await checkGatewayQuota(tx, view, gateway)
        const made = await newId(tx, parts.randomHex, KIND)
        const tunnels: VpnTunnelRecord[] = []
        for (const wish of wishes) tunnels.push(await newTunnel(tx, parts, wish))
        await tx.put(KIND, [made], {
          ...{ id: made, account, customerGateway, vpnGateway, state: 'pending', routes: [] },
          tunnels: settle(made, tunnels, vpnCcs(view, device.publicKey === '')),
          ...{ createdAtMs: nowMs, deletedAtMs: null },
        })
        await addTags(tx, { kind: KIND, id: made, account }, tags)
        endDryRun(input)
        return made
      })
      const view = await state.fresh()
      const record = view.get(KIND, id)
      return { VpnConnection: record === null ? undefined : vpnConnectionOf(view, openKey, record) }
    },

    DeleteVpnConnection: async ({ caller: { account }, nowMs }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      await state.update(async (tx) => {
        const connection = await liveInStore(tx, KIND, id, account)
        endDryRun(input)
        for (const tunnel of connection.tunnels) await endTunnel(tx, tunnel)
        await tx.put(KIND, [id], {
          ...connection,
          state: 'deleted',
          tunnels: connection.tunnels.map((tunnel) => ({ ...tunnel, sealedKey: '' })),
          deletedAtMs: nowMs,
        })
      })
      return {}
    },

    DescribeVpnConnections: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const named = ownedOrNamed(view, KIND, input.VpnConnectionIds, account)
      endDryRun(input)
      const shown = named.map((one) => vpnConnectionOf(view, openKey, one))
      return { VpnConnections: matching(shown, input.Filters, vpnFilters(view)) }
    },
  }
}

/** The one that is not deleted; null. */
export function connectionBetween(
  view: View,
  customerGateway: string,
  vpnGateway: string,
): VpnConnectionRecord | null {
  const all = connectionsOf(view, vpnGateway)
  return all.find((one) => one.customerGateway === customerGateway) ?? null
}

/** Whoever adds to the VPN gateway holds it. Throws VpnConnectionLimitExceeded. */
export async function checkGatewayQuota(
  tx: Transaction,
  view: View,
  gateway: Pick<VpnGatewayRecord, 'id' | 'account'>,
): Promise<void> {
  const { length } = connectionsOf(view, gateway.id)
  await checkQuotaOf(tx, gateway, 'vpn-connections-per-gateway', length)
}

function checkType({ Type: asked }: Ec2Inputs['CreateVpnConnection']): void {
  const type = required('Type', asked)
  if (type !== GATEWAY_TYPE) throw badValue('Type', type, `Expecting ${GATEWAY_TYPE}.`)
}

/**
 * EC2 answers the same request again with the connection that is there. A request for other tunnels
 * is another one, and between two gateways there is one connection.
 */
function checkSame(
  openKey: OpenVpnKey,
  { id, tunnels }: VpnConnectionRecord,
  wishes: readonly TunnelWish[],
): void {
  const isSame = tunnels.every((tunnel, i) => {
    const { insideCidr = null, key = null, options } = wishes[i] ?? {}
    const isInside = insideCidr === null || insideCidr === tunnel.insideCidr
    const isKey = key === null || key === openKey(tunnel)
    return isInside && isKey && JSON.stringify(options) === JSON.stringify(tunnel.options)
  })
  if (isSame) return
  const text = `The gateways have the connection ${id}, whose tunnels have other options: modify it, or delete it first.`
  throw new ApiError('InvalidParameterCombination', text)
}
