// Connections as devices are told of them: one to a device that speaks IPsec, one to WireGuard's.

import { DEFAULT_OPTIONS } from '../../../gateway/ec2/vpn-tunnel-options.ts'
import type { Configuration, TunnelConfiguration } from '../../../gateway/vpn/configuration.ts'

export const CONNECTION = 'vpn-0123456789abcdef0'

export function tunnel(
  index: number,
  more: Partial<TunnelConfiguration> = {},
): TunnelConfiguration {
  const address = `203.0.113.${index}`
  return {
    ...{ index, number: 6 + index, isHeld: true, endpoint: address, address, publicKey: '' },
    ...{ key: `key.of.tunnel_${index}`, insideCidr: `169.254.16.${4 * index}/30` },
    insideCloud: `169.254.16.${4 * index + 1}`,
    insideDevice: `169.254.16.${4 * index + 2}`,
    options: DEFAULT_OPTIONS,
    ...more,
  }
}

export const IPSEC: Configuration = {
  ...{ connection: CONNECTION, customerGateway: 'cgw-1', vpnGateway: 'vgw-1' },
  vpcCidrs: ['10.0.0.0/16', 'fd98:7654:3200::/56'],
  routes: ['192.168.0.0/16', '172.16.0.0/24'],
  device: { address: '198.51.100.7', publicKey: '' },
  tunnels: [tunnel(1), tunnel(2)],
}

export const WIREGUARD: Configuration = {
  ...IPSEC,
  routes: ['192.168.0.0/16', '2001:db8:1::/48'],
  device: { address: '198.51.100.8', publicKey: keyOf(9) },
  tunnels: [1, 2].map((index) =>
    tunnel(index, { endpoint: `203.0.113.${index}:4400${6 + index}`, publicKey: keyOf(index) }),
  ),
}

function keyOf(byte: number): string {
  return Buffer.alloc(32, byte).toString('base64')
}
