// ModifyVpnConnection, ModifyVpnConnectionOptions, ModifyVpnTunnelOptions, and
// GetActiveVpnTunnelStatus: what changes of a connection that is there, and how its tunnels are.

import type { VpnConnection } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { Transaction, View } from '../store/state.ts'
import type { VpnConnectionRecord, VpnTunnelRecord } from '../store/vpn-records.ts'
import { sealVpnKey, vpnKeys } from '../vpn/keys.ts'
import { tunnelState } from '../vpn/links.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import { checkNetworkCidrs } from './vpn-connection-options.ts'
import { vpnConnectionOf } from './vpn-connection-shape.ts'
import { checkGatewayQuota, connectionBetween, type VpnParts } from './vpn-connections.ts'
import { liveInView } from './vpn-devices.ts'
import { holdEnd, liveInStore } from './vpn-ends.ts'
import { parseTunnelOptions } from './vpn-tunnel-options.ts'
import { moveInside } from './vpn-tunnel-records.ts'

type ModifyHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'ModifyVpnConnection'
    | 'ModifyVpnConnectionOptions'
    | 'ModifyVpnTunnelOptions'
    | 'GetActiveVpnTunnelStatus'
  >
>

const KIND = 'vpn-connection'
const KNOWN = new Set(['VpnConnectionId', 'CustomerGatewayId', 'VpnGatewayId', 'DryRun'])
const KNOWN_OPTIONS = new Set([
  ...['VpnConnectionId', 'LocalIpv4NetworkCidr', 'RemoteIpv4NetworkCidr', 'DryRun'],
  ...['LocalIpv6NetworkCidr', 'RemoteIpv6NetworkCidr'],
])
const KNOWN_TUNNEL = new Set([
  ...['VpnConnectionId', 'VpnTunnelOutsideIpAddress', 'TunnelOptions', 'DryRun'],
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['PreSharedKeyStorage', ['Standard']],
  ['SkipTunnelReplacement', [false]],
  ['TunnelBandwidth', ['standard']],
])

export function modifyVpnHandlers({ state, sealer }: VpnParts): ModifyHandlers {
  const openKey = vpnKeys(sealer)
  const shown = async (id: string): Promise<{ VpnConnection: VpnConnection | undefined }> => {
    const view = await state.fresh()
    const record = view.get(KIND, id)
    return { VpnConnection: record === null ? undefined : vpnConnectionOf(view, openKey, record) }
  }
  return {
    ModifyVpnConnection: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      refuseUnknown(input, KNOWN, HARMLESS)
      if (input.CustomerGatewayId === undefined) required('VpnGatewayId', input.VpnGatewayId)
      await state.update(async (tx) => {
        const old = await liveInStore(tx, KIND, id, account)
        const { CustomerGatewayId: device, VpnGatewayId: gateway } = input
        const next = {
          ...old,
          customerGateway: device ?? old.customerGateway,
          vpnGateway: gateway ?? old.vpnGateway,
        }
        await checkEnds(tx, old, next)
        const view = await state.fresh()
        const twin = connectionBetween(view, next.customerGateway, next.vpnGateway)
        if (twin !== null && twin.id !== id) {
          const text = `The gateways ${next.customerGateway} and ${next.vpnGateway} have the connection ${twin.id}; they can have one.`
          throw new ApiError('InvalidParameterCombination', text)
        }
        if (next.vpnGateway !== old.vpnGateway) {
          await checkGatewayQuota(tx, view, { id: next.vpnGateway, account })
        }
        endDryRun(input)
        await tx.put(KIND, [id], next)
      })
      return await shown(id)
    },

    ModifyVpnConnectionOptions: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      refuseUnknown(input, KNOWN_OPTIONS, HARMLESS)
      const connection = liveInView(await state.fresh(), id, account)
      // All that may be asked for is what every connection has.
      checkNetworkCidrs(input)
      endDryRun(input)
      return await shown(connection.id)
    },

    ModifyVpnTunnelOptions: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      const outside = required('VpnTunnelOutsideIpAddress', input.VpnTunnelOutsideIpAddress)
      const asked = required('TunnelOptions', input.TunnelOptions)
      refuseUnknown(input, KNOWN_TUNNEL, HARMLESS)
      await state.update(async (tx) => {
        const connection = await liveInStore(tx, KIND, id, account)
        const view = await state.fresh()
        const tunnel = tunnelAt(view, connection, outside)
        const device = await tx.get('customer-gateway', connection.customerGateway)
        const { key, insideCidr, options } = parseTunnelOptions(asked, tunnel.options, {
          path: 'TunnelOptions.',
          isWireguard: (device?.publicKey ?? '') !== '',
        })
        const changed = {
          ...tunnel,
          ...{ options, insideCidr: await moveInside(tx, tunnel, insideCidr) },
          sealedKey: key === null ? tunnel.sealedKey : sealVpnKey(sealer, tunnel.number, key),
        }
        endDryRun(input)
        const tunnels = connection.tunnels.map((one) => (one === tunnel ? changed : one))
        await tx.put(KIND, [id], { ...connection, tunnels })
      })
      return await shown(id)
    },

    GetActiveVpnTunnelStatus: async ({ caller: { account } }, input) => {
      const id = required('VpnConnectionId', input.VpnConnectionId)
      const outside = required('VpnTunnelOutsideIpAddress', input.VpnTunnelOutsideIpAddress)
      const view = await state.fresh()
      const connection = liveInView(view, id, account)
      const tunnel = tunnelAt(view, connection, outside)
      const device = view.get('customer-gateway', connection.customerGateway)
      const { up, message } = tunnelState(view, connection, tunnel)
      endDryRun(input)
      return {
        ActiveVpnTunnelStatus: {
          // What was negotiated only the CC knows.
          IkeVersion: device?.publicKey === '' ? 'ikev2' : undefined,
          ProvisioningStatus: up || message === '' ? 'available' : 'failed',
          ProvisioningStatusReason: message,
        },
      }
    },
  }
}

/** Both ends are the account's, live and held; a device of the other kind has other options. */
async function checkEnds(
  tx: Transaction,
  old: VpnConnectionRecord,
  next: VpnConnectionRecord,
): Promise<void> {
  const { account } = next
  const device = await liveInStore(tx, 'customer-gateway', next.customerGateway, account)
  const gateway = await liveInStore(tx, 'vpn-gateway', next.vpnGateway, account)
  const before = await tx.get('customer-gateway', old.customerGateway)
  if (before !== null && (before.publicKey === '') !== (device.publicKey === '')) {
    const text = `The customer gateways ${before.id} and ${device.id} are of two kinds, IPsec and WireGuard: make another connection.`
    throw new ApiError('InvalidParameterCombination', text)
  }
  await holdEnd(tx, 'customer-gateway', device)
  await holdEnd(tx, 'vpn-gateway', gateway)
}

/** The tunnel that a device reaches at the address. Throws InvalidParameterValue. */
function tunnelAt(view: View, connection: VpnConnectionRecord, outside: string): VpnTunnelRecord {
  const addresses = connection.tunnels.map((one) => tunnelState(view, connection, one).address)
  const found = connection.tunnels.filter((_, i) => outside !== '' && addresses[i] === outside)
  const [tunnel, other] = found
  if (tunnel !== undefined && other === undefined) return tunnel
  const known = addresses.filter((one) => one !== '')
  const why =
    other === undefined
      ? `The tunnels of ${connection.id} have ${known.length > 0 ? known.join(', ') : 'no addresses yet'}.`
      : `Both tunnels of ${connection.id} have it.`
  throw badValue('VpnTunnelOutsideIpAddress', outside, why)
}
