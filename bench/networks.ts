// Many networks in one rack: how long after the API's answer the 301st is served (its gateway is
// there and dnsmasq listens at it, told of its options) against the 2nd, and what dnsmasq costs for
// all of them against one dnsmasq for each.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EC2Client } from '@aws-sdk/client-ec2'
import { dhcpPlaces } from '../cluster-agent/cc/dhcp-files.ts'
import { DEFAULT_PATHS } from '../cluster-agent/paths.ts'
import type { SandboxHost } from '../sandbox/host.ts'
import { OUTSIDE } from '../sandbox/plan.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'
import { type Emit, median } from './harness.ts'
import { clientOf } from './instances.ts'
import { makeSubnet, makeVpc } from './user.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'networks'
const MANY = 300
/** Networks made and timed one after the other, early and late. */
const SAMPLES = 5
/** Of the time with many networks to the time with few. */
const GROWTH_GOAL = 2
const AT_ONCE = 8
const SERVED_MS = 120_000
const POLL_MS = 5
const HOST = 'a1'
const PLAN = planOf('bench-networks', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: HOST, roles: ['cc', 'nc'] }] },
])
const DHCP = dhcpPlaces(DEFAULT_PATHS)

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const ec2 = clientOf(world)
    try {
      const vpcs = [await makeVpc(ec2, '10.62.0.0/16'), await makeVpc(ec2, '10.63.0.0/16')]
      const make = (n: number): Promise<string> => makeNetwork(ec2, vpcs, n)
      await make(0)
      await served(world, 0, signal)
      const early = await timed(world, make, 1, signal)
      const begunMs = performance.now()
      await makeAll(make, SAMPLES + 1, MANY - SAMPLES - 1)
      const answeredMs = performance.now()
      await served(world, MANY - 1, signal)
      say(`${MANY} networks served ${((performance.now() - answeredMs) / 1000).toFixed(1)} s later`)
      const allMs = performance.now() - begunMs
      const late = await timed(world, make, MANY, signal)
      const line = { bench: BENCH, higher_is_better: false }
      emit({
        ...{ ...line, unit: 'ms', goal: GROWTH_GOAL },
        case: `answer to service, one more than ${MANY} networks, median of ${SAMPLES}`,
        ...{ value: rounded(median(late)), peer: 'one more than 1' },
        peer_value: rounded(median(early)),
      })
      const each = allMs / (MANY - SAMPLES - 1)
      const name = `${MANY - SAMPLES - 1} networks made ${AT_ONCE} at a time and served, each`
      emit({ ...line, unit: 'ms', case: name, value: rounded(each) })
      await compareMemory(emit, world)
    } finally {
      ec2.destroy()
    }
  })
}

async function compareMemory(emit: Emit, world: World): Promise<void> {
  const host = world.host(HOST)
  const one = await pssKib(host, [await pidOf(host)])
  const many = await oneForEach(world.host(OUTSIDE))
  emit({
    ...{ bench: BENCH, unit: 'KiB (PSS)', higher_is_better: false, goal: 0.5 },
    case: `memory of dnsmasq, ${MANY + SAMPLES} networks`,
    ...{ value: one, peer: `a dnsmasq each, ${MANY + SAMPLES} of them`, peer_value: many },
  })
}

/** ms from the answer until it is served, one after the other. */
async function timed(
  world: World,
  make: (n: number) => Promise<string>,
  from: number,
  signal: AbortSignal,
): Promise<number[]> {
  const times: number[] = []
  for (let n = from; n < from + SAMPLES; n++) {
    await make(n)
    const answeredMs = performance.now()
    await served(world, n, signal)
    times.push(performance.now() - answeredMs)
    say(`network ${n + 1}: served after ${times.at(-1)?.toFixed(0)} ms`)
  }
  return times
}

async function makeAll(
  make: (n: number) => Promise<string>,
  from: number,
  count: number,
): Promise<void> {
  let next = from
  const one = async (): Promise<void> => {
    while (next < from + count) await make(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
}

/** A VPC has room for 256 of them. */
function makeNetwork(ec2: EC2Client, vpcs: readonly string[], n: number): Promise<string> {
  const vpc = vpcs[Math.floor(n / 256)] ?? ''
  return makeSubnet(ec2, vpc, { zone: `${PLAN.region}-a`, cidr: `${prefixOf(n)}.0/24` })
}

/** The first three bytes of network `n`. */
export function prefixOf(n: number): string {
  return `10.${62 + Math.floor(n / 256)}.${n % 256}`
}

/** Waits until dnsmasq listens at the gateway, and has the gateway's options. */
async function served(world: World, n: number, signal: AbortSignal): Promise<void> {
  const host = world.host(HOST)
  const gateway = `${prefixOf(n)}.1`
  // The folders of its /run are reached through its first process.
  const options = join(`/proc/${host.pid}/root`, DHCP.options)
  const isThere = async (): Promise<boolean> => {
    const told = (await readFile(options, 'utf8').catch(() => '')).includes(`router,${gateway}\n`)
    return told && (await answersAt(host, gateway))
  }
  await until(`${gateway} is served`, isThere, { timeoutMs: SERVED_MS, everyMs: POLL_MS, signal })
}

// It listens for names' questions at each gateway that it serves (bind-dynamic).
async function answersAt(host: SandboxHost, address: string): Promise<boolean> {
  const argv = ['bash', '-c', `exec 3<>/dev/tcp/${address}/53`]
  return (await host.exec(argv, { okCodes: [0, 1] })).code === 0
}

async function pidOf(host: SandboxHost): Promise<string> {
  return (await host.exec(['cat', DHCP.pidFile])).stdout.trim()
}

async function pssKib(host: SandboxHost, pids: readonly string[]): Promise<number> {
  const files = pids.map((pid) => `/proc/${pid}/smaps_rollup`)
  return parsePss((await host.exec(['cat', ...files])).stdout)
}

/** The sum over the processes of a concatenation of smaps_rollup files, in KiB. */
export function parsePss(text: string): number {
  const all = [...text.matchAll(/^Pss: +(\d+) kB$/gm)].map(([, kib]) => Number(kib))
  return all.length === 0 ? Number.NaN : all.reduce((sum, kib) => sum + kib, 0)
}

/** KiB of as many dnsmasq as there are networks, each with a network of its own. */
async function oneForEach(host: SandboxHost): Promise<number> {
  const count = MANY + SAMPLES
  const script = [
    'mkdir -p /run/each && cd /run/each',
    `for n in $(seq 0 ${count - 1}); do`,
    'a=10.$((64 + n / 256)).$((n % 256))',
    'ip link add n$n type bridge && ip address add $a.1/24 dev n$n && ip link set n$n up',
    'dnsmasq --conf-file=/dev/null --pid-file=/run/each/$n.pid --no-resolv --no-hosts --bind-interfaces' +
      ' --interface=n$n --except-interface=lo --leasefile-ro --dhcp-range=$a.0,static,1h' +
      ' --dhcp-option=option:router,$a.1',
    'done; cat *.pid',
  ].join('\n')
  const { stdout } = await host.exec(['sh', '-ec', script], { timeoutMs: SERVED_MS })
  return pssKib(host, stdout.trim().split(/\s+/))
}

function rounded(ms: number): number {
  return Number(ms.toFixed(1))
}
