// Which files are kernels and ramdisks.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { takeBlob } from '../../gateway/blobs.ts'
import { maxBootBytes } from '../../gateway/boot-files.ts'
import { kernelFile, ramdiskFile } from '../support/boot-files.ts'

function changed(file: Buffer, at: number, value: number): Buffer {
  file.writeUInt8(value, at)
  return file
}

test('takeBlob takes kernels and ramdisks, and nothing else for one', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-boot-'))
  t.after(() => rm(dir, { recursive: true }))
  let count = 0
  const take = async (kind: 'kernel' | 'ramdisk', ...pieces: Buffer[]) => {
    count += 1
    const about = { nowMs: 0, unique: `${count}`, kind }
    return await takeBlob(dir, 'file', bytesOf(pieces), about)
  }
  const kernel = kernelFile()
  const { format, sizeBytes, virtualSizeBytes } = await take(
    'kernel',
    kernel.subarray(0, 200),
    kernel.subarray(200),
  )
  const { length } = kernel
  assert.deepEqual([format, sizeBytes, virtualSizeBytes], ['kernel', length, length])
  for (const file of [
    ramdiskFile(),
    zstdCompressSync(ramdiskFile()),
    Buffer.from('1f8b08', 'hex'),
    Buffer.from('070702'),
    Buffer.from('fd377a585a00', 'hex'),
    Buffer.from('02214c18', 'hex'),
  ]) {
    assert.equal((await take('ramdisk', file)).format, 'ramdisk')
  }
  const there = await readdir(dir)
  for (const [kind, why, file] of [
    ['kernel', 'a ramdisk', ramdiskFile()],
    ['kernel', 'one that is cut short', kernelFile().subarray(0, 1_000)],
    ['kernel', 'no boot flag', changed(kernelFile(), 0x1ff, 0)],
    ['kernel', 'no header', changed(kernelFile(), 0x202, 0)],
    ['kernel', 'a zImage', changed(kernelFile(), 0x211, 0)],
    ['ramdisk', 'a kernel', Buffer.concat([Buffer.alloc(4), kernelFile()])],
    ['ramdisk', 'a disk', Buffer.alloc(4_096)],
    ['ramdisk', 'the beginning of a mark', Buffer.from('0707')],
  ] as const) {
    const error = { code: 'BadArgument', message: new RegExp(`is no ${kind}, which is`) }
    await assert.rejects(take(kind, file), error, why)
  }
  assert.deepEqual(await readdir(dir), there)
})

test('takeBlob takes a kernel up to its largest size', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-boot-'))
  t.after(() => rm(dir, { recursive: true }))
  const more = Buffer.alloc(maxBootBytes('kernel') + 1)
  const about = { nowMs: 0, unique: 'x', kind: 'kernel' } as const
  await assert.rejects(takeBlob(dir, 'file', bytesOf([more]), about), /more than \d+ bytes/)
})

async function* bytesOf(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}
