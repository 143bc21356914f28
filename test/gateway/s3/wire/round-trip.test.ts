// Every operation of S3's model, with random input and output, against the official SDK's own
// serialiser and deserialiser, in process: what it writes we read, what we write it reads.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import * as s3Sdk from '@aws-sdk/client-s3'
import { loadModel, type Member } from '../../../../gateway/aws/model.ts'
import { createDecoder } from '../../../../gateway/s3/wire/decode.ts'
import { createEncoder } from '../../../../gateway/s3/wire/encode.ts'
import { createRouter, type Level } from '../../../../gateway/s3/wire/route.ts'
import { targetOf } from '../../../../gateway/s3/wire/target.ts'
import { parseQuery } from '../../../../gateway/s3/wire/values.ts'
import { comparable, generator } from '../../aws/random-values.ts'

const ROUNDS = 4
/** The SDK takes a copy's answer that is empty for one that was cut. */
const COPIED: Readonly<Record<string, object>> = {
  CopyObject: { CopyObjectResult: { ETag: 'a' } },
  UploadPartCopy: { CopyPartResult: { ETag: 'a' } },
}
const sdk: Readonly<Record<string, unknown>> = s3Sdk
const model = loadModel('s3')
const route = createRouter(model)
const decoder = createDecoder(model)
const encode = createEncoder(model)

/** Whose bodies are no documents: streams of events, and requests of other endpoints. */
const LEFT_OUT: ReadonlySet<string> = new Set(['SelectObjectContent', 'CreateSession'])
/** What the SDK computes or sends by itself, or shows in two forms. */
const OF_THE_SDK = [
  ...['Body', 'AnnotationPayload', 'ContentMD5', 'ContentLength', 'ExpiresString', 'Expires'],
  'ContentType',
  ...['ChecksumAlgorithm', 'SSECustomerKey', 'SSECustomerKeyMD5', 'CopySourceSSECustomerKey'],
  ...['CopySourceSSECustomerKeyMD5', 'RequestPayer', 'ChecksumMode'],
]

interface Sent {
  readonly method: string
  readonly hostname: string
  readonly path: string
  readonly query: Readonly<Record<string, string | string[] | null>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}
interface Client {
  send(command: unknown): Promise<Record<string, unknown>>
}

test('the s3 codec agrees with the SDK on every operation', async () => {
  const random = generator(model, 11)
  const wire: { sent: Sent | null; answer: ReturnType<typeof encode> } = {
    sent: null,
    answer: { status: 200, headers: {}, body: null },
  }
  const client = clientOver(wire)
  const mismatches: string[] = []
  for (const [operation, { i, o }] of Object.entries(model.ops)) {
    if (LEFT_OUT.has(operation)) continue
    const Command = sdk[`${operation}Command`] as new (input: unknown) => unknown
    for (let round = 0; round < ROUNDS; round++) {
      const input = withoutSdks(fitting(i, random.value(i)))
      // The SDK adds to what it is given.
      const want = comparable(input)
      const made = withoutSdks(o === null ? {} : fitting(o, random.value(o)))
      const output = { ...COPIED[operation], ...made }
      try {
        wire.answer = encode(operation, output)
        const { $metadata: _, ...got } = await client.send(new Command(input))
        assert.deepEqual(comparable(decoded(wire.sent, operation)), want, 'input')
        assert.deepEqual(comparable(withoutSdks(got)), comparable(output), 'output')
      } catch (error) {
        mismatches.push(`${operation}: ${error}`)
      }
    }
  }
  assert.deepEqual(mismatches, [])
})

function decoded(sent: Sent | null, operation: string): Record<string, unknown> {
  assert.ok(sent !== null)
  const { method, hostname, path, query: parameters, body = '' } = sent
  const pairs = Object.entries(parameters).map(([name, value]) =>
    value === null
      ? encodeURIComponent(name)
      : `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  )
  const query = parseQuery(pairs.join('&'))
  const headers = new Map(
    Object.entries(sent.headers).map(([name, value]) => [name.toLowerCase(), [value]] as const),
  )
  const target = targetOf(hostname, path, [])
  const level: Level =
    target.bucket === null ? 'service' : target.key === null ? 'bucket' : 'object'
  assert.equal(route({ method, level, query, headers }), operation)
  const input = decoder.head(operation, { ...target, query, headers })
  const { kind } = decoder.payloadOf(operation)
  if (kind === 'xml' || kind === 'text') {
    Object.assign(input, decoder.body(operation, Buffer.from(body)))
  }
  return withoutSdks(input)
}

function clientOver(wire: { sent: Sent | null; answer: ReturnType<typeof encode> }): Client {
  const requestHandler = {
    metadata: {},
    handle: async (request: Sent) => {
      wire.sent = request
      const { status, headers, body } = wire.answer
      const stream = Readable.from([Buffer.from(body ?? '')])
      return { response: { statusCode: status, headers, body: stream } }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  }
  const credentials = { accessKeyId: 'A', secretAccessKey: 'S' }
  return new s3Sdk.S3Client({
    ...{
      region: 'us-east-1',
      endpoint: 'http://mallee.test',
      maxAttempts: 1,
      forcePathStyle: true,
    },
    ...{ credentials, requestHandler: requestHandler as never },
    responseChecksumValidation: 'WHEN_REQUIRED',
  }) as unknown as Client
}

/** Names that a bucket and a key can have, and of a union one member only. */
function fitting(ref: unknown, value: unknown): Record<string, unknown> {
  const members = membersOf(ref)
  const fit = Object.fromEntries(
    Object.entries(value as object).map(([name, held]) => [name, heldBy(members, name, held)]),
  )
  return { ...fit, ...named(members, 'Bucket', 'bucket'), ...named(members, 'Key', 'a/b c+é') }
}

function heldBy(members: readonly Member[], name: string, value: unknown): unknown {
  const member = members.find(({ n }) => n === name)
  return value === '' && member?.lb === 1 ? 'x' : value
}

function named(members: readonly Member[], name: string, value: string): object {
  return members.some(({ n, lb }) => n === name && lb === 1) ? { [name]: value } : {}
}

function membersOf(ref: unknown): readonly Member[] {
  const shape = typeof ref === 'number' ? model.shapes[ref] : undefined
  return shape?.[0] === 'o' ? shape[2] : []
}

function withoutSdks(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !OF_THE_SDK.includes(name)))
}
