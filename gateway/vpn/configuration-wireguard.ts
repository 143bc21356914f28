// A connection for a WireGuard device, as files for wg-quick(8): one for each tunnel.

import { TENANT_MTU, TUNNEL_KEEPALIVE_S, VPN_PORT } from '../../topology/ranges.ts'
import type { Configuration, TunnelConfiguration } from './configuration.ts'
import { comment, deviceName, failover, routeCommands } from './device-routes.ts'
import { wireguardKeyOf } from './keys.ts'

/** What stands for the key that only the device knows. */
export const PRIVATE_KEY = 'DEVICE_PRIVATE_KEY'

/** Throws nothing; to be asked when missingOf says null. */
export function wireguardConfiguration(configuration: Configuration): string {
  const held = configuration.tunnels.filter(({ isHeld }) => isHeld)
  return [
    ...introduction(configuration, held),
    ...held.flatMap((tunnel) => ['', ...fileOf(configuration, tunnel)]),
    '',
  ].join('\n')
}

function introduction(
  configuration: Configuration,
  held: readonly TunnelConfiguration[],
): readonly string[] {
  const { connection, device, tunnels } = configuration
  const names = held.map(({ index }) => deviceName(connection, index))
  const [first, second] = held
  const ping = `ping -c 3 -W 2 -q -I ${names[0]} ${first?.insideCloud} > /dev/null`
  return comment([
    `VPN connection ${connection} for a WireGuard device, with wg-quick(8).`,
    '',
    '1. Save what follows a line "# File" as that file, readable by root alone.',
    `2. In each of them put the private key instead of ${PRIVATE_KEY}: the one whose public key`,
    `   is ${device.publicKey}`,
    `3. ${names.map((name) => `wg-quick up ${name}`).join('; ')}`,
    '4. To forward for the networks behind the device: sysctl -w net.ipv4.ip_forward=1',
    '   Where the device itself talks to the cloud, add to the routes "src" and an address of its',
    '   own that is in a route of the connection.',
    ...(tunnels.length > held.length
      ? ['', 'The other tunnel is not there: it needs a second host of the cloud.']
      : []),
    // Two peers of one interface cannot have the same AllowedIPs.
    ...(second === undefined ? [] : ['', ...failover(configuration, ping)]),
  ])
}

function fileOf(configuration: Configuration, tunnel: TunnelConfiguration): readonly string[] {
  const { connection, vpcCidrs } = configuration
  const name = deviceName(connection, tunnel.index)
  const key = Buffer.from(wireguardKeyOf(tunnel.key)).toString('base64')
  return [
    `# File /etc/wireguard/${name}.conf`,
    '[Interface]',
    `Address = ${tunnel.insideDevice}/30`,
    `PrivateKey = ${PRIVATE_KEY}`,
    `ListenPort = ${VPN_PORT + tunnel.number}`,
    `MTU = ${TENANT_MTU}`,
    'Table = off',
    // Answers may come by the other tunnel.
    'PostUp = sysctl -q -w net.ipv4.conf.%i.rp_filter=2',
    ...routeCommands(configuration, 'replace', { name: '%i', index: tunnel.index }).map(
      (command) => `PostUp = ${command}`,
    ),
    '',
    '[Peer]',
    `PublicKey = ${tunnel.publicKey}`,
    `PresharedKey = ${key}`,
    `AllowedIPs = ${[tunnel.insideCidr, ...vpcCidrs].join(', ')}`,
    `Endpoint = ${tunnel.endpoint}`,
    `PersistentKeepalive = ${TUNNEL_KEEPALIVE_S}`,
  ]
}
