// The address at which the end of a tunnel to a peer cloud answers probes: known from its key.

import { createHash } from 'node:crypto'
import { formatAddress } from '../topology/cidr.ts'

const LINK_LOCAL = 0xfe80n << 112n

/** `fe80::` and 64 bits of the SHA-256 of a public key; null when that is no key of 32 bytes. */
export function linkAddressOf(publicKey: string): string | null {
  const raw = Buffer.from(publicKey, 'base64')
  // One spelling for each key: WireGuard knows its peers by them.
  if (raw.length !== 32 || raw.toString('base64') !== publicKey) return null
  const bits = createHash('sha256').update(raw).digest().readBigUInt64BE(0)
  return formatAddress({ family: 6, value: LINK_LOCAL | bits })
}
