// npm run test:kernel: the core of the end-to-end tests over the kernel's own WireGuard and Open
// vSwitch. One cloud for all tests here, in order. Waits are long: instances are emulated within
// an emulated host.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../common/clock.ts'
import { awsCli } from '../../sandbox/aws.ts'
import type { Credentials } from '../../sandbox/gateway.ts'
import { until } from '../../sandbox/until.ts'
import type { GuestHost } from './guest-host.ts'
import { type KernelWorld, startKernelWorld } from './world.ts'

const BOOT_MS = 1_200_000
const RUN_MS = 300_000
const REACH_MS = 120_000
/** The router of an instance's subnet, as the instance's shell finds it. */
const ROUTER = "$(ip route | awk '/^default/ { print $3 }')"
/** One processor: two of them on two emulated ones wait for each other. */
const TYPE = 'lab.tiny'
const SIZES = ['--vcpus', '1', '--memory-mib', '96', '--disk-gib', '1']

interface Instance {
  readonly id: string
  readonly host: GuestHost
  readonly ipv4: string
  readonly ipv6: string
  readonly group: string
}

interface Described {
  readonly InstanceId: string
  readonly PrivateIpAddress: string
  readonly SecurityGroups: readonly [{ readonly GroupId: string }]
  readonly NetworkInterfaces: readonly [
    { readonly Ipv6Addresses?: readonly { readonly Ipv6Address: string }[] },
  ]
}

let world: KernelWorld
let first: Instance
let second: Instance
let theirs: Instance
const say = (line: string): void => console.error(line)

before(async () => {
  world = await startKernelWorld(say)
})

after(async () => {
  await world?.stop()
})

function ec2(credentials: Credentials, line: string): Promise<unknown> {
  return awsCli({ ...world.target, credentials })(['ec2', ...line.split(' ')])
}

function guest(name: string): GuestHost {
  const found = world.guests.get(name)
  assert.ok(found !== undefined, name)
  return found
}

/** The image's id for an account, which has none before. */
async function register(credentials: Credentials): Promise<string> {
  const line = 'register-image --name mallee-guest --image-location mallee-guest'
  return ((await ec2(credentials, line)) as { ImageId: string }).ImageId
}

async function run(credentials: Credentials, image: string, rack: string): Promise<Instance> {
  const zone = `${world.target.region}-${rack}`
  const answer = (await ec2(
    credentials,
    `run-instances --image-id ${image} --instance-type ${TYPE} --placement AvailabilityZone=${zone}`,
  )) as { Instances: [Described] }
  const [{ InstanceId: id, PrivateIpAddress: ipv4, SecurityGroups, NetworkInterfaces }] =
    answer.Instances
  const ipv6 = NetworkInterfaces[0].Ipv6Addresses?.[0]?.Ipv6Address ?? ''
  return { id, host: guest(`${rack}1`), ipv4, ipv6, group: SecurityGroups[0].GroupId }
}

async function ready({ id, host }: Instance): Promise<void> {
  const begunMs = systemClock.nowMs()
  const log = `/var/lib/mallee/instances/${id}/console.log`
  const up = async (): Promise<boolean> =>
    (await host.exec(['cat', log], { okCodes: [0, 1] })).stdout.includes('MALLEE-GUEST ready')
  try {
    await until(`${id} is ready`, up, { timeoutMs: BOOT_MS, everyMs: 2_000 })
  } catch (error) {
    const { stdout } = await host.exec(['tail', '-n', '15', log], { okCodes: [0, 1] })
    const agent = ['tail', '-n', '15', '/var/lib/mallee/cluster-agent.log']
    say(`${stdout}\n${(await host.exec(agent)).stdout}`)
    throw error
  }
  say(`${id} was ready after ${Math.round((systemClock.nowMs() - begunMs) / 1000)} s`)
}

async function inside(instance: Instance, command: string): Promise<string> {
  return (await instance.host.inInstance(instance.id, command, RUN_MS)).stdout
}

/** The pings, of five, that were answered. */
async function answered(from: Instance, address: string): Promise<number> {
  const ping = address.includes(':') ? 'ping6' : 'ping'
  const output = await inside(from, `${ping} -c 5 -W 10 ${address}`)
  return Number(/(\d+) packets received/.exec(output)?.[1] ?? 0)
}

