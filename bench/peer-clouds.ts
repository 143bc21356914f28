// A cloud with many peer clouds: what it costs in memory, how long until all that they have agreed
// is in the desired state of the CC at the border, and what one more change costs beside the same
// with one peer. The gateway's own code over its own store; the peers are simulated.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemClock } from '../common/clock.ts'
import { silentLog } from '../common/log.ts'
import { resourceAt } from '../gateway/control/desired.ts'
import { desiredUpdates } from '../gateway/federation/feed.ts'
import { concerned } from '../gateway/peering/concerned.ts'
import { startConnections } from '../gateway/peering/connections.ts'
import type { Resource } from '../proto/gen/mallee/v1/desired_pb.js'
import { until } from '../sandbox/until.ts'
import { networkInterface, SECRETS, subnet } from '../test/gateway/control/records.ts'
import { openCloud, setHost } from '../test/gateway/ec2/support.ts'
import { lastFirst } from '../test/support/cloud.ts'
import { formatAddress, mustCidr, nthAddress } from '../topology/cidr.ts'
import { type Emit, median } from './harness.ts'
import {
  ask,
  BLOCKS,
  BORDER,
  type Ground,
  hex,
  makeVpcs,
  OWN_VPCS,
  ownSide,
  PEERINGS,
  reportLinks,
} from './peer-clouds-ground.ts'
import { type Measured, SimulatedPeer } from './simulated-peers.ts'
import { say } from './worlds.ts'

const BENCH = 'peer-clouds'
const PEERS = 200
const INSTANCES = 2_000
const ROUNDS = 10
const TIMEOUT_MS = 1_800_000
const MIB = 1 << 20

interface Took {
  readonly readyS: number
  readonly heapMib: number
  readonly rssMib: number
  readonly goneMs: number
  readonly newMs: number
  readonly reportMs: number
  readonly cardMs: number
}

export async function run(emit: Emit): Promise<void> {
  const one = await measured(1)
  const many = await measured(PEERS)
  const prefixes = PEERS * PEERINGS * BLOCKS * 2
  const line = (name: string, unit: string, value: number): void =>
    emit({ bench: BENCH, case: `${PEERS} peers: ${name}`, unit, value })
  line(`${prefixes} prefixes agreed and at the border`, 's', many.readyS)
  line('heap that they add', 'MiB', many.heapMib)
  line('resident memory that they add', 'MiB', many.rssMib)
  const compared = [
    ['a peering withdrawn there, gone at the border', 'ms', 'goneMs'],
    ['a peering asked for there, accepted, at the border', 'ms', 'newMs'],
    ['processor time of a host that reports', 'ms', 'reportMs'],
    [`processor time of one of ${INSTANCES} interfaces that changes`, 'ms', 'cardMs'],
  ] as const
  for (const [name, unit, field] of compared) {
    emit({
      ...{ bench: BENCH, case: `${PEERS} peers: ${name}`, unit, value: many[field] },
      ...{ peer: 'with one peer', peer_value: one[field], higher_is_better: false },
    })
  }
}

async function measured(count: number): Promise<Took> {
  const steps: (() => Promise<void>)[] = []
  const end = lastFirst({ after: (step) => void steps.push(step) })
  try {
    return await measure(end, count)
  } finally {
    for (const step of steps) await step()
  }
}

async function measure(end: ReturnType<typeof lastFirst>, count: number): Promise<Took> {
  const cloud = await openCloud(end, { racks: ['a', 'b'] })
  const own = await ownSide(cloud)
  const { state } = own
  const vpcs = await makeVpcs(cloud)
  const held = new Map<string, Resource>()
  const over = new AbortController()
  const fed = follow(own, held, over.signal)
  const parts = { state, clock: systemClock, chance: Math.random, log: silentLog }
  const loop = startConnections(parts)
  end.after(async () => {
    over.abort()
    await fed
    await loop.stop()
  })
  const before = memory()
  const beginMs = performance.now()
  const peers: SimulatedPeer[] = []
  for (let n = 1; n <= count; n += 1) peers.push(await SimulatedPeer.agree(own, n))
  const ground = { ...own, cloud, peers, vpcs, held }
  await reportLinks(ground)
  for (let n = 0; n < count * PEERINGS; n += 1) ask(ground, n, n)
  await settled(ground, count * PEERINGS * BLOCKS * 2)
  const readyS = (performance.now() - beginMs) / 1_000
  const after = memory()
  say(`${count} peers: ${readyS.toFixed(1)} s`)
  const changes = await changed(ground, count)
  const reportMs = await reports(ground)
  const cardMs = await cards(ground)
  return {
    ...{ readyS, heapMib: after.heap - before.heap, rssMib: after.rss - before.rss },
    ...{ ...changes, reportMs, cardMs },
  }
}

