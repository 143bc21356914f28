// `mallee vpn …`: tunnels of VPN connections of all accounts.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { VpnTunnelShown } from '../local/vpns.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

const HEADS = ['ACCOUNT', 'CONNECTION', 'TUNNEL', 'KIND', 'VPC', 'DEVICE', 'CC', 'UP', 'NOTE']

const listCommand = buildCommand<LocalFlags>({
  docs: {
    brief: 'Tunnels of VPN connections, which CCs hold them, and how they are',
    fullDescription: [
      'Tunnels of VPN connections, which CCs hold them, and how they are. A line is a tunnel: the',
      "customer's device, whether it is heard, and what stands in the way.",
      '',
      'Example:',
      '  mallee vpn list --json',
    ].join('\n'),
  },
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/vpn-tunnels' } as const
      const answer = await callLocal<{ tunnels: readonly VpnTunnelShown[] }>(socket, call)
      const rows = answer.tunnels.map((one) => [
        ...[one.account, one.connection, String(one.number), one.kind],
        ...[one.vpc, one.device].map((name) => (name === '' ? '-' : name)),
        one.host === '' ? '-' : `${one.rack}/${one.host}`,
        one.up ? 'yes' : 'no',
        one.trouble,
      ])
      print(json, answer, table(HEADS, rows))
    }),
})

export const vpnRoutes = buildRouteMap({
  routes: { list: listCommand },
  docs: { brief: 'Tunnels of VPN connections' },
})
