// What becomes of VPN connections by itself: tunnels get a CC when there is one for them, and
// another when theirs left for good; what was deleted fades.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import type { State } from '../store/state.ts'
import type { VpnConnectionRecord } from '../store/vpn-records.ts'
import { settle, speaksIpsec, type VpnCcs, vpnCcs } from '../vpn/ends.ts'

/** EC2 shows what was deleted for about an hour. */
const ENDED_MS = 3_600_000
const KINDS = ['vpn-connection', 'vpn-gateway', 'customer-gateway'] as const

interface Parts {
  readonly state: State
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

/** Running it twice, or at several gateways at once, changes nothing more. */
export async function tendVpns(parts: Parts): Promise<void> {
  const { state } = parts
  const view = state.view()
  const [ipsec, wireguard] = [vpnCcs(view, true), vpnCcs(view, false)]
  for (const connection of view.all('vpn-connection')) {
    const ccs = speaksIpsec(view, connection.customerGateway) ? ipsec : wireguard
    if (settled(ccs, connection) !== connection) await settleTunnels(parts, connection.id)
  }
  for (const kind of KINDS) await forgetDeleted(parts, kind)
}

/** The same record when each tunnel may stay where it is. */
function settled(ccs: VpnCcs, connection: VpnConnectionRecord): VpnConnectionRecord {
  if (connection.state === 'deleted') return connection
  const { id, tunnels } = connection
  const next = settle(id, tunnels, ccs)
  const isSame = next.every(({ rack, host }, i) => {
    return rack === tunnels[i]?.rack && host === tunnels[i]?.host
  })
  return isSame ? connection : { ...connection, tunnels: next }
}

async function settleTunnels({ state, log }: Parts, id: string): Promise<void> {
  const moved = await state.update(async (tx) => {
    const record = await tx.get('vpn-connection', id)
    if (record === null) return []
    const view = state.view()
    const ccs = vpnCcs(view, speaksIpsec(view, record.customerGateway))
    const next = settled(ccs, record)
    if (next === record) return []
    const fresh = next.tunnels.filter((tunnel) => !record.tunnels.includes(tunnel))
    for (const { number, rack, host } of fresh) {
      // One that leaves at this moment conflicts, or is no CC to give something to.
      if (host !== '' && (await tx.get('host', rack, host)) === null) return []
      await tx.delete('vpn-link', String(number))
    }
    await tx.put('vpn-connection', [id], next)
    return fresh
  })
  for (const { number, rack, host } of moved) {
    log.info('VPN tunnel has another CC', { connection: id, number, rack, host })
  }
}

/** Its numbers went back when it was deleted. */
async function forgetDeleted({ state, clock }: Parts, kind: (typeof KINDS)[number]): Promise<void> {
  const nowMs = clock.nowMs()
  const ended = state
    .view()
    .all(kind)
    .filter(({ deletedAtMs }) => isOver(deletedAtMs, nowMs))
  for (const { id } of ended) {
    await state.update(async (tx) => {
      const record = await tx.get(kind, id)
      if (record === null || !isOver(record.deletedAtMs, nowMs)) return
      await tx.delete('tags', id)
      await tx.delete(kind, id)
    })
  }
}

function isOver(deletedAtMs: number | null, nowMs: number): boolean {
  return deletedAtMs !== null && nowMs - deletedAtMs > ENDED_MS
}
