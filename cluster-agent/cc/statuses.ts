// What a CC says of its tunnels.

import { create } from '@bufbuild/protobuf'
import type { Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  type Status,
  StatusSchema,
  TunnelStatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { WgPeer } from '../host/wg.ts'

/** One status per desired tunnel; a peer that is not set yet has never shaken hands. */
export function tunnelStatuses(tunnels: readonly Tunnel[], peers: readonly WgPeer[]): Status[] {
  const byKey = new Map(peers.map((peer) => [peer.publicKey, peer]))
  return tunnels.map(({ rack, host, publicKey }) => {
    const peer = byKey.get(publicKey)
    const value = create(TunnelStatusSchema, {
      rack,
      host,
      latestHandshakeMs: BigInt(peer?.latestHandshakeMs ?? 0),
      receivedBytes: BigInt(peer?.receivedBytes ?? 0),
      sentBytes: BigInt(peer?.sentBytes ?? 0),
      endpoint: peer?.endpoint ?? '',
    })
    return create(StatusSchema, {
      key: `tunnel/${rack}/${host}`,
      body: { case: 'tunnel', value },
    })
  })
}

/** What others wait for and act on: which tunnels have been heard, and where. */
export function newsOf(statuses: readonly Status[]): string {
  return statuses
    .map(({ key, body }) => {
      if (body.case !== 'tunnel') return key
      const { latestHandshakeMs, receivedBytes, endpoint } = body.value
      return `${key} ${latestHandshakeMs > 0n} ${receivedBytes > 0n} ${endpoint}`
    })
    .join('\n')
}
