// A connection for a device with strongSwan, as a file for swanctl(8).

import { IPSEC_MTU } from '../../topology/ranges.ts'
import { answered, type Configuration, type TunnelConfiguration } from './configuration.ts'
import { comment, deviceName, failover, routeCommands } from './device-routes.ts'
import { bestAlgorithms, espProposals, ikeProposals } from './proposals.ts'

/** Renewed so much before its end that one failure is no outage; the rest is chance. */
const REKEY_SHARE = 10 / 11

/** Throws nothing; to be asked when missingOf says null. */
export function strongswanConfiguration(configuration: Configuration): string {
  const held = configuration.tunnels.filter(({ isHeld }) => isHeld)
  return [
    ...introduction(configuration, held),
    '',
    'connections {',
    ...held.flatMap((tunnel) => connectionOf(configuration, tunnel)),
    '}',
    '',
    'secrets {',
    ...held.flatMap((tunnel) => secretOf(configuration, tunnel)),
    '}',
    '',
  ].join('\n')
}

function introduction(
  configuration: Configuration,
  held: readonly TunnelConfiguration[],
): readonly string[] {
  const { connection, tunnels } = configuration
  const isUp = `swanctl --list-sas --child ${connection}-1 | grep -q INSTALLED`
  return comment([
    `VPN connection ${connection} for strongSwan 5.9 or later: IKEv2 with pre-shared keys.`,
    '',
    `1. Save this as /etc/swanctl/conf.d/${connection}.conf, readable by root alone.`,
    '2. Make an interface for each tunnel, and routes. Where the device itself talks to the cloud,',
    '   add "src" and an address of its own that is in local_ts.',
    ...held.flatMap((tunnel) => commandsFor(configuration, tunnel)).map((line) => `     ${line}`),
    '3. swanctl --load-all',
    '4. To forward for the networks behind the device: sysctl -w net.ipv4.ip_forward=1',
    '',
    'When the routes of the connection or the blocks of the VPC change, get this file again.',
    ...(tunnels.length > held.length
      ? ['', 'The other tunnel is not there: it needs a second host of the cloud.']
      : []),
    ...(held.length > 1 ? ['', ...failover(configuration, isUp)] : []),
  ])
}

function commandsFor(
  configuration: Configuration,
  { index, number, insideDevice }: TunnelConfiguration,
): string[] {
  const name = deviceName(configuration.connection, index)
  return [
    `ip link add ${name} type xfrm if_id ${number}`,
    `ip link set ${name} mtu ${IPSEC_MTU} up`,
    `ip address add ${insideDevice}/30 dev ${name}`,
    `sysctl -w net.ipv4.conf.${name}.rp_filter=2`,
    ...routeCommands(configuration, 'replace', { name, index }),
  ]
}

function connectionOf(
  { connection, vpcCidrs, routes, device }: Configuration,
  { index, number, address, insideCloud, insideDevice, options }: TunnelConfiguration,
): readonly string[] {
  const best = bestAlgorithms(options)
  const far = answered(vpcCidrs, routes)
  return [
    `  ${connection}-${index} {`,
    '    version = 2',
    `    remote_addrs = ${address}`,
    `    proposals = ${ikeProposals(best).join(', ')}`,
    // Works through every NAT, and with an end that does IPsec in user space.
    '    encap = yes',
    '    mobike = no',
    '    keyingtries = 0',
    '    dpd_delay = 10s',
    `    rekey_time = ${rekeyed(options.phase1LifetimeSeconds)}s`,
    `    if_id_in = ${number}`,
    `    if_id_out = ${number}`,
    '    local {',
    '      auth = psk',
    `      id = ${device.address}`,
    '    }',
    '    remote {',
    '      auth = psk',
    `      id = ${address}`,
    '    }',
    '    children {',
    `      ${connection}-${index} {`,
    `        local_ts = ${[...routes, `${insideDevice}/32`].join(', ')}`,
    `        remote_ts = ${[...far, `${insideCloud}/32`].join(', ')}`,
    `        esp_proposals = ${espProposals(best).join(', ')}`,
    `        rekey_time = ${rekeyed(options.phase2LifetimeSeconds)}s`,
    `        life_time = ${options.phase2LifetimeSeconds}s`,
    '        start_action = start',
    '        close_action = start',
    '        dpd_action = restart',
    '      }',
    '    }',
    '  }',
  ]
}

function secretOf(
  { connection }: Configuration,
  { index, address, key }: TunnelConfiguration,
): readonly string[] {
  return [`  ike-${connection}-${index} {`, `    id = ${address}`, `    secret = "${key}"`, '  }']
}

function rekeyed(lifetimeSeconds: number): number {
  return Math.floor(lifetimeSeconds * REKEY_SHARE)
}
