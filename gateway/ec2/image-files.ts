// The record of an image file that has just come in.

import type { TakenBlob } from '../blobs.ts'
import type { BlobRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'

/** Of the same bytes there is one record, which keeps its names. */
export async function keepImageFile(tx: Transaction, blob: TakenBlob): Promise<BlobRecord> {
  const known = await tx.get('blob', blob.sha256)
  if (known?.chunkListSha256 !== undefined) return known
  const { chunkListSha256 } = blob
  const next = known === null ? blob : { ...known, chunkListSha256 }
  await tx.put('blob', [blob.sha256], next)
  return next
}
