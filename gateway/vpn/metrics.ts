// What is counted of VPN connections.

import { Gauge, type Registry } from 'prom-client'
import type { View } from '../store/state.ts'
import { isUp } from './active.ts'
import { allTunnels } from './tunnels.ts'

export interface VpnMetrics {
  readonly setVpnTunnels: (view: View) => void
}

export function vpnMetrics(registers: Registry[]): VpnMetrics {
  const tunnels = new Gauge({
    name: 'mallee_vpn_tunnels',
    help: 'Tunnels of VPN connections: up, down, or without a CC that holds them',
    labelNames: ['state'],
    registers,
  })
  return {
    setVpnTunnels: (view) => {
      const counts = { up: 0, down: 0, unplaced: 0 }
      for (const { tunnel } of allTunnels(view)) {
        counts[tunnel.host === '' ? 'unplaced' : isUp(view, tunnel) ? 'up' : 'down'] += 1
      }
      for (const [state, count] of Object.entries(counts)) tunnels.set({ state }, count)
    },
  }
}
