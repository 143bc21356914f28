// What nobody may reach: a scanner in every guest tries every address of everybody else, of hosts
// and of the fabric. Then what comes and goes: interfaces of a network that both racks have, and
// faults, as what somebody breaks by hand is mended.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import type { Credentials } from '../../sandbox/gateway.ts'
import { lanAddress } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import { formatCidr, mustCidr, nthBlock } from '../../topology/cidr.ts'
import { agentPid, pingsDuring, restartAgent, wireguardOnly } from './helpers.ts'
import { at, type Guest, inGuest, isCutOff, reaches, ready, roomyPlan, Tenant } from './tenant.ts'

/** Ports of ours and of everybody: SSH, DNS, web, the API, sessions, metadata, WireGuard, VXLAN. */
const PORTS = [22, 53, 80, 443, 2222, 4789, 6640, 6653, 8443, 8773, 8774, 8775, 8776, 51_820]
/** Targets of one guest; each costs it a process for every port. */
const AT_ONCE = 6

let world: World
let first: Tenant
let second: Tenant
/** Two of each account, one in each rack, none with a public address. */
let guests: (Guest & { rack: string; owner: Tenant })[] = []

before(async () => {
  world = await startWorld(roomyPlan('isolation'), {
    log: silentLog,
    progress: (line) => console.error(line),
  })
  first = new Tenant(world, world.gateway.credentials)
  const account = await world.gateway.mallee(['account', 'create', 'second'])
  second = new Tenant(world, account as Credentials)
  for (const owner of [first, second]) {
    // An image belongs to an account; the file is the cloud's.
    const register = 'register-image --name guest --image-location mallee-guest'
    const image = await owner.ec2(register, 'ImageId')
    for (const rack of ['a', 'b']) {
      const zone = `--placement AvailabilityZone=${world.plan.region}-${rack}`
      const card = '--network-interfaces DeviceIndex=0,AssociatePublicIpAddress=false'
      const line = `--image-id ${image} --instance-type t3.nano ${zone} ${card}`
      guests = [...guests, { ...(await owner.run(line)), rack, owner }]
    }
  }
  await ready(world, guests)
})

after(async () => {
  await world?.stop()
})

test('every guest reaches the other one of its account, so that the scan can see', async () => {
  await fromEach(async (from) => {
    for (const to of guests) {
      if (from === to || from.owner !== to.owner) continue
      assert.ok(await reaches(world, from, to.ipv4), `${from.id} does not reach ${to.ipv4}`)
      assert.ok(await reaches(world, from, to.ipv6), `${from.id} does not reach ${to.ipv6}`)
    }
  })
})

test('the scan finds no open pair: other tenants, hosts, fabric, underlay', async () => {
  const status = (await world.gateway.mallee(['status'])) as { fabric: string }
  const fabric = status.fabric.replace('::/48', '')
  const hosts = [
    lanAddress(1, 1),
    lanAddress(1, 2),
    lanAddress(1, 3),
    ...world.rackUplinks(),
    '198.18.1.2',
    '203.0.113.1',
    `${fabric}:1::1`,
    `${fabric}:1::2`,
    `${fabric}:2::1`,
  ]
  const found = await fromEach(async (from) => {
    const others = guests.filter((one) => one.owner !== from.owner)
    const targets = [...others.flatMap((one) => [one.ipv4, one.ipv6]), ...hosts]
    return (await scan(from, targets)).map((what) => `${from.id} (rack ${from.rack}) ${what}`)
  })
  assert.deepEqual(found.flat(), [])
})

test('of its gateway a guest gets the metadata and DNS services, and nothing else', async () => {
  const found = await fromEach(async (from) => scan(from, [from.ipv4.replace(/\d+$/, '1')]))
  assert.ok(found.every((some) => some.some((what) => what.startsWith('ping '))))
  const open = found.flat().filter((what) => !/ping|tcp 53$/.test(what))
  assert.deepEqual(open, [])
})

