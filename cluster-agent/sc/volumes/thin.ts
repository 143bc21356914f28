// Volumes as thin volumes of one LVM thin pool; a snapshot is a read-only one that shares its
// chunks. Their names are their ids, and their tag is the pool's mark: nothing without it is ever
// touched.

import { open } from 'node:fs/promises'
import { MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { formatLuks } from '../../host/luks.ts'
import * as lvm from '../../host/lvm.ts'
import { type ChunkRange, thinDelta } from '../../host/thin-metadata.ts'
import {
  type ByteRange,
  parseSnapshotId,
  parseVolumeId,
  SIZE_UNIT_BYTES,
  type SnapshotId,
  type SnapshotParts,
  type VolumeBackend,
  type VolumeBytes,
  type VolumeId,
} from './backend.ts'
import { poolSpace, type ThinPool } from './thin-pool.ts'

export interface ThinParts {
  readonly exec: Exec
  readonly pool: ThinPool
  /** Of the pool, and of all that is ours in it. */
  readonly tag: string
}

/** Of a volume that is not complete. */
const DRAFT = '.new'
const DISCARD_MS = 60_000
const SYNC_MS = 60_000

export function thinBackend({ exec, pool, tag }: ThinParts): VolumeBackend {
  const { vg } = pool.name
  /** The pool has one snapshot of its metadata at a time. */
  let turn: Promise<unknown> = Promise.resolve()

  function nameOf(id: VolumeId | SnapshotId): lvm.LvName {
    // What becomes a path is looked at once more, whoever minted it.
    if (parseVolumeId(id).ok || parseSnapshotId(id).ok) return { vg, lv: id }
    throw new MalleeError('BadArgument', `no id of a volume or a snapshot: ${id}`)
  }

  async function seen(id: VolumeId | SnapshotId): Promise<lvm.LogicalVolume | null> {
    const { volumes } = await pool.last()
    const found = volumes.get(nameOf(id).lv)
    return found !== undefined && isOwn(found, pool.name.lv, tag) ? found : null
  }

  async function known(id: VolumeId | SnapshotId): Promise<lvm.LogicalVolume> {
    const found = await seen(id)
    if (found === null) throw new MalleeError('NotFound', `there are no bytes of ${id}`)
    return found
  }

  async function look(id: VolumeId | SnapshotId): Promise<VolumeBytes | null> {
    const found = await seen(id)
    if (found === null) return null
    const { sizeBytes, dataUsed, isActive } = found
    if (!isActive) {
      throw new MalleeError('Unavailable', `${lvm.lvText(nameOf(id))} is there and not active`)
    }
    return { sizeBytes, usedBytes: Math.ceil(sizeBytes * (dataUsed ?? 0)) }
  }

  /** Throws NameTaken and StoreFull. */
  async function checkNew(id: VolumeId | SnapshotId): Promise<void> {
    const name = nameOf(id)
    const now = await pool.last()
    const taken = now.volumes.get(name.lv)
    if (taken !== undefined) {
      const whose = isOwn(taken, pool.name.lv, tag) ? '' : `, and not of ${lvm.lvText(pool.name)}`
      throw new MalleeError('NameTaken', `${lvm.lvText(name)} is there already${whose}`)
    }
    if (poolSpace(now).roomBytes > 0) return
    const state = now.pool.health === '' ? '' : ` (${now.pool.health})`
    const full = `there is no room for the volume in ${lvm.lvText(pool.name)}${state}`
    throw new MalleeError('StoreFull', full)
  }

  async function checkSize(bytes: number): Promise<void> {
    if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % SIZE_UNIT_BYTES !== 0) {
      const what = `a volume of ${bytes} bytes is no whole number of MiB`
      throw new MalleeError('BadArgument', what)
    }
    const { extentBytes } = (await pool.last()).pool
    if (bytes % extentBytes === 0) return
    const what = `a volume of ${bytes} bytes is no whole number of ${vg}'s extents`
    throw new MalleeError('BadArgument', `${what}, which have ${extentBytes}`)
  }

  /** Under its name only when it is complete: half of one would pass for a whole one. */
  async function publish(id: VolumeId, make: (draft: lvm.LvName) => Promise<void>): Promise<void> {
    const draft = { vg, lv: `${nameOf(id).lv}${DRAFT}` }
    const { volumes } = await pool.last()
    await pool.change(async () => {
      if (volumes.has(draft.lv)) await removeOwn(draft)
      try {
        await make(draft)
        await lvm.renameLv(exec, draft, nameOf(id).lv)
      } catch (error) {
        await lvm.removeLv(exec, draft).catch(() => undefined)
        throw error
      }
    })
  }

  /** Also when there is none; one of others stays. */
  async function removeOwn(name: lvm.LvName): Promise<void> {
    const found = (await pool.last()).volumes.get(name.lv)
    if (found === undefined || !isOwn(found, pool.name.lv, tag)) return
    await pool.change(() => lvm.removeLv(exec, name))
  }

  async function remove(id: VolumeId | SnapshotId): Promise<void> {
    const { lv } = nameOf(id)
    for (const name of [`${lv}${DRAFT}`, lv]) await removeOwn({ vg, lv: name })
  }

  async function deltaOf(snapshot: SnapshotId, since: SnapshotId | null): Promise<SnapshotParts> {
    const [to, from] = [await known(snapshot), since === null ? null : await known(since)]
    const { chunkBytes } = (await pool.last()).pool
    if (to.thinId === null || from?.thinId === null) {
      throw new MalleeError('NotSupported', `lvs shows no thin_id of ${snapshot}`)
    }
    const ids = { from: from?.thinId ?? to.thinId, to: to.thinId }
    const delta = await thinDelta(exec, pool.name, ids).catch((error: unknown) => {
      const why = `what ${snapshot} has is not known: ${messageOf(error)}`
      throw new MalleeError('NotSupported', why, { cause: error })
    })
    const ranges = (chunks: readonly ChunkRange[]) => bytesOf(chunks, chunkBytes, to.sizeBytes)
    return { data: ranges(delta.data), changed: from === null ? null : ranges(delta.changed) }
  }

  return {
    path: (id) => lvm.lvPath(nameOf(id)),
    snapshots: true,
    space: async () => poolSpace(await pool.last()),
    look,
    lookSnapshot: look,
    // What is ours is always active.
    reading: async (snapshot, run) => {
      await known(snapshot)
      return run(lvm.lvPath(nameOf(snapshot)))
    },
    hold: async () => undefined,
    release: async () => undefined,
    create: async (id, sizeBytes, encryptionKey) => {
      nameOf(id)
      await checkSize(sizeBytes)
      await checkNew(id)
      const of = { pool: pool.name.lv, sizeBytes, tag }
      if (encryptionKey === undefined) {
        return pool.change(() => lvm.createThin(exec, nameOf(id), of))
      }
      await publish(id, async (draft) => {
        await lvm.createThin(exec, draft, of)
        await formatLuks(exec, lvm.lvPath(draft), encryptionKey)
        await exec(['sync', lvm.lvPath(draft)], { timeoutMs: SYNC_MS })
      })
    },
    clone: async (id, from, sizeBytes) => {
      nameOf(id)
      const { sizeBytes: least } = await known(from)
      await checkSize(sizeBytes)
      if (sizeBytes < least) {
        const wrong = `${sizeBytes} bytes are less than the ${least} of ${from}`
        throw new MalleeError('BadArgument', wrong)
      }
      await checkNew(id)
      await publish(id, async (draft) => {
        await lvm.snapshotThin(exec, draft, { origin: from, tag, isReadOnly: false })
        if (sizeBytes > least) await lvm.extendLv(exec, draft, sizeBytes)
      })
    },
    grow: async (id, sizeBytes) => {
      await checkSize(sizeBytes)
      const { sizeBytes: now } = await known(id)
      if (sizeBytes < now) {
        throw new MalleeError('Conflict', `${id} has ${now} bytes and does not shrink`)
      }
      if (sizeBytes > now) await pool.change(() => lvm.extendLv(exec, nameOf(id), sizeBytes))
    },
    remove,
    removeSnapshot: remove,
    snapshot: async (id, snapshot) => {
      await known(id)
      await checkNew(snapshot)
      const of = { origin: id, tag, isReadOnly: true }
      await pool.change(() => lvm.snapshotThin(exec, nameOf(snapshot), of))
    },
    parts: (snapshot, since) => {
      const mine = turn.then(() => deltaOf(snapshot, since))
      turn = mine.catch(() => undefined)
      return mine
    },
    zero: async (id, range) => {
      await known(id)
      const { chunkBytes } = (await pool.last()).pool
      await zeroDevice(exec, lvm.lvPath(nameOf(id)), { range, chunkBytes })
    },
  }
}

