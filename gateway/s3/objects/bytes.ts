// The bytes of objects: taken in before the index knows of them, and given out again from wherever
// they are.

import type { BlobStore, ByteRange } from '../../../common/blobs/blobs.ts'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import { openBytes, openWhole, plainSize, sealBytes, sealWhole } from '../encryption/chunks.ts'
import type { CustomerKey, DataKey, KeyPlace } from '../encryption/data-keys.ts'
import type { ObjectPart, ReadObject } from '../index/objects.ts'
import type { NewPart } from '../index/sharing.ts'
import { MAX_INLINE_BYTES } from '../index/writing.ts'
import type { ObjectParts } from './parts.ts'

export interface Taken {
  readonly sizeBytes: number
  /** At most one. */
  readonly parts: readonly NewPart[]
  readonly inline?: Uint8Array
  readonly inlineKey?: string
}

/** What reads bytes: where they are, and what opens the keys of those that are encrypted. */
export type Reading = Pick<ObjectParts, 'storeOf' | 'sealing'>

/** Of an object that came in one piece. */
export const WHOLE = 1

/**
 * Small ones stay in memory, for the index. With a key they are encrypted. Throws what the bytes
 * throw; nothing is left then.
 */
export async function takeBytes(
  blobs: Pick<BlobStore, 'write'>,
  bytes: AsyncIterable<Uint8Array>,
  dataKey: DataKey | null,
): Promise<Taken> {
  const source = bytes[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  let size = 0
  while (size <= MAX_INLINE_BYTES) {
    const next = await source.next()
    if (next.done === true) return { sizeBytes: size, parts: [], ...inlineOf(head, size, dataKey) }
    head.push(next.value)
    size += next.value.length
  }
  const part = await takeBlob(blobs, joined(head, source), dataKey)
  return { sizeBytes: part.sizeBytes, parts: [{ number: WHOLE, ...part }] }
}

/** Takes bytes as one blob, however few. Throws as takeBytes. */
export async function takeBlob(
  blobs: Pick<BlobStore, 'write'>,
  bytes: AsyncIterable<Uint8Array>,
  dataKey: DataKey | null,
): Promise<Pick<ObjectPart, 'blob' | 'sizeBytes' | 'sealedKey'>> {
  if (dataKey === null) {
    const blob = await blobs.write(bytes)
    return { blob, sizeBytes: blob.sizeBytes }
  }
  const blob = await blobs.write(sealBytes(bytes, dataKey.key))
  return { blob, sizeBytes: plainSize(blob.sizeBytes), sealedKey: dataKey.sealed }
}

function inlineOf(
  head: readonly Uint8Array[],
  size: number,
  dataKey: DataKey | null,
): Pick<Taken, 'inline' | 'inlineKey'> {
  if (size === 0) return {}
  if (dataKey === null) return { inline: Buffer.concat(head) }
  const sealed = sealWhole(dataKey.key, head)
  const tag = sealed.subarray(size).toString('base64url')
  return { inline: sealed.subarray(0, size), inlineKey: `${dataKey.sealed}:${tag}` }
}

async function* joined(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* head
  let isOver = false
  try {
    for (;;) {
      const next = await rest.next()
      isOver = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } finally {
    if (!isOver) await rest.return?.()
  }
}

/**
 * Runs a commit that refers to bytes just taken in. When it fails for sure they go at once; when
 * nobody can say, they are the sweep's. What is of others stays.
 */
export async function committed<T>(
  { storeOf }: Pick<ObjectParts, 'storeOf'>,
  parts: readonly NewPart[],
  commit: () => Promise<T>,
): Promise<T> {
  try {
    return await commit()
  } catch (error) {
    if (codeOf(error) !== 'StoreUnavailable') {
      for (const { blob, from } of parts) {
        if (from !== undefined) continue
        await storeOf(blob.store)
          .delete(blob.id)
          .catch(() => undefined)
      }
    }
    throw error
  }
}

/**
/**
 * The same bytes once the first of them are there: what cannot be read at all is an error, and not
 * an answer that breaks off. Throws as BlobStore.read.
 */
export async function begun(bytes: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const rest = bytes[Symbol.asyncIterator]()
  const first = await rest.next()
  return joined(first.done === true ? [] : [first.value], rest)
}

/**
 * Bytes of an object, part after part; those that a customer encrypted need the very key. Throws as
 * BlobStore.read, and DataCorrupt for what does not decrypt, before it gives a byte of that.
 */
export async function* bytesOf(
  reading: Reading,
  { version, inline }: ReadObject,
  range: ByteRange,
  customer: CustomerKey | null,
): AsyncGenerator<Uint8Array> {
  const { start, end } = range
  if (start >= end) return
  if (inline !== null) {
    const { inlineKey } = version
    const whole = inlineKey === undefined ? inline : opened(reading, version, inline, customer)
    yield whole.subarray(start, end)
    return
  }
  let at = 0
  for (const part of version.parts) {
    const { blob, sizeBytes, sealedKey, number } = part
    const from = Math.max(start - at, 0)
    const to = Math.min(end - at, sizeBytes)
    if (from < to) {
      const store = reading.storeOf(blob.store)
      const piece = { start: from, end: to }
      if (sealedKey === undefined) yield* store.read(blob, piece)
      else {
        const key = reading.sealing.keys.open(sealedKey, placeOf(version, number), customer)
        const read = (stored: ByteRange) => store.read(blob, stored)
        const refuse = (chunk: number) => changed(version, `chunk ${chunk} of blob ${blob.id}`)
        yield* openBytes(read, sizeBytes, key, piece, refuse)
      }
    }
    at += sizeBytes
    if (at >= end) return
  }
}

function opened(
  { sealing }: Reading,
  version: ReadObject['version'],
  inline: Uint8Array,
  customer: CustomerKey | null,
): Uint8Array {
  const [sealed = '', tag = ''] = (version.inlineKey ?? '').split(':')
  const key = sealing.keys.open(sealed, placeOf(version, WHOLE), customer)
  const whole = openWhole(key, Buffer.concat([inline, Buffer.from(tag, 'base64url')]))
  if (whole === null) throw changed(version, 'what the index has')
  return whole
}

function placeOf({ bucket, key }: Pick<KeyPlace, 'bucket' | 'key'>, number: number): KeyPlace {
  return { bucket, key, number }
}

function changed({ bucket, key }: Pick<KeyPlace, 'bucket' | 'key'>, what: string): MalleeError {
  return new MalleeError('DataCorrupt', `${what} of ${bucket}/${key} is not what was encrypted`)
}
