// How fast objects go through the endpoint: signed PUT and GET over loopback HTTP to a gateway that
// is a program of its own, in turns with nginx where that is installed; and a walk over many keys.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { signed, type Wish } from '../test/gateway/s3/wire/support.ts'
import { type Ending, startCloud, type TestCloud } from '../test/support/cloud.ts'
import { type Emit, median, percentile, skipped } from './harness.ts'
import { startNginx } from './peers/nginx.ts'
import { openConnection, type RawCall } from './raw-http.ts'

const BENCH = 's3'
const ROUNDS = 3
const ROUND_MS = 1_500
const KIB = 1 << 10
const MIB = 1 << 20
const CLIENTS = [1, 16]
const BUCKET = 'bench'
const KEYS = 10_000
const FILLERS = 16
const SAMPLE_MS = 100
const CRC_BYTES = 4

/** Each is the smallest ratio to nginx. */
interface Size {
  readonly name: string
  readonly bytes: number
  readonly put?: number
  readonly get?: number
}

const SIZES: readonly Size[] = [
  { name: '4 KiB', bytes: 4 * KIB, put: 1 },
  { name: '1 MiB', bytes: MIB },
  { name: '64 MiB', bytes: 64 * MIB, put: 0.5, get: 0.7 },
]

/** How a body is vouched for. */
type Proof = 'crc' | 'sha256'

interface Server {
  readonly port: number
  readonly call: (method: 'GET' | 'PUT', key: string, body: Body) => RawCall
}

interface Body {
  readonly bytes: Buffer
  readonly proof: Proof
}

interface Took {
  readonly perSecond: number
  readonly latencies: readonly number[]
}

interface Case {
  readonly name: string
  readonly method: 'GET' | 'PUT'
  readonly body: Body
  readonly clients: number
  readonly goal: number | undefined
}

export async function run(emit: Emit): Promise<void> {
  await runSizes(emit, SIZES)
}

/** Objects of 4 KiB and the walk, which take a minute. */
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
    const nginx = await startNginx(join(cloud.dir, 'nginx'))
    if (nginx === null) skipped(BENCH, 'beside nginx', 'nginx with WebDAV is not installed')
    else steps.push(nginx.stop)
    const ours = gatewayOf(cloud)
    await expect200(ours, { method: 'PUT', ...sign(cloud, 'PUT', '') })
    const servers = [ours, ...(nginx === null ? [] : [filesOf(nginx.port)])]
    for (const size of sizes) {
      const peak = await watchMemory(cloud, () => measureSize(emit, servers, size))
      const line = { bench: BENCH, case: `${size.name}, memory at its peak`, unit: 'MiB' }
      emit({ ...line, value: Math.round(peak / MIB), higher_is_better: false })
    }
    await walk(emit, cloud)
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

async function measureSize(
  emit: Emit,
  servers: readonly Server[],
  { name, bytes, put, get }: Size,
): Promise<void> {
  const body = { bytes: randomBytes(bytes), proof: 'crc' } as const
  for (const clients of CLIENTS) {
    const crc = { name: `PUT ${name}`, method: 'PUT', body, clients, goal: put } as const
    await measure(emit, servers, crc)
    const hashed = { ...body, proof: 'sha256' } as const
    const signedCase = { ...crc, name: `PUT ${name}, SHA-256 signed`, body: hashed }
    if (put !== undefined) await measure(emit, servers, { ...signedCase, goal: undefined })
    await measure(emit, servers, { ...crc, name: `GET ${name}`, method: 'GET', goal: get })
  }
}

