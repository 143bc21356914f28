// What is told of a call after its answer, for access logs and for what is counted per bucket (S3
// user guide, "Amazon S3 server access log format"). Counts bytes only when somebody listens.

import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../../common/clock.ts'
import type { Caller } from '../../aws/handlers.ts'
import type { Answer } from './answer.ts'
import type { Signature } from './authenticate.ts'
import type { RunningCall } from './running.ts'

/** A call and its answer. What the client said is as it said it: nobody has checked that. */
export interface Served {
  readonly requestId: string
  /** `x-amz-id-2`. */
  readonly hostId: string
  readonly startedAtMs: number
  /** Of the model; `unknown` when there is none, or the target was not understood. */
  readonly operation: string
  /** Null: about the service, or not understood. It need not be there. */
  readonly bucket: string | null
  readonly key: string | null
  readonly versionId: string | null
  /** Null: nobody signed, or not well. */
  readonly requester: Caller | null
  /** Null: nobody signed, or not in a way that was understood. */
  readonly signature: Signature | null
  readonly sourceIp: string
  readonly method: string
  /** As on the wire: `/bucket/key?query`. */
  readonly url: string
  readonly httpVersion: string
  readonly status: number
  /** Null: it went well. */
  readonly errorCode: string | null
  /** Of bodies, as they came and went. */
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Of the whole object that is read or written; null where there is none. */
  readonly objectBytes: number | null
  /** From the request's head to the last byte of the answer. */
  readonly totalMs: number
  /** From the last byte of the request to the first of the answer. */
  readonly turnAroundMs: number
  /** Null without the header. */
  readonly referer: string | null
  readonly userAgent: string | null
  readonly host: string | null
  /** Null without TLS. */
  readonly tls: { readonly version: string; readonly cipher: string } | null
  /** Whether a list of grants allowed what policies did not. */
  readonly aclRequired: boolean
}

/** What is counted while a call runs. */
export interface Tally {
  receivedBytes: number
  receivedAtMs: number
  sentBytes: number
  sendingAtMs: number
}

/** Null when nobody listens. */
export function startTally(listens: boolean, startedAtMs: number): Tally | null {
  if (!listens) return null
  return { receivedBytes: 0, receivedAtMs: startedAtMs, sentBytes: 0, sendingAtMs: startedAtMs }
}

/** The same bytes, counted on their way in. */
export async function* countedIn(
  bytes: AsyncIterable<Buffer>,
  tally: Tally,
  clock: Clock,
): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    tally.receivedBytes += chunk.length
    yield chunk
  }
  tally.receivedAtMs = clock.nowMs()
}

/** The same answer, whose bytes are counted on their way out. */
export function countedOut(answer: Answer, tally: Tally, clock: Clock): Answer {
  tally.sendingAtMs = clock.nowMs()
  const { body } = answer
  if (body === null || typeof body === 'string') {
    tally.sentBytes = Buffer.byteLength(body ?? '')
    return answer
  }
  async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      tally.sentBytes += chunk.length
      yield chunk
    }
  }
  return { ...answer, body: counted(body) }
}

export function servedOf(
  call: RunningCall,
  tally: Tally,
  { status, errorCode, headers }: Pick<Answer, 'status' | 'headers'> & { errorCode: string | null },
  endedAtMs: number,
): Served {
  const { requestId, startedAtMs, operation, caller: requester, signature, request } = call
  const { message, sourceIp } = request
  const { method = '', url = '', httpVersion } = message
  const { receivedBytes, receivedAtMs, sentBytes, sendingAtMs } = tally
  const isBodyless = method === 'HEAD' || status === 304
  return {
    ...{ requestId, hostId: hostIdOf(requestId), startedAtMs, operation, ...call.target },
    versionId: versionOf(call) ?? headers['x-amz-version-id'] ?? null,
    ...{ requester, signature, sourceIp, method, url, httpVersion, status, errorCode },
    ...{ receivedBytes, sentBytes: isBodyless ? 0 : sentBytes },
    objectBytes: errorCode === null ? objectBytesOf(call) : null,
    totalMs: endedAtMs - startedAtMs,
    turnAroundMs: Math.max(0, sendingAtMs - receivedAtMs),
    referer: message.headers.referer ?? null,
    userAgent: message.headers['user-agent'] ?? null,
    host: message.headers.host ?? null,
    tls: tlsOf(message.socket as Partial<TLSSocket>),
    aclRequired: call.aclRequired,
  }
}

export function hostIdOf(requestId: string): string {
  return Buffer.from(requestId).toString('base64')
}

function versionOf({ input }: RunningCall): string | null {
  const id = (input as { VersionId?: unknown } | null)?.VersionId
  return typeof id === 'string' ? id : null
}

/** An upload's is what came of it after decoding; a read's is in the range, or all there is. */
function objectBytesOf({ output, body }: RunningCall): number | null {
  if (body !== null) return body.sizeBytes
  const { ContentRange, ContentLength } = (output ?? {}) as Partial<Record<string, unknown>>
  const total = typeof ContentRange === 'string' ? Number(ContentRange.split('/')[1]) : Number.NaN
  if (Number.isSafeInteger(total)) return total
  return typeof ContentLength === 'number' ? ContentLength : null
}

function tlsOf(socket: Partial<TLSSocket>): Served['tls'] {
  if (socket.encrypted !== true) return null
  const cipher = socket.getCipher?.()?.name ?? ''
  return { version: socket.getProtocol?.() ?? '', cipher }
}
