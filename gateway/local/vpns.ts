// Tunnels of VPN connections of all accounts for operators: which CC holds each, and how it is.

import type { FastifyInstance } from 'fastify'
import { VPN_NUMBERS } from '../../topology/ranges.ts'
import type { State, View } from '../store/state.ts'
import { linkOf, whyDown } from '../vpn/active.ts'
import { allTunnels, type ConnectionTunnel } from '../vpn/tunnels.ts'
import { route } from './route.ts'
import {
  accountParam,
  flag,
  integer,
  list,
  named,
  object,
  oneOf,
  type Typed,
  text,
} from './schema.ts'

const MAX_ENDPOINTS = 8

const TUNNEL = named(
  'VpnTunnel',
  object({
    account: accountParam,
    connection: text({ description: 'The VPN connection' }),
    state: oneOf('pending', 'available'),
    number: integer({
      ...{ minimum: VPN_NUMBERS.first, maximum: VPN_NUMBERS.last },
      description: 'Unique in the cloud: with WireGuard its port is 44000 above',
    }),
    kind: oneOf('ipsec', 'wireguard'),
    vpc: text({ description: 'Empty while its VPN gateway is detached' }),
    device: text({ description: "The customer's device's address; empty when it dials" }),
    rack: text({ description: 'Of the CC that holds it; empty while there is none for it' }),
    host: text({}),
    endpoints: list(text({}), {
      maxItems: MAX_ENDPOINTS,
      description: 'Where the device reaches it, as the CC says',
    }),
    up: flag('The CC hears the device'),
    changedAtMs: integer({ minimum: 0, description: 'Since when it is so; 0: nobody has said' }),
    trouble: text({ description: 'Why it is not up; else empty' }),
  }),
)
export type VpnTunnelShown = Typed<typeof TUNNEL>

const EXAMPLE: VpnTunnelShown = {
  ...{ account: '111122223333', connection: 'vpn-0123456789abcdef0', state: 'available' },
  ...{ number: 1, kind: 'wireguard', vpc: 'vpc-0123456789abcdef0', device: '198.51.100.7' },
  ...{ rack: 'a', host: 'a-cc', endpoints: ['192.0.2.1:44001'], up: true },
  ...{ changedAtMs: 1_795_000_000_000, trouble: '' },
}

export function addVpnRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  route(
    app,
    {
      id: 'listVpnTunnels',
      summary: 'Tunnels of VPN connections of all accounts, and which CCs hold them',
      method: 'GET',
      path: '/v1/vpn-tunnels',
      answer: object({ tunnels: list(TUNNEL, { maxItems: VPN_NUMBERS.last }) }),
      example: { tunnels: [EXAMPLE] },
    },
    async () => {
      const view = await state.fresh()
      return { tunnels: allTunnels(view).map((one) => shown(view, one)) }
    },
  )
}

function shown(view: View, { connection, tunnel }: ConnectionTunnel): VpnTunnelShown {
  const { account, id, state } = connection
  const { number, rack, host } = tunnel
  const device = view.get('customer-gateway', connection.customerGateway)
  const link = linkOf(view, tunnel)
  const trouble = whyDown(view, tunnel)
  return {
    ...{ account, connection: id, state: state === 'pending' ? 'pending' : 'available', number },
    kind: device?.publicKey === '' ? 'ipsec' : 'wireguard',
    vpc: view.get('vpn-gateway', connection.vpnGateway)?.vpc ?? '',
    device: device?.ipAddress ?? '',
    ...{ rack, host, endpoints: [...(link?.endpoints ?? [])], up: trouble === null },
    ...{ changedAtMs: link?.changedAtMs ?? 0, trouble: trouble ?? '' },
  }
}
