// Two clouds of different owners: from the agreement to the first packet, from the end of a peering
// to the last one, and what a guest there costs against one in another rack of the same cloud.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AcceptVpcPeeringConnectionCommand,
  CreateRouteCommand,
  CreateVpcPeeringConnectionCommand,
  DeleteVpcPeeringConnectionCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import { silentLog } from '../common/log.ts'
import type { GuestShell } from '../sandbox/guest.ts'
import { type OtherCloud, startOtherCloud } from '../sandbox/other-cloud.ts'
import type { OtherPlan } from '../sandbox/plan.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { formatAddress, mustAddress, mustCidr, nthAddress } from '../topology/cidr.ts'
import { LAST_PEER_NUMBER, PEER_PORT } from '../topology/ranges.ts'
import { type Emit, median, percentile } from './harness.ts'
import { clientOf } from './instances.ts'
import { allowAll, defaultVpc, peering, runGuest, type Vpc } from './peering-users.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'peering'
const CAPACITY = '4,2048,16'
const PLAN = planOf(
  'bench-peering',
  ['a', 'b'].map((name) => ({
    ...{ name, joinsOver: 'ipv4' },
    hosts: [{ name: `${name}1`, roles: ['cc', 'nc'], capacity: CAPACITY }],
  })),
)
const WEST: OtherPlan = {
  ...{ name: 'west', region: 'west-1', apiPort: 0, site: 100 },
  racks: [
    {
      ...{ name: 'a', joinsOver: 'ipv4' },
      hosts: [{ name: 'west-a1', roles: ['cc', 'nc'], capacity: CAPACITY }],
    },
  ],
}
const ROUNDS = 5
const FILE_MIB = 16
const PINGS = 50
const BOOT_MS = 300_000
/** The issue's: seconds until the first packet, and milliseconds until the last one. */
const GOALS = { firstS: 5, lastMs: 1_000 }
/** A ping of 56 bytes within WireGuard: IPv4 and ICMP headers, padded, and 32 bytes more. */
const PING_LENGTH = 128
/** Nothing is sent for so long after the last ping that got through. */
const SILENCE_MS = 2_000

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const west = await startOtherCloud(world, WEST, { log: silentLog, progress: say })
    try {
      await measure(emit, world, west, signal)
    } finally {
      await west.stop()
    }
  })
}

async function measure(
  emit: Emit,
  world: World,
  west: OtherCloud,
  signal: AbortSignal,
): Promise<void> {
  const [own, theirs] = [clientOf(world), clientOf(west)]
  const [here, there] = [await defaultVpc(own), await defaultVpc(theirs)]
  for (const [client, { group }] of [
    [own, here],
    [theirs, there],
  ] as const) {
    await allowAll(client, group)
  }
  const zone = (rack: string): string => `${world.plan.region}-${rack}`
  const near = await runGuest(own, world.imageId, zone('a'))
  const far = await runGuest(own, world.imageId, zone('b'))
  const guest = await runGuest(theirs, await west.registerImage(), `${WEST.region}-a`)
  for (const [of, { id }] of [
    [world, near],
    [world, far],
    [west, guest],
  ] as const) {
    const isUp = async (): Promise<boolean> =>
      (await of.consoleLog(id).catch(() => '')).includes('MALLEE-GUEST ready')
    await until(`${id} is up`, isUp, { timeoutMs: BOOT_MS, everyMs: 200, signal })
  }
  const file = `dd if=/dev/urandom of=/www/file bs=1M count=${FILE_MIB} 2>/dev/null`
  for (const [of, { id }] of [
    [world, far],
    [west, guest],
  ] as const) {
    const shell = await of.shell(id)
    await shell.run(file, 60_000)
    shell.close()
  }
  const shell = await world.shell(near.id)
  try {
    const { pcx, seenAs, firstS } = await agree(world, west, { own, theirs, here, there }, (at) =>
      answers(shell, sameOffset(guest.ipv4, there.cidr, at)),
    )
    emit({
      ...{ bench: BENCH, case: 'from the invitation to the first packet', unit: 's' },
      ...{ value: firstS, goal: GOALS.firstS, higher_is_better: false },
    })
    const four = sameOffset(guest.ipv4, there.cidr, seenAs)
    await compare(emit, shell, [
      { name: 'IPv4, translated', to: four, peer: far.ipv4 },
      { name: 'IPv6', to: guest.ipv6, peer: far.ipv6 },
    ])
    const lastMs = await cut(world, shell, four, () =>
      own.send(new DeleteVpcPeeringConnectionCommand({ VpcPeeringConnectionId: pcx })),
    )
    emit({
      ...{ bench: BENCH, case: 'from DeleteVpcPeeringConnection to the last packet', unit: 'ms' },
      ...{ value: lastMs, goal: GOALS.lastMs, higher_is_better: false },
    })
  } finally {
    shell.close()
  }
}