test('an interface comes into a running guest by the API, in a network of both racks', async () => {
  const both = guests.filter((one) => one.owner === first)
  const subnet = await stretchedSubnet()
  const cards = await Promise.all(both.map((guest) => plugIn(guest, subnet)))
  const [here, there] = cards
  assert.ok(here !== undefined && there !== undefined)
  const seen = await wireguardOnly(world, async () => {
    for (const [from, to] of [
      [here, there],
      [there, here],
    ] as const) {
      assert.ok(await reaches(world, from, to.ipv4), `${from.ipv4} does not reach ${to.ipv4}`)
      // By the link itself: the default route of a guest leads out of its first interface.
      await inGuest(world, from, `ip -6 route add ${to.ipv6}/128 dev eth1`)
      assert.ok(await reaches(world, from, to.ipv6), `${from.ipv6} does not reach ${to.ipv6}`)
    }
    assert.ok(await isCutOff(world, here, here.ipv4.replace(/\d+$/, '200')))
  })
  assert.ok(seen.wireguard > 0)
  assert.deepEqual(seen.others, [])
  for (const name of ['a1', 'b1']) {
    const argv = ['ip', '-s', '-json', 'link', 'show', 'type', 'vxlan']
    const links = JSON.parse((await world.host(name).exec(argv)).stdout) as Vxlan[]
    const found = links.filter(({ ifname }) => /^vx\d+$/.test(ifname))
    assert.equal(found.length, 1, name)
    assert.equal(found[0]?.stats64.rx.multicast, 0, `flooded to ${name}`)
  }
  await Promise.all(cards.map(unplug))
  assert.ok(await isCutOff(world, here, there.ipv4))
})

test('flows deleted, rules flushed and a switch killed by hand are back within seconds', async () => {
  const [a, b] = guests.filter((one) => one.owner === first)
  assert.ok(a !== undefined && b !== undefined)
  const node = world.host(world.hostOf(a.id))
  const edge = world.host('a1')
  const faults = [
    { host: edge, argv: ['nft', 'flush', 'ruleset'] },
    {
      host: node,
      argv: ['ovs-ofctl', '-O', 'OpenFlow15', 'del-flows', 'unix:/run/mallee/ovs/br-int.mgmt'],
    },
    { host: node, argv: ['sh', '-c', 'kill -9 $(cat /run/mallee/ovs/vs.pid)'] },
    { host: edge, argv: ['sh', '-c', 'kill -9 $(cat /run/mallee/dhcp/dnsmasq.pid)'] },
  ]
  for (const { host, argv } of faults) {
    await host.exec(argv)
    assert.ok(await reaches(world, b, a.ipv4), `after ${argv.join(' ')}`)
    await until(
      `all is guarded after ${argv.join(' ')}`,
      async () => (await world.gateway.status()).racks.every(isWell),
      { timeoutMs: 60_000, everyMs: 500 },
    )
  }
  const [stranger] = guests.filter((one) => one.owner === second)
  assert.ok(stranger !== undefined)
  assert.deepEqual(await scan(stranger, [a.ipv4, a.ipv6], [80]), [])
})

test('an established connection outlives the agents of both its ends', async () => {
  const [a, b] = guests.filter((one) => one.owner === first)
  assert.ok(a !== undefined && b !== undefined)
  const hosts = [world.host('a1'), world.host(world.hostOf(a.id)), world.host('b1')]
  const lost = await pingsDuring(world, { ...b, rack: 'b' }, { ...a, rack: 'a' }, async () => {
    for (const host of new Set(hosts)) {
      await host.exec(['kill', '-9', await agentPid(host)])
      await restartAgent(host)
    }
  })
  assert.equal(lost, 0)
})

interface Vxlan {
  readonly ifname: string
  readonly stats64: { readonly rx: { readonly multicast: number } }
}

/** The last blocks of the first account's default VPC as a subnet in all racks. */
async function stretchedSubnet(): Promise<string> {
  const vpcs = await first.ask('describe-vpcs --filters Name=is-default,Values=true')
  const last = (path: string, length: number, n: number): string => {
    const block = nthBlock(mustCidr(at(vpcs, `Vpcs.0.${path}`)), length, n)
    return block === null ? '' : formatCidr(block)
  }
  const ipv4 = last('CidrBlock', 24, 15)
  const ipv6 = last('Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock', 64, 255)
  const line = `create-subnet --vpc-id ${at(vpcs, 'Vpcs.0.VpcId')} --availability-zone ${world.plan.region}-any`
  return first.ec2(`${line} --cidr-block ${ipv4} --ipv6-cidr-block ${ipv6}`, 'Subnet.SubnetId')
}

