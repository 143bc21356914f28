// What CCs report of the tunnels of VPN connections that they hold, into the store: customers are
// shown it, and routes follow it. A CC speaks for its own tunnels.

import type { VpnLinkStatus } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { AgentName } from '../control/desired.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VpnConnectionRecord, VpnLinkRecord } from '../store/vpn-records.ts'
import { isHeldBy, tunnelOf } from '../vpn/tunnels.ts'

const MAX_ENDPOINTS = 8
const MAX_TEXT = 500
const PUBLIC_KEY = /^(?:[A-Za-z0-9+/]{43}=)?$/
/** address:port or an address alone: customers get it in the configuration of their devices. */
const ENDPOINT = /^[0-9a-f.:[\]]{2,64}$/i

/** Cheap look at the mirror, so that a report that says the same again writes nothing. */
export function isVpnNews(view: View, agent: AgentName, { body }: Status): boolean {
  return body.case === 'vpnLink' && nextLink(view, agent, body.value) !== null
}

/** Of statuses that are news. */
export async function recordVpns(
  state: State,
  agent: AgentName,
  statuses: readonly Status[],
): Promise<void> {
  if (statuses.length === 0) return
  await state.update(async (tx) => {
    for (const { body } of statuses) {
      if (body.case === 'vpnLink') await recordLink(tx, state.view(), agent, body.value)
    }
  })
}

async function recordLink(
  tx: Transaction,
  view: View,
  agent: AgentName,
  status: VpnLinkStatus,
): Promise<void> {
  const next = nextLink(view, agent, status)
  const found = tunnelOf(view, status.number)
  if (next === null || found === null) return
  // It may end or move at the same moment.
  const connection = await tx.get('vpn-connection', found.connection.id)
  if (connection === null || !holds(connection, agent, status.number)) return
  const id = String(next.number)
  const known = await tx.get('vpn-link', id)
  if (JSON.stringify(known) !== JSON.stringify(next)) await tx.put('vpn-link', [id], next)
  if (connection.state !== 'pending') return
  const device = await tx.get('customer-gateway', connection.customerGateway)
  const hasKey = next.publicKey !== '' || device?.publicKey === ''
  if (!hasKey || next.endpoints.length === 0) return
  await tx.put('vpn-connection', [connection.id], { ...connection, state: 'available' })
}

function holds({ state, tunnels }: VpnConnectionRecord, agent: AgentName, number: number): boolean {
  const tunnel = tunnels.find((one) => one.number === number)
  return state !== 'deleted' && tunnel !== undefined && isHeldBy(tunnel, agent)
}

/** Null when it is no news, or of a tunnel that this CC does not hold. */
function nextLink(view: View, agent: AgentName, status: VpnLinkStatus): VpnLinkRecord | null {
  const { number, publicKey, up } = status
  const tunnel = tunnelOf(view, number)?.tunnel
  if (tunnel === undefined || !isHeldBy(tunnel, agent) || status.host !== agent.host) return null
  if (!PUBLIC_KEY.test(publicKey)) return null
  const next: VpnLinkRecord = {
    ...{ number, rack: agent.rack, host: agent.host, publicKey },
    endpoints: status.endpoints.filter((one) => ENDPOINT.test(one)).slice(0, MAX_ENDPOINTS),
    up,
    changedAtMs: Number(status.changedAtMs),
    trouble: status.trouble.slice(0, MAX_TEXT),
  }
  const known = view.get('vpn-link', String(number))
  return JSON.stringify(known) === JSON.stringify(next) ? null : next
}
