// Whose bytes are on a disk, as the index knows it.

import type { Store } from '../../store/store.ts'
import { blobKey } from '../index/keys.ts'
import { ownersOf } from '../index/sharing.ts'

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
    for (const { key, value } of page.entries) {
      const id = key.slice(blobKey(name, '').length)
      const [owner] = await ownersOf(store, { store: name, id }, JSON.parse(value))
      if (owner !== undefined) return owner.bucket
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return null
  }
}
