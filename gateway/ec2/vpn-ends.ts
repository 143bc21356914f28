// The two ends of VPN connections, customer gateways and VPN gateways, and the connections: found
// while they live, and kept while something uses them.

import { ApiError } from '../aws/api-error.ts'
import type { Records } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { notFound, oneInStore } from './ids.ts'

type VpnEnd = 'customer-gateway' | 'vpn-gateway'
type VpnKind = VpnEnd | 'vpn-connection'

/** As AWS has it, of gateways at either end; IPsec or not is the device's business. */
export const GATEWAY_TYPE = 'ipsec.1'

/** One that is not deleted: those that are can be seen for an hour and are good for nothing. */
export async function liveInStore<K extends VpnKind>(
  tx: Transaction,
  kind: K,
  id: string,
  account: string,
): Promise<Records[K]> {
  const record = await oneInStore(tx, kind, id, account)
  if (record.state === 'deleted') throw notFound(kind, [id])
  return record
}

/**
 * To be called by whoever makes something that uses the gateway: its end then sees that, or comes
 * first and there is no gateway.
 */
export async function holdEnd<K extends VpnEnd>(
  tx: Transaction,
  kind: K,
  record: Records[K],
): Promise<void> {
  await tx.put(kind, [record.id], record)
}

/** Throws IncorrectState while connections use the gateway. */
export function checkUnused(view: View, kind: VpnEnd, id: string): void {
  const field = kind === 'customer-gateway' ? 'customerGateway' : 'vpnGateway'
  const users = view
    .by('vpn-connection', field, id)
    .filter(({ state }) => state !== 'deleted')
    .map((one) => one.id)
  if (users.length === 0) return
  const text = `The ${kind} '${id}' is in use by ${users.join(', ')}: delete what uses it first.`
  throw new ApiError('IncorrectState', text)
}
