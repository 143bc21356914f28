// One block, page or root in a blob.

import type { BlobRef, BlobStore } from '../../../common/blobs/blobs.ts'
import { MalleeError } from '../../../common/errors.ts'
import { giveBack } from '../../../common/lent-bytes.ts'
import { sha256Of } from '../../../common/snapshot-manifest.ts'

/** Throws StoreFull, StoreUnavailable. */
export async function writeBlob(blobs: BlobStore, bytes: Uint8Array): Promise<BlobRef> {
  return await blobs.write(
    (async function* () {
      yield bytes
    })(),
  )
}

/** Throws DataCorrupt when these are other bytes, and as BlobStore.read. */
export async function readBlob(
  blobs: BlobStore,
  blob: BlobRef,
  sha256: string,
): Promise<Uint8Array> {
  const bytes = Buffer.alloc(blob.sizeBytes)
  let at = 0
  for await (const piece of blobs.read(blob)) {
    bytes.set(piece, at)
    at += piece.length
    giveBack(piece)
  }
  if (sha256Of(bytes) === sha256) return bytes
  throw new MalleeError('DataCorrupt', `blob ${blob.id} does not have the bytes of ${sha256}`)
}
