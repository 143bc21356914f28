// A connection's CustomerGatewayConfiguration: the XML that EC2 gives and that its clients read.

import { IPSEC_MTU } from '../../topology/ranges.ts'
import { escapeXml } from '../aws/encode.ts'
import type { Configuration, TunnelConfiguration } from './configuration.ts'
import { bestAlgorithms } from './proposals.ts'

/** An element's text, or what is in it. */
type Content = string | number | readonly Element[]
type Element = readonly [name: string, content: Content]

/** Less headers of IPv4 and TCP, as EC2 has it. */
const TCP_MSS = IPSEC_MTU - 40

export function xmlConfiguration(configuration: Configuration): string {
  const { connection, customerGateway, vpnGateway, tunnels } = configuration
  const inside = lines(
    [
      ['customer_gateway_id', customerGateway],
      ['vpn_gateway_id', vpnGateway],
      ['vpn_connection_type', 'ipsec.1'],
      // Routes are static.
      ['vpn_connection_attributes', 'NoBGPVPNConnection'],
      ...tunnels.map((tunnel): Element => ['ipsec_tunnel', tunnelElements(configuration, tunnel)]),
    ],
    1,
  )
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<vpn_connection id="${escapeXml(connection)}">`,
    ...inside,
    '</vpn_connection>',
    '',
  ].join('\n')
}

function tunnelElements(
  { device }: Configuration,
  tunnel: TunnelConfiguration,
): readonly Element[] {
  const { address, insideCloud, insideDevice } = tunnel
  return [
    ['customer_gateway', endElements(device.address, insideDevice)],
    ['vpn_gateway', endElements(address, insideCloud)],
    ...(device.publicKey === '' ? ipsecElements(tunnel) : wireguardElements(device, tunnel)),
  ]
}

function endElements(outside: string, inside: string): readonly Element[] {
  return [
    ['tunnel_outside_address', [['ip_address', outside]]],
    [
      'tunnel_inside_address',
      [
        ['ip_address', inside],
        ['network_mask', '255.255.255.252'],
        ['network_cidr', 30],
      ],
    ],
  ]
}

function ipsecElements({ key, options }: TunnelConfiguration): readonly Element[] {
  const best = bestAlgorithms(options)
  const [cipher1, cipher2] = [best.phase1EncryptionAlgorithms, best.phase2EncryptionAlgorithms]
  const [hash1, hash2] = [best.phase1IntegrityAlgorithms, best.phase2IntegrityAlgorithms]
  return [
    [
      'ike',
      [
        ['authentication_protocol', hashName(hash1[0])],
        ['encryption_protocol', cipherName(cipher1[0])],
        ['lifetime', options.phase1LifetimeSeconds],
        ['perfect_forward_secrecy', `group${best.phase1DhGroupNumbers[0]}`],
        ['version', 'ikev2'],
        ['pre_shared_key', key],
      ],
    ],
    [
      'ipsec',
      [
        ['protocol', 'esp'],
        ['authentication_protocol', `hmac-${hashName(hash2[0])}`],
        ['encryption_protocol', cipherName(cipher2[0])],
        ['lifetime', options.phase2LifetimeSeconds],
        ['perfect_forward_secrecy', `group${best.phase2DhGroupNumbers[0]}`],
        ['mode', 'tunnel'],
        ['clear_df_bit', 'true'],
        ['fragmentation_before_encryption', 'true'],
        ['tcp_mss_adjustment', TCP_MSS],
        [
          'dead_peer_detection',
          [
            ['interval', 10],
            ['retries', 3],
          ],
        ],
      ],
    ],
  ]
}

/** The key is where every client looks for it; the rest is this cloud's own. */
function wireguardElements(
  { publicKey }: Configuration['device'],
  tunnel: TunnelConfiguration,
): readonly Element[] {
  return [
    ['ike', [['pre_shared_key', tunnel.key]]],
    [
      'wireguard',
      [
        ['customer_gateway_public_key', publicKey],
        ['vpn_gateway_public_key', tunnel.publicKey],
        ['vpn_gateway_endpoint', tunnel.endpoint],
      ],
    ],
  ]
}

/** `AES256-GCM-16` is `aes-256-gcm-16`, `AES128` is `aes-128-cbc`. */
function cipherName(name = ''): string {
  const lower = name.toLowerCase().replace('aes', 'aes-')
  return lower.includes('gcm') ? lower : `${lower}-cbc`
}

function hashName(name = ''): string {
  return name.toLowerCase()
}

function lines(elements: readonly Element[], depth: number): string[] {
  const indent = '  '.repeat(depth)
  return elements.flatMap(([name, content]) =>
    typeof content === 'object'
      ? [`${indent}<${name}>`, ...lines(content, depth + 1), `${indent}</${name}>`]
      : [`${indent}<${name}>${escapeXml(String(content))}</${name}>`],
  )
}
