// Devices with strongSwan as its own tools set it up, each in a host of its own, on one Ethernet
// with a CC; and what a gateway would desire of the tunnels to them.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { charonConfig, charonDevice, charonPid } from '../../../cluster-agent/host/strongswan.ts'
import type { Machine } from '../../../common/machine.ts'
import { type VpnLink, VpnLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { until } from '../../../sandbox/until.ts'
import { IPSEC_MTU } from '../../../topology/ranges.ts'
import { joinHosts, type SimulatedHost, startHost } from '../../support/netns.ts'

/** The same behind every device. */
export const FAR = ['192.168.0.0/24', 'fd77::/64'] as const
export const FAR4 = '192.168.0.5'
export const FAR6 = 'fd77::5'
const IKE = 'aes256gcm16-prfsha384-ecp384'
const ESP = 'aes256gcm16-ecp384'

export interface Customer {
  readonly number: number
  readonly host: SimulatedHost
  /** Where the CC reaches it, and it the CC. */
  readonly address: string
  readonly cloud: string
  /** Of its VPC, each with the address of an instance. */
  readonly blocks: readonly string[]
  readonly instances: readonly string[]
  readonly key: string
}

/** In the desired state of the CC. */
export function linkOf(
  { number, address, blocks, key }: Customer,
  change: { readonly remotePrefixes?: readonly string[] } = {},
): VpnLink {
  return create(VpnLinkSchema, {
    ...{ number, id: `vpn-${number}`, host: 'h1', mtu: IPSEC_MTU },
    kind: {
      case: 'ipsec',
      value: {
        remoteAddress: address,
        presharedKey: Buffer.from(key),
        ikeProposals: [IKE],
        espProposals: [ESP],
        ikeLifetimeS: 28_800,
        childLifetimeS: 3_600,
        dpdTimeoutS: 30,
        restartOnSilence: true,
        initiate: false,
      },
    },
    remotePrefixes: [...(change.remotePrefixes ?? FAR)],
    localPrefixes: [...blocks],
    insideAddress: `169.254.30.${4 * number + 1}/30`,
    farInsideAddress: `169.254.30.${4 * number + 2}/30`,
  })
}

/** A host with an uplink to `inet`, a bridge; its addresses end with `n`. */
export async function startOn(
  inet: SimulatedHost,
  { name, n, dir }: { name: string; n: number; dir: string },
): Promise<SimulatedHost> {
  const host = await startHost(name, dir)
  await joinHosts([host, 'eth0'], [inet, name])
  await inet.exec(['ip', 'link', 'set', name, 'master', 'br0'])
  const lines = [
    `address add 203.0.113.${n}/24 dev eth0`,
    `address add 2001:db8::${n}/64 dev eth0 nodad`,
    'route add default via 203.0.113.254',
    'route add default via 2001:db8::254',
  ]
  await host.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  return host
}

/** As strongSwan's documentation sets one up, with the kernel's IPsec or without. */
export async function setUpDevice(
  customer: Customer,
  { ipsec }: Pick<Machine, 'ipsec'>,
): Promise<void> {
  if (ipsec === 'missing') throw new Error('there is no strongSwan')
  const { host, number } = customer
  const { exec, paths } = host
  const files = {
    config: join(paths.runDir, 'strongswan.conf'),
    socket: join(paths.runDir, 'charon.vici'),
    log: join(paths.runDir, 'charon.log'),
  }
  if ((await charonPid(exec, files)) === null) {
    // With the keys in its log: it may be a hostile one.
    const config = charonConfig(files, ipsec).replace('enc = 0', 'enc = 0\n      chd = 4')
    await writeFile(files.config, config)
    const env = { STRONGSWAN_CONF: files.config }
    await exec(['setsid', '--fork', 'charon-systemd'], { env, outputFile: files.log })
    await until('the device runs', async () => (await charonPid(exec, files)) !== null)
    const tun = await charonDevice(exec, (await charonPid(exec, files)) ?? 0)
    const device = tun ?? 'vpn0'
    const lines = [
      ...(tun === null ? [`link add ${device} type xfrm dev lo if_id ${number}`] : []),
      `link set dev ${device} up mtu ${IPSEC_MTU}`,
      `address add ${FAR4}/32 dev lo`,
      `address add ${FAR6}/128 dev lo nodad`,
      `address add 169.254.30.${4 * number + 2}/30 dev ${device}`,
      // Wherever it wants: what leaves is for the cloud to judge.
      `route add 10.0.0.0/8 dev ${device} src ${FAR4}`,
      `route add fd00::/12 dev ${device} src ${FAR6}`,
    ]
    await exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  }
  const conf = join(paths.runDir, 'swanctl.conf')
  await writeFile(conf, swanctlConf(customer), { mode: 0o600 })
  const argv = ['swanctl', '--load-all', '--noprompt', '--file', conf]
  await exec([...argv, '--uri', `unix://${files.socket}`])
}

function swanctlConf({ number, address, cloud, blocks, key }: Customer): string {
  const inside = [2, 1].map((n) => `169.254.30.${4 * number + n}/32`)
  return `connections {
  cloud {
    version = 2
    remote_addrs = ${cloud}
    proposals = ${IKE}
    encap = yes
    mobike = no
    keyingtries = 0
    if_id_in = ${number}
    if_id_out = ${number}
    local {
      auth = psk
      id = ${address}
    }
    remote {
      auth = psk
      id = ${cloud}
    }
    children {
      cloud {
        local_ts = ${[...FAR, inside[0]].join(', ')}
        remote_ts = ${[...blocks, inside[1]].join(', ')}
        esp_proposals = ${ESP}
        start_action = start
        close_action = start
        dpd_action = restart
      }
    }
  }
}
secrets {
  ike-cloud {
    id = ${cloud}
    secret = "${key}"
  }
}
`
}

export interface IpsecWorld {
  readonly cc: SimulatedHost
  readonly customers: readonly [Customer, Customer]
  readonly stop: () => Promise<void>
}

/** A CC and two devices that are not set up yet: one by IPv4, the other by IPv6. */
export async function startIpsecWorld(): Promise<IpsecWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-ipsec-'))
  const hosts: SimulatedHost[] = []
  const stop = async (): Promise<void> => {
    for (const host of hosts) await host.stop()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const inet = await startHost('inet', dir)
    hosts.push(inet)
    await inet.exec(['ip', 'link', 'add', 'br0', 'up', 'type', 'bridge'])
    for (const [i, name] of ['cc', 'blue', 'red'].entries()) {
      hosts.push(await startOn(inet, { name, n: i + 1, dir }))
    }
    const [, cc, blue, red] = hosts as [SimulatedHost, SimulatedHost, SimulatedHost, SimulatedHost]
    const customers = [
      {
        ...{ number: 1, host: blue, address: '203.0.113.2', cloud: '203.0.113.1' },
        ...{ blocks: ['10.0.0.0/20', 'fd01::/56'], instances: ['10.0.1.10', 'fd01::10'] },
        key: 'blue.key.0123456789',
      },
      {
        ...{ number: 2, host: red, address: '2001:db8::3', cloud: '2001:db8::1' },
        ...{ blocks: ['10.16.0.0/20', 'fd02::/56'], instances: ['10.16.1.10', 'fd02::10'] },
        key: 'red.key.0123456789',
      },
    ] as const
    return { cc, customers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
