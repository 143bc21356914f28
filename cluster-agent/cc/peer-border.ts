// What a CC knows of one end of a tunnel to a peer cloud beside its desired state: since when it is
// heard, and how large packets get there.

import { PEER_SILENCE_MS } from '../../topology/ranges.ts'
import type { WgPeer } from '../host/wg.ts'
import type { Try } from './endpoints.ts'
import type { PathMtu } from './path-mtu.ts'

const MINUTE_MS = 60_000
/** WireGuard takes no packet of a session that is older (its paper, REJECT_AFTER_TIME). */
const SESSION_MS = 180_000
/** A way may have become another one meanwhile. */
const MEASURE_EVERY_MS = 10 * MINUTE_MS
const MEASURE_AGAIN_MS = MINUTE_MS

export interface BorderSeen {
  /** When this process first saw it: before, it can have heard nothing. */
  readonly knownSinceMs: number
  /** Since when it is heard, rounded to minutes; 0 while it is silent. */
  readonly upSinceMs: number
  readonly endpoint: string
  readonly path: PathMtu | null
  readonly measuredAtMs: number
}

/** After a look at the device. */
export function nextSeen(
  last: BorderSeen | null,
  peer: WgPeer | null,
  tried: Try | null,
  nowMs: number,
): BorderSeen {
  const knownSinceMs = last?.knownSinceMs ?? nowMs
  const handshakeMs = peer?.latestHandshakeMs ?? 0
  const heardMs = Math.max(handshakeMs, tried?.heardMs ?? 0)
  // An agent that was just started has not seen yet whether anything comes.
  const patienceMs = nowMs - knownSinceMs < PEER_SILENCE_MS ? SESSION_MS : PEER_SILENCE_MS
  const isUp = heardMs > 0 && nowMs - heardMs < patienceMs
  const since = last?.upSinceMs || Math.floor(handshakeMs / MINUTE_MS) * MINUTE_MS
  const endpoint = peer?.endpoint ?? ''
  const isSameWay = last !== null && endpoint === last.endpoint
  return {
    knownSinceMs,
    upSinceMs: isUp ? since : 0,
    endpoint,
    path: last?.path ?? null,
    measuredAtMs: isSameWay ? last.measuredAtMs : 0,
  }
}

export function isDue({ upSinceMs, path, measuredAtMs }: BorderSeen, nowMs: number): boolean {
  const everyMs = path?.kind === 'mtu' ? MEASURE_EVERY_MS : MEASURE_AGAIN_MS
  return upSinceMs > 0 && nowMs - measuredAtMs >= everyMs
}

/** In bytes; 0 when it is not known. */
export function pathMtuOf(seen: BorderSeen | null): number {
  return seen?.path?.kind === 'mtu' ? seen.path.bytes : 0
}
