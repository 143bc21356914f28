// An index and disks together, with a clock that the test holds, and objects of real bytes.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, open, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../../../common/blobs/blobs.ts'
import { type LocalBlobs, openLocalBlobs } from '../../../common/blobs/local.ts'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type {
  NewObject,
  ObjectVersion,
  Upload,
  UploadPart,
} from '../../../gateway/s3/index/objects.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { BUCKET, type IndexGround, indexOver, small } from './index-support.ts'

/** What a test gives: it runs that at its end. */
export interface Disposing {
  after(run: () => Promise<void>): void
}

const PIECE_BYTES = 64 << 10

export interface StorageGround extends IndexGround {
  readonly dirs: readonly string[]
  readonly blobs: LocalBlobs
  readonly stores: ReadonlyMap<string, LocalBlobs>
}

export interface TwoStores extends StorageGround {
  /** Where the second one is. */
  readonly other: string
}

export async function storageOver(
  t: Disposing,
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

/** A second store of blobs beside the first, another disk, which is called `engine`. */
export async function twoStores(
  t: Disposing,
  store: Store,
  options: { below?: string } = {},
): Promise<TwoStores> {
  const ground = await storageOver(t, store, options)
  const { blobs, clock, dirs } = ground
  const other = join(`${dirs[0]}`, '..', 'engine')
  const engine = await openLocalBlobs({
    ...{ name: 'engine', dirs: [other], known: `${other}.json` },
    ...{ clock, randomHex, log: silentLog },
  })
  const stores = new Map([blobs, engine].map((one) => [one.name, one]))
  return { ...ground, other, stores }
}

/** An object in so many parts, each of these bytes. */
export async function uploaded(
  ground: Pick<StorageGround, 'index' | 'blobs'>,
  key: string,
  { bytes, count }: { readonly bytes: Uint8Array; readonly count: number },
): Promise<void> {
  const { uploads } = ground.index
  const { uploadId } = await uploads.create(small(key, ''))
  for (let number = 1; number <= count; number++) {
    const [part] = (await written(ground, key, bytes)).parts
    if (part === undefined) throw new Error('no part')
    await uploads.putPart(BUCKET, key, uploadId, { ...part, number })
  }
  const build = (of: Upload, parts: readonly UploadPart[]): NewObject => {
    const { inline: _, ...object } = small(of.key, 'x')
    return { ...object, sizeBytes: count * bytes.length, parts }
  }
  await uploads.complete(BUCKET, key, uploadId, { versioning: 'off', build })
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

/** All versions of the bucket, whose bytes must be those wanted, and the stores they are in. */
export async function look(
  { index, stores }: TwoStores,
  want: (version: ObjectVersion) => Buffer,
): Promise<{ keys: string[]; where: Set<string> }> {
  const options = { prefix: '', afterKey: '', afterVersion: null, limit: 1_000 }
  const where = new Set<string>()
  const keys: string[] = []
  for (const { key, versionId } of (await index.listVersions(BUCKET, options)).entries) {
    const { version, inline } = (await index.read(BUCKET, key, versionId)) ?? assert.fail(key)
    keys.push(`${key} ${versionId}`)
    const got: Uint8Array[] = inline === null ? [] : [inline]
    for (const { blob } of version.parts) {
      where.add(blob.store)
      for await (const chunk of stores.get(blob.store)?.read(blob) ?? assert.fail()) got.push(chunk)
    }
    assert.ok(want(version).equals(Buffer.concat(got)), `${key} ${versionId} has other bytes`)
  }
  return { keys, where }
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
