// Pre-shared keys of VPN tunnels: as their users know them, and as WireGuard takes them.

import { createHash } from 'node:crypto'
import type { Sealer } from '../secrets.ts'
import type { VpnTunnelRecord } from '../store/vpn-records.ts'

/** Opens a tunnel's pre-shared key. Throws BadMessage for one that was sealed for another. */
export type OpenVpnKey = (tunnel: Pick<VpnTunnelRecord, 'number' | 'sealedKey'>) => string

export function sealVpnKey(sealer: Pick<Sealer, 'seal'>, number: number, key: string): string {
  return sealer.seal(key, contextOf(number))
}

export function vpnKeys(sealer: Pick<Sealer, 'open'>): OpenVpnKey {
  return ({ number, sealedKey }) => sealer.open(sealedKey, contextOf(number))
}

/** EC2's keys have 8 to 64 characters, WireGuard's 32 bytes: the SHA-256 of the key's text. */
export function wireguardKeyOf(key: string): Uint8Array {
  return createHash('sha256').update(key).digest()
}

function contextOf(number: number): string {
  return `vpn/${number}`
}
