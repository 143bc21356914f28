// The bytes of a copy. A part that is copied whole, within one store, is referred to where it is;
// everything else is read and written once more.

import { createHash } from 'node:crypto'
import type { BlobStore, ByteRange } from '../../../common/blobs/blobs.ts'
import { codeOf } from '../../../common/errors.ts'
import { giveBack } from '../../../common/lent-bytes.ts'
import type { KeyPlace } from '../encryption/data-keys.ts'
import type { ObjectPart, ObjectVersion } from '../index/objects.ts'
import type { NewPart } from '../index/sharing.ts'
import type { ChecksumAlgorithm } from '../wire/call.ts'
import { startSum } from '../wire/checksums.ts'
import { bytesOf, committed, type Taken, takeBlob, takeBytes } from './bytes.ts'
import { type Ciphering, dataKeyFor } from './encryption.ts'
import type { ObjectParts } from './parts.ts'
import type { Source } from './source.ts'

/** What is copied, and to where. */
export interface CopyOrder {
  readonly source: Source
  readonly range: ByteRange
  readonly blobs: BlobStore
  readonly place: KeyPlace
  readonly ciphering: Ciphering
  /** Of the checksum that the copy is to have. */
  readonly algorithm: ChecksumAlgorithm
  /** However few bytes it has, it is one part. */
  readonly isPart: boolean
}

/** Bytes that were taken in, and what they sum up to. */
export interface Copied extends Taken {
  readonly md5Hex: string
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly base64: string }
}

type Sums = Omit<Copied, keyof Taken>

const MD5 = /^[0-9a-f]{32}$/

/** Runs a commit that makes a copy. Throws as takeBytes and the commit, which may run twice. */
export async function commitCopy<T>(
  parts: ObjectParts,
  order: CopyOrder,
  commit: (copied: Copied) => Promise<T>,
): Promise<T> {
  const referred = await refer(parts, order)
  if (referred !== null) {
    try {
      return await commit(referred)
    } catch (error) {
      // The source is gone or elsewhere by now. What was read of it stays for readers, of whom
      // this is one.
      if (codeOf(error) !== 'Conflict') throw error
    }
  }
  const copied = await write(parts, order)
  return await committed(parts, copied.parts, () => commit(copied))
}

/** Takes bytes in, and sums them up meanwhile. Throws what `take` throws. */
export async function copyBytes<T>(
  bytes: AsyncIterable<Uint8Array>,
  algorithm: ChecksumAlgorithm,
  take: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T & Sums> {
  const md5 = createHash('md5')
  const sum = await startSum(algorithm)
  let isSummed = false
  try {
    const taken = await take(
      (async function* summed(): AsyncGenerator<Uint8Array> {
        for await (const chunk of bytes) {
          md5.update(chunk)
          sum.update(chunk)
          yield chunk
        }
      })(),
    )
    isSummed = true
    return { ...taken, md5Hex: md5.digest('hex'), checksum: { algorithm, base64: sum.base64() } }
  } finally {
    if (!isSummed) sum.drop()
  }
}

/** Null: the bytes have to be written once more. */
async function refer(parts: ObjectParts, order: CopyOrder): Promise<Copied | null> {
  const { source, range, blobs, place, ciphering } = order
  const { version } = source.object
  const position = partAt(version, range)
  const part = version.parts[position]
  if (part === undefined || part.blob.store !== blobs.name) return null
  const { sealedKey, blob, sizeBytes } = part
  const isCustomers = source.customer !== null || ciphering.customer !== null
  const isEncrypted = ciphering.encryption !== undefined
  const md5Hex = part.etag ?? version.etag
  if (isCustomers || isEncrypted !== (sealedKey !== undefined) || !MD5.test(md5Hex)) return null
  const key = sealedKey === undefined ? {} : { sealedKey: movedKey(parts, version, part, place) }
  const copy: NewPart = {
    ...{ number: place.number, blob, sizeBytes, ...key },
    from: { version, position },
  }
  const known = knownSum(version, part, order.algorithm)
  const checksum =
    known ?? (await copyBytes(bytesIn(parts, order), order.algorithm, drain)).checksum
  return { sizeBytes, parts: [copy], md5Hex, checksum }
}

/** Which part these very bytes are; -1: none. */
function partAt(version: ObjectVersion, { start, end }: ByteRange): number {
  let at = 0
  for (const [position, { sizeBytes }] of version.parts.entries()) {
    if (at === start && sizeBytes === end - start) return position
    at += sizeBytes
    if (at > start) return -1
  }
  return -1
}

function movedKey(
  { sealing }: ObjectParts,
  { bucket, key }: ObjectVersion,
  { sealedKey = '', number }: ObjectPart,
  to: KeyPlace,
): string {
  return sealing.keys.moved(sealedKey, { bucket, key, number }, to)
}

function knownSum(
  version: ObjectVersion,
  part: ObjectPart,
  algorithm: ChecksumAlgorithm,
): Copied['checksum'] | null {
  if (part.checksum?.algorithm === algorithm) return part.checksum
  const { checksum } = version
  const isOfPart = checksum?.type === 'FULL_OBJECT' && version.parts.length === 1
  if (!isOfPart || checksum.algorithm !== algorithm) return null
  return { algorithm, base64: checksum.base64 }
}

async function write(parts: ObjectParts, order: CopyOrder): Promise<Copied> {
  const { blobs, place, ciphering, isPart } = order
  const dataKey = dataKeyFor(parts.sealing, ciphering, place)
  return await copyBytes(bytesIn(parts, order), order.algorithm, async (some) => {
    if (!isPart) return await takeBytes(blobs, some, dataKey)
    const part = await takeBlob(blobs, some, dataKey)
    return { sizeBytes: part.sizeBytes, parts: [{ number: place.number, ...part }] }
  })
}

async function drain(bytes: AsyncIterable<Uint8Array>): Promise<object> {
  for await (const chunk of bytes) giveBack(chunk)
  return {}
}

function bytesIn(parts: ObjectParts, { source, range }: CopyOrder): AsyncGenerator<Uint8Array> {
  return bytesOf(parts, source.object, range, source.customer)
}
