// Two racks of one host each behind a router that lets nothing but WireGuard pass, and what the
// gateway would desire of them: network `blue` in both racks, `red` of another VPC in the first.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Cc, openCc } from '../../../cluster-agent/cc/reconcilers.ts'
import type { PublicSide } from '../../../cluster-agent/cc/underlay.ts'
import { guardReconciler } from '../../../cluster-agent/host/guard.ts'
import { addPorts, OURS } from '../../../cluster-agent/host/ovs.ts'
import { ensureSwitch } from '../../../cluster-agent/host/switch.ts'
import { systemClock } from '../../../common/clock.ts'
import type { Exec } from '../../../common/exec.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { type Machine, probeMachine } from '../../../common/machine.ts'
import { reconcileOnce } from '../../../common/reconcile.ts'
import * as pb from '../../../proto/gen/mallee/v1/desired_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { DHCP6_CLIENT } from '../../support/dhcp6-client.ts'
import { joinHosts, type SimulatedHost, startHost } from '../../support/netns.ts'

export interface FakeVm {
  readonly name: string
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
}

export interface Rack {
  readonly host: SimulatedHost
  readonly index: number
  /** A driver as a restarted agent would open it. */
  readonly open: (log: Log, through?: Exec) => Promise<Cc>
  readonly machine: Machine
  /** Plugged so far, by `plugVm`. */
  readonly taps: Set<string>
}

const FABRIC = 'fd00:fab::/48'
export const MTU = 1420
const PORT = 51_820

export const BLUE_A = vm('blue-a', 1, '10.0.1.10', 'fd01:0:0:1::10')
export const BLUE_B = vm('blue-b', 2, '10.0.2.10', 'fd01:0:0:2::10')
export const RED_A = vm('red-a', 3, '10.16.1.10', 'fd02:0:0:1::10')

function vm(name: string, n: number, ipv4: string, ipv6: string): FakeVm {
  return { name, mac: `02:00:00:00:00:0${n}`, ipv4, ipv6 }
}

const NETWORKS = [
  { rack: 1, name: 'blue-1', vpc: 'blue', tag: 11, v4: '10.0.1', v6: 'fd01:0:0:1', vms: [BLUE_A] },
  { rack: 1, name: 'red-1', vpc: 'red', tag: 12, v4: '10.16.1', v6: 'fd02:0:0:1', vms: [RED_A] },
  { rack: 2, name: 'blue-2', vpc: 'blue', tag: 13, v4: '10.0.2', v6: 'fd01:0:0:2', vms: [BLUE_B] },
] as const

/** What one rack's CC shall make, when the other rack's key is `peerKey`. */
export function desiredOf(index: 1 | 2, peerKey: string): Desired {
  const other = 3 - index
  const mine = NETWORKS.filter(({ rack }) => rack === index)
  const theirs = NETWORKS.filter(({ rack }) => rack === other)
  const all = [
    resource('rack', {
      case: 'rack',
      value: create(pb.RackConfigSchema, {
        region: 'mallee-1',
        rack: `r${index}`,
        rackIndex: index,
        cloudFabric: FABRIC,
        rackFabric: `fd00:fab:0:${index}::/64`,
        mtu: MTU,
      }),
    }),
    vpc('blue', '10.0.0.0/20', 'fd01::/56'),
    vpc('red', '10.16.0.0/20', 'fd02::/56'),
    ...mine.map(({ name, vpc: vpcId, tag, v4, v6 }) =>
      resource(`network/${name}`, {
        case: 'network',
        value: create(pb.NetworkSchema, {
          id: name,
          vpcId,
          vlanTag: tag,
          ipv4Cidr: `${v4}.0/24`,
          ipv4Gateway: `${v4}.1`,
          ipv6Cidr: `${v6}::/64`,
          ipv6Gateway: `${v6}::1`,
          mtu: MTU,
          domain: 'mallee.internal',
        }),
      }),
    ),
    ...mine.flatMap(({ name, vms }) =>
      vms.map((one) =>
        resource(`interface/${one.name}`, {
          case: 'interface',
          value: create(pb.InterfaceSchema, {
            id: one.name,
            networkId: name,
            mac: one.mac,
            ipv4: one.ipv4,
            ipv6: one.ipv6,
            hostname: one.name,
            sourceDestCheck: true,
          }),
        }),
      ),
    ),
    resource(`tunnel/r${other}/h1`, {
      case: 'tunnel',
      value: create(pb.TunnelSchema, {
        rack: `r${other}`,
        host: 'h1',
        publicKey: peerKey,
        presharedKey: Buffer.alloc(32, 7),
        endpoints: [`[2001:db8:${other}::2]:${PORT}`, `192.0.${other}.2:${PORT}`],
        allowedIps: [
          `fd00:fab:0:${other}::1/128`,
          ...theirs.flatMap(({ v4, v6 }) => [`${v4}.0/24`, `${v6}::/64`]),
        ],
        keepaliveS: 5,
      }),
    }),
  ]
  return new Map(all.map((one) => [one.key, one]))
}

