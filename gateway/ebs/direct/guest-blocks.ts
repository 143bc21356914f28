// Blocks of snapshots as guests see them: of encrypted ones behind the LUKS header, and decrypted.

import { MalleeError } from '../../../common/errors.ts'
import { openLuks } from '../../../common/luks.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { decryptSectors, encryptSectors, SECTOR_BYTES } from '../../../common/xts.ts'
import type { Sealer } from '../../secrets.ts'
import type { State } from '../../store/state.ts'
import type { SnapshotRecord } from '../../store/volume-records.ts'
import type { SnapshotReads } from '../chunks/snapshot-bytes.ts'
import { volumeSecrets } from '../names.ts'

export interface GuestBlocksParts {
  readonly state: State
  readonly reads: Pick<SnapshotReads, 'readBlock'>
  readonly sealer: Pick<Sealer, 'open'>
}

/** Of one snapshot, which may be on its way: then its header is that of what it is made over. */
export interface GuestBlocks {
  /** All throw DataCorrupt for a header that is not opened by the snapshot's secret. */
  readonly decrypt: (of: SnapshotRecord, index: number, bytes: Uint8Array) => Promise<Uint8Array>
  readonly encrypt: (of: SnapshotRecord, index: number, bytes: Uint8Array) => Promise<Uint8Array>
}

const BLOCK_SECTORS = SNAPSHOT_BLOCK_BYTES / SECTOR_BYTES
/** Keys in memory, of the snapshots that were used last: each costs some ten milliseconds. */
const MAX_KEYS = 64

/** Blocks that are before the first one that guests see. */
export function blocksBefore({ encrypted }: Pick<SnapshotRecord, 'encrypted'>): number {
  return encrypted ? LUKS_HEADER_BYTES / SNAPSHOT_BLOCK_BYTES : 0
}

export function guestBlocks({ state, reads, sealer }: GuestBlocksParts): GuestBlocks {
  const secrets = volumeSecrets(sealer)
  const keys = new Map<string, Promise<Buffer>>()

  function keyOf(snapshot: SnapshotRecord): Promise<Buffer> {
    const { id } = snapshot
    const known = keys.get(id)
    keys.delete(id)
    const key = known ?? opened(snapshot)
    keys.set(id, key)
    key.catch(() => keys.delete(id))
    for (const oldest of keys.keys()) if (keys.size > MAX_KEYS) keys.delete(oldest)
    return key
  }

  async function opened(snapshot: SnapshotRecord): Promise<Buffer> {
    const { id, base, manifest } = snapshot
    const from = manifest === '' ? (await state.fresh()).get('volume-snapshot', base) : snapshot
    const header = from === null ? null : await reads.readBlock(from.manifest, 0)
    if (header === null) throw new MalleeError('DataCorrupt', `${id} has no LUKS header`)
    return openLuks(header, secrets.openVolumeKey(snapshot))
  }

  return {
    decrypt: async (of, index, bytes) =>
      of.encrypted ? decryptSectors(await keyOf(of), index * BLOCK_SECTORS, bytes) : bytes,
    encrypt: async (of, index, bytes) =>
      of.encrypted ? encryptSectors(await keyOf(of), index * BLOCK_SECTORS, bytes) : bytes,
  }
}
