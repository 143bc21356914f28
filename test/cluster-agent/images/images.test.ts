// The images of a host: one transfer each, from whoever has it.

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CHUNK_BYTES } from '../../../common/chunk-list.ts'
import { systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { until } from '../../../sandbox/until.ts'
import {
  fail,
  fastClock,
  NEVER,
  openImages,
  silent,
  testImage,
  testSource,
  wholeOf,
} from './support.ts'

test('an image is fetched once, chunk by chunk, whoever asks at the same time', async (t) => {
  const image = testImage(20, [4])
  const parent = testSource(image, 'parent')
  const images = openImages(t, [image], { sources: [parent] })
  const arrival = await images.arriving(image.ref)
  const [file, again, part] = await Promise.all([
    wholeOf(images, image),
    wholeOf(images, image),
    arrival.read(7 * CHUNK_BYTES - 100, 200, NEVER),
  ])
  assert.equal(file, again)
  assert.ok(part.equals(image.bytes.subarray(7 * CHUNK_BYTES - 100, 7 * CHUNK_BYTES + 100)))
  assert.ok(readFileSync(file).equals(image.bytes))
  assert.equal(statSync(file).mode & 0o777, 0o400)
  // Each once, and zeros never.
  assert.deepEqual(
    [...parent.asked].sort((a, b) => a - b),
    [...Array(20).keys()].filter((n) => n !== 4),
  )
  await wholeOf(images, image)
  assert.equal(parent.asked.length, 19)
  assert.deepEqual([images.stats().hits, images.stats().misses], [1, 1])
  assert.equal(images.stats().fromParents, image.bytes.length - CHUNK_BYTES)
})

test('what somebody waits for comes first', async (t) => {
  const image = testImage(64)
  const parent = testSource(image, 'parent')
  const images = openImages(t, [image], { sources: [parent], chance: () => 0 })
  const arrival = await images.arriving(image.ref)
  await arrival.read(50 * CHUNK_BYTES, 10, NEVER)
  // With what is likely to be read next, and nothing else.
  await until('it has read ahead', () => parent.asked.length === 5)
  assert.deepEqual(parent.asked, [50, 51, 52, 53, 54])
})

test('while somebody waits now and then, the rest does not come; then it does', async (t) => {
  const image = testImage(40)
  const parent = testSource(image, 'parent')
  let nowMs = 0
  const clock = { ...systemClock, nowMs: () => nowMs }
  const images = openImages(t, [image], { sources: [parent], clock, chance: () => 0 })
  const arrival = await images.arriving(image.ref)
  const read = arrival.read(30 * CHUNK_BYTES, 10, NEVER)
  const whole = arrival.fill()
  await read
  await until('it has read ahead', () => parent.asked.length === 5)
  await arrival.read(36 * CHUNK_BYTES, 10, NEVER)
  await until('and again', () => parent.asked.length === 9)
  assert.deepEqual(parent.asked, [30, 31, 32, 33, 34, 36, 37, 38, 39])
  nowMs += 5_000
  await whole
  assert.equal(parent.asked.length, 40)
})

test('a neighbour that sends wrong bytes is asked no more, and the chunk comes from elsewhere', async (t) => {
  const image = testImage(12)
  const parent = testSource(image, 'parent')
  const liar = testSource(image, 'liar', 'neighbour')
  liar.answer = async (_index, bytes) => Buffer.alloc(bytes.length, 1)
  const images = openImages(t, [image], { sources: [liar, parent] })
  const file = await wholeOf(images, image)
  assert.ok(readFileSync(file).equals(image.bytes))
  assert.ok(liar.asked.length >= 1 && liar.asked.length <= 4, `${liar.asked.length}`)
  assert.equal(images.stats().fromNeighbours, 0)
})

test('neighbours are preferred, and asked for what they have', async (t) => {
  const image = testImage(16)
  const parent = testSource(image, 'parent')
  const half = testSource(image, 'half', 'neighbour')
  half.answer = async (index, bytes) => {
    if (index % 2 === 0) return bytes
    throw new MalleeError('NotFound', `no chunk ${index} here`)
  }
  const images = openImages(t, [image], { sources: [half, parent] })
  await wholeOf(images, image)
  const { fromNeighbours, fromParents } = images.stats()
  assert.equal(fromNeighbours + fromParents, image.bytes.length)
  assert.ok(fromNeighbours > 0)
  assert.ok(parent.asked.length >= 8)
})

test('a source that fails or says nothing is left for the next one', async (t) => {
  const image = testImage(10)
  const [first, second] = [testSource(image, 'first'), testSource(image, 'second')]
  first.answer = fail
  const images = openImages(t, [image], { sources: [first, second], clock: fastClock(50) })
  await wholeOf(images, image)
  const other = testImage(10)
  const quiet = testSource(other, 'quiet')
  // As the deadline of a call would.
  quiet.answer = (index, bytes, signal) =>
    silent(index, bytes, AbortSignal.any([signal, AbortSignal.timeout(20)]))
  const more = openImages(t, [other], { sources: [quiet, testSource(other, 'second')] })
  assert.ok(readFileSync(await wholeOf(more, other)).equals(other.bytes))
})

test('without any source those who wait hear why, and it comes when one is back', async (t) => {
  const image = testImage(3)
  const parent = testSource(image, 'parent')
  parent.answer = fail
  const images = openImages(t, [image], { sources: [parent], clock: fastClock(100) })
  await assert.rejects(wholeOf(images, image), { code: 'Unavailable', message: 'the line is cut' })
  const arrival = await images.arriving(image.ref)
  await assert.rejects(arrival.read(0, 10, AbortSignal.timeout(50)), { code: 'Unavailable' })
  parent.answer = async (_index, bytes) => bytes
  assert.ok(readFileSync(await wholeOf(images, image)).equals(image.bytes))
})

test('the next agent goes on where this one stopped', async (t) => {
  const image = testImage(12)
  const parent = testSource(image, 'parent')
  const dir = mkdtempSync(join(tmpdir(), 'mallee-images-'))
  parent.answer = (index, bytes, signal) =>
    index < 6 ? Promise.resolve(bytes) : silent(index, bytes, signal)
  const first = openImages(t, [image], { sources: [parent], dir, chance: () => 0 })
  const came = wholeOf(first, image)
  came.catch(() => undefined)
  const isHere = async (index: number) =>
    (await first.chunk(image.ref, index, false, NEVER)) !== null
  const six = [0, 1, 2, 3, 4, 5]
  await until('half is here', async () => (await Promise.all(six.map(isHere))).every(Boolean))
  await first.close()
  await assert.rejects(came, { code: 'Unavailable' })
  const other = testSource(image, 'parent')
  const lists: string[] = []
  const next = openImages(t, [image], {
    sources: [other],
    dir,
    fetchList: async ({ sha256 }) => {
      lists.push(sha256)
      return image.list
    },
  })
  assert.ok(readFileSync(await wholeOf(next, image)).equals(image.bytes))
  assert.deepEqual(
    other.asked.sort((a, b) => a - b),
    [6, 7, 8, 9, 10, 11],
  )
  assert.deepEqual(lists, [])
})

test('an image that was damaged since the last start is fetched again', async (t) => {
  const image = testImage(2)
  const dir = mkdtempSync(join(tmpdir(), 'mallee-images-'))
  const file = await wholeOf(
    openImages(t, [image], { sources: [testSource(image, 'p')], dir }),
    image,
  )
  chmodSync(file, 0o600)
  writeFileSync(file, 'damaged')
  const again = openImages(t, [image], { sources: [testSource(image, 'p')], dir })
  assert.ok(readFileSync(await wholeOf(again, image)).equals(image.bytes))
})

test('what is no digest never becomes a path, and without a list nothing is fetched', async (t) => {
  const image = testImage(1)
  const images = openImages(t, [image], { sources: [] })
  await assert.rejects(images.whole('../../etc/shadow', ''), { code: 'BadArgument' })
  await assert.rejects(images.whole(image.ref.sha256, ''), {
    code: 'Unavailable',
    message: /makes the chunk list/,
  })
})

test('neighbours get what is here and nothing that is not', async (t) => {
  const image = testImage(6)
  const images = openImages(t, [image], { sources: [testSource(image, 'parent')], chance: () => 0 })
  const ask = (index: number, mayFetch = false) => images.chunk(image.ref, index, mayFetch, NEVER)
  assert.equal(await images.chunkList(image.ref, false), null)
  assert.equal(await ask(0), null)
  const wanted = await ask(0, true)
  assert.ok(image.bytes.subarray(0, CHUNK_BYTES).equals(wanted ?? Buffer.alloc(0)))
  assert.deepEqual(
    Buffer.from((await images.chunkList(image.ref, false)) ?? []),
    Buffer.from(image.list.bytes),
  )
  assert.deepEqual(await images.held(), [{ sha256: image.ref.sha256, whole: false }])
  await wholeOf(images, image)
  assert.deepEqual(await images.held(), [{ sha256: image.ref.sha256, whole: true }])
  assert.ok(image.bytes.subarray(5 * CHUNK_BYTES).equals((await ask(5)) ?? Buffer.alloc(0)))
  assert.equal(await ask(6), null)
})
