// What CCs report of their tunnels to peer clouds, into the store: what is stated to the other side
// is made of it. A CC speaks for its own devices.

import { linkAddressOf } from '../../common/link-address.ts'
import type { PeerLinkStatus } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { AgentName } from '../control/desired.ts'
import { isBorder } from '../peering/borders.ts'
import type { PeerLinkRecord } from '../store/peer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'

const MAX_ENDPOINTS = 8
const MAX_BORDERS = 64
const MAX_TEXT = 500
const MAX_NAME = 63
const MAX_ENDPOINT = 262

/** Cheap look at the mirror, so that a report that says the same again writes nothing. */
export function isLinkNews(view: View, agent: AgentName, { body }: Status): boolean {
  return body.case === 'peerLink' && nextLink(view, agent, body.value) !== null
}

export async function recordLinks(
  state: State,
  agent: AgentName,
  statuses: readonly Status[],
): Promise<void> {
  if (statuses.length === 0) return
  await state.update(async (tx) => {
    for (const { body } of statuses) {
      if (body.case !== 'peerLink') continue
      const next = nextLink(state.view(), agent, body.value)
      if (next === null) continue
      const id = [String(next.number), next.rack, next.host]
      const known = await tx.get('peer-link', ...id)
      // The peer may go at the same moment, and its links with it.
      const peer = state
        .view()
        .all('peer')
        .find(({ number }) => number === next.number)
      if (peer === undefined || (await tx.get('peer', peer.uid)) === null) continue
      if (JSON.stringify(known) !== JSON.stringify(next)) await tx.put('peer-link', id, next)
    }
  })
}

/** Nobody is heard by a CC that is away: what it carried is carried by another pair. */
export async function silenceLinks(
  tx: Transaction,
  view: View,
  { rack, host }: AgentName,
): Promise<void> {
  for (const { number } of view.all('peer')) {
    const id = [String(number), rack, host]
    const link = await tx.get('peer-link', ...id)
    if (link === null || link.borders.every(({ handshakeAtMs }) => handshakeAtMs === 0)) continue
    const borders = link.borders.map((one) => ({ ...one, handshakeAtMs: 0 }))
    await tx.put('peer-link', id, { ...link, borders })
  }
}

/** Null when it is no news, of another host, or of no peer that the host is a border to. */
function nextLink(view: View, agent: AgentName, status: PeerLinkStatus): PeerLinkRecord | null {
  const { number, publicKey } = status
  const peer = view.all('peer').find((one) => one.number === number)
  const host = view.get('host', agent.rack, agent.host)
  const linkAddress = linkAddressOf(publicKey)
  if (peer === undefined || host === null || linkAddress === null) return null
  if (status.host !== agent.host || !isBorder(peer, host)) return null
  const next: PeerLinkRecord = {
    number,
    rack: agent.rack,
    host: agent.host,
    publicKey,
    endpoints: status.endpoints.filter((one) => one.length <= MAX_ENDPOINT).slice(0, MAX_ENDPOINTS),
    linkAddress,
    borders: status.borders.slice(0, MAX_BORDERS).map((one) => ({
      rack: one.rack.slice(0, MAX_NAME),
      host: one.host.slice(0, MAX_NAME),
      handshakeAtMs: Number(one.handshakeAtMs),
      pathMtu: one.pathMtu,
    })),
    trouble: status.trouble.slice(0, MAX_TEXT),
  }
  const known = view.get('peer-link', String(number), agent.rack, agent.host)
  return JSON.stringify(known) === JSON.stringify(next) ? null : next
}
