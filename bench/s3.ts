// How fast objects go through the endpoint: signed PUT and GET over loopback HTTP to a gateway that
// is a program of its own, in turns with nginx, Ceph's gateway and s3rver, where they are; and a
// walk over many keys.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Ending, startCloud, type TestCloud } from '../test/support/cloud.ts'
import { type Emit, median, percentile, skipped } from './harness.ts'
import { startRgw } from './peers/ceph.ts'
import { startNginx } from './peers/nginx.ts'
import { startS3rver } from './peers/s3rver.ts'
import { openConnection } from './raw-http.ts'
import {
  type Body,
  fileServer,
  type ObjectServer,
  type S3Server,
  signedServer,
} from './s3-servers.ts'

const BENCH = 's3'
const ROUNDS = 3
const ROUND_MS = 1_000
const KIB = 1 << 10
const MIB = 1 << 20
const KEYS = 10_000
const FILLERS = 16
const SAMPLE_MS = 100
const [NGINX, RGW, S3RVER] = ['nginx', 'Ceph RGW', 's3rver'] as const

/** The smallest ratio to each peer. */
type Goals = Readonly<Record<string, number>>

interface Size {
  readonly name: string
  readonly bytes: number
  readonly clients: readonly number[]
  readonly put: Goals
  readonly get: Goals
  /** Also with a signed SHA-256. */
  readonly isHashed?: boolean
}

const SIZES: readonly Size[] = [
  {
    ...{ name: '4 KiB', bytes: 4 * KIB, clients: [1, 16], isHashed: true },
    put: { [NGINX]: 1, [RGW]: 5 },
    get: { [RGW]: 4 },
  },
  { name: '64 KiB', bytes: 64 * KIB, clients: [16], put: { [NGINX]: 0.3 }, get: {} },
  { name: '1 MiB', bytes: MIB, clients: [1, 16], put: {}, get: {} },
  {
    ...{ name: '64 MiB', bytes: 64 * MIB, clients: [1, 16], isHashed: true },
    put: { [NGINX]: 0.5 },
    get: { [NGINX]: 0.7 },
  },
]
/** A walk must take at most that part of the peer's time. */
const WALK_GOAL = 0.1

interface Took {
  readonly perSecond: number
  readonly latencies: readonly number[]
}

interface Case {
  readonly name: string
  readonly method: 'GET' | 'PUT'
  readonly body: Body
  readonly clients: number
  readonly goals: Goals
}

export async function run(emit: Emit): Promise<void> {
  await runSizes(emit, SIZES)
}

/** Objects of 4 and 64 KiB and the walk, which take two minutes. */
export async function runSmall(emit: Emit): Promise<void> {
  await runSizes(
    emit,
    SIZES.filter(({ bytes }) => bytes < MIB),
  )
}

async function runSizes(emit: Emit, sizes: readonly Size[]): Promise<void> {
  const steps: (() => Promise<void>)[] = []
  const end: Ending = { after: (step) => void steps.push(step) }
  try {
    const cloud = await startCloud(end, { child: true })
    const { accessKeyId, secretAccessKey: secret, region } = cloud.init
    const ours = signedServer('Mallee', { port: cloud.config.apiPort, accessKeyId, secret, region })
    await ours.makeBucket()
    const peers: ObjectServer[] = []
    const nginx = await startNginx(join(cloud.dir, 'nginx'))
    if (nginx === null) skipped(BENCH, `beside ${NGINX}`, 'nginx with WebDAV is not installed')
    else {
      steps.push(nginx.stop)
      peers.push(fileServer(NGINX, nginx.port))
    }
    const engines = [
      [RGW, await startRgw(), 'ceph-mon, ceph-osd and radosgw are not installed'],
      [S3RVER, await startS3rver(join(cloud.dir, 's3rver')), 'npm does not get it'],
    ] as const
    for (const [name, engine, reason] of engines) {
      if (engine === null) skipped(BENCH, `beside ${name}`, reason)
      else {
        steps.push(engine.stop)
        await engine.makeBucket()
        peers.push(engine)
      }
    }
    for (const size of sizes) {
      const peak = await watchMemory(cloud, () => measureSize(emit, [ours, ...peers], size))
      const line = { bench: BENCH, case: `${size.name}, memory at its peak`, unit: 'MiB' }
      emit({ ...line, value: Math.round(peak / MIB), higher_is_better: false })
    }
    await walk(emit, ours, engines[0][1])
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

async function measureSize(
  emit: Emit,
  servers: readonly ObjectServer[],
  { name, bytes, put, get, clients: counts, isHashed = false }: Size,
): Promise<void> {
  const body = { bytes: randomBytes(bytes), proof: 'crc' } as const
  for (const clients of counts) {
    const crc = { name: `PUT ${name}`, method: 'PUT', body, clients, goals: put } as const
    await measure(emit, servers, crc)
    const hashed = { ...body, proof: 'sha256' } as const
    const signedCase = { ...crc, name: `PUT ${name}, SHA-256 signed`, body: hashed, goals: {} }
    if (isHashed) await measure(emit, servers, signedCase)
    await measure(emit, servers, { ...crc, name: `GET ${name}`, method: 'GET', goals: get })
  }
}

/** In turns, so that a noisy moment hits all alike. The first round warms up. */
async function measure(emit: Emit, servers: readonly ObjectServer[], one: Case): Promise<void> {
  const rates = servers.map((): number[] => [])
  const latencies = servers.map((): number[] => [])
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [i, server] of servers.entries()) {
      const took = await load(server, one)
      if (round === 0) continue
      rates[i]?.push(took.perSecond)
      latencies[i]?.push(...took.latencies)
    }
  }
  const { body, clients, goals } = one
  const isSmall = body.bytes.length < MIB
  const [value = 0, ...others] = rates
    .map(median)
    .map((rate) => (isSmall ? Math.round(rate) : rounded((rate * body.bytes.length) / MIB)))
  const [p99 = 0, ...p99s] = latencies.map((all) => rounded(percentile(all, 99)))
  const name = `${one.name}, ${clients} at a time`
  const rate = { bench: BENCH, case: name, unit: isSmall ? 'requests/s' : 'MiB/s', value }
  const late = { bench: BENCH, case: `${name}, p99`, unit: 'ms', value: p99 }
  if (servers.length === 1) {
    emit({ ...rate, higher_is_better: true })
    emit({ ...late, higher_is_better: false })
  }
  for (const [i, { name: peer }] of servers.slice(1).entries()) {
    const { [peer]: goal } = goals
    const goalOf = goal === undefined ? {} : { goal }
    emit({ ...rate, peer, peer_value: others[i] ?? 0, ...goalOf, higher_is_better: true })
    emit({ ...late, peer, peer_value: p99s[i] ?? 0, higher_is_better: false })
  }
}

