// The disk that an image file is, in blocks of snapshots: raw bytes, or qcow2 (QEMU,
// docs/interop/qcow2.rst). Only reads, and trusts no offset and no size that the file says.

import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { constants, createZstdDecompress, inflateRaw } from 'node:zlib'
import { MalleeError } from '../../common/errors.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../common/snapshot-manifest.ts'

export interface DiskBlock {
  readonly index: number
  /** Of a whole block: zeroes after the disk's end. */
  readonly bytes: Uint8Array
}

export interface DiskFile {
  readonly sizeBytes: number
  /** Those that are not all zeroes, ascending. Throws BadArgument for what the file contradicts. */
  readonly blocks: () => AsyncGenerator<DiskBlock>
}

interface Disk {
  readonly sizeBytes: number
  /** Where the first block begins, from `at` on, that may have bytes; `at` begins one. */
  readonly next: (at: number) => number
  /** `into` is zeroes when it comes. */
  readonly read: (at: number, into: Uint8Array) => Promise<void>
}

const inflate = promisify(inflateRaw)
const HEADER_BYTES = 112
const OFFSET = 0x00ff_ffff_ffff_fe00n
const COMPRESSED = 1n << 62n
/** Dirty, and a type of compression; not corrupt, external data, extended L2. */
const KNOWN_FEATURES = (1n << 0n) | (1n << 3n)
const [MIN_CLUSTER_BITS, MAX_CLUSTER_BITS] = [9, 21]
const MAX_SIZE = 2 ** 46
const ENTRY_BYTES = 8
const SECTOR = 512

/** Throws BadArgument for what is no such disk, or needs another file. */
export async function openDiskFile(file: FileHandle, format: 'raw' | 'qcow2'): Promise<DiskFile> {
  const disk = format === 'raw' ? await rawDisk(file) : await qcow2Disk(file)
  return { sizeBytes: disk.sizeBytes, blocks: () => blocksOf(disk) }
}

async function* blocksOf({ sizeBytes, next, read }: Disk): AsyncGenerator<DiskBlock> {
  for (let at = next(0); at < sizeBytes; at = next(at + SNAPSHOT_BLOCK_BYTES)) {
    const bytes = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)
    await read(at, bytes.subarray(0, Math.min(SNAPSHOT_BLOCK_BYTES, sizeBytes - at)))
    if (!bytes.equals(ZEROES)) yield { index: at / SNAPSHOT_BLOCK_BYTES, bytes }
  }
}

const ZEROES = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)

async function rawDisk(file: FileHandle): Promise<Disk> {
  const { size } = await file.stat()
  return { sizeBytes: size, next: (at) => at, read: (at, into) => readThere(file, at, into) }
}

