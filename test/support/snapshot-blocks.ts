// A gateway's end of snapshots' bytes in memory: keeps what it is given, as the real one does.

import { MalleeError } from '../../common/errors.ts'
import {
  decodePage,
  decodeRoot,
  ENTRIES_PER_PAGE,
  isZeroBlock,
  sha256Of,
} from '../../common/snapshot-manifest.ts'
import { findBlock, findPage, type LoadPage } from '../../common/snapshot-walk.ts'
import type { SnapshotBlocksEnd } from '../../proto/snapshot-blocks.ts'

export interface MemoryBlocks {
  /** Of that snapshot. */
  readonly end: (snapshot: string) => SnapshotBlocksEnd
  /** Bytes of blocks, pages and roots by SHA-256: may be looked at, damaged and taken away. */
  readonly bytes: Map<string, Uint8Array>
  /** By snapshot. */
  readonly manifests: Map<string, string>
  readonly load: LoadPage
}

export function memoryBlocks(): MemoryBlocks {
  const bytes = new Map<string, Uint8Array>()
  const manifests = new Map<string, string>()

  function get(sha256: string): Uint8Array {
    const found = bytes.get(sha256)
    if (found === undefined) throw new MalleeError('NotFound', `no bytes ${sha256}`)
    return found
  }
  const load: LoadPage = async ({ sha256 }) => decodePage(get(sha256))

  function keep(given: Uint8Array, entries: readonly { readonly sha256: string }[]): string[] {
    const missing = entries.flatMap(({ sha256 }) => (bytes.has(sha256) ? [] : [sha256]))
    if (missing.length === 0) bytes.set(sha256Of(given), Uint8Array.from(given))
    return [...new Set(missing)]
  }

  function end(snapshot: string): SnapshotBlocksEnd {
    const rootBytes = (): Uint8Array => get(manifests.get(snapshot) ?? 'none yet')
    return {
      missing: async (sha256s) => sha256s.filter((one) => !bytes.has(one)),
      putBlock: async ({ sha256, bytes: data }) => {
        if (sha256Of(data) !== sha256) throw new MalleeError('DataCorrupt', `not ${sha256}`)
        if (isZeroBlock(data)) throw new MalleeError('BadArgument', 'zeroes are not put')
        bytes.set(sha256, Uint8Array.from(data))
      },
      putPage: async (data) => keep(data, decodePage(data).entries),
      putRoot: async (data) => {
        const missing = keep(data, decodeRoot(data).entries)
        if (missing.length === 0) manifests.set(snapshot, sha256Of(data))
        return missing
      },
      root: async () => rootBytes(),
      page: async (kind, number) => {
        const ref = await findPage(decodeRoot(rootBytes()), kind, number, load)
        return get(ref?.sha256 ?? `${kind} ${number} of ${ENTRIES_PER_PAGE}, all zeroes`)
      },
      block: async (index) =>
        get((await findBlock(decodeRoot(rootBytes()), index, load)) ?? `block ${index}, zeroes`),
    }
  }
  return { end, bytes, manifests, load }
}