function vpc(id: string, ipv4: string, ipv6: string) {
  const value = create(pb.VpcSchema, { id, ipv4Cidrs: [ipv4], ipv6Cidrs: [ipv6] })
  return resource(`vpc/${id}`, { case: 'vpc', value })
}

export interface TwoRacks {
  readonly racks: [Rack, Rack]
  /** The router between them. */
  readonly inet: SimulatedHost
  readonly stop: () => Promise<void>
}

/** Starts the router and both racks' hosts; `stop` ends all of it. `ports` are what it passes. */
export async function startTwoRacks({
  publicSide = null,
  ports = [PORT],
}: {
  readonly publicSide?: PublicSide | null
  readonly ports?: readonly number[]
} = {}): Promise<TwoRacks> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-two-racks-'))
  // dnsmasq reads below it as nobody.
  await chmod(dir, 0o755)
  const hosts: SimulatedHost[] = []
  const stop = async () => {
    for (const host of hosts) await host.stop()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    for (const name of ['inet', 'a', 'b']) hosts.push(await startHost(name, dir))
    const [inet, a, b] = hosts as [SimulatedHost, SimulatedHost, SimulatedHost]
    await inet.exec(['nft', '-f', '-'], { input: onlyWireguard(ports) })
    await inet.exec([
      ...['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'],
    ])
    const start = (host: SimulatedHost, index: 1 | 2) =>
      startRack(host, inet, index, { publicSide })
    return { racks: [await start(a, 1), await start(b, 2)], inet, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const onlyWireguard = (ports: readonly number[]): string => `table inet wire {
  chain forward {
    type filter hook forward priority 0; policy drop;
    udp dport { ${ports.join(', ')} } counter accept
    # An error about it, when one end is up before the other.
    ct state related accept
    counter drop
  }
}
`

async function startRack(
  host: SimulatedHost,
  inet: SimulatedHost,
  index: 1 | 2,
  { publicSide }: { readonly publicSide: PublicSide | null },
): Promise<Rack> {
  await joinHosts([host, 'eth0'], [inet, `rack${index}`])
  const [v4, v6] = [`192.0.${index}`, `2001:db8:${index}`]
  await inet.exec(['ip', 'address', 'add', `${v4}.1/24`, 'dev', `rack${index}`])
  await inet.exec(['ip', 'address', 'add', `${v6}::1/64`, 'dev', `rack${index}`, 'nodad'])
  await host.exec(['ip', 'address', 'add', `${v4}.2/24`, 'dev', 'eth0'])
  await host.exec(['ip', 'address', 'add', `${v6}::2/64`, 'dev', 'eth0', 'nodad'])
  await host.exec(['ip', 'route', 'add', 'default', 'via', `${v4}.1`])
  await host.exec(['ip', '-6', 'route', 'add', 'default', 'via', `${v6}::1`])
  const machine = await probeMachine(host.exec)
  const config = {
    host: 'h1',
    hostIndex: 1,
    trunk: null,
    public: publicSide,
    wireguardPort: PORT,
    endpoints: [],
    ownsFlows: true,
  }
  const { exec, paths } = host
  const open = (log: Log, through: Exec = exec) =>
    openCc({ exec: through, paths, machine, clock: systemClock, log, config })
  return { host, index, open, machine, taps: new Set() }
}

/** A network namespace inside of the host that is plugged into a network like an instance. */
export async function plugVm(rack: Rack, one: FakeVm, tag: number, log: Log): Promise<void> {
  const { exec, paths } = rack.host
  const tap = `tap-${one.name}`
  await exec(['ip', 'netns', 'add', one.name])
  const peer = ['peer', 'name', 'eth0', 'address', one.mac, 'netns', one.name]
  await exec(['ip', 'link', 'add', tap, 'type', 'veth', ...peer])
  // Frames must be whole when the userspace data path takes them.
  await inVm(rack, one, ['ethtool', '-K', 'eth0', 'tx', 'off'])
  await exec(['ip', 'link', 'set', tap, 'up'])
  const sw = await ensureSwitch({ exec, paths, machine: rack.machine, log })
  await addPorts(exec, sw, [{ name: tap, tag, externalIds: { [OURS]: 'test' } }])
  // As an NC does: else the host's kernel answers ARP on the tap, for every address that it has.
  rack.taps.add(tap)
  const guard = guardReconciler({ exec, group: 'taps', ports: () => [...rack.taps] })
  await reconcileOnce(guard, log)
  await inVm(rack, one, ['ip', 'link', 'set', 'lo', 'up'])
  await inVm(rack, one, ['ip', 'link', 'set', 'eth0', 'up'])
}

/** Addresses, MTU and default routes that an instance would get, without waiting for DHCP. */
export async function settleVm(rack: Rack, one: FakeVm, mtu = MTU): Promise<void> {
  for (const argv of [
    ['link', 'set', 'eth0', 'mtu', `${mtu}`],
    ['address', 'add', `${one.ipv4}/24`, 'dev', 'eth0'],
    ['address', 'add', `${one.ipv6}/64`, 'dev', 'eth0', 'nodad'],
    ['route', 'add', 'default', 'via', one.ipv4.replace(/\d+$/, '1')],
    ['-6', 'route', 'replace', 'default', 'via', 'fe80::1', 'dev', 'eth0'],
  ]) {
    await inVm(rack, one, ['ip', ...argv])
  }
}

export async function inVm(
  rack: Rack,
  one: FakeVm,
  argv: readonly string[],
  okCodes: readonly number[] = [0],
): Promise<{ stdout: string; code: number }> {
  const inside = ['ip', 'netns', 'exec', one.name, ...argv]
  return await rack.host.exec(inside, { okCodes, timeoutMs: 30_000 })
}

const LEASE_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip route add default via "$router"
ip link set dev "$interface" mtu "$mtu"
echo "$ip/$mask $router $mtu $domain $hostname"
`

/** Leases both families with real clients; returns what the DHCPv4 one was told. */
export async function leaseAddresses(rack: Rack, one: FakeVm): Promise<string> {
  const script = join(rack.host.paths.runDir, 'lease.sh')
  await writeFile(script, LEASE_SCRIPT, { mode: 0o755 })
  const udhcpc = ['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '20', '-T', '1']
  const { stdout } = await inVm(rack, one, [...udhcpc, '-s', script])
  const leased = await inVm(rack, one, [process.execPath, DHCP6_CLIENT, 'eth0', one.mac])
  const address = leased.stdout.trim()
  await inVm(rack, one, ['ip', 'address', 'add', `${address}/128`, 'dev', 'eth0', 'nodad'])
  return stdout
}

/** Whether a ping of one second is answered; `more` are other flags of ping. */
export async function pings(
  rack: Rack,
  one: FakeVm,
  to: string,
  ...more: readonly string[]
): Promise<boolean> {
  const argv = ['ping', '-n', '-c', '1', '-W', '1', ...more, to]
  return (await inVm(rack, one, argv, [0, 1, 2])).code === 0
}

/** A log that only collects what passes did. */
export function listening(steps: string[]): Log {
  const log: Log = {
    ...silentLog,
    info: (event, fields) => steps.push(`${event} ${JSON.stringify(fields)}`),
    with: () => log,
  }
  return log
}
