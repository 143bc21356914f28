// What is counted of peer clouds. Series are of peers that the operator has agreed with, at most
// 200 of them, and of codes that are ours.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { View } from '../store/state.ts'
import { isOpen } from './agreed.ts'

export interface PeeringMetrics {
  readonly setPeers: (view: View, nowMs: number) => void
  /** A batch went to a peer and its receipt came, or not. */
  readonly peerDelivered: (outcome: 'went' | 'failed') => void
  /** A call of somebody at the peering port was refused. */
  readonly peerRefused: (code: string) => void
}

const MOST_PEERS = 200

export function peeringMetrics(registers: Registry[]): PeeringMetrics {
  const peers = new Gauge({
    name: 'mallee_peers',
    help: 'Peer clouds by state: active, or suspended by either side',
    labelNames: ['state'],
    registers,
  })
  const heard = new Gauge({
    name: 'mallee_peer_heard_seconds',
    help: 'Time since a peer cloud last stated something new',
    labelNames: ['peer'],
    registers,
  })
  const delivered = new Counter({
    name: 'mallee_peer_deliveries_total',
    help: 'Batches of statements for peer clouds by outcome',
    labelNames: ['outcome'],
    registers,
  })
  const refused = new Counter({
    name: 'mallee_peer_refused_total',
    help: 'Calls of peer clouds that were refused, by code',
    labelNames: ['code'],
    registers,
  })
  return {
    setPeers: (view, nowMs) => {
      const all = view.all('peer')
      const active = all.filter(isOpen).length
      peers.set({ state: 'active' }, active)
      peers.set({ state: 'suspended' }, all.length - active)
      heard.reset()
      for (const { terms, heardAtMs } of all.slice(0, MOST_PEERS)) {
        heard.set({ peer: terms.name }, Math.max(0, nowMs - heardAtMs) / 1000)
      }
    },
    peerDelivered: (outcome) => delivered.inc({ outcome }),
    peerRefused: (code) => refused.inc({ code }),
  }
}
