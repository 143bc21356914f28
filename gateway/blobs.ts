// Image files by digest, on the gateway's disk. A file is there whole or not at all.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChunkList, ChunkListMaker } from '../common/chunk-list.ts'
import { isThere, syncFolder, writeDurably } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import { BOOT_BYTES, checkBootFile, maxBootBytes } from './boot-files.ts'
import { diskFormatOf } from './disk-formats.ts'
import type { FileFormat, ImageKind } from './store/image-records.ts'
import type { BlobRecord } from './store/records.ts'

/** Larger files are refused, in bytes. */
export const MAX_BLOB_BYTES = 256 * 2 ** 30
const HEAD_BYTES = 104
const KEPT_BYTES = Math.max(HEAD_BYTES, BOOT_BYTES)
const READ_BYTES = 256 << 10
const PARTIAL = '.partial'

/** A file that has just come in: its chunk list is made. */
export type TakenBlob = BlobRecord & { readonly chunkListSha256: string }

/**
 * Takes in a file: hashed while it is written, synced, then named by its digest. Throws BadArgument
 * for what no guest can boot from, StoreFull when the disk is.
 */
export async function takeBlob(
  dir: string,
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  { nowMs, unique, kind = 'machine' }: { nowMs: number; unique: string; kind?: ImageKind },
): Promise<TakenBlob> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const partial = join(dir, `.${unique}${PARTIAL}`)
  try {
    const { sha256, sizeBytes, head, list } = await writeHashed(partial, bytes, maxBytesOf(kind))
    const { format, virtualSizeBytes } = formatOf(kind, head, sizeBytes)
    await writeDurably(listFile(dir, sha256), list.bytes)
    await rename(partial, join(dir, sha256))
    await syncFolder(dir)
    const file = { sha256, sizeBytes, virtualSizeBytes, format, chunkListSha256: list.sha256 }
    return { ...file, names: [name], createdAtMs: nowMs }
  } catch (error) {
    await rm(partial, { force: true })
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new MalleeError('StoreFull', `no room for ${name} in ${dir}`, { cause: error })
    }
    throw error
  }
}

/** What a gateway that was killed had not taken in yet. To be called before any takeBlob. */
export async function removePartialBlobs(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (const name of await readdir(dir)) {
    if (name.endsWith(PARTIAL)) await rm(join(dir, name), { force: true })
  }
}

/** The bytes of a blob from an offset on, null when it is not here. */
export async function openBlob(
  dir: string,
  sha256: string,
  offset: number,
): Promise<AsyncIterable<Uint8Array> | null> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) return null
  const file = join(dir, sha256)
  const size = await stat(file).then(
    (found) => found.size,
    () => null,
  )
  if (size === null || offset > size) return null
  return createReadStream(file, { start: offset, highWaterMark: READ_BYTES })
}

/** Deletes the file of a record that is gone, unless the record came back in the meantime. */
export async function forgetBlob(
  dir: string,
  sha256: string,
  { unique, isBack }: { readonly unique: string; readonly isBack: () => Promise<boolean> },
): Promise<void> {
  const [file, aside] = [join(dir, sha256), join(dir, `.${unique}${PARTIAL}`)]
  try {
    // Aside first: somebody may bring the same bytes in right now.
    await rename(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (await isBack()) await rename(aside, file)
  else {
    await rm(listFile(dir, sha256), { force: true })
    await rm(aside, { force: true })
  }
  await syncFolder(dir)
}

/**
 * The digest of the chunk list of a file that was taken in before there were lists; it is made and
 * lies beside the file then. Null when the file is not here, or is not what its name says, or the
 * signal aborts.
 */
export async function makeChunkList(
  dir: string,
  sha256: string,
  signal: AbortSignal,
): Promise<string | null> {
  const file = join(dir, sha256)
  if (!(await isThere(file))) return null
  const hash = createHash('sha256')
  const maker = new ChunkListMaker()
  for await (const bytes of createReadStream(file, { highWaterMark: READ_BYTES })) {
    if (signal.aborted) return null
    hash.update(bytes)
    maker.add(bytes)
  }
  if (hash.digest('hex') !== sha256) return null
  const list = maker.end()
  await writeDurably(listFile(dir, sha256), list.bytes)
  return list.sha256
}

/** Where bytes of image files come from, for those who ask for parts of them. */
export interface ImageBytes {
  /** Up to `length` bytes from `offset` on, fewer at the end; null when the file is not here. */
  readonly read: (sha256: string, offset: number, length: number) => Promise<Uint8Array | null>
  /** The chunk list as it goes to agents; null when it is not here. */
  readonly chunkList: (sha256: string) => Promise<Uint8Array | null>
}

export function imageBytesIn(dir: string): ImageBytes {
  return {
    read: (sha256, offset, length) => orNull(readPart(join(dir, sha256), offset, length)),
    chunkList: (sha256) => orNull(readFile(listFile(dir, sha256))),
  }
}

async function readPart(file: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, 'r')
  try {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return bytes.subarray(0, filled)
  } finally {
    await handle.close()
  }
}

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  return found.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
}

function listFile(dir: string, sha256: string): string {
  return join(dir, `${sha256}.chunks`)
}

async function writeHashed(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ sha256: string; sizeBytes: number; head: Buffer; list: ChunkList }> {
  const hash = createHash('sha256')
  const maker = new ChunkListMaker()
  const handle = await open(file, 'wx', 0o600)
  let sizeBytes = 0
  let head: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of bytes) {
      if (head.length < KEPT_BYTES) head = Buffer.concat([head, chunk]).subarray(0, KEPT_BYTES)
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) {
        throw new MalleeError('BadArgument', `the file has more than ${maxBytes} bytes`)
      }
      hash.update(chunk)
      maker.add(chunk)
      // Not write(): on a disk that gets full it may take a part and say so only in its result.
      await handle.writeFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (sizeBytes === 0) throw new MalleeError('BadArgument', 'the file is empty')
  return { sha256: hash.digest('hex'), sizeBytes, head, list: maker.end() }
}

function maxBytesOf(kind: ImageKind): number {
  return kind === 'machine' ? MAX_BLOB_BYTES : maxBootBytes(kind)
}

/**
 * Raw, or qcow2 by its magic (QEMU docs/interop/qcow2.txt). A backing or data file would be read
 * from the disk of whichever host runs it: such images are refused.
 */
function formatOf(
  kind: ImageKind,
  head: Buffer,
  sizeBytes: number,
): { format: FileFormat; virtualSizeBytes: number } {
  if (kind !== 'machine') {
    checkBootFile(kind, head)
    return { format: kind, virtualSizeBytes: sizeBytes }
  }
  if (diskFormatOf(head) === 'raw') {
    if (sizeBytes % 512 !== 0) {
      throw new MalleeError(
        'BadArgument',
        `a raw image is a multiple of 512 bytes, this file has ${sizeBytes}`,
      )
    }
    return { format: 'raw', virtualSizeBytes: sizeBytes }
  }
  if (head.length < HEAD_BYTES)
    throw new MalleeError('BadArgument', 'the qcow2 header is cut short')
  if (head.readBigUInt64BE(8) !== 0n) {
    throw new MalleeError('BadArgument', 'the qcow2 image has a backing file, convert it first')
  }
  const externalData = (head.readUInt32BE(4) >= 3 ? head.readBigUInt64BE(72) : 0n) & 4n
  if (externalData !== 0n) {
    throw new MalleeError(
      'BadArgument',
      'the qcow2 image has an external data file, convert it first',
    )
  }
  return { format: 'qcow2', virtualSizeBytes: Number(head.readBigUInt64BE(24)) }
}