interface Sides {
  readonly own: EC2Client
  readonly theirs: EC2Client
  readonly here: Vpc
  readonly there: Vpc
}

/** Operators and users of both sides, without a pause; `answered` is asked with the prefix. */
async function agree(
  world: World,
  west: OtherCloud,
  { own, theirs, here, there }: Sides,
  answered: (seenAs: string) => Promise<boolean>,
): Promise<{ pcx: string; seenAs: string; firstS: number }> {
  const beginMs = performance.now()
  const invited = (await world.gateway.mallee(['peer', 'invite', 'west'])) as { invitation: string }
  await west.gateway.mallee(['peer', 'accept', invited.invitation, '--yes'])
  const { VpcPeeringConnection: made } = await own.send(
    new CreateVpcPeeringConnectionCommand({
      ...{ VpcId: here.id, PeerVpcId: there.id, PeerRegion: WEST.region },
      PeerOwnerId: west.gateway.credentials.account,
    }),
  )
  const pcx = made?.VpcPeeringConnectionId ?? ''
  const stateIs = async (client: EC2Client, state: string): Promise<boolean> =>
    (await peering(client, pcx))?.Status?.Code === state
  const fast = { everyMs: 10 }
  await until('it is known there', () => stateIs(theirs, 'pending-acceptance'), fast)
  await theirs.send(new AcceptVpcPeeringConnectionCommand({ VpcPeeringConnectionId: pcx }))
  await until('it is active here', () => stateIs(own, 'active'), fast)
  await until('it is active there', () => stateIs(theirs, 'active'), fast)
  const seenHere = (await peering(own, pcx))?.AccepterVpcInfo
  const seenThere = (await peering(theirs, pcx))?.RequesterVpcInfo
  for (const [client, { table }, info] of [
    [own, here, seenHere],
    [theirs, there, seenThere],
  ] as const) {
    const route = { RouteTableId: table, VpcPeeringConnectionId: pcx }
    const six = info?.Ipv6CidrBlockSet?.[0]?.Ipv6CidrBlock
    await client.send(new CreateRouteCommand({ ...route, DestinationCidrBlock: info?.CidrBlock }))
    await client.send(new CreateRouteCommand({ ...route, DestinationIpv6CidrBlock: six }))
  }
  const seenAs = seenHere?.CidrBlock ?? ''
  await until('the first packet comes back', () => answered(seenAs), { everyMs: 10 })
  return { pcx, seenAs, firstS: (performance.now() - beginMs) / 1_000 }
}

