// The record of an image file that has just come in.

import { MalleeError } from '../../common/errors.ts'
import type { TakenBlob } from '../blobs.ts'
import type { BlobRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'

/**
 * Of the same bytes there is one record, which keeps its names. Throws Conflict when they are there
 * as something else.
 */
export async function keepImageFile(tx: Transaction, blob: TakenBlob): Promise<BlobRecord> {
  const known = await tx.get('blob', blob.sha256)
  checkSameFormat(known, blob)
  if (known?.chunkListSha256 !== undefined) return known
  const { chunkListSha256 } = blob
  const next = known === null ? blob : { ...known, chunkListSha256 }
  await tx.put('blob', [blob.sha256], next)
  return next
}

/** Throws Conflict for bytes that are there as something else. */
export function checkSameFormat(known: BlobRecord | null, { sha256, format }: BlobRecord): void {
  if (known === null || known.format === format) return
  const text = `the file ${sha256} is there already, as ${known.format} and not as ${format}`
  throw new MalleeError('Conflict', text)
}
