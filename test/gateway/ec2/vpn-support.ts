// What tests of VPN connections begin with: gateways at both ends, and connections.

import type { VpnConnectionRecord } from '../../../gateway/store/vpn-records.ts'
import { ACCOUNT, type Call, type Cloud, START_MS } from './support.ts'

export const Type = 'ipsec.1'

export async function vpnGateway(call: Call): Promise<string> {
  return (await call('CreateVpnGateway', { Type })).VpnGateway?.VpnGatewayId ?? ''
}

export async function customerGateway(call: Call, more: object = {}): Promise<string> {
  const made = await call('CreateCustomerGateway', { Type, IpAddress: '192.0.2.1', ...more })
  return made.CustomerGateway?.CustomerGatewayId ?? ''
}

/** A connection as the store has it. */
export async function connect(
  { state }: Cloud,
  fields: Partial<VpnConnectionRecord>,
  id = 'vpn-0123456789abcdef0',
): Promise<void> {
  const ends = { customerGateway: '', vpnGateway: '', routes: [], tunnels: [] }
  const life = { state: 'available', createdAtMs: START_MS, deletedAtMs: null } as const
  const record = { id, account: ACCOUNT, ...ends, ...life, ...fields }
  await state.update((tx) => tx.put('vpn-connection', [id], record))
}
