// Whose bytes are on a disk, as the index knows it.

import type { Store } from '../../store/store.ts'
import type { BlobOwner } from '../index/garbage.ts'
import { blobKey } from '../index/keys.ts'

const PAGE = 1_000

/**
 * The id of a bucket with a blob in the store of that name whose id begins so; null when there is
 * none. What was deleted counts until its bytes are gone.
 */
export async function bucketWith(
  store: Store,
  name: string,
  prefix: string,
): Promise<string | null> {
  const first = blobKey(name, prefix)
  for (let after = first; ; ) {
    const page = await store.list(first, { after, limit: PAGE })
    for (const { value } of page.entries) {
      const owner = JSON.parse(value) as BlobOwner
      if ('bucket' in owner) return owner.bucket
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return null
  }
}
