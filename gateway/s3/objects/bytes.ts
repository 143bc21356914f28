// The bytes of objects: taken in before the index knows of them, and given out again from wherever
// they are.

import type { BlobStore, ByteRange } from '../../../common/blobs/blobs.ts'
import { codeOf } from '../../../common/errors.ts'
import type { ObjectPart, ReadObject } from '../index/objects.ts'
import { MAX_INLINE_BYTES } from '../index/writing.ts'
import type { ObjectParts } from './parts.ts'

export interface Taken {
  readonly sizeBytes: number
  /** At most one. */
  readonly parts: readonly ObjectPart[]
  readonly inline?: Uint8Array
}

/**
 * Small ones stay in memory, for the index. Throws what the bytes throw; nothing is left then.
 */
export async function takeBytes(
  blobs: Pick<BlobStore, 'write'>,
  bytes: AsyncIterable<Uint8Array>,
): Promise<Taken> {
  const source = bytes[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  let size = 0
  while (size <= MAX_INLINE_BYTES) {
    const next = await source.next()
    if (next.done === true) return { sizeBytes: size, parts: [], ...inlineOf(head, size) }
    head.push(next.value)
    size += next.value.length
  }
  const blob = await blobs.write(joined(head, source))
  return { sizeBytes: blob.sizeBytes, parts: [{ number: 1, blob, sizeBytes: blob.sizeBytes }] }
}

function inlineOf(head: readonly Uint8Array[], size: number): Pick<Taken, 'inline'> {
  return size === 0 ? {} : { inline: Buffer.concat(head) }
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
 * nobody can say, they are the sweep's.
 */
export async function committed<T>(
  { storeOf }: Pick<ObjectParts, 'storeOf'>,
  parts: readonly ObjectPart[],
  commit: () => Promise<T>,
): Promise<T> {
  try {
    return await commit()
  } catch (error) {
    if (codeOf(error) !== 'StoreUnavailable') {
      for (const { blob } of parts) {
        await storeOf(blob.store)
          .delete(blob.id)
          .catch(() => undefined)
      }
    }
    throw error
  }
}

/** Bytes of an object, part after part. Throws as BlobStore.read. */
export async function* bytesOf(
  { storeOf }: Pick<ObjectParts, 'storeOf'>,
  { version, inline }: ReadObject,
  { start, end }: ByteRange,
): AsyncGenerator<Uint8Array> {
  if (start >= end) return
  if (inline !== null) {
    yield inline.subarray(start, end)
    return
  }
  let at = 0
  for (const { blob, sizeBytes } of version.parts) {
    const from = Math.max(start - at, 0)
    const to = Math.min(end - at, sizeBytes)
    if (from < to) yield* storeOf(blob.store).read(blob, { start: from, end: to })
    at += sizeBytes
    if (at >= end) return
  }
}
