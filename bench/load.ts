// Load on an endpoint of the Query protocol: signed calls over loopback HTTP, on connections that
// stay open, and what they took.

import { Agent, type IncomingMessage, request } from 'node:http'
import { signedHeadersOf } from '../test/gateway/http/sign.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const SINGLE_CALLS = 40
const SINGLE_WARM_UPS = 10

export interface Target {
  readonly port: number
  readonly accessKeyId: string
  readonly secret: string
  readonly region: string
}

export interface Call {
  /** Action and parameters, form-encoded. */
  readonly body: string
  /** Looks at the answer; throws when it is not the right one. */
  readonly check?: (answer: Buffer) => void
}

export interface Asker {
  /** One call on one of the connections, answered and read to its end. Throws what is no 200. */
  readonly ask: (call: Call) => Promise<Buffer>
  readonly close: () => void
}

export interface Took {
  readonly tookMs: number
  /** Of each call in milliseconds. */
  readonly latencies: readonly number[]
}

/**
 * Up to `connections` calls at once. A body is signed once: the gateway cannot know, and the share
 * of the client in the processors stays small. So it must end before signatures do, in 5 minutes.
 */
export function asker(target: Target, connections: number): Asker {
  const { port, ...who } = target
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const signed = new Map<string, Record<string, string>>()
  const ask = async ({ body, check }: Call): Promise<Buffer> => {
    const headers = signed.get(body) ?? signedHeadersOf(port, { body, headers: FORM, ...who })
    signed.set(body, headers)
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method: 'POST', agent, headers }
      request(options, resolve).on('error', reject).end(body)
    })
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    if (answer.statusCode !== 200) throw new Error(`${body}: ${answer.statusCode} ${bytes}`)
    check?.(bytes)
    return bytes
  }
  return { ask, close: () => agent.destroy() }
}

/** `clients` clients for so long, each with one call after the other, as `next` says. */
export async function load(
  { ask }: Asker,
  next: (index: number) => Call,
  { clients, forMs }: { readonly clients: number; readonly forMs: number },
): Promise<Took> {
  const startMs = performance.now()
  const latencies: number[] = []
  let index = 0
  const run = async (): Promise<void> => {
    while (performance.now() - startMs < forMs) {
      const call = next(index++)
      const askedMs = performance.now()
      await ask(call)
      latencies.push(performance.now() - askedMs)
    }
  }
  await Promise.all(Array.from({ length: clients }, run))
  return { tookMs: performance.now() - startMs, latencies }
}

/** One call after the other on one connection; the first ones only warm up. */
export async function oneByOne(
  target: Target,
  call: Call,
  warmUps = SINGLE_WARM_UPS,
): Promise<{ readonly latencies: readonly number[]; readonly last: Buffer }> {
  const { ask, close } = asker(target, 1)
  const latencies: number[] = []
  let last = Buffer.alloc(0)
  for (let n = -warmUps; n < SINGLE_CALLS; n += 1) {
    const askedMs = performance.now()
    last = Buffer.from(await ask(call))
    if (n >= 0) latencies.push(performance.now() - askedMs)
  }
  close()
  return { latencies, last }
}

/** Calls per second, to four digits. */
export function rateOf({ tookMs, latencies }: Took): number {
  return Number(((latencies.length * 1_000) / tookMs).toPrecision(4))
}

/** Checks that an answer has so many instances. */
export function hasInstances(count: number): (answer: Buffer) => void {
  return (answer) => {
    const found = occurrences(answer, '<instanceId>')
    if (found !== count) throw new Error(`${found} instances instead of ${count}`)
  }
}

/** What stands in the first element of that name. Throws when there is none. */
export function textIn(answer: Buffer, element: string): string {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(answer.toString())?.[1]
  if (text === undefined) throw new Error(`the answer has no ${element}: ${answer}`)
  return text
}

function occurrences(text: Buffer, what: string): number {
  let count = 0
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + 1)) count += 1
  return count
}