/** In turns, so that a noisy moment hits both alike. The first round warms up. */
async function measure(emit: Emit, servers: readonly Server[], one: Case): Promise<void> {
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
  const { body, clients, goal } = one
  const isSmall = body.bytes.length < MIB
  const [value = 0, peer] = rates
    .map(median)
    .map((rate) => (isSmall ? Math.round(rate) : rounded((rate * body.bytes.length) / MIB)))
  const line = { bench: BENCH, case: `${one.name}, ${clients} at a time` }
  const unit = isSmall ? 'requests/s' : 'MiB/s'
  const against = peer === undefined ? {} : { peer: 'nginx', peer_value: peer }
  const goals = peer === undefined || goal === undefined ? {} : { goal }
  emit({ ...line, unit, value, ...against, ...goals, higher_is_better: true })
  const [p99 = 0, peerP99] = latencies.map((all) => rounded(percentile(all, 99)))
  emit({
    ...{ ...line, case: `${line.case}, p99`, unit: 'ms', value: p99, higher_is_better: false },
    ...(peerP99 === undefined ? {} : { peer: 'nginx', peer_value: peerP99 }),
  })
}

async function load(server: Server, { method, body, clients }: Case): Promise<Took> {
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

function gatewayOf(cloud: TestCloud): Server {
  return {
    port: cloud.config.apiPort,
    call: (method, key, body) => {
      const { bytes, proof } = body
      if (method === 'GET') return { method, ...sign(cloud, method, `/${key}`) }
      const payload = proof === 'crc' ? { payload: 'UNSIGNED-PAYLOAD' } : {}
      const headers = proof === 'crc' ? { 'x-amz-checksum-crc32': crcOf(bytes) } : {}
      const wish = { ...payload, headers, body: bytes }
      return { method, body: bytes, ...sign(cloud, method, `/${key}`, wish) }
    },
  }
}

function filesOf(port: number): Server {
  return {
    port,
    call: (method, key, { bytes }) => ({
      ...{ method, path: `/${key}` },
      ...(method === 'PUT' && { body: bytes }),
    }),
  }
}

function sign(
  { config, init }: TestCloud,
  method: 'GET' | 'PUT',
  key: string,
  wish: Wish = {},
): Pick<RawCall, 'path'> & { readonly headers: Record<string, string> } {
  const { accessKeyId, secretAccessKey: secret, region } = init
  const path = `/${BUCKET}${key}`
  const all = { accessKeyId, secret, region, method, path, ...wish }
  const { headers } = signed(config.apiPort, all)
  return { path: wish.query === undefined ? path : `${path}?${wish.query}`, headers }
}

async function expect200({ port }: Pick<Server, 'port'>, call: RawCall): Promise<string> {
  const connection = await openConnection(port)
  const { status, text } = await connection.ask(call)
  connection.close()
  if (status !== 200) throw new Error(`${call.method} ${call.path}: ${status} ${text()}`)
  return text()
}

/** All keys of the bucket, page after page of 1,000. */
async function walk(emit: Emit, cloud: TestCloud): Promise<void> {
  const { port, call } = gatewayOf(cloud)
  const body = { bytes: Buffer.from('x'), proof: 'sha256' } as const
  const fill = async (_: unknown, first: number): Promise<void> => {
    const connection = await openConnection(port)
    for (let n = first; n < KEYS; n += FILLERS) {
      const { status, text } = await connection.ask(call('PUT', `walk/${n}`, body))
      if (status !== 200) throw new Error(text())
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: FILLERS }, fill))
  const times: number[] = []
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startMs = performance.now()
    let seen = 0
    let more = ''
    do {
      const query = `${more}list-type=2&prefix=walk%2F`
      const page = await expect200(
        { port },
        { method: 'GET', ...sign(cloud, 'GET', '', { query }) },
      )
      seen += page.split('<Contents>').length - 1
      const token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1]
      more = token === undefined ? '' : `continuation-token=${token}&`
    } while (more !== '')
    if (seen !== KEYS) throw new Error(`${seen} keys`)
    if (round > 0) times.push(performance.now() - startMs)
  }
  const line = { bench: BENCH, case: `walk over ${KEYS} keys`, unit: 'ms' }
  emit({ ...line, value: rounded(median(times)), higher_is_better: false })
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

function crcOf(bytes: Buffer): string {
  const crc = Buffer.alloc(CRC_BYTES)
  crc.writeUInt32BE(crc32(bytes))
  return crc.toString('base64')
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
