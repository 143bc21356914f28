// The image cache: one fetch, one check, and who has to go.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Images } from '../../../cluster-agent/nc/images.ts'
import { codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'

const digest = (text: string) => createHash('sha256').update(text).digest('hex')
const ONE = 'x'.repeat(8_192)
const TWO = 'y'.repeat(8_192)

let dir = ''
let fetched: string[] = []
let nowMs = 0

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mallee-images-'))
  fetched = []
  nowMs = 1_700_000_000_000
})

afterEach(() => rmSync(dir, { recursive: true }))

function newImages(maxUnusedBytes = 1 << 30): Images {
  const contents = new Map([ONE, TWO].map((text) => [digest(text), text]))
  return new Images({
    dir,
    maxUnusedBytes,
    clock: { nowMs: () => nowMs, sleep: async () => undefined },
    log: silentLog,
    fetch: async (sha256, toFile) => {
      fetched.push(sha256)
      await new Promise((resolve) => setImmediate(resolve))
      writeFileSync(toFile, contents.get(sha256) ?? '')
    },
  })
}

test('ensure fetches an image once, also for callers that ask at the same time', async () => {
  const images = newImages()
  const files = await Promise.all([images.ensure(digest(ONE)), images.ensure(digest(ONE))])
  await images.ensure(digest(ONE))
  await newImages().ensure(digest(ONE))
  assert.deepEqual(fetched, [digest(ONE)])
  assert.equal(files[0], files[1])
  assert.equal(readFileSync(files[0], 'utf8'), ONE)
  assert.equal(statSync(files[0]).mode & 0o777, 0o400)
})

test('ensure fetches again what was damaged since the last start', async () => {
  const file = await newImages().ensure(digest(ONE))
  chmodSync(file, 0o600)
  writeFileSync(file, 'damaged')
  assert.equal(readFileSync(await newImages().ensure(digest(ONE)), 'utf8'), ONE)
  assert.equal(fetched.length, 2)
})

test('ensure refuses what is no digest: it becomes a path', async () => {
  await assert.rejects(newImages().ensure('../../etc/shadow'), (error) => {
    assert.equal(codeOf(error), 'BadArgument')
    return true
  })
})

test('evict removes the longest unused beyond the limit, and nothing in use', async () => {
  const images = newImages(10_000)
  await images.ensure(digest(ONE))
  nowMs += 60_000
  await images.ensure(digest(TWO))
  await images.evict(new Set())
  assert.deepEqual(readdirSync(dir), [digest(TWO)])
  await images.ensure(digest(ONE))
  await newImages(0).evict(new Set([digest(ONE)]))
  assert.deepEqual(readdirSync(dir), [digest(ONE)])
})
