// Which CCs hold the tunnels of VPN connections: chosen once and kept, until one leaves for good.

import { endsFor, type TunnelEnd } from '../../topology/vpn.ts'
import { isGateway } from '../control/desired-tunnels.ts'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'

const NOWHERE: TunnelEnd = { rack: '', host: '' }

/** In all racks. */
export interface VpnCcs {
  /** May keep what they hold. */
  readonly present: readonly TunnelEnd[]
  /** May get more; none of them while the operator takes them out, if there are others. */
  readonly open: readonly TunnelEnd[]
}

/** Does the customer's device speak IPsec? Else WireGuard. */
export function speaksIpsec(view: View, customerGateway: string): boolean {
  return view.get('customer-gateway', customerGateway)?.publicKey === ''
}

/**
 * For tunnels of IPsec, or of WireGuard. CCs without a key have not reported yet: they get nothing,
 * and keep what they held before. Those without strongSwan get IPsec only where none has it, and
 * say so.
 */
export function vpnCcs(view: View, isIpsec: boolean): VpnCcs {
  const ccs = view.all('host').filter(({ roles }) => roles.includes('cc'))
  const gateways = ccs.filter(isGateway)
  const able = isIpsec ? gateways.filter(hasIpsec) : gateways
  const fit = able.length > 0 ? able : gateways
  const open = fit.filter(isOpen)
  return {
    present: ccs.filter(({ lostAtMs }) => lostAtMs === undefined).map(endOf),
    open: (open.length > 0 ? open : fit).map(endOf),
  }
}

/**
 * Gives every tunnel of the connection that has no CC, or one that is gone, the best of those that
 * hold none of its tunnels: in another rack if there is one. The others stay as they are. One for
 * which no CC is left has rack and host ''.
 */
export function settle<T extends TunnelEnd>(
  id: string,
  tunnels: readonly T[],
  { present, open }: VpnCcs,
): T[] {
  const settled = tunnels.map((one) =>
    present.some((cc) => isSame(cc, one)) ? one : { ...one, ...NOWHERE },
  )
  for (const [i, tunnel] of settled.entries()) {
    if (tunnel.host !== '') continue
    const used = settled.filter(({ host }) => host !== '')
    const free = open.filter((cc) => !used.some((one) => isSame(cc, one)))
    const apart = free.filter(({ rack }) => !used.some((one) => one.rack === rack))
    const [end = NOWHERE] = endsFor(id, apart.length > 0 ? apart : free)
    settled[i] = { ...tunnel, rack: end.rack, host: end.host }
  }
  return settled
}

/** An agent of before says nothing of it. */
function hasIpsec({ status }: HostRecord): boolean {
  return status?.ipsec !== 'missing'
}

function isOpen({ cordoned, drain, lostAtMs, status }: HostRecord): boolean {
  const isLeaving = drain !== undefined || lostAtMs !== undefined || status?.draining === true
  return cordoned !== true && !isLeaving
}

function endOf({ rack, host }: HostRecord): TunnelEnd {
  return { rack, host }
}

function isSame(a: TunnelEnd, b: TunnelEnd): boolean {
  return a.rack === b.rack && a.host === b.host
}
