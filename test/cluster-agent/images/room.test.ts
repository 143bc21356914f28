// Who of a host's images has to go, and when: never what is in use.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CHUNK_BYTES } from '../../../common/chunk-list.ts'
import { systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  NEVER,
  openImages,
  silent,
  type TestImage,
  testImage,
  testSource,
  wholeOf,
} from './support.ts'

test('the longest unused goes when there are too many, and never what is in use', async (t) => {
  const all = [testImage(4), testImage(4), testImage(4)] as const
  const [one, two, three] = all
  const dir = mkdtempSync(join(tmpdir(), 'mallee-images-'))
  let nowMs = systemClock.nowMs()
  const clock = { ...systemClock, nowMs: () => nowMs }
  const images = openImages(t, all, {
    ...{ sources: all.map((image) => testSource(image, image.ref.sha256)), dir, clock },
    findSources: async (ref) =>
      all
        .filter((image) => image.ref === ref || image.ref.sha256 === ref.sha256)
        .map((image) => testSource(image, 'p')),
    maxBytes: 10 * CHUNK_BYTES,
  })
  const kept = () =>
    readdirSync(dir)
      .filter((name) => name.length === 64)
      .sort()
  const digests = (...some: TestImage[]) => some.map(({ ref }) => ref.sha256).sort()
  for (const image of [one, two, three]) {
    await wholeOf(images, image)
    nowMs += 120_000
  }
  assert.deepEqual(kept(), digests(one, two, three), 'machines may be about to be made of them')
  // Asked for before the pass that ended; then for nothing.
  await images.use(new Set([one.ref.sha256]))
  await images.use(new Set([one.ref.sha256]))
  assert.deepEqual(kept(), digests(one, three))
  await images.use(new Set([one.ref.sha256, three.ref.sha256]))
  await wholeOf(images, two)
  await images.use(new Set([one.ref.sha256, three.ref.sha256]))
  await images.use(new Set([one.ref.sha256, three.ref.sha256]))
  assert.deepEqual(kept(), digests(one, three))
})

test('before it is known what is in use nothing goes; parts of what nobody wants do', async (t) => {
  const image = testImage(8)
  const parent = testSource(image, 'parent')
  parent.answer = (index, bytes, signal) =>
    index < 6 ? Promise.resolve(bytes) : silent(index, bytes, signal)
  const dir = mkdtempSync(join(tmpdir(), 'mallee-images-'))
  const images = openImages(t, [image], {
    sources: [parent],
    dir,
    maxBytes: CHUNK_BYTES,
    chance: () => 0,
  })
  const reading = (await images.arriving(image.ref)).read(7 * CHUNK_BYTES, 1, NEVER)
  reading.catch(() => undefined)
  await images.use(new Set())
  await images.use(new Set())
  await images.use(new Set())
  assert.ok(readdirSync(dir).length > 0, 'somebody waits for it')
  await images.close()
  await assert.rejects(reading)
  const next = openImages(t, [image], { sources: [], dir, maxBytes: CHUNK_BYTES })
  await next.use(new Set([image.ref.sha256]))
  assert.ok(readdirSync(dir).length > 0, 'it is in use')
  const last = openImages(t, [image], { sources: [], dir, maxBytes: 0 })
  await last.use(new Set())
  assert.deepEqual(readdirSync(dir), [])
})

test('a full disk takes what is unused, then refuses, and goes on when it has room', {
  skip: whyNoHosts() ?? false,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mallee-full-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const program = fileURLToPath(import.meta.resolve('../../support/images-disk-full.ts'))
  const argv = ['unshare', '--mount', process.execPath, program, folder]
  const { stdout } = await exec(argv, { timeoutMs: 60_000 })
  const seen = JSON.parse(stdout)
  assert.deepEqual(seen.afterNext, ['used', 'next'])
  assert.equal(seen.noRoom[0], 'StoreFull')
  assert.match(seen.noRoom[1], /no room for image .* are to come, the disk has/)
  assert.deepEqual(seen.afterRefusal, ['used', 'next'])
  assert.equal(seen.midway[0], 'StoreFull')
  assert.match(seen.midway[1], /cannot be written: ENOSPC/)
  assert.deepEqual(seen.atLast, ['used', 'late'])
})
