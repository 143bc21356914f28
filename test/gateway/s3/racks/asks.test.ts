// A gateway asks a host of a rack for bytes, over real streams: what an honest one keeps comes
// back, what a dishonest or a broken one sends is an error and never an answer.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { answerAsks } from '../../../../cluster-agent/sc/answers.ts'
import { type LocalBlobs, openLocalBlobs } from '../../../../common/blobs/local.ts'
import { randomHex, systemClock } from '../../../../common/clock.ts'
import { silentLog } from '../../../../common/log.ts'
import { askRead } from '../../../../gateway/s3/racks/ask-read.ts'
import { askDelete, askList, askVerify, askWrite } from '../../../../gateway/s3/racks/asks.ts'
import type { Turn } from '../../../../gateway/s3/racks/turn.ts'
import {
  StorageAnswerSchema,
  StorageAskSchema,
} from '../../../../proto/gen/mallee/v1/storage_pb.js'
import { dial } from '../../../../proto/service.ts'
import {
  type AnsweringLane,
  type AskingLane,
  offerLane,
  storageService,
} from '../../../../proto/storage.ts'
import { clientCredentials } from '../../../../proto/tls.ts'
import { until } from '../../../../sandbox/until.ts'
import { hostOf, makeCloud, startServer } from '../../../proto/cloud.ts'
import { inPieces } from '../storage-support.ts'

const BYTES = randomBytes(300_001)
const ID = '0123456789abcdef0123456789abcdef'
type Body = NonNullable<MessageInitShape<typeof StorageAnswerSchema>['body']>
type AskBody = NonNullable<MessageInitShape<typeof StorageAskSchema>['body']>

const cloud = await makeCloud()
const offered: AskingLane[] = []
let arrived: () => void = () => undefined
const service = storageService(
  {
    offered: async ({ lane }) => {
      offered.push(lane)
      arrived()
    },
  },
  systemClock,
)
const server = await startServer(cloud.gateway, { sessionServices: [service] })
const identity = await cloud.issue(hostOf(cloud, 'a-1'))
const connection = dial(
  '127.0.0.1',
  server.sessionPort,
  clientCredentials(identity, () => true),
)
const dir = await mkdtemp(join(tmpdir(), 'mallee-asks-'))
const dirs = [join(dir, 'disk')]
const known = join(dir, 'known.json')
const parts = { clock: systemClock, randomHex, log: silentLog }
const blobs: LocalBlobs = await openLocalBlobs({ name: 'rack', dirs, known, ...parts })
after(async () => {
  connection.close()
  await server.close()
  await rm(dir, { recursive: true })
})

/** Both ends of a stream. */
async function pair(): Promise<{ host: AnsweringLane; turn: Turn }> {
  const here = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const host = offerLane(connection, 'a-1')
  await here
  const lane = offered.pop()
  assert.ok(lane)
  return { host, turn: { lane, clock: systemClock, whose: 'host a-1 of rack a' } }
}

async function honest(): Promise<Turn> {
  const { host, turn } = await pair()
  const nothing = (): void => undefined
  answerAsks(host, { blobs, ...parts, begun: nothing, ended: nothing }).catch(nothing)
  return turn
}

/** A host that answers whatever is asked with these, one after another. */
async function dishonest(...bodies: readonly Body[]): Promise<Turn> {
  const { host, turn } = await pair()
  const say = async (): Promise<void> => {
    await host.next()
    for (const body of bodies) await host.send(create(StorageAnswerSchema, { body }))
  }
  say().catch(() => undefined)
  return turn
}

async function all(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** As an honest host would answer a read of everything. */
async function answersFor(id: string): Promise<Body[]> {
  const bodies: Body[] = []
  for await (const bytes of blobs.raw(id, { start: 0, end: BYTES.length })) {
    const blobEnd = { case: 'blobEnd', value: { end: Buffer.from(bytes) } } as const
    bodies.push(bodies.length === 0 ? blobEnd : { case: 'data', value: Buffer.from(bytes) })
  }
  return [...bodies, { case: 'done', value: {} }]
}

test('what was written is read, listed, verified and deleted on one stream', async () => {
  const turn = await honest()
  const written = await askWrite(turn, inPieces(BYTES))
  for (const [start, end] of [
    [0, BYTES.length],
    [0, 0],
    [65_535, 65_537],
    [BYTES.length - 1, BYTES.length],
    [BYTES.length, BYTES.length],
  ] as const) {
    const got = await all(askRead(turn, written, { start, end }))
    assert.ok(got.equals(BYTES.subarray(start, end)), `${start} to ${end}`)
  }
  const empty = await askWrite(turn, inPieces(Buffer.alloc(0)))
  assert.equal((await all(askRead(turn, empty, { start: 0, end: 0 }))).length, 0)
  assert.equal(await askVerify(turn, written.id), BYTES.length)
  const ids = []
  for await (const { id } of askList(turn)) ids.push(id)
  assert.deepEqual(ids.sort(), [written.id, empty.id].sort())
  await askDelete(turn, written.id)
  await askDelete(turn, written.id)
  assert.equal(turn.lane.gone.aborted, false)
  await assert.rejects(askVerify(turn, written.id), { code: 'NotFound' })
})

test('bytes that break off at either end leave nothing', async () => {
  const before = await files()
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield BYTES
    throw new RangeError('no more')
  }
  await assert.rejects(askWrite(await honest(), broken()), RangeError)
  const { host, turn } = await pair()
  const nothing = (): void => undefined
  const answering = assert.rejects(
    answerAsks(host, { blobs, ...parts, begun: nothing, ended: nothing }),
  )
  async function* cut(): AsyncGenerator<Uint8Array> {
    for await (const piece of inPieces(BYTES)) {
      yield piece
      host.close()
    }
  }
  await assert.rejects(askWrite(turn, cut()), { code: 'RackAway' })
  await answering
  await until('nothing is left', async () => (await files()).join() === before.join())
})