async function compare(
  emit: Emit,
  shell: GuestShell,
  ways: readonly { readonly name: string; readonly to: string; readonly peer: string }[],
): Promise<void> {
  const peer = 'a guest in another rack of the same cloud'
  for (const { name, to, peer: other } of ways) {
    const rates: [number[], number[]] = [[], []]
    const pings: [number[], number[]] = [[], []]
    await until(`${to} answers`, () => answers(shell, to))
    for (let round = 0; round < ROUNDS; round++) {
      for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const at = index === 0 ? to : other
        rates[index].push(await download(shell, at))
        pings[index].push(...(await pingTimes(shell, at)))
      }
      say(`${name}, round ${round + 1} of ${ROUNDS}: ${rates[0].at(-1)}, ${rates[1].at(-1)} MiB/s`)
    }
    emit({
      ...{ bench: BENCH, case: `${name}: ${FILE_MIB} MiB over HTTP`, unit: 'MiB/s', peer },
      ...{ value: median(rates[0]), peer_value: median(rates[1]), higher_is_better: true },
    })
    emit({
      ...{ bench: BENCH, case: `${name}: ping p50`, unit: 'ms', peer },
      ...{ value: percentile(pings[0], 50), peer_value: percentile(pings[1], 50) },
      higher_is_better: false,
    })
  }
}

/** ms from the call to the last ping on the wire; pings go out 50 times a second. */
async function cut(
  world: World,
  shell: GuestShell,
  to: string,
  end: () => Promise<unknown>,
): Promise<number> {
  const internet = world.host('internet')
  const logFile = join(internet.dir, 'cut.log')
  const filter = ['udp', 'and', 'portrange', `${PEER_PORT}-${PEER_PORT + LAST_PEER_NUMBER}`]
  const argv = ['tcpdump', '-ttlnni', 'any', '-Q', 'in', ...filter]
  const capture = await internet.start(argv, { logFile })
  const text = (): Promise<string> => readFile(logFile, 'utf8').catch(() => '')
  const times = async (): Promise<number[]> =>
    [...(await text()).matchAll(/^(\d+\.\d+) .*length (\d+)$/gm)]
      .filter(([, , length]) => Number(length) === PING_LENGTH)
      .map(([, time]) => Number(time) * 1_000)
  await until('tcpdump listens', async () => (await text()).includes('listening on'))
  await shell.run(`ping -i 0.02 ${to} >/dev/null 2>&1 & echo $! >/tmp/ping`)
  await until('pings are on the wire', async () => (await times()).length > 20)
  const beginMs = Date.now()
  await end()
  const isOver = async (): Promise<boolean> =>
    Date.now() - Math.max(beginMs, (await times()).at(-1) ?? 0) > SILENCE_MS
  await until('the last ping is over', isOver, { timeoutMs: 60_000 })
  await shell.run('kill $(cat /tmp/ping)')
  await capture.stop('SIGINT')
  return Math.max(0, ((await times()).at(-1) ?? 0) - beginMs)
}

async function answers(shell: GuestShell, to: string): Promise<boolean> {
  const ping = to.includes(':') ? 'ping6' : 'ping'
  return (await shell.run(`${ping} -c 1 -W 1 ${to} >/dev/null`)).code === 0
}

async function pingTimes(shell: GuestShell, to: string): Promise<number[]> {
  const ping = to.includes(':') ? 'ping6' : 'ping'
  const { output } = await shell.run(`${ping} -c ${PINGS} -i 0.02 ${to}`, 60_000)
  return [...output.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time))
}

async function download(shell: GuestShell, from: string): Promise<number> {
  const host = from.includes(':') ? `[${from}]` : from
  const get = `wget -qO /dev/null http://${host}/file`
  const { output } = await shell.run(
    `b=$(cut -d' ' -f1 /proc/uptime); ${get} && echo $b $(cut -d' ' -f1 /proc/uptime)`,
    120_000,
  )
  const [begin = Number.NaN, end = Number.NaN] = output.trim().split(' ').map(Number)
  return FILE_MIB / (end - begin)
}

function sameOffset(address: string, block: string, seenAs: string): string {
  const offset = mustAddress(address).value - mustCidr(block).base
  return formatAddress(nthAddress(mustCidr(seenAs), offset))
}
