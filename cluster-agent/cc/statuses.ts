// What a CC says of its tunnels, to other racks and to peer clouds.

import { create } from '@bufbuild/protobuf'
import { linkAddressOf } from '../../common/link-address.ts'
import { type PeerLink, PeerLinkStatusSchema } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  type Status,
  StatusSchema,
  TunnelStatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { WgPeer } from '../host/wg.ts'
import { type BorderSeen, pathMtuOf } from './peer-border.ts'

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

/** Of the device to a peer cloud; `borders` by public key. */
export function peerLinkStatus(
  host: string,
  link: {
    readonly desired: PeerLink
    readonly publicKey: string
    readonly endpoints: readonly string[]
    readonly borders: ReadonlyMap<string, Pick<BorderSeen, 'upSinceMs' | 'path'>>
    readonly trouble: string
  },
): Status {
  const { number, borders } = link.desired
  const value = create(PeerLinkStatusSchema, {
    number,
    host,
    publicKey: link.publicKey,
    endpoints: [...link.endpoints],
    linkAddress: linkAddressOf(link.publicKey) ?? '',
    borders: borders.map(({ rack, host: name, publicKey }) => {
      const seen = link.borders.get(publicKey) ?? null
      const handshakeAtMs = BigInt(seen?.upSinceMs ?? 0)
      return { rack, host: name, handshakeAtMs, pathMtu: pathMtuOf(seen) }
    }),
    trouble: link.trouble,
  })
  return create(StatusSchema, {
    key: `peer-link/${number}/${host}`,
    body: { case: 'peerLink', value },
  })
}

/** What others wait for and act on: which tunnels have been heard, and where. */
export function newsOf(statuses: readonly Status[]): string {
  return statuses
    .map(({ key, body }) => {
      if (body.case === 'peerLink') {
        return `${key} ${body.value.borders.map((one) => one.handshakeAtMs > 0n).join()}`
      }
      if (body.case === 'vpnLink') return `${key} ${body.value.up}`
      if (body.case !== 'tunnel') return key
      const { latestHandshakeMs, receivedBytes, endpoint } = body.value
      return `${key} ${latestHandshakeMs > 0n} ${receivedBytes > 0n} ${endpoint}`
    })
    .join('\n')
}