test('damage on the disk is found by who reads, and by who verifies', async () => {
  const turn = await honest()
  const written = await askWrite(turn, inPieces(BYTES))
  const name = (await files()).find((one) => one.endsWith(written.id)) ?? ''
  const bytes = await readFile(name)
  bytes[70_000] = (bytes[70_000] ?? 0) ^ 1
  await writeFile(name, bytes)
  const damaged = { code: 'DataCorrupt', message: /block 1/ }
  await assert.rejects(askVerify(turn, written.id), damaged)
  const whole = { start: 0, end: BYTES.length }
  await assert.rejects(all(askRead(await honest(), written, whole)), damaged)
  const first = await all(askRead(await honest(), written, { start: 0, end: 65_536 }))
  assert.ok(first.equals(BYTES.subarray(0, 65_536)), 'other blocks are well')
})

test('a host that answers wrongly is not believed', async (t) => {
  const turn = await honest()
  const written = await askWrite(turn, inPieces(BYTES))
  const other = await askWrite(turn, inPieces(randomBytes(BYTES.length)))
  const whole = { start: 0, end: BYTES.length }
  const bodies = await answersFor(written.id)
  const [end, first, ...rest] = bodies
  assert.ok(end?.case === 'blobEnd' && first?.case === 'data')
  const others = await answersFor(other.id)
  const flipped = Buffer.from(first.value)
  flipped[5] = (flipped[5] ?? 0) ^ 1
  const wrong = { code: 'StoreUnavailable' }
  const reads: readonly [string, readonly Body[], object][] = [
    ["another blob's bytes", others, { code: 'DataCorrupt' }],
    ["another blob's data", [end, ...others.slice(1)], { code: 'DataCorrupt' }],
    ['a bit of data', [end, { case: 'data', value: flipped }], { code: 'DataCorrupt' }],
    ['no end', [first, ...rest], wrong],
    [
      'an end of nothing',
      [{ case: 'blobEnd', value: { end: Buffer.alloc(3) } }],
      { code: 'DataCorrupt' },
    ],
    ['no data', [end, { case: 'data', value: Buffer.alloc(0) }], wrong],
    ['too much of it', [end, { case: 'data', value: Buffer.alloc(BYTES.length + 1) }], wrong],
    ['too little of it', [end, first, { case: 'done', value: {} }], wrong],
    ['another answer', [{ case: 'verified', value: { sizeBytes: 1n } }], wrong],
    ['a code of ours', [{ case: 'failure', value: { code: 'NotAllowed', message: 'x' } }], wrong],
  ]
  for (const [what, answers, error] of reads) {
    await t.test(what, async () => {
      const liar = await dishonest(...answers)
      await assert.rejects(all(askRead(liar, written, whole)), error)
      assert.equal(liar.lane.gone.aborted, true)
    })
  }
  for (const [what, body] of [
    ['another size', { case: 'written', value: { id: ID, sizeBytes: 5n } }],
    ['no id', { case: 'written', value: { id: '../x', sizeBytes: BigInt(BYTES.length) } }],
  ] as const) {
    await t.test(`a write of ${what}`, async () => {
      await assert.rejects(askWrite(await dishonest(body), inPieces(BYTES)), wrong)
    })
  }
  for (const [what, body] of [
    ['no id', { case: 'page', value: { blobs: [{ id: 'x' }] } }],
    [
      'too many',
      { case: 'page', value: { blobs: Array.from({ length: 1_001 }, () => ({ id: ID })) } },
    ],
    ['no size', { case: 'page', value: { blobs: [{ id: ID, sizeBytes: 1n << 60n }] } }],
  ] satisfies [string, Body][]) {
    await t.test(`a list with ${what}`, async () => {
      await assert.rejects(async () => {
        for await (const _ of askList(await dishonest(body)));
      }, wrong)
    })
  }
})

test('a host refuses asks that cannot be', async (t) => {
  const asks: readonly [string, AskBody][] = [
    ['an id that is none', { case: 'delete', value: { id: '../../etc' } }],
    ['bytes without a write', { case: 'data', value: BYTES }],
    ['a range the wrong way round', { case: 'read', value: { id: ID, start: 2n, end: 1n } }],
    ['a range without an end', { case: 'read', value: { id: ID, start: 0n, end: 1n << 60n } }],
  ]
  for (const [what, body] of asks) {
    await t.test(what, async () => {
      const { lane } = await honest()
      await lane.send(create(StorageAskSchema, { body }))
      const answer = await lane.next()
      assert.equal(answer?.body.case === 'failure' && answer.body.value.code, 'BadMessage')
      lane.close()
    })
  }
})

async function files(): Promise<string[]> {
  const [disk = ''] = dirs
  const found = await readdir(disk, { recursive: true, withFileTypes: true })
  const blobFiles = found.filter((one) => one.isFile() && one.name !== 'disk.json')
  return blobFiles.map((one) => join(one.parentPath, one.name)).sort()
}
