// How fast the endpoint answers: signed calls over loopback HTTP to a gateway that is a program of
// its own, with 0 to 100,000 instances; beside moto's server where that is installed.

import { describe, idsOf, makeImage, reach, run as runInstances } from '../test/api/support.ts'
import { type Ending, startCloud, type TestCloud } from '../test/support/cloud.ts'
import { addHost, connected, type RackHost } from '../test/support/simulated-rack.ts'
import { type Emit, median, percentile, skipped } from './harness.ts'
import {
  asker,
  type Call,
  hasInstances,
  load,
  oneByOne,
  rateOf,
  type Target,
  type Took,
  textIn,
} from './load.ts'
import { copyInstances, type Model, modelOf } from './many.ts'
import { type Moto, startMoto } from './peers/moto.ts'

const BENCH = 'api'
/** Each has a default subnet of 251 addresses. */
const RACKS = ['a', 'b', 'c', 'd', 'e']
const VCPUS = 1_000
const BATCH = 100
const FEW = 100
const MORE = 1_000
const MANY = 100_000
const PAGE = 1_000
const CONNECTIONS = 8
const CLIENTS = 32
const WARM_UP_MS = 1_000
const MEASURE_MS = 4_000
const ROUNDS = 3
const QUICK_CALLS = 500
const TURNS = 15
const GOALS = { rate: 2_000, p99Ms: 50, allMs: 60, runMs: 20, moto: 10, oneOfMany: 1.1 }
const VERSION = 'Version=2016-11-15'
const ALL: Call = { body: `Action=DescribeInstances&${VERSION}` }

interface Bench {
  readonly emit: Emit
  readonly cloud: TestCloud
  readonly moto: Moto | null
  readonly image: string
}

export async function run(emit: Emit): Promise<void> {
  const steps: (() => Promise<void>)[] = []
  const end: Ending = { after: (step) => void steps.push(step) }
  try {
    const moto = await startMoto()
    if (moto === null) skipped(BENCH, 'beside moto', 'moto_server is not installed')
    else steps.push(moto.stop)
    const cloud = await startCloud(end, { child: true })
    const hosts: RackHost[] = []
    for (const rack of RACKS) {
      const roles = ['cc', 'nc'] as const
      hosts.push(await addHost(cloud, { rack, host: `${rack}-cc`, roles, vcpus: VCPUS }))
    }
    await connected(cloud, hosts)
    const bench = { emit, cloud, moto, image: await makeImage(cloud, cloud.ec2()) }
    await smallCalls(bench)
    const first = await launches(bench)
    await fill(bench, MORE)
    await all(bench)
    await tags(bench, first)
    await mixed(bench, first)
    await memory(bench, MORE)
    for (const host of hosts) await host.stop()
    await cloud.stop()
    const model = await cloud.withState(async (state) => modelOf(state, first))
    await many(emit, {
      few: await cloudOf(end, model, FEW),
      many: await cloudOf(end, model, MANY),
    })
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

/** With no instance there the answer is short: what is left is the call itself. */
async function smallCalls({ emit, cloud, moto }: Bench): Promise<void> {
  const none = { ...ALL, check: hasInstances(0) }
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await rate(targetOf(cloud), () => none))
    if (moto !== null) theirs.push(await rate(moto.target, () => none))
  }
  const line = { bench: BENCH, unit: 'requests/s', value: median(ours), higher_is_better: true }
  emit({ ...line, case: 'small calls', goal: GOALS.rate })
  if (moto !== null) {
    const peer = { peer: 'moto', peer_value: median(theirs), goal: GOALS.moto }
    emit({ ...line, case: 'small calls beside moto', ...peer })
  }
  const { p99 } = await loaded(targetOf(cloud), () => none)
  emitMs(emit, `small calls of ${CLIENTS} clients, p99`, p99, GOALS.p99Ms)
}

