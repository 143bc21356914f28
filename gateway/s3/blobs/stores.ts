// All stores of blobs of a cloud by name: those of the gateway, which are always the same, and the
// racks', which come and go.

import type { BlobStore } from '../../../common/blobs/blobs.ts'

/** What a Map of stores offers, too. */
export type BlobStores = Pick<ReadonlyMap<string, BlobStore>, 'get' | 'keys' | 'values'>

export interface MoreStores {
  /** Those that there are now. */
  readonly names: () => readonly string[]
  /** Null when that is no name of such a store; one of that name may not be there. */
  readonly open: (name: string) => BlobStore | null
}

export function storesWith(fixed: ReadonlyMap<string, BlobStore>, more: MoreStores): BlobStores {
  const made = new Map<string, BlobStore>()

  function get(name: string): BlobStore | undefined {
    const known = fixed.get(name) ?? made.get(name)
    const store = known ?? more.open(name) ?? undefined
    if (known === undefined && store !== undefined) made.set(name, store)
    return store
  }

  const all = (): readonly string[] => [...fixed.keys(), ...more.names()]
  return {
    get,
    keys: () => all().values(),
    values: () =>
      all()
        .flatMap((name) => get(name) ?? [])
        .values(),
  }
}
