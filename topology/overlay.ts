// Which CCs tunnel to which, and what each may speak for: a full mesh between racks, none inside
// one. Allowed IPs never overlap on any CC, or WireGuard would move them to whoever came last.

import { formatAddress, mustCidr, nthAddress } from './cidr.ts'

export interface OverlayGateway {
  readonly host: string
  readonly index: number
  readonly publicKey: string
  readonly endpoints: readonly string[]
  readonly connected: boolean
}

export interface OverlayRack {
  readonly name: string
  readonly index: number
  /** The rack's /64 of the fabric. */
  readonly fabric: string
  /** The tenants' prefixes that live here. */
  readonly prefixes: readonly string[]
  readonly gateways: readonly OverlayGateway[]
}

export interface TunnelPlan {
  readonly rack: string
  readonly host: string
  readonly publicKey: string
  readonly endpoints: readonly string[]
  readonly allowedIps: readonly string[]
}

/** The tunnels of the CC `from`, by rack and host. */
export function planTunnels(
  racks: readonly OverlayRack[],
  from: { readonly rack: string; readonly host: string },
): TunnelPlan[] {
  return racks
    .filter((rack) => rack.name !== from.rack)
    .flatMap((rack) => tunnelsInto(rack))
    .sort((a, b) => (`${a.rack}/${a.host}` < `${b.rack}/${b.host}` ? -1 : 1))
}

/** One name for two racks, whichever way round. */
export function pairName(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}

function tunnelsInto(rack: OverlayRack): TunnelPlan[] {
  const able = rack.gateways.filter((gateway) => gateway.publicKey !== '')
  const live = able.filter((gateway) => gateway.connected)
  // Silence takes nothing away: with nobody connected all of them keep what they had.
  const speakers = live.length > 0 ? live : able
  return able.map((gateway) => {
    const own = formatAddress(nthAddress(mustCidr(rack.fabric), gateway.index))
    const spoken = [rack.fabric, ...rack.prefixes].filter(
      (prefix) => speakerFor(prefix, speakers)?.host === gateway.host,
    )
    const allowedIps = spoken.includes(rack.fabric) ? spoken : [`${own}/128`, ...spoken]
    const { host, publicKey, endpoints } = gateway
    return { rack: rack.name, host, publicKey, endpoints, allowedIps }
  })
}

/** Rendezvous: losing one gateway moves only what it spoke for. */
function speakerFor(prefix: string, speakers: readonly OverlayGateway[]): OverlayGateway | null {
  let best: OverlayGateway | null = null
  let bestWeight = -1
  for (const speaker of speakers) {
    const weight = fnv1a(`${prefix} ${speaker.host}`)
    if (weight > bestWeight || (weight === bestWeight && speaker.host < (best?.host ?? ''))) {
      best = speaker
      bestWeight = weight
    }
  }
  return best
}

/** FNV-1a, 32 bits, with a final mix; spreads names evenly enough to share work. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}
