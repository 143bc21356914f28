// Files of which some chunks are here: what a crash leaves of them.

import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PartialFile, SYNC_CHUNKS } from '../../../cluster-agent/images/partial-file.ts'
import { CHUNK_BYTES, chunkLength } from '../../../common/chunk-list.ts'
import { type TestImage, testImage } from './support.ts'

const IMAGE = testImage(SYNC_CHUNKS + 6, [3])

function newPath(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-partial-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return join(dir, IMAGE.ref.sha256)
}

function put(file: PartialFile, index: number, image: TestImage = IMAGE): Promise<void> {
  const at = index * CHUNK_BYTES
  return file.put(index, image.bytes.subarray(at, at + chunkLength(image.list, index)))
}

const here = (file: PartialFile): number[] =>
  Array.from({ length: file.list.count }, (_, index) => index).filter((index) => file.has(index))

test('it is whole when all chunks came, whose zeros are holes and were there', async (t) => {
  const path = newPath(t)
  const file = await PartialFile.open(path, IMAGE.list)
  assert.deepEqual(here(file), [3])
  assert.equal(file.missingBytes, IMAGE.bytes.length - CHUNK_BYTES)
  for (let index = 0; index < IMAGE.list.count; index++) if (index !== 3) await put(file, index)
  assert.deepEqual([file.missing, file.missingBytes], [0, 0])
  await file.finish()
  assert.ok(readFileSync(path).equals(IMAGE.bytes))
  assert.equal(statSync(path).mode & 0o777, 0o400)
  assert.ok(
    (await file.read(CHUNK_BYTES - 7, 20)).equals(
      IMAGE.bytes.subarray(CHUNK_BYTES - 7, CHUNK_BYTES + 13),
    ),
  )
  for (const left of ['.partial', '.have']) assert.ok(!existsSync(path + left))
})

test('after a crash at any moment nothing is marked that is not on disk', async (t) => {
  const path = newPath(t)
  const file = await PartialFile.open(path, IMAGE.list)
  await put(file, 0)
  await put(file, 5)
  await file.sync()
  await put(file, 7)
  // What a crash leaves: the marks of the last sync, and of what came later perhaps nothing.
  const after = `${path}-after`
  copyFileSync(`${path}.have`, `${after}.have`)
  const bytes = readFileSync(`${path}.partial`)
  bytes.fill(0xee, 7 * CHUNK_BYTES, 8 * CHUNK_BYTES)
  writeFileSync(`${after}.partial`, bytes)
  await file.close()
  const next = await PartialFile.open(after, IMAGE.list)
  t.after(() => next.close())
  assert.deepEqual(here(next), [0, 3, 5])
  assert.ok(
    (await next.read(5 * CHUNK_BYTES, 99)).equals(
      IMAGE.bytes.subarray(5 * CHUNK_BYTES, 5 * CHUNK_BYTES + 99),
    ),
  )
})

test('many chunks are marked without being asked', async (t) => {
  const path = newPath(t)
  const file = await PartialFile.open(path, IMAGE.list)
  for (let index = 4; index < 4 + SYNC_CHUNKS; index++) await put(file, index)
  const next = await PartialFile.open(path, IMAGE.list)
  assert.equal(next.missing, file.missing)
  await file.close()
  await next.close()
})

test('marks of another list, cut short, or without their file count for nothing', async (t) => {
  const other = testImage(SYNC_CHUNKS + 6)
  const spoil: ((path: string) => void)[] = [
    (path) => writeFileSync(`${path}.have`, readFileSync(`${path}.have`).subarray(0, -1)),
    (path) => writeFileSync(`${path}.have`, ''),
    (path) => rmSync(`${path}.partial`),
    (path) => writeFileSync(`${path}.partial`, 'short'),
  ]
  for (const [i, one] of [() => undefined, ...spoil].entries()) {
    const path = newPath(t)
    const file = await PartialFile.open(path, IMAGE.list)
    await put(file, 0)
    await file.sync()
    await file.close()
    one(path)
    const list = i === 0 ? other.list : IMAGE.list
    const next = await PartialFile.open(path, list)
    assert.deepEqual(here(next), i === 0 ? [] : [3], `case ${i}`)
    assert.equal(statSync(`${path}.partial`).size, list.sizeBytes)
    await next.close()
  }
})