async function follow(
  { state }: Measured,
  held: Map<string, Resource>,
  signal: AbortSignal,
): Promise<void> {
  const parts = { state, secrets: SECRETS, log: silentLog }
  for await (const update of desiredUpdates(parts, BORDER, null, signal)) {
    const upserts = update.kind === 'snapshot' ? update.resources : update.upserts
    for (const one of upserts) held.set(one.key, one)
    for (const key of update.kind === 'snapshot' ? [] : update.removals) held.delete(key)
  }
}

/** Until so many prefixes are at the border: users accept whatever waits for them. */
async function settled(ground: Ground, prefixes: number): Promise<void> {
  const { peers, held, cloud, state } = ground
  const isThere = async (): Promise<boolean> => {
    for (const peer of peers) await peer.turn(ground)
    for (const one of state.view().all('peering')) {
      if (one.state !== 'pending-acceptance') continue
      await cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: one.id })
    }
    return atBorder(held) === prefixes
  }
  await until(`${prefixes} prefixes are there`, isThere, { timeoutMs: TIMEOUT_MS, everyMs: 1 })
}

function atBorder(held: ReadonlyMap<string, Resource>): number {
  let count = 0
  for (const { body } of held.values()) {
    if (body.case !== 'peerLink') continue
    count += body.value.borders.reduce((sum, { allowedIps }) => sum + allowedIps.length, 0)
  }
  return count
}

/** One of the first peer's, over and over: ended there, and asked for there anew. */
async function changed(ground: Ground, count: number): Promise<Pick<Took, 'goneMs' | 'newMs'>> {
  const { peers, held } = ground
  const [first] = peers
  const all = count * PEERINGS * BLOCKS * 2
  const alone = { ...ground, peers: peers.slice(0, 1) }
  const [gone, made]: [number[], number[]] = [[], []]
  let id = `pcx-${hex(0)}`
  for (let round = 0; round < ROUNDS; round += 1) {
    const beginMs = performance.now()
    first?.end(id)
    await first?.turn(ground)
    const isGone = () => atBorder(held) === all - BLOCKS * 2
    await until('it is gone', isGone, { everyMs: 1, timeoutMs: TIMEOUT_MS })
    gone.push(performance.now() - beginMs)
    // Its prefixes rest, but not for whom they were.
    id = ask(alone, OWN_VPCS * (PEERS * PEERINGS + round), 0)
    const askedMs = performance.now()
    await settled(alone, all)
    made.push(performance.now() - askedMs)
    say(`${count} peers: gone ${gone.at(-1)?.toFixed(0)} ms, new ${made.at(-1)?.toFixed(0)} ms`)
  }
  return { goneMs: median(gone), newMs: median(made) }
}

/** A host says something new, and the next change asks for a device at the border. */
async function reports({ state }: Ground): Promise<number> {
  const took: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    await setHost(state, 'b', 'b1', { diskGib: 100 + round })
    took.push(
      await processorMs(async () => {
        if (resourceAt(state.view(), BORDER, 'peer-link/1', SECRETS) === null) {
          throw new RangeError('the border has no device for peer 1')
        }
      }),
    )
  }
  return median(took)
}

/** Each time another one of many gets or loses a group; then all peers were told what is new. */
async function cards(ground: Ground): Promise<number> {
  const { state, vpcs, peers, cloud } = ground
  const vpc = vpcs[0] ?? ''
  const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', {
    Filters: [{ Name: 'vpc-id', Values: [vpc] }],
  })
  const group = SecurityGroups?.[0]?.GroupId ?? ''
  const cardOf = (n: number, groups: readonly string[]) => ({
    ...networkInterface(`eni-${hex(n)}`, { ...subnet('subnet-1', 'b', 1), vpc }, 'b1', 1),
    ...{ ipv4: formatAddress(nthAddress(mustCidr('10.100.0.0/16'), 256 + n)), ipv6: '' },
    securityGroups: groups,
  })
  for (let from = 0; from < INSTANCES; from += 500) {
    await state.update(async (tx) => {
      for (let n = from; n < from + 500; n += 1) {
        await tx.put('interface', [`eni-${hex(n)}`], cardOf(n, [group]))
      }
    })
  }
  for (const peer of peers) await peer.hear(ground)
  const uids = new Set<string>()
  const off = state.onChange((changes) => {
    for (const one of changes.flatMap((each) => concerned(state.view(), each))) uids.add(one)
  })
  const tell = async (): Promise<void> => {
    for (const peer of peers) if (uids.delete(peer.uid)) await peer.hear(ground)
  }
  const took: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const next = cardOf(round, [])
    await state.update((tx) => tx.put('interface', [next.id], next))
    took.push(await processorMs(tell))
  }
  off()
  return median(took)
}

async function processorMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** In MiB, after a collection. */
function memory(): { readonly heap: number; readonly rss: number } {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed / MIB, rss: rss / MIB }
}
