// Blobs on local disks: what is written comes back, whatever is damaged does not, and a disk that
// is full, away or broken harms nobody else.

import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BLOCK_BYTES, fileBytesOf } from '../../../common/blobs/blob-format.ts'
import type { BlobRef } from '../../../common/blobs/blobs.ts'
import { type LocalBlobs, openLocalBlobs } from '../../../common/blobs/local.ts'
import { randomHex } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { filesIn, flip } from './storage-support.ts'

const PIECE = 1 << 20
const SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, PIECE, 3 * PIECE + 7]
const RESTED_MS = 60_000

interface Ground {
  readonly dir: string
  readonly dirs: readonly string[]
  readonly blobs: LocalBlobs
  readonly pass: (ms: number) => void
  readonly reopen: (dirs?: readonly string[]) => Promise<LocalBlobs>
}

async function ground(t: TestContext, disks = 1): Promise<Ground> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-objects-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const dirs = Array.from({ length: disks }, (_, i) => join(dir, `disk${i}`))
  let nowMs = 0
  const clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const known = join(dir, 'known.json')
  const reopen = (some: readonly string[] = dirs): Promise<LocalBlobs> =>
    openLocalBlobs({ name: 'local', dirs: some, known, clock, randomHex, log: silentLog })
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { dir, dirs, blobs: await reopen(), pass, reopen }
}

test('bytes of any size come back, in pieces of any size, and in every range', async (t) => {
  const { blobs, reopen } = await ground(t)
  for (const size of SIZES) {
    const bytes = numbered(size)
    for (const piece of [1 + (size >> 3), 65_537, size + 1]) {
      const ref = await blobs.write(inPieces(bytes, piece))
      assert.deepEqual({ ...ref, id: '' }, { store: 'local', id: '', sizeBytes: size })
      assert.ok(bytes.equals(await all(blobs, ref)))
      await blobs.verify(ref.id)
    }
    const ref = await blobs.write(inPieces(bytes, 1000))
    const edges = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, PIECE + 1, size - 1, size]
    for (const start of edges.filter((one) => one >= 0 && one <= size)) {
      for (const end of edges.filter((one) => one >= start && one <= size)) {
        const got = await all(await reopen(), ref, { start, end })
        assert.ok(bytes.subarray(start, end).equals(got), `${start} to ${end} of ${size}`)
      }
    }
    await assert.rejects(all(blobs, ref, { start: 0, end: size + 1 }), RangeError)
  }
})

test('no byte that changed on the disk is given, and the error says where it is', async (t) => {
  const { blobs, dirs } = await ground(t)
  const bytes = numbered(3 * PIECE + 100)
  const ref = await blobs.write(inPieces(bytes, PIECE))
  const file = await fileOf(dirs, ref.id)
  const { size } = await stat(file)
  assert.equal(size, fileBytesOf(bytes.length))
  const blocks = Math.ceil(bytes.length / BLOCK_BYTES)
  // A byte of the first, a middle and the last block, of the table and of each word of the footer.
  const places = [0, PIECE + BLOCK_BYTES * 3 + 5, bytes.length - 1, bytes.length]
  for (const at of [...places, ...[0, 8, 16, 20, 24, 28].map((one) => size - 32 + one)]) {
    await flip(file, at)
    const block = Math.floor(at / BLOCK_BYTES)
    const wanted = at < bytes.length ? new RegExp(`${ref.id} is damaged in block ${block} `) : /./
    await assert.rejects(blobs.verify(ref.id), { code: 'DataCorrupt', message: wanted })
    const got = await some(blobs, ref)
    assert.ok(bytes.subarray(0, got.length).equals(got), 'nothing wrong was given')
    assert.ok(got.length <= block * BLOCK_BYTES)
    await flip(file, at)
    await blobs.verify(ref.id)
  }
  // The other blocks of a blob with a damaged one can be read.
  await flip(file, 0)
  const rest = { start: BLOCK_BYTES, end: bytes.length }
  assert.ok(bytes.subarray(BLOCK_BYTES).equals(await all(blobs, ref, rest)))
  await flip(file, 0)
  for (const length of [0, 31, 32, bytes.length, size - 1, size - 32 - 4 * blocks]) {
    await truncate(file, length)
    await assert.rejects(all(blobs, ref), { code: 'DataCorrupt' })
  }
})

test('a file in the place of another one is not taken for it', async (t) => {
  const { blobs, dirs } = await ground(t)
  const [one, two] = [await blobs.write(inPieces(numbered(9), 9)), await blobs.write(many(9))]
  await rename(await fileOf(dirs, two.id), await fileOf(dirs, one.id))
  await assert.rejects(all(blobs, one), { code: 'DataCorrupt' })
  await assert.rejects(all(blobs, two), { code: 'NotFound' })
})