async function load(server: ObjectServer, { method, body, clients }: Case): Promise<Took> {
  const expected = method === 'GET' ? body.bytes.length : null
  const latencies: number[] = []
  const all = Array.from({ length: clients }, async (_, n) => ({
    connection: await openConnection(server.port),
    call: server.call(method, `${body.bytes.length}-${n}`, body),
  }))
  const ready = await Promise.all(all)
  const startMs = performance.now()
  const client = async ({ connection, call }: (typeof ready)[number]): Promise<void> => {
    do {
      const askedMs = performance.now()
      const { status, text, bodyBytes } = await connection.ask(call)
      latencies.push(performance.now() - askedMs)
      const isGood = status >= 200 && status < 300 && bodyBytes === (expected ?? bodyBytes)
      if (!isGood) throw new Error(`${method} ${call.path}: ${status} ${text()}`)
    } while (performance.now() - startMs < ROUND_MS)
    connection.close()
  }
  await Promise.all(ready.map(client))
  return { perSecond: (latencies.length * 1_000) / (performance.now() - startMs), latencies }
}

/** All keys of the bucket, page after page of 1,000. */
async function walk(emit: Emit, ours: S3Server, rgw: S3Server | null): Promise<void> {
  const servers = [ours, ...(rgw === null ? [] : [rgw])]
  for (const one of servers) await fill(one)
  const times = servers.map((): number[] => [])
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [i, server] of servers.entries()) {
      const startMs = performance.now()
      const seen = await walked(server)
      if (seen !== KEYS) throw new Error(`${seen} keys at ${server.name}`)
      if (round > 0) times[i]?.push(performance.now() - startMs)
    }
  }
  const [value = 0, peer] = times.map(median).map(rounded)
  const against = peer === undefined ? {} : { peer: RGW, peer_value: peer, goal: WALK_GOAL }
  const line = { bench: BENCH, case: `walk over ${KEYS} keys`, unit: 'ms', value }
  emit({ ...line, ...against, higher_is_better: false })
}

async function fill({ port, call }: S3Server): Promise<void> {
  const body = { bytes: Buffer.from('x'), proof: 'sha256' } as const
  const filler = async (_: unknown, first: number): Promise<void> => {
    const connection = await openConnection(port)
    for (let n = first; n < KEYS; n += FILLERS) {
      const { status, text } = await connection.ask(call('PUT', `walk/${n}`, body))
      if (status !== 200) throw new Error(text())
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: FILLERS }, filler))
}

async function walked({ list }: S3Server): Promise<number> {
  let seen = 0
  for (let more = ''; ; ) {
    const page = await list(`${more}list-type=2&prefix=walk%2F`)
    seen += page.split('<Contents>').length - 1
    const token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1]
    if (token === undefined || token === '') return seen
    more = `continuation-token=${encodeURIComponent(token)}&`
  }
}

/** The highest resident size in bytes that was seen while `during` ran. */
async function watchMemory({ config }: TestCloud, during: () => Promise<void>): Promise<number> {
  let peak = 0
  const look = async (): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${config.adminPort}/metrics`)
    const text = await answer.text()
    peak = Math.max(peak, Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]))
  }
  const timer = setInterval(() => void look().catch(() => undefined), SAMPLE_MS)
  try {
    await during()
  } finally {
    clearInterval(timer)
  }
  await look()
  return peak
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
