// The real dnsmasq on a host with many networks: leases, names and changes, always by one process.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { dhcpReconciler, removeDhcp } from '../../../cluster-agent/cc/dhcp.ts'
import { DNS_IPV4, DNS_IPV6, gatewayPort } from '../../../cluster-agent/cc/names.ts'
import { silentLog } from '../../../common/log.ts'
import { reconcileOnce } from '../../../common/reconcile.ts'
import { type DnsName, DnsNameSchema } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import {
  type Interface,
  InterfaceSchema,
  type Network,
  NetworkSchema,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import { DHCP6_CLIENT } from '../../support/dhcp6-client.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'

const NETWORKS = 60
const FIRST_TAG = 101
/** busybox udhcpc's script: sets the address and prints what was told. */
const LEASE_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address flush dev $interface scope global
ip address add $ip/$mask dev $interface
ip route replace default via $router dev $interface
echo "$ip/$mask $router $mtu dns=$dns domain=$domain"
`

const skip = whyNoHosts() ?? false

describe('dhcpReconciler with the real dnsmasq', { skip }, () => {
  let dir: string
  let host: SimulatedHost
  let script: string
  const networks = new Map<number, Network>()
  const interfaces = new Map<string, Interface>()
  let names: DnsName[] = []

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-dnsmasq-'))
    await chmod(dir, 0o755)
    host = await startHost('cc', dir)
    script = join(dir, 'lease.sh')
    await writeFile(script, LEASE_SCRIPT, { mode: 0o755 })
    await host.exec(['sh', '-c', 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns'])
    await host.exec(['ip', 'address', 'add', `${DNS_IPV4}/32`, 'dev', 'lo'])
    await host.exec(['ip', 'address', 'add', `${DNS_IPV6}/128`, 'dev', 'lo', 'nodad'])
    for (let at = 0; at < NETWORKS; at += 1) await addNetwork(FIRST_TAG + at)
    await pass()
  })
  after(async () => {
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  /** A network with its gateway, and a guest in a namespace `nTAG` of its own. */
  async function addNetwork(tag: number, change: Partial<Network> = {}): Promise<void> {
    const gw = gatewayPort(tag)
    const all = [
      `link add ${gw} mtu 1420 type veth peer name c${tag}`,
      `netns add n${tag}`,
      `link set c${tag} netns n${tag}`,
      `link set ${gw} addrgenmode none`,
      `address add 10.0.${tag}.1/24 dev ${gw}`,
      `address add fd01:0:0:${tag}::1/64 dev ${gw} nodad`,
      `address add fe80::1/64 dev ${gw} nodad`,
      `link set ${gw} up`,
    ]
    await host.exec(['ip', '-batch', '-'], { input: `${all.join('\n')}\n` })
    await inGuest(tag, ['sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0'])
    await inGuest(tag, ['sysctl', '-qw', `net.ipv6.conf.c${tag}.accept_dad=0`])
    const network = create(NetworkSchema, {
      id: `subnet-${tag}`,
      vlanTag: tag,
      ipv4Cidr: `10.0.${tag}.0/24`,
      ipv4Gateway: `10.0.${tag}.1`,
      ipv6Cidr: `fd01:0:0:${tag}::/64`,
      ipv6Gateway: `fd01:0:0:${tag}::1`,
      mtu: 1420,
      domain: 'mallee-1-a.internal',
      dns: true,
    })
    networks.set(tag, create(NetworkSchema, { ...network, ...change }))
    await plug(tag, `02:00:00:00:00:${(tag - FIRST_TAG + 16).toString(16)}`)
  }

  /** The network's one guest gets another MAC, and with it another interface. */
  async function plug(tag: number, mac: string, ipv6 = `fd01:0:0:${tag}::10`): Promise<void> {
    const lines = [
      `link set c${tag} down`,
      `link set c${tag} address ${mac}`,
      `link set c${tag} up`,
    ]
    await inGuest(tag, ['ip', '-batch', '-'], `${lines.join('\n')}\n`)
    interfaces.set(
      `eni-${tag}`,
      create(InterfaceSchema, {
        id: `eni-${tag}`,
        networkId: `subnet-${tag}`,
        mac,
        ipv4: `10.0.${tag}.10`,
        ipv6,
        hostname: `ip-10-0-${tag}-10`,
      }),
    )
  }

  async function inGuest(tag: number, argv: readonly string[], input = ''): Promise<string> {
    const whole = ['ip', 'netns', 'exec', `n${tag}`, ...argv]
    return (await host.exec(whole, { input, timeoutMs: 60_000 })).stdout
  }

  async function pass(): Promise<void> {
    const reconciler = dhcpReconciler(host, {
      rack: { region: 'mallee-1', rack: 'a', mtu: 1420 },
      networks: [...networks.values()],
      rackNetworks: [...networks.values()],
      interfaces: [...interfaces.values()],
      members: [],
      tunnels: [],
      names,
    })
    await reconcileOnce(reconciler, silentLog)
  }

  async function lease(tag: number): Promise<string> {
    const flags = ['-n', '-q', '-f', '-t', '10', '-T', '1', '-O', 'mtu']
    const argv = ['busybox', 'udhcpc', '-i', `c${tag}`, ...flags, '-s', script]
    return (await inGuest(tag, argv)).trim()
  }

  async function lease6(tag: number): Promise<string> {
    const mac = interfaces.get(`eni-${tag}`)?.mac ?? ''
    return (await inGuest(tag, [process.execPath, DHCP6_CLIENT, `c${tag}`, mac])).trim()
  }

  const pid = async (): Promise<string> => (await host.exec(['pidof', 'dnsmasq'])).stdout.trim()

  function told(tag: number, mtu = 1420): string {
    const rest = `dns=${DNS_IPV4} domain=mallee-1-a.internal`
    return `10.0.${tag}.10/24 10.0.${tag}.1 ${mtu} ${rest}`
  }

  test(`guests of ${NETWORKS} networks get their addresses at the same time`, async () => {
    const tags = [...networks.keys()]
    const all = await Promise.all(tags.map(lease))
    assert.deepEqual(
      all,
      tags.map((tag) => told(tag)),
    )
    assert.equal(await lease6(FIRST_TAG), 'fd01:0:0:101:0:0:0:10')
  })

  test('a network that comes while others renew changes nothing for them', async () => {
    const before = await pid()
    const renewing = [...networks.keys()].slice(0, 10).map(lease)
    const tag = FIRST_TAG + NETWORKS
    await addNetwork(tag)
    await pass()
    assert.equal(await lease(tag), told(tag))
    assert.equal(await lease6(tag), `fd01:0:0:${tag}:0:0:0:10`)
    await Promise.all(renewing)
    assert.equal(await pid(), before)
  })

  test('an address goes to its next owner, a removed one is no longer told', async () => {
    const before = await pid()
    const [first, second] = [FIRST_TAG + 1, FIRST_TAG + 2]
    await plug(first, '02:00:00:00:01:01', `fd01:0:0:${first}::11`)
    interfaces.delete(`eni-${second}`)
    await pass()
    assert.equal(await lease(first), told(first))
    assert.equal(await lease6(first), `fd01:0:0:${first}:0:0:0:11`)
    const flags = ['-n', '-q', '-f', '-t', '2', '-T', '1', '-s', script]
    await assert.rejects(
      inGuest(second, ['busybox', 'udhcpc', '-i', `c${second}`, ...flags]),
      /no lease/,
    )
    assert.equal(await pid(), before)
    await plug(second, '02:00:00:00:01:02', '')
    await pass()
    assert.equal(await lease(second), told(second))
    assert.equal(await pid(), before)
  })

  test("a gateway's port that goes and comes back serves again", async () => {
    const before = await pid()
    const tag = FIRST_TAG + 3
    await host.exec(['ip', 'link', 'delete', gatewayPort(tag)])
    await host.exec(['ip', 'netns', 'delete', `n${tag}`])
    await addNetwork(tag)
    assert.equal(await lease(tag), told(tag))
    assert.equal(await pid(), before)
  })

  test("DNS knows the rack's instances by name and address, at both addresses", async () => {
    const guest = FIRST_TAG
    await lease(guest)
    const ask = (what: string, server: string) =>
      inGuest(guest, ['busybox', 'nslookup', what, server])
    for (const server of [DNS_IPV4, `10.0.${guest}.1`]) {
      const answer = await ask('ip-10-0-105-10.mallee-1-a.internal', server)
      assert.match(answer, /Address: 10\.0\.105\.10\n/)
      assert.match(answer, /Address: fd01:0:0:105::10\n/)
      assert.match(await ask('10.0.105.10', server), /name = ip-10-0-105-10\.mallee-1-a\.internal/)
    }
    await assert.rejects(ask('ip-10-9-9-9.mallee-1-a.internal', DNS_IPV4), /exited 1/)
  })

  test("a load balancer's name is answered in every network, changes, and goes", async () => {
    const before = await pid()
    const name = 'web-1.elb.mallee-1.example'
    const ask = (tag: number) => inGuest(tag, ['busybox', 'nslookup', name, DNS_IPV4])
    const say = async (...addresses: string[]) => {
      names = [create(DnsNameSchema, { name, vpcId: 'vpc-1', addresses })]
      await pass()
    }
    await say('10.0.101.77', '10.0.102.77', 'fd01::77')
    for (const tag of [FIRST_TAG, FIRST_TAG + 7]) {
      const answer = await ask(tag)
      for (const address of ['10.0.101.77', '10.0.102.77', 'fd01::77']) {
        assert.match(answer, new RegExp(`Address: ${address}\n`))
      }
    }
    // It has no IPv6 address now, and nobody outside is asked for one.
    await say('10.0.102.77')
    assert.deepEqual((await ask(FIRST_TAG)).match(/Address: 1.*/g), ['Address: 10.0.102.77'])
    names = []
    await pass()
    await assert.rejects(ask(FIRST_TAG), /exited 1/)
    assert.equal(await pid(), before)
  })

  test('a network without the cloud DNS is told none', async () => {
    const before = await pid()
    const tag = FIRST_TAG + 4
    const network = networks.get(tag)
    assert.ok(network !== undefined)
    networks.set(tag, create(NetworkSchema, { ...network, dns: false, domain: '' }))
    await pass()
    assert.equal(await lease(tag), `10.0.${tag}.10/24 10.0.${tag}.1 1420 dns= domain=`)
    assert.equal(await pid(), before)
  })

  test('a network with an MTU of its own is told it, and nobody loses a lease', async () => {
    const tag = FIRST_TAG + 5
    const network = networks.get(tag)
    assert.ok(network !== undefined)
    networks.set(tag, create(NetworkSchema, { ...network, mtu: 1350 }))
    await pass()
    assert.equal(await lease(tag), told(tag, 1350))
    assert.equal(await lease(FIRST_TAG), told(FIRST_TAG))
  })

  test('removeDhcp ends it', async () => {
    await removeDhcp(host.exec, host.paths)
    await assert.rejects(pid())
  })
})
