// Fake instances with metadata in two racks, one with somebody behind it, and what they see.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { METADATA_IPV4, METADATA_IPV6 } from '../../../../cluster-agent/cc/names.ts'
import { InterfaceSchema } from '../../../../proto/gen/mallee/v1/desired_pb.js'
import { MemberSchema } from '../../../../proto/gen/mallee/v1/tenants_pb.js'
import { type Desired, resource } from '../../../../proto/resources.ts'
import { until } from '../../../../sandbox/until.ts'
import type { SimulatedHost } from '../../../support/netns.ts'
import { BLUE_A, BLUE_B, desiredOf, type FakeVm, inVm, type Rack, RED_A } from '../two-racks.ts'
import { TTL } from './forged.ts'
import { SERVE } from './serve.ts'
import { instanceOf } from './support.ts'

const VMS = [BLUE_A, RED_A, BLUE_B]
/** Behind the instance blue-a, as a container is. */
export const BEHIND: FakeVm = { name: 'behind', mac: '', ipv4: '172.17.0.2', ipv6: 'fd77::2' }

/** `desiredOf` with an instance at each interface, and members: names of the other rack. */
export function withInstances(index: 1 | 2, peerKey: string, hopLimit: number): Desired {
  const all = new Map(desiredOf(index, peerKey))
  for (const { name, ipv4, ipv6 } of VMS) {
    const key = `interface/${name}`
    const own = all.get(key)?.body
    if (own?.case === 'interface') {
      const hostname = `ip-${ipv4.replaceAll('.', '-')}`
      const value = create(InterfaceSchema, { ...own.value, instanceId: `i-${name}`, hostname })
      all.set(key, resource(key, { case: 'interface', value }))
      const instance = instanceOf(`i-${name}`, { hopLimit, ipv6: true, tokensOptional: false })
      all.set(`instance/i-${name}`, resource(name, { case: 'instance', value: instance }))
    }
    const member = { groupId: 'sg-1', interfaceId: name, addresses: [ipv4, ipv6] }
    const value = create(MemberSchema, member)
    all.set(`member/${name}`, resource(`member/${name}`, { case: 'member', value }))
  }
  return all
}

/** Starts the racks' metadata service, in the host's own network. */
export async function serve({ host }: Rack, vms: readonly FakeVm[]): Promise<void> {
  const inside = ['nsenter', `--target=${host.pid}`, '--all', '--', process.execPath, SERVE]
  const instances = vms.map(({ name, ipv4, ipv6 }) => `i-${name}=${ipv4},${ipv6}`)
  const key = join(host.paths.stateDir, 'metadata-test.key')
  const [program = '', ...args] = [...inside, key, ...instances]
  // It ends with its host.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  assert.equal(String(line), 'listening\n')
  child.stdout.destroy()
  child.unref()
}

/** A namespace that blue-a forwards for, with its own address: as containers have it. */
export async function hideBehind(rack: Rack): Promise<void> {
  const { exec } = rack.host
  await exec(['ip', 'netns', 'add', BEHIND.name])
  const link = ['ip', 'link', 'add', 'veth0', 'netns', BLUE_A.name, 'type', 'veth']
  await exec([...link, 'peer', 'name', 'eth0', 'netns', BEHIND.name])
  const rules = 'table inet nat { chain leave { type nat hook postrouting priority srcnat;'
  for (const [vm, argv] of [
    [BLUE_A, ['ip', 'address', 'add', '172.17.0.1/24', 'dev', 'veth0']],
    [BLUE_A, ['ip', 'address', 'add', 'fd77::1/64', 'dev', 'veth0', 'nodad']],
    [BLUE_A, ['ip', 'link', 'set', 'veth0', 'up']],
    [BLUE_A, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']],
    [BLUE_A, ['nft', `${rules} oifname "eth0" masquerade; }\n}`]],
    [BEHIND, ['ip', 'address', 'add', `${BEHIND.ipv4}/24`, 'dev', 'eth0']],
    [BEHIND, ['ip', 'address', 'add', `${BEHIND.ipv6}/64`, 'dev', 'eth0', 'nodad']],
    [BEHIND, ['ip', 'link', 'set', 'eth0', 'up']],
    [BEHIND, ['ip', 'route', 'add', 'default', 'via', '172.17.0.1']],
    [BEHIND, ['ip', '-6', 'route', 'add', 'default', 'via', 'fd77::1']],
  ] as const) {
    await inVm(rack, vm, argv)
  }
}

/** The hop limit of the first answer with a body that blue-a is sent while it gets a token. */
export async function hopLimitOf(rack: Rack, base: string): Promise<number> {
  // In both families the flags are the fourteenth byte of TCP's header; pcap knows it in IPv4 only.
  const answers = base.includes('[')
    ? `ip6 src ${METADATA_IPV6} and ip6[53] & 8 != 0`
    : `src ${METADATA_IPV4} and tcp[13] & 8 != 0`
  const log = join(rack.host.paths.runDir, 'hops.log')
  // One of an earlier capture would say too early that this one listens.
  await rm(log, { force: true })
  const capture = `timeout 15 tcpdump -nvl -c 1 -i eth0 '${answers}' >${log} 2>&1`
  const heard = inVm(rack, BLUE_A, ['sh', '-c', capture])
  const text = async (): Promise<string> => (await rack.host.exec(['cat', log])).stdout
  await until('tcpdump listens', async () => (await text().catch(() => '')).includes('listening'))
  await inVm(rack, BLUE_A, ['curl', '-s', '-X', 'PUT', ...TTL, `${base}/latest/api/token`])
  await heard
  return Number(/(?:ttl|hlim) (\d+)/.exec(await text())?.[1])
}

/** The addresses of a name, IPv4 first. */
export async function ask(rack: Rack, vm: FakeVm, name: string, server: string): Promise<string> {
  const { stdout } = await inVm(rack, vm, ['busybox', 'nslookup', name, server], [0, 1])
  const answers = stdout.slice(stdout.indexOf('\n\n'))
  return [...answers.matchAll(/^Address: (\S+)$/gm)].map(([, one]) => one).join(' ')
}

/** A name server in the world, with names that lead to the services, which both racks use. */
export async function fakeInternetNames(
  inet: SimulatedHost,
  racks: readonly Rack[],
): Promise<void> {
  await inet.exec([
    ...['dnsmasq', '--conf-file=/dev/null', '--pid-file=/run/dnsmasq.pid', '--no-resolv'],
    ...['--no-hosts', '--bind-interfaces', '--listen-address=192.0.1.1,192.0.2.1'],
    `--address=/rebind.example/${METADATA_IPV4}`,
    `--address=/rebind6.example/${METADATA_IPV6}`,
    '--address=/honest.example/198.51.100.7',
  ])
  for (const { host, index } of racks) {
    const file = join(host.paths.runDir, 'resolv.conf')
    await writeFile(file, `nameserver 192.0.${index}.1\n`)
    await host.exec(['mount', '--bind', file, '/etc/resolv.conf'])
  }
}
