// Random changes of VPN connections, of what they are made of, and of what CCs say of their
// tunnels, over few ids, so that they meet.

import fc from 'fast-check'
import type {
  CustomerGatewayRecord,
  VpnConnectionRecord,
  VpnGatewayRecord,
  VpnLinkRecord,
  VpnTunnelRecord,
} from '../../../gateway/store/vpn-records.ts'
import { formatCidr } from '../../../topology/cidr.ts'
import { insideCidr } from '../../../topology/vpn.ts'
import { each, record } from './change.ts'
import type { Write } from './records.ts'

const OWN = { account: '1', createdAtMs: 0, deletedAtMs: null }

export function customerGateway(
  id: string,
  more: Partial<CustomerGatewayRecord> = {},
): CustomerGatewayRecord {
  const device = { ipAddress: '198.51.100.1', publicKey: '', deviceName: '', bgpAsn: 65_000 }
  return { ...OWN, id, ...device, state: 'available', ...more }
}

export function vpnGateway(id: string, vpc: string): VpnGatewayRecord {
  return { ...OWN, id, vpc, amazonSideAsn: 64_512, state: 'available' }
}

/** `end` is `<rack>/<host>`, or '' for one that no CC holds. */
export function vpnTunnel(number: number, end: string): VpnTunnelRecord {
  const [rack = '', host = ''] = end.split('/')
  const lists = { EncryptionAlgorithms: [], IntegrityAlgorithms: [], DhGroupNumbers: [] }
  const phase = <N extends 1 | 2>(n: N) =>
    Object.fromEntries(Object.entries(lists).map(([name, list]) => [`phase${n}${name}`, list]))
  return {
    ...{ number, rack, host, sealedKey: `sealed ${number}` },
    insideCidr: formatCidr(insideCidr(number)),
    options: {
      ...phase(1),
      ...phase(2),
      phase1LifetimeSeconds: 28_800,
      phase2LifetimeSeconds: 3_600,
      dpdTimeoutSeconds: 30,
      dpdTimeoutAction: 'clear',
      startupAction: 'add',
    } as VpnTunnelRecord['options'],
  }
}

/** Its tunnels have the numbers 2n - 1 and 2n. */
export function vpnConnection(
  n: number,
  ends: readonly string[],
  more: Partial<VpnConnectionRecord> = {},
): VpnConnectionRecord {
  return {
    ...{ ...OWN, id: `vpn-${n}`, customerGateway: 'cgw-1', vpnGateway: 'vgw-1' },
    ...{ state: 'available', routes: ['192.168.0.0/16'] },
    tunnels: ends.map((end, i) => vpnTunnel(2 * n - 1 + i, end)),
    ...more,
  }
}

export function vpnLink(number: number, end: string, up = true): VpnLinkRecord {
  const [rack = '', host = ''] = end.split('/')
  return {
    ...{ number, rack, host, publicKey: '', endpoints: ['192.0.2.1'], up },
    ...{ changedAtMs: 0, trouble: '' },
  }
}

const someDevice = each(['cgw-1', 'cgw-2'], (id) =>
  record(
    `customer-gateway/${id}`,
    fc
      .record({
        ipAddress: fc.constantFrom('198.51.100.1', '2001:db8::1'),
        publicKey: fc.constantFrom('', 'K'),
        deviceName: fc.constantFrom('x', 'y'),
      })
      .map((fields) => customerGateway(id, fields)),
  ),
)

const someVpnGateway = each(['vgw-1', 'vgw-2'], (id) =>
  record(
    `vpn-gateway/${id}`,
    fc
      .record({
        vpc: fc.constantFrom('', 'vpc-1', 'vpc-1', 'vpc-2', 'vpc-3'),
        state: fc.constantFrom('available', 'available', 'available', 'deleted'),
      })
      .map(({ vpc, state }) => ({ ...vpnGateway(id, vpc), state })),
  ),
)

const someEnd = fc.constantFrom('', 'a/a1', 'a/a2', 'b/b1', 'c/c1')

const someConnection = each(['1', '2'], (id, n) =>
  record(
    `vpn-connection/vpn-${id}`,
    fc
      .record({
        ends: fc.tuple(someEnd, someEnd),
        customerGateway: fc.constantFrom('cgw-1', 'cgw-1', 'cgw-2'),
        vpnGateway: fc.constantFrom('vgw-1', 'vgw-1', 'vgw-2'),
        state: fc.constantFrom('pending', 'available', 'available', 'deleted'),
        routes: fc.subarray(['192.168.0.0/16', '10.2.0.0/16', '10.0.1.0/24', 'fd77::/48']),
      })
      .map(({ ends, ...fields }) => vpnConnection(n, ends, fields as Partial<VpnConnectionRecord>)),
  ),
)

const someLink = each(['1', '2', '3', '4'], (id, number) =>
  record(
    `vpn-link/${id}`,
    fc
      .record({ end: someEnd, up: fc.boolean(), trouble: fc.constantFrom('', 'no route') })
      .map(({ end, up, trouble }) => ({ ...vpnLink(number, end, up), trouble })),
  ),
)

export const someVpn: fc.Arbitrary<Write> = fc.oneof(
  ...[someDevice, someVpnGateway, someConnection, someConnection, someLink, someLink],
)

/** A connection of the VPC that is in two racks; its second tunnel is in a third one. */
export const CONNECTED: readonly Write[] = [
  ['customer-gateway/cgw-1', customerGateway('cgw-1')],
  ['vpn-gateway/vgw-1', vpnGateway('vgw-1', 'vpc-1')],
  ['vpn-connection/vpn-1', vpnConnection(1, ['a/a1', 'c/c1'])],
  ['vpn-link/1', vpnLink(1, 'a/a1')],
  ['vpn-link/2', vpnLink(2, 'c/c1')],
  [
    'route-table/rtb-vpc-1',
    {
      ...{ id: 'rtb-vpc-1', account: '1', vpc: 'vpc-1', propagating: ['vgw-1'], createdAtMs: 0 },
      routes: [{ destination: '0.0.0.0/0', target: 'vpn-gateway', targetId: 'vgw-1' }],
    },
  ],
]
