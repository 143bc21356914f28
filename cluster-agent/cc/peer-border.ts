// What a CC knows of one end of a tunnel to a peer cloud beside its desired state: since when it is
// heard, and how large packets get there.

import { PEER_SILENCE_MS, TUNNEL_KEEPALIVE_S } from '../../topology/ranges.ts'
import type { WgPeer } from '../host/wg.ts'
import type { PathMtu } from './path-mtu.ts'

const MINUTE_MS = 60_000
/** WireGuard takes no packet of a session that is older (its paper, REJECT_AFTER_TIME). */
const SESSION_MS = 180_000
/** A way may have become another one meanwhile. */
const MEASURE_EVERY_MS = 10 * MINUTE_MS
const MEASURE_AGAIN_MS = MINUTE_MS
/** How long an end may say nothing, and how long it must be heard after it has been silent. */
export interface Patience {
  readonly silenceMs: number
  /** Twice as long with each silence. */
  readonly holdMs: number
}

/** Another pair of borders takes over meanwhile, and each change moves what guests do. */
const OF_PEERS: Patience = { silenceMs: PEER_SILENCE_MS, holdMs: 15_000 }
/** Devices of others send what they like: two and a half of our keepalives. */
export const OF_CUSTOMERS: Patience = { silenceMs: 2.5 * TUNNEL_KEEPALIVE_S * 1000, holdMs: 0 }
const MAX_HOLD_MS = 4 * MINUTE_MS
/** Silences further apart have nothing to do with each other. */
const STEADY_MS = 10 * MINUTE_MS
/** So long somebody waits for one that was never heard. */
const AWAITED_MS = MINUTE_MS

export interface BorderSeen {
  /** When this process first saw it: before, it can have heard nothing. */
  readonly knownSinceMs: number
  /** Since when it is heard, rounded to minutes; 0 while it is silent. */
  readonly upSinceMs: number
  /** At the last look; and when that had grown last, or hands were shaken. */
  readonly receivedBytes: number
  readonly heardMs: number
  /** Since when there was no silence; 0 while there is. */
  readonly heardSinceMs: number
  /** Silences in a row, and when the last one began. */
  readonly falls: number
  readonly fellMs: number
  readonly endpoint: string
  readonly path: PathMtu | null
  readonly measuredAtMs: number
}

/** After a look at the device. */
export function nextSeen(
  last: BorderSeen | null,
  peer: WgPeer | null,
  nowMs: number,
  { silenceMs, holdMs }: Patience = OF_PEERS,
): BorderSeen {
  const knownSinceMs = last?.knownSinceMs ?? nowMs
  const handshakeMs = peer?.latestHandshakeMs ?? 0
  const receivedBytes = peer?.receivedBytes ?? 0
  const hasGrown = last !== null && receivedBytes > last.receivedBytes
  const heardMs = Math.max(handshakeMs, hasGrown ? nowMs : (last?.heardMs ?? 0))
  // An agent that was just started has not seen yet whether anything comes.
  const patienceMs = nowMs - knownSinceMs < silenceMs ? SESSION_MS : silenceMs
  const isHeard = heardMs > 0 && nowMs - heardMs < patienceMs
  const heardSinceMs = isHeard ? last?.heardSinceMs || nowMs : 0
  const wasUp = last !== null && last.upSinceMs > 0
  const { falls, fellMs } = fallsOf(last, wasUp && !isHeard, nowMs)
  const isUp = isHeard && (wasUp || nowMs - heardSinceMs >= heldMs(holdMs, falls))
  const since = last?.upSinceMs || Math.floor(handshakeMs / MINUTE_MS) * MINUTE_MS
  const endpoint = peer?.endpoint ?? ''
  const isSameWay = last !== null && endpoint === last.endpoint
  return {
    knownSinceMs,
    upSinceMs: isUp ? since : 0,
    ...{ receivedBytes, heardMs, heardSinceMs, falls, fellMs },
    endpoint,
    path: last?.path ?? null,
    measuredAtMs: isSameWay ? last.measuredAtMs : 0,
  }
}

/** Was it never heard, and is so new that somebody waits for it? */
export function isAwaited({ knownSinceMs, heardMs }: BorderSeen, nowMs: number): boolean {
  return heardMs === 0 && nowMs - knownSinceMs < AWAITED_MS
}

function fallsOf(
  last: BorderSeen | null,
  falls: boolean,
  nowMs: number,
): Pick<BorderSeen, 'falls' | 'fellMs'> {
  const before = last !== null && nowMs - last.fellMs < STEADY_MS ? last.falls : 0
  if (falls) return { falls: before + 1, fellMs: nowMs }
  return { falls: before, fellMs: last?.fellMs ?? 0 }
}

function heldMs(firstMs: number, falls: number): number {
  return falls === 0 ? 0 : Math.min(firstMs * 2 ** (falls - 1), MAX_HOLD_MS)
}

export function isDue({ upSinceMs, path, measuredAtMs }: BorderSeen, nowMs: number): boolean {
  const everyMs = path?.kind === 'mtu' ? MEASURE_EVERY_MS : MEASURE_AGAIN_MS
  return upSinceMs > 0 && nowMs - measuredAtMs >= everyMs
}

/** In bytes; 0 when it is not known. */
export function pathMtuOf(seen: Pick<BorderSeen, 'path'> | null): number {
  return seen?.path?.kind === 'mtu' ? seen.path.bytes : 0
}
