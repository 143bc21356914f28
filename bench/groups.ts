// What security groups cost between two guests of a host: groups of 1, 50 and 500 rules against the
// same switch that asks no group, in turns. The flows are the host's own, the switch a real one.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Switch } from '../cluster-agent/host/ovs.ts'
import { ACL_OUT, GROUP_IN, GROUP_OUT, OUTPUT } from '../cluster-agent/nc/flow-tables.ts'
import { until } from '../sandbox/until.ts'
import {
  applyFlows,
  type Host,
  inside,
  nicOf,
  startRack,
  station,
} from '../test/cluster-agent/nc/stations.ts'
import { tenancy } from '../test/cluster-agent/nc/tenancy.ts'
import { type Emit, type Line, median, percentile } from './harness.ts'
import { IPERF_PORT, parseIperf, parsePings } from './wire.ts'
import { say } from './worlds.ts'

const BENCH = 'groups'
const COUNTS = [1, 50, 500] as const
const ROUNDS = 6
const GOAL = 0.8
const GROUP = 'sg-a'
const CONNECTS = 200
const [CLIENT, SERVER] = [station(1), station(2)]
/** What answers connections on the server's side: an echo that the station brings. */
const ECHO_PORT = 80

interface Subject {
  readonly name: string
  readonly prepare: () => Promise<unknown>
  /** Mbit/s, one for each round. */
  readonly rates: number[]
  /** ms, of all rounds. */
  readonly pings: number[]
  readonly connects: number[]
}

export async function run(emit: Emit): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-bench-groups-'))
  const hosts = await startRack(dir, [CLIENT, SERVER])
  try {
    const [host] = hosts
    if (host === undefined) throw new RangeError('no host')
    await serve(host)
    const without = subject('no groups', () => askNoGroup(host))
    const grouped = COUNTS.map((count) =>
      subject(count === 1 ? '1 rule' : `${count} rules`, () => askGroup(host, count)),
    )
    await measure(host, [without, ...grouped])
    for (const one of grouped) compare(emit, one, without)
  } finally {
    for (const host of hosts) await host.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** In turns, there and back: none always comes after the same one. */
async function measure(host: Host, subjects: readonly Subject[]): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    const order = round % 2 === 0 ? subjects.toReversed() : subjects
    for (const { name, prepare, rates, pings, connects } of order) {
      await prepare()
      pings.push(...(await pingTimes(host)))
      connects.push(...(await connectTimes(host)))
      rates.push(await tcpRate(host))
      say(`round ${round} of ${ROUNDS}, ${name}: ${rates.at(-1)?.toFixed(0)} Mbit/s`)
    }
  }
}

function compare(emit: Emit, one: Subject, without: Subject): void {
  const both = (of: (subject: Subject) => number): Pick<Line, 'value' | 'peer' | 'peer_value'> => ({
    value: of(one),
    peer: without.name,
    peer_value: of(without),
  })
  const name = (what: string): string => `${what}, ${one.name}`
  const more = { bench: BENCH, unit: 'Mbit/s', goal: GOAL, higher_is_better: true }
  emit({ ...more, case: name('TCP'), ...both(({ rates }) => Math.round(median(rates))) })
  const less = { bench: BENCH, unit: 'ms', goal: 1 / GOAL, higher_is_better: false }
  emit({ ...less, case: name('ping p50'), ...both(({ pings }) => percentile(pings, 50)) })
  const connect = name('new connection and its echo p50')
  emit({ ...less, case: connect, ...both(({ connects }) => rounded(percentile(connects, 50))) })
}

function subject(name: string, prepare: Subject['prepare']): Subject {
  return { name, prepare, rates: [], pings: [], connects: [] }
}

/** Incoming rules, of which the last ones let the client in. */
export function rulesOf(count: number): string[] {
  if (count === 1) return ['out all any', 'in all 10.1.1.0/24']
  const others = Array.from({ length: count - 3 }, (_, n) => {
    const from = `192.168.${n % 250}.0/24`
    return `in tcp ${1_000 + n} ${from}`
  })
  const client = `${CLIENT.ipv4}/32`
  const letIn = [
    `in icmp ${client}`,
    ...[IPERF_PORT, ECHO_PORT].map((p) => `in tcp ${p} ${client}`),
  ]
  return ['out all any', ...others, ...letIn]
}

function askGroup(host: Host, count: number): Promise<number> {
  return applyFlows(host, tenancy({ groups: { [GROUP]: rulesOf(count) } }), NICS)
}

/** The same flows, and two that lead around the groups. Any other flows take them away again. */
async function askNoGroup(host: Host): Promise<void> {
  await askGroup(host, 1)
  const around = [
    [GROUP_OUT, ACL_OUT],
    [GROUP_IN, OUTPUT],
  ].map(([from, to]) => `table=${from},priority=60000,actions=goto_table:${to}`)
  await addFlows(host, around)
}

async function addFlows({ exec, sw }: Host, flows: readonly string[]): Promise<void> {
  const { mgmt }: Switch = sw
  const argv = ['ovs-ofctl', '-O', 'OpenFlow15', 'add-flows', mgmt, '-']
  await exec(argv, { input: `${flows.join('\n')}\n` })
}

const NICS = [CLIENT, SERVER].map((one) => nicOf(one, { groupIds: [GROUP] }))

async function serve(host: Host): Promise<void> {
  const argv = ['iperf3', '--server', '--daemon', '--port', `${IPERF_PORT}`]
  await inside(host, SERVER, argv)
  const listens = ['sh', '-c', `ss -Hltn | grep -c ':${IPERF_PORT} '`]
  await until('iperf3 listens', async () => {
    return (await inside(host, SERVER, listens)).stdout.trim() !== '0'
  })
}

async function tcpRate(host: Host): Promise<number> {
  const time = ['--time', '2', '--omit', '1', '--connect-timeout', '5000']
  const argv = ['iperf3', '--json', ...time, '--client', SERVER.ipv4, '--port', `${IPERF_PORT}`]
  return parseIperf((await inside(host, CLIENT, argv)).stdout)
}

async function pingTimes(host: Host): Promise<number[]> {
  const argv = ['ping', '-n', '-c', '200', '-i', '0.01', '-W', '1', SERVER.ipv4]
  return parsePings((await inside(host, CLIENT, argv)).stdout)
}

/** ms of connections one after the other, each from its first packet to the echo of a byte. */
async function connectTimes(host: Host): Promise<number[]> {
  const program = `
    const { connect } = require('node:net')
    const one = () => new Promise((resolve, reject) => {
      const begunMs = performance.now()
      const socket = connect(${ECHO_PORT}, '${SERVER.ipv4}', () => socket.write('x'))
      socket.on('error', reject).on('data', () => {
        resolve(performance.now() - begunMs)
        socket.resetAndDestroy()
      })
    })
    const all = async () => {
      const times = []
      for (let n = 0; n < ${CONNECTS}; n += 1) times.push(await one())
      process.stdout.write(JSON.stringify(times))
    }
    all()`
  const { stdout } = await inside(host, CLIENT, [process.execPath, '-e', program])
  return JSON.parse(stdout) as number[]
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(4))
}
