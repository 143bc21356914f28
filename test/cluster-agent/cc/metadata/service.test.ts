// The metadata service over real HTTP: who asks is who sends, and nobody else is told about.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import {
  BURST,
  MAX_CONNECTIONS_PER_SENDER,
  MetadataService,
} from '../../../../cluster-agent/cc/metadata/service.ts'
import { Tokens } from '../../../../cluster-agent/cc/metadata/tokens.ts'
import { silentLog } from '../../../../common/log.ts'
import { freePorts } from '../../../support/ports.ts'
import { instanceOf, interfaceOf } from './support.ts'

const [ONE, TWO, THREE, STRANGER] = ['127.0.9.1', '127.0.9.2', '127.0.9.3', '127.0.9.9'] as const
const INTERFACES = [
  interfaceOf('i-1', ONE, '::1'),
  interfaceOf('i-2', TWO),
  interfaceOf('i-3', THREE),
]
const ID = '/latest/meta-data/instance-id'
const TOKEN = 'x-aws-ec2-metadata-token'
const TTL = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' }

let port: number
let service: MetadataService

before(async () => {
  port = (await freePorts(1))[0] ?? 0
  service = new MetadataService({
    tokens: new Tokens(Buffer.alloc(32, 7)),
    // The last one is nobody's.
    addresses: ['127.0.0.1', '::1', '192.0.2.1'],
    port,
    clock: { nowMs: () => 1_800_000_000_000 },
    log: silentLog,
  })
  await service.pass(
    INTERFACES,
    ['i-1', 'i-2', 'i-3'].map((id) => instanceOf(id)),
  )
})
after(() => service.close())

interface Told {
  readonly status: number
  readonly body: string
  readonly server: unknown
}

function ask(
  from: string,
  path: string,
  more: { method?: string; headers?: Record<string, string> } = {},
): Promise<Told> {
  const host = from.includes(':') ? '::1' : '127.0.0.1'
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, path, localAddress: from, agent: false, ...more }, (got) => {
      const chunks: Buffer[] = []
      got.on('data', (chunk: Buffer) => chunks.push(chunk))
      got.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        resolve({ status: got.statusCode ?? 0, body, server: got.headers.server })
      })
    })
    sent.on('error', reject).end()
  })
}

/** Everything that comes for bytes as they are, until the server closes. */
function raw(text: string, from: string = ONE): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    connect({ host: '127.0.0.1', port, localAddress: from })
      .on('data', (chunk) => chunks.push(chunk))
      .on('close', () => resolve(Buffer.concat(chunks).toString()))
      .on('error', reject)
      .write(text)
  })
}

test('MetadataService tells each instance about itself', async () => {
  assert.deepEqual(await ask(ONE, ID), { status: 200, body: 'i-1', server: 'EC2ws' })
  assert.equal((await ask(TWO, ID)).body, 'i-2')
  assert.equal((await ask(STRANGER, ID)).status, 404)
})

test('MetadataService believes no header about who asks', async () => {
  for (const name of [
    'x-forwarded-for',
    'forwarded',
    'x-real-ip',
    'host',
    'via',
    'true-client-ip',
  ]) {
    assert.equal((await ask(ONE, ID, { headers: { [name]: TWO } })).body, 'i-1', name)
  }
})

test('MetadataService takes a token from the instance that got it', async () => {
  const { body: token } = await ask(ONE, '/latest/api/token', { method: 'PUT', headers: TTL })
  const headers = { [TOKEN]: token }
  assert.equal((await ask(ONE, ID, { headers })).body, 'i-1')
  assert.equal((await ask(TWO, ID, { headers })).status, 401)
})

test('MetadataService answers HEAD without a body', async () => {
  assert.deepEqual(await ask(ONE, ID, { method: 'HEAD' }), {
    status: 200,
    body: '',
    server: 'EC2ws',
  })
})

test('MetadataService answers over IPv6 when the instance wants it', async () => {
  assert.equal((await ask('::1', ID)).status, 403)
  const all = [instanceOf('i-1', { ipv6: true }), instanceOf('i-2'), instanceOf('i-3')]
  await service.pass(INTERFACES, all)
  assert.equal((await ask('::1', ID)).body, 'i-1')
})

const HEAD = `GET ${ID} HTTP/1.1\r\nHost: a\r\n`
for (const [what, text, want] of [
  ['HTTP/1.0', `GET ${ID} HTTP/1.0\r\n\r\n`, /^HTTP\/1\.1 200 [\s\S]*i-1$/],
  ['an absolute target', `GET http://a${ID} HTTP/1.1\r\nHost: a\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ['CONNECT', 'CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 405 /],
  ['no Host', `GET ${ID} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ['two lengths', `${HEAD}Content-Length: 0\r\nContent-Length: 5\r\n\r\n`, /^HTTP\/1\.1 400 /],
  [
    'a length and chunks',
    `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1\.1 400 /,
  ],
  ['a folded header', `${HEAD}X: a\r\n b\r\n\r\n`, /^HTTP\/1\.1 (?:400|200) /],
  ['a bare line feed', `GET ${ID} HTTP/1.1\nHost: a\n\n`, /^HTTP\/1\.1 400 /],
  ['a space before the colon', `${HEAD}Content-Length : 5\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ['huge headers', `${HEAD}X: ${'a'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ['an expectation', `${HEAD}Expect: 100-continue\r\n\r\n`, /^HTTP\/1\.1 417 /],
  ['no HTTP', '\x16\x03\x01\r\n\r\n', /^HTTP\/1\.1 400 /],
  [
    'a second request in a body',
    `PUT /latest/api/token HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n${HEAD}\r\n`,
    /^HTTP\/1\.1 400 (?![\s\S]*HTTP\/1\.1 200)/,
  ],
] as const) {
  test(`MetadataService answers ${what} with ${want.source.match(/\d{3}/)?.[0]}`, async () => {
    assert.match(await raw(text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')), want)
  })
}

test('MetadataService has only so many connections with one sender', async () => {
  const held = Array.from({ length: MAX_CONNECTIONS_PER_SENDER }, () =>
    connect({ host: '127.0.0.1', port, localAddress: TWO }),
  )
  await Promise.all(held.map((one) => new Promise((resolve) => one.once('connect', resolve))))
  assert.match(await raw('', TWO), /^HTTP\/1\.1 503 /)
  assert.equal((await ask(ONE, ID)).status, 200)
  for (const one of held) one.destroy()
})

test('MetadataService has only so many answers at once for one instance', async () => {
  const statuses = new Set<number>()
  for (let at = 0; at <= BURST; at += 1) statuses.add((await ask(THREE, ID)).status)
  assert.deepEqual([...statuses], [200, 429])
  assert.equal((await ask(ONE, ID)).status, 200)
})

test('MetadataService knows at once what is desired now', async () => {
  const moved = [interfaceOf('i-2', ONE)]
  await service.pass(moved, [instanceOf('i-2', { enabled: true })])
  assert.equal((await ask(ONE, ID)).body, 'i-2')
  assert.equal((await ask(TWO, ID)).status, 404)
  await service.pass(moved, [instanceOf('i-2', { enabled: false })])
  assert.equal((await ask(ONE, ID)).status, 403)
})
