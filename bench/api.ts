// How fast the endpoint answers signed DescribeInstances: over loopback HTTP with connections that
// stay open, from a gateway that is a program of its own.

import { Agent, type IncomingMessage, request } from 'node:http'
import { describe, idsOf, makeImage, reach, run as runInstances } from '../test/api/support.ts'
import { signedHeadersOf } from '../test/gateway/http/sign.ts'
import { type Ending, startCloud, type TestCloud } from '../test/support/cloud.ts'
import { addHost, connected, type RackHost } from '../test/support/simulated-rack.ts'
import { type Emit, percentile } from './harness.ts'

const BENCH = 'api'
const COUNTS = [0, 100, 1_000]
/** Each has a default subnet of 251 addresses. */
const RACKS = ['a', 'b', 'c', 'd', 'e']
const VCPUS = 1_000
const BATCH = 100
const CONNECTIONS = 8
const WARM_UP_MS = 1_500
const MEASURE_MS = 5_000
const BODY = 'Action=DescribeInstances&Version=2016-11-15'

export async function run(emit: Emit): Promise<void> {
  const steps: (() => Promise<void>)[] = []
  const end: Ending = { after: (step) => void steps.push(step) }
  try {
    const cloud = await startCloud(end, { child: true })
    const hosts: RackHost[] = []
    for (const rack of RACKS) {
      const roles = ['cc', 'nc'] as const
      hosts.push(await addHost(cloud, { rack, host: `${rack}-cc`, roles, vcpus: VCPUS }))
    }
    await connected(cloud, hosts)
    const ec2 = cloud.ec2()
    const image = await makeImage(cloud, ec2)
    for (const count of COUNTS) {
      const missing = count - (await describe(ec2)).length
      for (let left = missing; left > 0; left -= BATCH) {
        const made = await runInstances(ec2, { ImageId: image, count: Math.min(BATCH, left) })
        await reach(ec2, idsOf(made), 'running')
      }
      await measure(emit, cloud, count)
    }
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

async function measure(emit: Emit, cloud: TestCloud, count: number): Promise<void> {
  const ask = asker(cloud, count)
  await load(ask, WARM_UP_MS)
  const { tookMs, latencies } = await load(ask, MEASURE_MS)
  ask.close()
  const line = { bench: BENCH, case: `describe-instances-${count}` }
  const rate = (latencies.length * 1_000) / tookMs
  emit({ ...line, unit: 'requests/s', value: Number(rate.toPrecision(4)), higher_is_better: true })
  const p99 = Number(percentile(latencies, 99).toPrecision(4))
  emit({ ...line, unit: 'ms (p99)', value: p99, higher_is_better: false })
}

interface Asker {
  /** One call on one of the connections. Throws when the answer is not the right one. */
  (): Promise<void>
  close(): void
}

// Signed once: the gateway cannot know, and the client's share of the processors stays small.
function asker({ config, init }: TestCloud, count: number): Asker {
  const { accessKeyId, secretAccessKey: secret } = init
  const port = config.apiPort
  const headers = signedHeadersOf(port, { body: BODY, accessKeyId, secret })
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const ask = async (): Promise<void> => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method: 'POST', agent, headers }
      request(options, resolve).on('error', reject).end(BODY)
    })
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    const found = occurrences(Buffer.concat(chunks), '<instanceId>')
    if (answer.statusCode !== 200 || found !== count) {
      throw new Error(`answer ${answer.statusCode} with ${found} instances instead of ${count}`)
    }
  }
  return Object.assign(ask, { close: () => agent.destroy() })
}

async function load(
  ask: () => Promise<void>,
  forMs: number,
): Promise<{ tookMs: number; latencies: number[] }> {
  const startMs = performance.now()
  const latencies: number[] = []
  const clients = Array.from({ length: CONNECTIONS }, async () => {
    while (performance.now() - startMs < forMs) {
      const askedMs = performance.now()
      await ask()
      latencies.push(performance.now() - askedMs)
    }
  })
  await Promise.all(clients)
  return { tookMs: performance.now() - startMs, latencies }
}

function occurrences(text: Buffer, what: string): number {
  let count = 0
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + 1)) count += 1
  return count
}
