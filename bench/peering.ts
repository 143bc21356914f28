// Two clouds of different owners: from the agreement to the first packet, from the end of a peering
// to the last one, and what a guest there costs against one in another rack of the same cloud.

import { DeleteVpcPeeringConnectionCommand } from '@aws-sdk/client-ec2'
import { silentLog } from '../common/log.ts'
import type { GuestShell } from '../sandbox/guest.ts'
import { type OtherCloud, startOtherCloud } from '../sandbox/other-cloud.ts'
import type { OtherPlan } from '../sandbox/plan.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { formatAddress, mustAddress, mustCidr, nthAddress } from '../topology/cidr.ts'
import { type Emit, median, percentile } from './harness.ts'
import { clientOf } from './instances.ts'
import { agree, answers, asked, connect, cut, download, dropRoutes } from './peering-acts.ts'
import { allowAll, defaultVpc, runGuest } from './peering-users.ts'
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
/** Guests that are translated reach 25 Mbit/s, and 4 on a machine that is busy. */
const LIMIT_MBPS = 2
const LIMITED_MIB = 6
const LIMITED_ROUNDS = 2
const MBIT_PER_MIB = ((1 << 20) * 8) / 1e6

export function run(emit: Emit): Promise<void> {
  return inWorld((world, west, signal) => measure(emit, world, west, signal, true))
}

/** Limits and ends only: nothing is compared with guests here. */
export function runLimits(emit: Emit): Promise<void> {
  return inWorld((world, west, signal) => measure(emit, world, west, signal, false))
}

function inWorld(
  body: (world: World, west: OtherCloud, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const west = await startOtherCloud(world, WEST, { log: silentLog, progress: say })
    try {
      await body(world, west, signal)
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
  isCompared: boolean,
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
  const random = `dd if=/dev/urandom of=/www/file bs=1M count=${FILE_MIB} 2>/dev/null`
  const file = `${random}; dd if=/www/file of=/www/part bs=1M count=${LIMITED_MIB} 2>/dev/null`
  for (const [of, { id }] of [
    [world, near],
    [world, far],
    [west, guest],
  ] as const) {
    const shell = await of.shell(id)
    await shell.run(file, 60_000)
    shell.close()
  }
  const shell = await world.shell(near.id)
  try {
    const sides = { own, theirs, here, there }
    const addressAt = (seenAs: string): string => sameOffset(guest.ipv4, there.cidr, seenAs)
    const answered = (seenAs: string): Promise<boolean> => answers(shell, addressAt(seenAs))
    const beginMs = performance.now()
    await agree(world, west)
    const { pcx, seenAs } = await connect(west, sides, answered)
    const firstS = (performance.now() - beginMs) / 1_000
    emit({
      ...{ bench: BENCH, case: 'from the invitation to the first packet', unit: 's' },
      ...{ value: firstS, goal: GOALS.firstS, higher_is_better: false },
    })
    const four = addressAt(seenAs)
    const ways = [
      { name: 'IPv4, translated', to: four, peer: far.ipv4 },
      { name: 'IPv6', to: guest.ipv6, peer: far.ipv6 },
    ]
    if (isCompared) await compare(emit, shell, ways)
    const back = await west.shell(guest.id)
    try {
      await limited(emit, world, [
        { name: 'from there, IPv4', shell, from: four },
        { name: 'to there, IPv6', shell: back, from: near.ipv6 },
      ])
    } finally {
      back.close()
    }
    const last = async (what: string, to: string, end: () => Promise<unknown>): Promise<void> => {
      emit({
        ...{ bench: BENCH, case: `from ${what} to the last packet`, unit: 'ms' },
        ...{ value: await cut(world, shell, to, end), goal: GOALS.lastMs },
        higher_is_better: false,
      })
    }
    await last('mallee peer suspend', four, () =>
      asked(world, { method: 'POST', path: '/v1/peers/west/suspend' }),
    )
    await asked(world, { method: 'POST', path: '/v1/peers/west/resume' })
    await until('packets pass again', () => answers(shell, four))
    await last('DeleteVpcPeeringConnection', four, () =>
      own.send(new DeleteVpcPeeringConnectionCommand({ VpcPeeringConnectionId: pcx })),
    )
    await dropRoutes(sides)
    const anew = await connect(west, sides, answered)
    const again = addressAt(anew.seenAs)
    await last('mallee peer remove', again, () =>
      asked(world, { method: 'DELETE', path: '/v1/peers/west' }),
    )
  } finally {
    shell.close()
  }
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
        rates[index].push(await download(shell, at, FILE_MIB))
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

/** One stream in each direction, with a limit that is well below what guests here can do. */
async function limited(
  emit: Emit,
  world: World,
  ways: readonly { readonly name: string; readonly shell: GuestShell; readonly from: string }[],
): Promise<void> {
  await world.gateway.mallee(['peer', 'set', 'west', '--bandwidth', String(LIMIT_MBPS)])
  const limit = (): Promise<boolean> => hasLimit(world)
  await until('the borders have the limit', limit)
  for (const { name, shell, from } of ways) {
    const rates: number[] = []
    for (let round = 0; round < LIMITED_ROUNDS; round++) {
      rates.push((await download(shell, from, LIMITED_MIB, 'part')) * MBIT_PER_MIB)
      say(`${name}: ${rates.at(-1)?.toFixed(2)} of ${LIMIT_MBPS} Mbit/s`)
    }
    emit({
      ...{ bench: BENCH, case: `${name}, with a limit`, unit: 'Mbit/s', value: median(rates) },
      ...{ peer: 'the limit that is set', peer_value: LIMIT_MBPS, higher_is_better: true },
    })
  }
  await world.gateway.mallee(['peer', 'set', 'west', '--bandwidth', '0'])
}

/** Both racks are borders: either may carry it. */
async function hasLimit(world: World): Promise<boolean> {
  const rate = `limit rate over ${(LIMIT_MBPS * 1_000_000) / 8} bytes/second`
  for (const name of ['a1', 'b1']) {
    const { stdout } = await world.host(name).exec(['nft', 'list', 'ruleset'])
    if (!stdout.includes(rate)) return false
  }
  return true
}

async function pingTimes(shell: GuestShell, to: string): Promise<number[]> {
  const ping = to.includes(':') ? 'ping6' : 'ping'
  const { output } = await shell.run(`${ping} -c ${PINGS} -i 0.02 ${to}`, 60_000)
  return [...output.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time))
}

function sameOffset(address: string, block: string, seenAs: string): string {
  const offset = mustAddress(address).value - mustCidr(block).base
  return formatAddress(nthAddress(mustCidr(seenAs), offset))
}
