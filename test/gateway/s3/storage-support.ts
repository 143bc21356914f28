// An index and disks together, with a clock that the test holds, and objects of real bytes.

import { createHash } from 'node:crypto'
import { mkdtemp, open, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BlobStore } from '../../../common/blobs/blobs.ts'
import { type LocalBlobs, openLocalBlobs } from '../../../common/blobs/local.ts'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { NewObject, ObjectVersion } from '../../../gateway/s3/index/objects.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { type IndexGround, indexOver, small } from './index-support.ts'

const PIECE_BYTES = 64 << 10

export interface StorageGround extends IndexGround {
  readonly dirs: readonly string[]
  readonly blobs: LocalBlobs
  readonly stores: ReadonlyMap<string, LocalBlobs>
}

export async function storageOver(
  t: TestContext,
  store: Store,
  { disks = 1, below = tmpdir() }: { disks?: number; below?: string } = {},
): Promise<StorageGround> {
  const dir = await mkdtemp(join(below, 'mallee-objects-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const dirs = Array.from({ length: disks }, (_, i) => join(dir, `disk${i}`))
  const ground = indexOver(store)
  const { clock } = ground
  const known = join(dir, 'known.json')
  const options = { name: 'local', dirs, known, clock, randomHex, log: silentLog }
  const blobs = await openLocalBlobs(options)
  return { ...ground, dirs, blobs, stores: new Map([[blobs.name, blobs]]) }
}

export async function* inPieces(
  bytes: Uint8Array,
  piece = PIECE_BYTES,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
}

/** An object of these bytes in one blob, as a PUT would write it. */
export async function written(
  { blobs }: { readonly blobs: Pick<BlobStore, 'write'> },
  key: string,
  bytes: Uint8Array,
): Promise<NewObject> {
  const blob = await blobs.write(inPieces(bytes))
  const { inline: _, ...object } = small(key, createHash('md5').update(bytes).digest('hex'))
  const sizeBytes = bytes.length
  return { ...object, sizeBytes, parts: [{ number: 1, blob, sizeBytes }] }
}

/** The bytes of a version, wherever they are. */
export async function bytesOf(
  { index, blobs }: Pick<StorageGround, 'index'> & { readonly blobs: Pick<BlobStore, 'read'> },
  { bucket, key, versionId }: Pick<ObjectVersion, 'bucket' | 'key' | 'versionId'>,
): Promise<Buffer> {
  const read = await index.read(bucket, key, versionId)
  if (read === null) throw new Error(`no ${key} ${versionId}`)
  if (read.inline !== null) return Buffer.from(read.inline)
  const got: Uint8Array[] = []
  for (const { blob } of read.version.parts) {
    for await (const chunk of blobs.read(blob)) got.push(chunk)
  }
  return Buffer.concat(got)
}

/** The files of blobs on these disks. */
export async function filesIn(dirs: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const dir of dirs) {
    for (const name of await readdir(dir, { recursive: true })) {
      if (/\/[0-9a-f]{32}$/.test(name)) found.push(join(dir, name))
    }
  }
  return found
}

/** Gives files a time, in milliseconds since 1970. */
export async function writtenAt(files: readonly string[], ms: number): Promise<void> {
  for (const file of files) await utimes(file, ms / 1000, ms / 1000)
}

/** Turns one bit of a file. */
export async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ 0x10
    await handle.write(byte, 0, 1, at)
  } finally {
    await handle.close()
  }
}