/** Runs instances one after the other. Returns the first one's id. */
async function launches({ emit, cloud, image }: Bench): Promise<string> {
  const counts = 'MinCount=1&MaxCount=1&InstanceType=t3.nano'
  const body = `Action=RunInstances&${VERSION}&${counts}&ImageId=${image}`
  const { latencies, last } = await oneByOne(targetOf(cloud), { body, check: hasInstances(1) })
  emitMs(emit, 'RunInstances answered, p50', median(latencies), GOALS.runMs)
  emitMs(emit, 'RunInstances answered, p99', percentile(latencies, 99))
  return textIn(last, 'instanceId')
}

async function all({ emit, cloud, moto }: Bench): Promise<void> {
  const call = { ...ALL, check: hasInstances(MORE) }
  const ms = median((await oneByOne(targetOf(cloud), call)).latencies)
  emitMs(emit, `${MORE} instances, p50`, ms, GOALS.allMs)
  if (moto === null) return
  const theirs = median((await motoInstances(moto)).latencies)
  const compared = { peer: 'moto', peer_value: rounded(theirs), goal: 1 / GOALS.moto }
  const line = {
    bench: BENCH,
    case: `${MORE} instances beside moto`,
    unit: 'ms',
    value: rounded(ms),
  }
  emit({ ...line, ...compared, higher_is_better: false })
}

async function motoInstances(moto: Moto): Promise<{ readonly latencies: readonly number[] }> {
  const { ask, close } = asker(moto.target, 1)
  const image = textIn(await ask({ body: `Action=DescribeImages&${VERSION}` }), 'imageId')
  const body = `Action=RunInstances&${VERSION}&MinCount=${BATCH}&MaxCount=${BATCH}&ImageId=${image}`
  for (let made = 0; made < MORE; made += BATCH) await ask({ body })
  close()
  return await oneByOne(moto.target, { ...ALL, check: hasInstances(MORE) })
}

async function tags({ emit, cloud }: Bench, id: string): Promise<void> {
  const call = (index: number): Call => ({
    body: `Action=CreateTags&${VERSION}&ResourceId.1=${id}&Tag.1.Key=n&Tag.1.Value=${index % 100}`,
  })
  const { latencies } = await oneByOne(targetOf(cloud), call(0))
  emitMs(emit, 'CreateTags, p50', median(latencies))
  const value = await rate(targetOf(cloud), call)
  emit({ bench: BENCH, case: 'CreateTags', unit: 'requests/s', value, higher_is_better: true })
}

/** Of ten calls nine read one thing or a few, and one writes. */
async function mixed({ emit, cloud, image }: Bench, id: string): Promise<void> {
  const calls = [
    ...Array.from({ length: 4 }, () => oneOf(id)),
    ...[
      `Action=DescribeInstanceStatus&${VERSION}&InstanceId.1=${id}`,
      `Action=DescribeSubnets&${VERSION}`,
      `Action=DescribeImages&${VERSION}&ImageId.1=${image}`,
      `Action=DescribeTags&${VERSION}&Filter.1.Name=resource-id&Filter.1.Value.1=${id}`,
      `Action=DescribeInstanceTypes&${VERSION}&InstanceType.1=t3.nano`,
      `Action=CreateTags&${VERSION}&ResourceId.1=${id}&Tag.1.Key=m&Tag.1.Value=1`,
    ].map((body) => ({ body })),
  ]
  const took = await loaded(targetOf(cloud), (index) => calls[index % calls.length] ?? ALL)
  const line = { bench: BENCH, case: `mixed calls of ${CLIENTS} clients` }
  emit({ ...line, unit: 'requests/s', value: took.rate, higher_is_better: true })
  emitMs(emit, `mixed calls of ${CLIENTS} clients, p50`, took.p50)
  emitMs(emit, `mixed calls of ${CLIENTS} clients, p99`, took.p99)
}

interface Copied {
  readonly cloud: TestCloud
  /** One of its instances. */
  readonly id: string
}

async function cloudOf(end: Ending, model: Model, count: number): Promise<Copied> {
  const cloud = await startCloud(end, { child: true })
  await cloud.stop()
  const { account } = cloud.init
  const id = await cloud.withState((state) => copyInstances(state, model, { account, count }))
  await cloud.start()
  return { cloud, id }
}