async function reaches(from: Instance, address: string): Promise<void> {
  await until(`${from.id} reaches ${address}`, async () => (await answered(from, address)) > 0, {
    timeoutMs: REACH_MS,
    everyMs: 1_000,
  })
}

test('the agents find the kernel WireGuard and the kernel Open vSwitch by themselves', async () => {
  const { racks } = (await world.gateway.mallee(['status'])) as {
    racks: { hosts: { host: string; ovsDatapath: string; wireguard: string }[] }[]
  }
  const seen = racks.flatMap(({ hosts }) => hosts)
  assert.deepEqual(
    seen.map(({ host, ovsDatapath, wireguard }) => [host, ovsDatapath, wireguard]),
    [
      ['a1', 'kernel', 'kernel'],
      ['b1', 'kernel', 'kernel'],
    ],
  )
  for (const { exec } of world.guests.values()) {
    const { stdout: links } = await exec(['ip', '-d', 'link', 'show', 'type', 'wireguard'])
    assert.match(links, /mallee0/)
    const { stdout: paths } = await exec(['ovs-dpctl', 'show'])
    assert.match(paths, /system@ovs-system/)
  }
})

test('the edges of the two racks reach each other through the tunnel', async () => {
  const show = async (name: string): Promise<string> => {
    const argv = ['ip', '-6', '-o', 'address', 'show', 'dev', 'mallee0', 'scope', 'global']
    return /inet6 ([^/]+)/.exec((await guest(name).exec(argv)).stdout)?.[1] ?? ''
  }
  const ping = ['ping', '-c', '3', '-W', '5', await show('b1')]
  assert.match((await guest('a1').exec(ping)).stdout, / 0% packet loss/)
})

test('instances of two accounts boot behind the kernel switches', async () => {
  await world.importImage()
  await world.gateway.mallee(['type', 'create', TYPE, ...SIZES])
  const own = world.gateway.credentials
  const other = (await world.gateway.mallee(['account', 'create', 'second'])) as Credentials
  const image = await register(own)
  first = await run(own, image, 'a')
  second = await run(own, image, 'b')
  theirs = await run(other, await register(other), 'b')
  const all = [first, second, theirs]
  await Promise.all(all.map(ready))
})

test('instances of one account in two racks reach each other, over IPv4 and IPv6', async () => {
  await reaches(first, second.ipv4)
  await reaches(second, first.ipv4)
  await reaches(first, second.ipv6)
  await reaches(second, first.ipv6)
})

test('instances of another account are cut off, in the same rack and in the other', async () => {
  // That it has a network is what makes the silence say something.
  await reaches(theirs, ROUTER)
  assert.equal(await answered(theirs, second.ipv4), 0)
  assert.equal(await answered(theirs, first.ipv4), 0)
  assert.equal(await answered(first, theirs.ipv4), 0)
  assert.equal(await answered(first, theirs.ipv6), 0)
})

test('somebody on the internet reaches an instance by its elastic IP', async () => {
  const own = world.gateway.credentials
  const address = (await ec2(own, 'allocate-address --domain vpc')) as Record<string, string>
  const { PublicIp: ip = '', AllocationId: allocation } = address
  const permissions = 'IpProtocol=icmp,FromPort=-1,ToPort=-1,IpRanges=[{CidrIp=0.0.0.0/0}]'
  await ec2(
    own,
    `authorize-security-group-ingress --group-id ${first.group} --ip-permissions ${permissions}`,
  )
  await ec2(own, `associate-address --allocation-id ${allocation} --instance-id ${first.id}`)
  const outside = world.host('outside')
  const ping = ['ping', '-c', '3', '-W', '10', ip]
  const answers = async (): Promise<boolean> =>
    (await outside.exec(ping, { okCodes: [0, 1], timeoutMs: 60_000 })).code === 0
  await until(`${ip} answers outside`, answers, { timeoutMs: REACH_MS, everyMs: 1_000 })
})

test('instances of two racks go on reaching each other over a lossy, slow underlay', async () => {
  const netem = ['netem', 'loss', '20%', 'delay', '200ms']
  await guest('a1').exec(['modprobe', 'sch_netem'])
  await guest('a1').exec(['tc', 'qdisc', 'add', 'dev', 'eth0', 'root', ...netem])
  try {
    await reaches(first, second.ipv4)
    await reaches(first, second.ipv6)
  } finally {
    await guest('a1').exec(['tc', 'qdisc', 'delete', 'dev', 'eth0', 'root'])
  }
})
