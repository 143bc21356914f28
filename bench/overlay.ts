// What the overlay costs: Mallee's tunnel between the edges of two racks against WireGuard set up
// by hand and against vtun, Eucalyptus' tunnel, between the same hosts and in turns.

import { EDGE_TABLE, TUNNEL_DEVICE } from '../cluster-agent/cc/names.ts'
import { type Link, listLinks } from '../cluster-agent/host/ip.ts'
import { readDevice } from '../cluster-agent/host/wg.ts'
import { MalleeError } from '../common/errors.ts'
import type { SandboxHost } from '../sandbox/host.ts'
import { type Emit, type Line, median, percentile, skipped } from './harness.ts'
import { vtun, vtunMissing } from './peers/vtun.ts'
import { rawWireguard } from './peers/wireguard.ts'
import { awaitPath, IPERF_PORT, type Path, pingTimes, startIperfServer, tcpRate } from './wire.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'overlay'
const ROUNDS = 6
const PLAN = planOf('bench-overlay', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: 'a1', roles: ['cc'] }] },
  { name: 'b', joinsOver: 'ipv4', hosts: [{ name: 'b1', roles: ['cc'] }] },
])

/** For TCP. A ping has no goal against vtun: one process in the way is not quicker than another. */
const WIREGUARD_GOAL = 0.8
const VTUN_GOAL = 2

interface Subject {
  readonly path: Path
  /** Mbit/s, one for each round. */
  readonly rates: number[]
  /** ms, of all rounds. */
  readonly pings: number[]
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const [a, b] = [world.host('a1'), world.host('b1')]
    const mallee = subject(await malleePath(a, b))
    const { mtu } = await tunnelOf(a)
    const wireguard = subject(
      await rawWireguard(
        { host: a, underlay: await farEnd(b) },
        { host: b, underlay: await farEnd(a) },
        mtu,
      ),
    )
    const [source = '', , target = ''] = world.rackUplinks()
    const underlay = subject({ name: 'no tunnel', from: a, to: b, source, target })
    const missing = vtunMissing()
    const eucalyptus = missing === null ? subject(await vtun(a, b, target)) : null

    await startIperfServer(b)
    const all = [mallee, wireguard, underlay, ...(eucalyptus === null ? [] : [eucalyptus])]
    for (const { path } of all) await awaitPath(path, signal)
    await measure(all, signal)

    compare(emit, mallee, wireguard, WIREGUARD_GOAL, 1 / WIREGUARD_GOAL)
    if (eucalyptus !== null) compare(emit, mallee, eucalyptus, VTUN_GOAL)
    else skipped(BENCH, 'against vtun', missing ?? '')
    const { name } = underlay.path
    emit({ ...rateLine(`TCP between rack edges, ${name}`), value: rate(underlay) })
    emit({ ...pingLine(`ping between rack edges, ${name}`), value: percentile(underlay.pings, 50) })
  })
}

/** In turns, there and back: no path always comes after the same one. */
async function measure(subjects: readonly Subject[], signal: AbortSignal): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    const order = round % 2 === 0 ? subjects.toReversed() : subjects
    for (const { path, rates, pings } of order) {
      signal.throwIfAborted()
      pings.push(...(await pingTimes(path)))
      rates.push(await tcpRate(path))
      say(`round ${round} of ${ROUNDS}, ${path.name}: ${rates.at(-1)?.toFixed(0)} Mbit/s`)
    }
  }
}

function compare(
  emit: Emit,
  mallee: Subject,
  peer: Subject,
  rateGoal: number,
  pingGoal?: number,
): void {
  const { name } = peer.path
  emit({
    ...rateLine('TCP between rack edges'),
    value: rate(mallee),
    peer: name,
    peer_value: rate(peer),
    goal: rateGoal,
  })
  emit({
    ...pingLine('ping p50 between rack edges'),
    value: percentile(mallee.pings, 50),
    peer: name,
    peer_value: percentile(peer.pings, 50),
    ...(pingGoal === undefined ? {} : { goal: pingGoal }),
  })
}

function rate({ rates }: Subject): number {
  return Math.round(median(rates))
}

type Kind = Omit<Line, 'value'>

function rateLine(name: string): Kind {
  return { bench: BENCH, case: name, unit: 'Mbit/s', higher_is_better: true }
}

function pingLine(name: string): Kind {
  return { bench: BENCH, case: name, unit: 'ms', higher_is_better: false }
}

function subject(path: Path): Subject {
  return { path, rates: [], pings: [] }
}

/** The tunnel that the agents made, between the hosts' fabric addresses. */
async function malleePath(from: SandboxHost, to: SandboxHost): Promise<Path> {
  // A CC answers nothing but ping on the fabric; all its rules stay in the packets' way.
  await to.exec(['nft', 'insert', 'rule', 'inet', EDGE_TABLE, ...OPENED])
  const [source, target] = [addressOf(await tunnelOf(from)), addressOf(await tunnelOf(to))]
  return { name: "Mallee's tunnel", from, to, source, target }
}

const OPENED = ['from_tunnel', 'tcp', 'dport', `${IPERF_PORT}`, 'accept']

async function tunnelOf(host: SandboxHost): Promise<Link> {
  const link = (await listLinks(host.exec)).find(({ name }) => name === TUNNEL_DEVICE)
  if (link === undefined) {
    throw new MalleeError('NotFound', `${host.name} has no ${TUNNEL_DEVICE}`)
  }
  return link
}

function addressOf({ name, addresses }: Link): string {
  const found = addresses.find(({ scope }) => scope === 'global')
  if (found === undefined) throw new MalleeError('NotFound', `${name} has no address`)
  return found.cidr.replace(/\/.*/, '')
}

/** The underlay address that a host's tunnel sends to: the peer then takes the same way. */
async function farEnd(host: SandboxHost): Promise<string> {
  const [peer] = (await readDevice(host.exec, TUNNEL_DEVICE))?.peers ?? []
  if (peer?.endpoint == null) {
    throw new MalleeError('NotFound', `${TUNNEL_DEVICE} of ${host.name} has no peer`)
  }
  return hostPart(peer.endpoint)
}

/** Without the port: `192.0.2.1:51820` and `[2001:db8::1]:51820`. */
export function hostPart(endpoint: string): string {
  return endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}