/** Of a pool, and with its mark. */
export function isOwn(volume: lvm.LogicalVolume, pool: string, tag: string): boolean {
  return volume.kind === 'thin' && volume.pool === pool && volume.tags.includes(tag)
}

/** Began and was never complete: nobody has it. */
export function isDraft({ name }: lvm.LogicalVolume): boolean {
  return name.endsWith(DRAFT)
}

function bytesOf(chunks: readonly ChunkRange[], chunkBytes: number, end: number): ByteRange[] {
  return chunks.flatMap(({ from, count }) => {
    const offset = from * chunkBytes
    const length = Math.min(count * chunkBytes, end - offset)
    return length > 0 ? [{ offset, length }] : []
  })
}

/** Whole chunks are given back; of others a discard would leave the bytes as they are. */
async function zeroDevice(
  exec: Exec,
  path: string,
  { range, chunkBytes }: { readonly range: ByteRange; readonly chunkBytes: number },
): Promise<void> {
  const end = range.offset + range.length
  const from = Math.min(end, Math.ceil(range.offset / chunkBytes) * chunkBytes)
  const to = Math.max(from, Math.floor(end / chunkBytes) * chunkBytes)
  if (to > from) {
    const part = ['--offset', String(from), '--length', String(to - from)]
    await exec(['blkdiscard', '--force', ...part, path], { timeoutMs: DISCARD_MS })
  }
  const handle = await open(path, 'r+')
  try {
    for (const [at, length] of [
      [range.offset, from - range.offset],
      [to, end - to],
    ] as const) {
      if (length > 0) await handle.write(Buffer.alloc(length), 0, length, at)
    }
    await handle.datasync()
  } finally {
    await handle.close()
  }
}