async function qcow2Disk(file: FileHandle): Promise<Disk> {
  const { size: fileBytes } = await file.stat()
  const header = parseHeader(await bytesAt(file, 0, Math.min(HEADER_BYTES, fileBytes)))
  const { clusterBits, sizeBytes, l1Offset, isZstd } = header
  const clusterBytes = 2 ** clusterBits
  const perTable = clusterBytes / ENTRY_BYTES
  const covered = clusterBytes * perTable
  const tables = Math.ceil(sizeBytes / covered)
  if (header.l1Size < tables) throw bad(`its L1 table has ${header.l1Size} of ${tables} entries`)
  const l1 = await bytesAt(file, l1Offset, tables * ENTRY_BYTES)
  const tableAt = (i: number) => Number(l1.readBigUInt64BE(i * ENTRY_BYTES) & OFFSET)
  let kept: { readonly i: number; readonly table: Buffer } | null = null

  async function entryOf(cluster: number): Promise<bigint> {
    const i = Math.floor(cluster / perTable)
    const offset = tableAt(i)
    if (offset === 0) return 0n
    if (kept?.i !== i) kept = { i, table: await bytesAt(file, offset, clusterBytes) }
    return kept.table.readBigUInt64BE((cluster % perTable) * ENTRY_BYTES)
  }

  let last: { readonly entry: bigint; readonly bytes: Buffer } | null = null
  async function compressed(entry: bigint): Promise<Buffer> {
    if (last?.entry !== entry) last = { entry, bytes: await decompress(entry) }
    return last.bytes
  }

  async function decompress(entry: bigint): Promise<Buffer> {
    const bits = BigInt(62 - (clusterBits - 8))
    const offset = Number(entry & ((1n << bits) - 1n))
    const sectors = Number((entry & (COMPRESSED - 1n)) >> bits) + 1
    const length = Math.min(sectors * SECTOR - (offset % SECTOR), fileBytes - offset)
    const bytes = await bytesAt(file, offset, length)
    try {
      return isZstd
        ? await firstFrame(bytes, clusterBytes)
        : await inflate(bytes, {
            maxOutputLength: clusterBytes,
            finishFlush: constants.Z_SYNC_FLUSH,
          })
    } catch (error) {
      throw bad(`the compressed cluster at ${offset} cannot be read`, error)
    }
  }

  return {
    sizeBytes,
    next: (at) => {
      let i = Math.floor(at / covered)
      while (i < tables && tableAt(i) === 0) i += 1
      const from = i * covered
      return Math.max(at, from - (from % SNAPSHOT_BLOCK_BYTES))
    },
    read: async (at, into) => {
      for (let done = 0; done < into.length; ) {
        const inside = (at + done) % clusterBytes
        const part = into.subarray(done, done + Math.min(clusterBytes - inside, into.length - done))
        const entry = await entryOf(Math.floor((at + done) / clusterBytes))
        const offset = Number(entry & OFFSET)
        if ((entry & COMPRESSED) !== 0n) {
          const bytes = await compressed(entry)
          if (bytes.length < inside + part.length) throw bad('a compressed cluster is too short')
          part.set(bytes.subarray(inside, inside + part.length))
        } else if (offset !== 0 && (entry & 1n) === 0n) await readThere(file, offset + inside, part)
        done += part.length
      }
    },
  }
}

function parseHeader(header: Buffer) {
  if (header.length < 72 || header.toString('latin1', 0, 4) !== 'QFI\xfb') throw bad('it is none')
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw bad(`its version is ${version}`)
  if (version === 3 && header.length < 104) throw bad('its header is cut off')
  const features = version === 3 ? header.readBigUInt64BE(72) : 0n
  if ((features & ~KNOWN_FEATURES) !== 0n) throw bad(`its features are ${features.toString(16)}`)
  if (header.readBigUInt64BE(8) !== 0n) throw bad('it needs a backing file')
  if (header.readUInt32BE(32) !== 0) throw bad('it is encrypted')
  const clusterBits = header.readUInt32BE(20)
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS) {
    throw bad(`its clusters have ${clusterBits} bits`)
  }
  const sizeBytes = Number(header.readBigUInt64BE(24))
  if (sizeBytes > MAX_SIZE) throw bad(`its disk has ${sizeBytes} bytes`)
  return {
    ...{ clusterBits, sizeBytes, l1Size: header.readUInt32BE(36) },
    l1Offset: Number(header.readBigUInt64BE(40)),
    isZstd: (features & (1n << 3n)) !== 0n && header.length > 104 && header[104] === 1,
  }
}

/** What comes behind it in its last sector is the next cluster's. */
async function firstFrame(bytes: Buffer, length: number): Promise<Buffer> {
  const stream = createZstdDecompress()
  stream.end(bytes)
  const parts: Buffer[] = []
  let total = 0
  for await (const part of stream) {
    parts.push(part)
    total += part.length
    if (total >= length) break
  }
  return Buffer.concat(parts).subarray(0, length)
}

async function bytesAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { size } = await file.stat()
  if (length <= 0 || at + length > size) throw bad(`it says that it has ${length} bytes at ${at}`)
  const bytes = Buffer.alloc(length)
  await readThere(file, at, bytes)
  return bytes
}

/** What the file has there: behind its end are zeroes, as QEMU reads them. */
async function readThere(file: FileHandle, at: number, into: Uint8Array): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done)
    if (bytesRead === 0) return
    done += bytesRead
  }
}

function bad(what: string, cause?: unknown): MalleeError {
  return new MalleeError('BadArgument', `not a disk that can be read: ${what}`, { cause })
}