type Card = Guest & { readonly attachment: string }

/** A second interface for a guest, with the addresses that the guest says it has. */
async function plugIn(guest: Guest, subnet: string): Promise<Card> {
  const create = `create-network-interface --subnet-id ${subnet} --ipv6-address-count 1`
  const made = await first.ask(create)
  const eni = at(made, 'NetworkInterface.NetworkInterfaceId')
  const ipv4 = at(made, 'NetworkInterface.PrivateIpAddress')
  const ipv6 = at(made, 'NetworkInterface.Ipv6Addresses.0.Ipv6Address')
  const attach = `attach-network-interface --network-interface-id ${eni} --device-index 1`
  const attachment = await first.ec2(`${attach} --instance-id ${guest.id}`, 'AttachmentId')
  const has = async (): Promise<boolean> => {
    const text = await world.consoleLog(guest.id)
    return text.includes(`eth1 v4=${ipv4}`) && text.includes(`eth1 v6=${ipv6}`)
  }
  await until(`${guest.id} has ${ipv4} and ${ipv6}`, has, { timeoutMs: 60_000, everyMs: 200 })
  return { id: guest.id, ipv4, ipv6, eni, attachment }
}

async function unplug({ id, eni, attachment }: Card): Promise<void> {
  await first.ask(`detach-network-interface --attachment-id ${attachment}`)
  const gone = async (): Promise<boolean> =>
    (await inGuest(world, { id }, 'test -e /sys/class/net/eth1')).code === 1
  await until(`eth1 leaves ${id}`, gone, { timeoutMs: 60_000, everyMs: 500 })
  const state = `describe-network-interfaces --network-interface-ids ${eni}`
  const isFree = async (): Promise<boolean> =>
    (await first.ec2(state, 'NetworkInterfaces.0.Status')) === 'available'
  await until(`${eni} is available`, isFree, { timeoutMs: 30_000, everyMs: 500 })
}

function isWell({
  hosts,
}: {
  hosts: readonly { trouble?: string; connected: boolean }[]
}): boolean {
  return hosts.every((host) => host.connected && (host.trouble ?? '') === '')
}

/** Each guest has a console of its own: all of them at once. */
function fromEach<T>(body: (from: (typeof guests)[number]) => Promise<T>): Promise<T[]> {
  return Promise.all(guests.map(body))
}

/** Pings and TCP connections that got an answer, as `ping ADDRESS` and `ADDRESS tcp PORT`. */
async function scan(
  from: { id: string },
  targets: readonly string[],
  ports: readonly number[] = PORTS,
): Promise<string[]> {
  const open: string[] = []
  const shell = await world.shell(from.id)
  try {
    // A line for the terminal is short: what it does is in a file.
    const lines = [
      'for t; do (for p in $PORTS; do',
      '(nc -w 2 $t $p </dev/null >/dev/null 2>&1 && echo OPEN $t tcp $p) & done;',
      'case $t in *:*) ping=ping6;; *) ping=ping;; esac;',
      '$ping -c 2 -W 2 $t >/dev/null 2>&1 && echo OPEN ping $t; wait) & done; wait',
    ]
    for (const [n, line] of lines.entries()) {
      await shell.run(`echo '${line}' ${n === 0 ? '>' : '>>'}/tmp/scan`)
    }
    for (let at = 0; at < targets.length; at += AT_ONCE) {
      const some = targets.slice(at, at + AT_ONCE).join(' ')
      const { output } = await shell.run(`PORTS='${ports.join(' ')}' sh /tmp/scan ${some}`, 60_000)
      open.push(...[...output.matchAll(/^OPEN (.*)$/gm)].map(([, what = '']) => what))
    }
  } finally {
    shell.close()
  }
  return open
}
