// The blocks of a snapshot that is not encrypted, as an encrypted volume of it has them: behind the
// volume's own header, each sector by its key. Those of zeroes too: a hole would not be zeroes to
// the guest.

import { open } from 'node:fs/promises'
import { openLuks } from '../../../common/luks.ts'
import { ENTRIES_PER_PAGE, SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { encryptSectors, SECTOR_BYTES } from '../../../common/xts.ts'
import type { SnapshotSource } from '../volumes/wanted.ts'
import type { Held, RestoreBlocks } from './source-blocks.ts'

const HEADER_BLOCKS = LUKS_HEADER_BYTES / SNAPSHOT_BLOCK_BYTES
const BLOCK_SECTORS = SNAPSHOT_BLOCK_BYTES / SECTOR_BYTES
const ZEROES = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)

/**
 * Of a volume whose file begins with its header, when it has a key: those of `plain`, encrypted by
 * what the key opens; `plain` itself without one. Throws DataCorrupt.
 */
export async function blocksFor(
  plain: RestoreBlocks,
  file: string,
  encryptionKey: string | undefined,
): Promise<RestoreBlocks> {
  if (encryptionKey === undefined) return plain
  await using handle = await open(file)
  const header = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)
  await handle.read(header, 0, header.length, 0)
  return new EncryptedBlocks(plain, openLuks(header, encryptionKey))
}

class EncryptedBlocks implements RestoreBlocks {
  readonly source: SnapshotSource
  readonly isSame = false
  readonly #plain: RestoreBlocks
  readonly #key: Buffer

  constructor(plain: RestoreBlocks, key: Buffer) {
    this.#plain = plain
    this.#key = key
    const { source } = plain
    this.source = { ...source, sizeBytes: source.sizeBytes + LUKS_HEADER_BYTES }
  }

  /** All but the header, which is the volume's from its beginning. */
  async leaf(number: number): Promise<Held> {
    return { has: (at) => number * ENTRIES_PER_PAGE + at >= HEADER_BLOCKS }
  }

  async block(index: number): Promise<Uint8Array | null> {
    const from = index - HEADER_BLOCKS
    if (from < 0) return null
    const bytes = (await this.#plain.block(from)) ?? ZEROES
    return encryptSectors(this.#key, from * BLOCK_SECTORS, bytes)
  }
}