test('whoever reads a blob that is deleted gets to its end', async (t) => {
  const { blobs, dirs } = await ground(t)
  const bytes = numbered(5 * PIECE)
  const ref = await blobs.write(inPieces(bytes, PIECE))
  const got: Uint8Array[] = []
  for await (const chunk of blobs.read(ref)) {
    if (got.length === 0) await blobs.delete(ref.id)
    got.push(chunk)
  }
  assert.ok(bytes.equals(Buffer.concat(got)))
  await blobs.delete(ref.id)
  assert.deepEqual(await filesIn(dirs), [])
  await assert.rejects(all(blobs, ref), { code: 'NotFound' })
  await assert.rejects(blobs.verify('../../etc/passwd'), { code: 'NotFound' })
})

test('what the writer throws comes through, and nothing is left', async (t) => {
  const { blobs, dirs } = await ground(t)
  const trouble = new Error('the client went away')
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* many(3 * PIECE)
    throw trouble
  }
  await assert.rejects(blobs.write(broken()), trouble)
  assert.deepEqual(await filesIn(dirs), [])
  assert.deepEqual(blobs.disks(), { [dirs[0] ?? '']: 'ok' })
})

test('the list has every blob of every disk', async (t) => {
  const { blobs, dirs } = await ground(t, 3)
  const written = await Promise.all(Array.from({ length: 60 }, () => blobs.write(many(10))))
  const ids: string[] = []
  for await (const { id, sizeBytes } of blobs.list()) {
    assert.equal(sizeBytes, fileBytesOf(10))
    ids.push(id)
  }
  assert.deepEqual(ids.sort(), written.map(({ id }) => id).sort())
  for (const dir of dirs) assert.notEqual((await filesIn([dir])).length, 0, 'each has some')
})

test('a disk that is away takes what is on it along and nothing else, and comes back', async (t) => {
  const { blobs, dir, dirs, pass, reopen } = await ground(t, 2)
  const [first = '', second = ''] = dirs
  const refs = await Promise.all(Array.from({ length: 40 }, () => blobs.write(many(10))))
  const away = join(dir, 'unmounted')
  await rename(first, away)
  const readable = async (store: LocalBlobs): Promise<string[]> => {
    const each = refs.map((ref) =>
      all(store, ref).then(
        () => 'read',
        (error) => codeOf(error),
      ),
    )
    return [...new Set(await Promise.all(each))].map(String).sort()
  }
  pass(RESTED_MS)
  for (let i = 0; i < 20; i++) await blobs.write(many(10))
  assert.equal(blobs.disks()[first], 'away')
  for (const store of [blobs, await reopen()]) {
    assert.deepEqual(await readable(store), ['StoreUnavailable', 'read'])
    assert.deepEqual(store.disks(), { [first]: 'away', [second]: 'ok' })
    for (let i = 0; i < 20; i++) await store.write(many(10))
  }
  const alone = await reopen([first])
  await assert.rejects(alone.write(many(1)), { code: 'StoreUnavailable', message: /disk0 away/ })
  await assert.rejects(stat(first), { code: 'ENOENT' }, 'nothing is made below a mount point')
  await rename(away, first)
  pass(RESTED_MS)
  assert.deepEqual(await readable(blobs), ['read'])
  // Under other names in another order they are the same disks.
  await rename(first, away)
  await rename(second, join(dir, 'moved'))
  assert.deepEqual(await readable(await reopen([join(dir, 'moved'), away])), ['read'])
  await assert.rejects(reopen([away, away]), { code: 'BadConfig' })
})

function numbered(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i + 4 <= size; i += 4) bytes.writeUInt32LE((i * 2_654_435_761) >>> 0, i)
  return bytes
}

async function* inPieces(bytes: Buffer, piece: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece) yield Buffer.from(bytes.subarray(at, at + piece))
}

function many(size: number): AsyncGenerator<Uint8Array> {
  return inPieces(numbered(size), PIECE)
}

async function all(
  blobs: LocalBlobs,
  ref: BlobRef,
  range?: { start: number; end: number },
): Promise<Buffer> {
  const got: Uint8Array[] = []
  for await (const chunk of blobs.read(ref, range)) got.push(chunk)
  return Buffer.concat(got)
}

/** What came before the error. */
async function some(blobs: LocalBlobs, ref: BlobRef): Promise<Buffer> {
  const got: Uint8Array[] = []
  try {
    for await (const chunk of blobs.read(ref)) got.push(chunk)
  } catch (error) {
    assert.equal(codeOf(error), 'DataCorrupt')
  }
  return Buffer.concat(got)
}

async function fileOf(dirs: readonly string[], id: string): Promise<string> {
  const file = (await filesIn(dirs)).find((one) => one.endsWith(id))
  assert.ok(file)
  return file
}