async function many(emit: Emit, sides: Record<'few' | 'many', Copied>): Promise<void> {
  const took: Record<keyof typeof sides, number[]> = { few: [], many: [] }
  for (let round = 0; round < TURNS; round += 1) {
    for (const side of ['few', 'many'] as const) {
      const { cloud, id } = sides[side]
      // A gateway that was just started translates its code for a while.
      const warmUps = round === 0 ? QUICK_CALLS : undefined
      took[side].push(...(await oneByOne(targetOf(cloud), oneOf(id), warmUps)).latencies)
    }
  }
  emit({
    ...{ bench: BENCH, case: `one instance of ${MANY}, p50`, unit: 'ms' },
    ...{ value: rounded(median(took.many)), peer: `one of ${FEW}` },
    ...{ peer_value: rounded(median(took.few)), goal: GOALS.oneOfMany, higher_is_better: false },
  })
  const { cloud } = sides.many
  await pages(emit, cloud)
  await memory({ emit, cloud }, MANY)
}

async function pages(emit: Emit, cloud: TestCloud): Promise<void> {
  const { ask, close } = asker(targetOf(cloud), 1)
  const latencies: number[] = []
  let next = ''
  do {
    const body = `${ALL.body}&MaxResults=${PAGE}${next === '' ? '' : `&NextToken=${next}`}`
    const askedMs = performance.now()
    const answer = await ask({ body, check: hasInstances(PAGE) })
    latencies.push(performance.now() - askedMs)
    next = answer.includes('<nextToken>') ? textIn(answer, 'nextToken') : ''
  } while (next !== '')
  close()
  if (latencies.length !== MANY / PAGE) throw new Error(`${latencies.length} pages`)
  emitMs(emit, `a page of ${PAGE} of ${MANY} instances, p50`, median(latencies))
}

async function memory(
  { emit, cloud }: Pick<Bench, 'emit' | 'cloud'>,
  count: number,
): Promise<void> {
  const metrics = await fetch(`http://127.0.0.1:${cloud.config.adminPort}/metrics`)
  const bytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(await metrics.text())?.[1])
  const line = { bench: BENCH, case: `memory with ${count} instances`, unit: 'MiB' }
  emit({ ...line, value: Math.round(bytes / 2 ** 20), higher_is_better: false })
}

async function fill({ cloud, image }: Bench, count: number): Promise<void> {
  const ec2 = cloud.ec2()
  const missing = count - (await describe(ec2)).length
  for (let left = missing; left > 0; left -= BATCH) {
    const made = await runInstances(ec2, { ImageId: image, count: Math.min(BATCH, left) })
    await reach(ec2, idsOf(made), 'running', 60_000)
  }
}

function oneOf(id: string): Call {
  const body = `Action=DescribeInstances&${VERSION}&InstanceId.1=${id}`
  return { body, check: hasInstances(1) }
}

function targetOf({ config, init }: TestCloud): Target {
  const { accessKeyId, secretAccessKey: secret } = init
  return { port: config.apiPort, region: init.region, accessKeyId, secret }
}

/** Calls per second of some connections that are always busy. */
async function rate(target: Target, next: (index: number) => Call): Promise<number> {
  return rateOf(await warmLoad(target, next, CONNECTIONS))
}

async function loaded(
  target: Target,
  next: (index: number) => Call,
): Promise<{ readonly rate: number; readonly p50: number; readonly p99: number }> {
  const took = await warmLoad(target, next, CLIENTS)
  const { latencies } = took
  return { rate: rateOf(took), p50: median(latencies), p99: percentile(latencies, 99) }
}

async function warmLoad(
  target: Target,
  next: (index: number) => Call,
  clients: number,
): Promise<Took> {
  const all = asker(target, clients)
  try {
    await load(all, next, { clients, forMs: WARM_UP_MS })
    return await load(all, next, { clients, forMs: MEASURE_MS })
  } finally {
    all.close()
  }
}

function emitMs(emit: Emit, name: string, ms: number, goal?: number): void {
  const line = { bench: BENCH, case: name, unit: 'ms', value: rounded(ms) }
  emit({ ...line, ...(goal !== undefined && { goal }), higher_is_better: false })
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(4))
}
