// Which of a peer's endpoints to try, and when to try the next: a peer that is heard keeps what it
// has, also an address that it roamed to.

import { isIP } from 'node:net'
import type { WgPeer } from '../host/wg.ts'

/** Nothing heard this long after a first try: try the next. WireGuard itself tries each 5 s. */
const SILENT_MS = 15_000

/** What we remember of a peer between passes, by public key. */
export interface Try {
  /** The endpoint that we set last. */
  readonly endpoint: string
  readonly sinceMs: number
  readonly receivedBytes: number
  /** When `receivedBytes` last grew. */
  readonly heardMs: number
}

export interface Reachable {
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/**
 * The endpoint to set now, or null to leave it: the first of a reachable family for a new peer, the
 * one after the last try for a silent one.
 */
export function nextEndpoint(
  wanted: { readonly endpoints: readonly string[]; readonly keepaliveS: number },
  peer: WgPeer | null,
  last: Try | null,
  { nowMs, reachable }: { nowMs: number; reachable: Reachable },
): string | null {
  const usable = wanted.endpoints.filter((endpoint) => isReachable(endpoint, reachable))
  const [first] = usable
  if (first === undefined) return null
  if (peer === null || peer.endpoint === null) return first
  const heardMs = Math.max(peer.latestHandshakeMs, last?.heardMs ?? 0)
  // An agent that was just started remembers no try: it gives this endpoint its time.
  if (last === null) return null
  const patienceMs = heardMs === 0 ? SILENT_MS : SILENT_MS + wanted.keepaliveS * 1000
  if (nowMs - Math.max(heardMs, last.sinceMs) <= patienceMs) return null
  const at = usable.indexOf(last.endpoint)
  return usable[(at + 1) % usable.length] ?? first
}

/** What to remember after a look at a peer. */
export function remember(peer: WgPeer, last: Try | null, nowMs: number): Try {
  const grew = last !== null && peer.receivedBytes > last.receivedBytes
  return {
    endpoint: last?.endpoint ?? peer.endpoint ?? '',
    sinceMs: last?.sinceMs ?? nowMs,
    receivedBytes: peer.receivedBytes,
    heardMs: grew ? nowMs : (last?.heardMs ?? peer.latestHandshakeMs),
  }
}

/** Names may resolve to either family. */
export function isReachable(endpoint: string, { ipv4, ipv6 }: Reachable): boolean {
  const host = endpoint.slice(0, endpoint.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  switch (isIP(host)) {
    case 4:
      return ipv4
    case 6:
      return ipv6
    default:
      return ipv4 || ipv6
  }
}
