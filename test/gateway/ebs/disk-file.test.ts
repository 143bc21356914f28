// Disks in files, compared with what QEMU makes of them; and files that lie.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { codeOf } from '../../../common/errors.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { openDiskFile } from '../../../gateway/ebs/disk-file.ts'

const exec = promisify(execFile)
/** Not a multiple of a block, nor of a large cluster. */
const SIZE = 9 * SNAPSHOT_BLOCK_BYTES + 4_096

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-disk-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Some blocks of bytes, some of zeroes, and a last one that is cut off. */
function someDisk(): Buffer {
  const disk = Buffer.alloc(SIZE)
  for (const block of [0, 3, 4, 9]) {
    const at = block * SNAPSHOT_BLOCK_BYTES
    for (let i = at + 1_000; i < Math.min(at + 200_000, SIZE); i += 1) disk[i] = (i * 31) % 251
  }
  return disk
}

/** The whole disk, put together of its blocks. */
async function read(path: string, format: 'raw' | 'qcow2'): Promise<Buffer> {
  await using file = await open(path)
  const disk = await openDiskFile(file, format)
  const whole = Buffer.alloc(disk.sizeBytes)
  let last = -1
  for await (const { index, bytes } of disk.blocks()) {
    assert.ok(index > last, 'blocks come in order')
    last = index
    assert.equal(bytes.length, SNAPSHOT_BLOCK_BYTES)
    Buffer.from(bytes).copy(whole, index * SNAPSHOT_BLOCK_BYTES)
  }
  return whole
}

test('a raw disk is read as it is', async (t) => {
  const path = join(await folder(t), 'disk.raw')
  await writeFile(path, someDisk())
  assert.ok((await read(path, 'raw')).equals(someDisk()))
})

for (const options of [
  [],
  ['-c'],
  ['-c', '-o', 'compression_type=zstd'],
  ['-o', 'cluster_size=512'],
  ['-o', 'cluster_size=2M'],
  ['-c', '-o', 'cluster_size=2M'],
  ['-o', 'compat=0.10'],
]) {
  test(`a qcow2 of qemu-img convert ${options.join(' ')} is read as QEMU does`, async (t) => {
    const dir = await folder(t)
    const [raw, path] = [join(dir, 'disk.raw'), join(dir, 'disk.qcow2')]
    await writeFile(raw, someDisk())
    await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, path])
    assert.ok((await read(path, 'qcow2')).equals(someDisk()))
  })
}

test('an empty qcow2 of a terabyte is read at once', async (t) => {
  const path = join(await folder(t), 'disk.qcow2')
  await exec('qemu-img', ['create', '-f', 'qcow2', path, '1T'])
  await using file = await open(path)
  const disk = await openDiskFile(file, 'qcow2')
  assert.equal(disk.sizeBytes, 2 ** 40)
  for await (const { index } of disk.blocks()) assert.fail(`block ${index}`)
})

test('a qcow2 over another file is refused', async (t) => {
  const dir = await folder(t)
  await writeFile(join(dir, 'base.raw'), someDisk())
  const path = join(dir, 'disk.qcow2')
  const base = ['-b', join(dir, 'base.raw'), '-F', 'raw']
  await exec('qemu-img', ['create', '-f', 'qcow2', ...base, path])
  await assert.rejects(read(path, 'qcow2'), /it needs a backing file/)
})

test('a qcow2 with any bytes changed is read or refused, and ends', async (t) => {
  const dir = await folder(t)
  const [raw, path] = [join(dir, 'disk.raw'), join(dir, 'disk.qcow2')]
  await writeFile(raw, someDisk())
  await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-c', raw, path])
  const good = await readFile(path)
  const changed = join(dir, 'changed.qcow2')
  const edit = fc.record({
    at: fc.oneof(fc.nat(103), fc.nat(good.length - 1)),
    value: fc.nat(255),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      const bytes = Buffer.from(good)
      // The size, and how often tables are looked at, is bounded by what it says.
      for (const { at, value } of edits) if (at < 24 || at > 30) bytes[at] = value
      await writeFile(changed, bytes)
      try {
        await read(changed, 'qcow2')
      } catch (error) {
        assert.equal(codeOf(error), 'BadArgument', String(error))
      }
    }),
    { numRuns: 60 },
  )
})
