// A snapshot's bytes from somebody who may send anything: each is checked against the name that
// what came before gave it, from the manifest on.

import { MalleeError } from '../common/errors.ts'
import {
  decodePage,
  decodeRoot,
  type ManifestRoot,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../common/snapshot-manifest.ts'
import type { BlockRef, LoadPage } from '../common/snapshot-walk.ts'
import type { SnapshotBlocksEnd } from './snapshot-blocks.ts'

/** The root of that manifest. Throws DataCorrupt, and what the end throws. */
export async function readRoot(
  end: Pick<SnapshotBlocksEnd, 'root'>,
  manifest: string,
): Promise<ManifestRoot> {
  return decodeRoot(checked(await end.root(), manifest, 'root'))
}

/** Its pages. Throws DataCorrupt, and what the end throws. */
export function pagesFrom(end: Pick<SnapshotBlocksEnd, 'page'>): LoadPage {
  return async ({ kind, number, sha256 }) =>
    decodePage(checked(await end.page(kind, number), sha256, `${kind} ${number}`))
}

/** All bytes of a block. Throws DataCorrupt, and what the end throws. */
export async function readBlock(
  end: Pick<SnapshotBlocksEnd, 'block'>,
  { index, sha256 }: BlockRef,
): Promise<Uint8Array> {
  const bytes = checked(await end.block(index), sha256, `block ${index}`)
  if (bytes.length === SNAPSHOT_BLOCK_BYTES) return bytes
  throw new MalleeError('DataCorrupt', `block ${index} of a snapshot has ${bytes.length} bytes`)
}

function checked(bytes: Uint8Array, sha256: string, what: string): Uint8Array {
  if (sha256Of(bytes) === sha256) return bytes
  throw new MalleeError(
    'DataCorrupt',
    `${what} of a snapshot came with bytes that are not ${sha256}`,
  )
}
