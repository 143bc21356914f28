// Volumes as images in a pool of Ceph, their snapshots as the images' own. What this host itself
// reads or writes of one is shown as a file by a qemu-storage-daemon.
// An image whose volume is deleted stays under another name as long as it has snapshots.

import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MalleeError } from '../../../common/errors.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { formatLuks } from '../../host/luks.ts'
import * as rbd from '../../host/rbd.ts'
import {
  type StorageDaemonFiles,
  startStorageDaemon,
  stopStorageDaemon,
  storageDaemonPid,
} from '../../host/storage-daemon.ts'
import {
  SIZE_UNIT_BYTES,
  type SnapshotId,
  type VolumeBackend,
  type VolumeBytes,
  type VolumeId,
} from '../volumes/backend.ts'
import { type CephPool, imageNamed } from './pool.ts'

/** Of an image that is not complete, or whose volume is deleted. */
const DRAFT = 'new-'
const KEPT = 'old-'

export function cephBackend(pool: CephPool): VolumeBackend {
  const { exec, place, images, runDir } = pool
  const path = (id: VolumeId | SnapshotId): string => join(runDir, `${id}.raw`)
  return {
    path,
    snapshots: true,
    space: () => pool.space.get(),
    look: async (id) => bytesOf((await images.get()).images.get(id)),
    create: (id, sizeBytes, encryptionKey) =>
      publish(id, sizeBytes, async (name) => {
        if (encryptionKey !== undefined) return importHeader(name, encryptionKey)
        await rbd.createRbdImage(exec, place, { name, sizeBytes })
        return sizeBytes
      }),
    clone: async (id, from, sizeBytes) => {
      const { image, sizeBytes: least } = await snapshotNamed(from)
      if (sizeBytes < least) {
        const wrong = `${sizeBytes} bytes are less than the ${least} of ${from}`
        throw new MalleeError('BadArgument', wrong)
      }
      await publish(id, sizeBytes, async (to) => {
        await rbd.copyRbdSnapshot(exec, place, { image, snapshot: from, to })
        return least
      })
    },
    grow: async (id, sizeBytes) => {
      checkSize(sizeBytes)
      const { sizeBytes: now } = await imageNamed(pool, id)
      if (sizeBytes < now) {
        throw new MalleeError('Conflict', `${id} has ${now} bytes and does not shrink`)
      }
      await checkRoom()
      await changing(rbd.growRbdImage(exec, place, { name: id, sizeBytes }))
    },
    remove: async (id) => {
      const known = await images.get()
      const isKept = [...known.snapshots.values()].some(({ image }) => image === id)
      if (known.images.has(DRAFT + id)) await removeImage(DRAFT + id)
      if (!known.images.has(id)) return
      if (!isKept) await removeImage(id)
      else await changing(rbd.renameRbdImage(exec, place, { from: id, to: KEPT + id }))
    },
    snapshot: async (id, snapshot) => {
      await imageNamed(pool, id)
      if ((await images.get()).snapshots.has(snapshot)) throw taken(snapshot)
      await changing(rbd.makeRbdSnapshot(exec, place, { image: id, snapshot }))
    },
    removeSnapshot: async (snapshot) => {
      await stopStorageDaemon(pool, daemon(snapshot))
      const image = (await images.get()).snapshots.get(snapshot)?.image
      if (image === undefined) return
      await changing(rbd.removeRbdSnapshot(exec, place, { image, snapshot }))
      const isLast = ![...(await images.get()).snapshots.values()].some(
        (one) => one.image === image,
      )
      if (image.startsWith(KEPT) && isLast) await removeImage(image)
    },
    lookSnapshot: async (snapshot) => bytesOf((await images.get()).snapshots.get(snapshot)),
    reading: async (snapshot, run) => {
      const { image } = await snapshotNamed(snapshot)
      await show(snapshot, { image, snapshot })
      try {
        return await run(path(snapshot))
      } finally {
        await stopStorageDaemon(pool, daemon(snapshot))
      }
    },
    parts: async (snapshot, since) => {
      const { image } = await snapshotNamed(snapshot)
      const data = await rbd.diffRbdSnapshot(exec, place, { image, snapshot }, null)
      const isSame = since !== null && (await images.get()).snapshots.get(since)?.image === image
      const changed = isSame
        ? await rbd.diffRbdSnapshot(exec, place, { image, snapshot }, since)
        : null
      return { data, changed }
    },
    zero: async (id, { offset, length }) => {
      await exec(['fallocate', '-p', '-o', String(offset), '-l', String(length), path(id)])
    },
    hold: async (id) => {
      if (!(await images.get()).images.has(id)) return
      if ((await storageDaemonPid(exec, daemon(id))) !== null) return
      await show(id, { image: id, snapshot: null })
    },
    release: (id) => stopStorageDaemon(pool, daemon(id)),
  }

  /**
   * Under its name only when it is complete: half of one would pass for a whole one. `make` says
   * how large it made it.
   */
  async function publish(
    id: VolumeId,
    sizeBytes: number,
    make: (draft: string) => Promise<number>,
  ): Promise<void> {
    checkSize(sizeBytes)
    const { images: known } = await images.get()
    if (known.has(id)) throw taken(id)
    await checkRoom()
    const draft = DRAFT + id
    if (known.has(draft)) await removeImage(draft)
    await changing(
      (async () => {
        const madeBytes = await make(draft)
        if (madeBytes < sizeBytes) await rbd.growRbdImage(exec, place, { name: draft, sizeBytes })
        await rbd.renameRbdImage(exec, place, { from: draft, to: id })
      })(),
    )
  }

  /** An image that is the header of LUKS and a bit more. */
  async function importHeader(name: string, key: string): Promise<number> {
    const sizeBytes = LUKS_HEADER_BYTES + SIZE_UNIT_BYTES
    const file = join(runDir, `${name}.header`)
    await mkdir(runDir, { recursive: true, mode: 0o700 })
    try {
      await writeFile(file, '', { mode: 0o600 })
      await truncate(file, sizeBytes)
      await formatLuks(exec, file, key)
      await rbd.importRbdImage(exec, place, { name, file })
      return sizeBytes
    } finally {
      await rm(file, { force: true })
    }
  }

  /** Throws StoreFull. */
  async function checkRoom(): Promise<void> {
    if ((await pool.space.get()).roomBytes > 0) return
    throw new MalleeError('StoreFull', `the pool ${place.pool} has no room`)
  }

  async function removeImage(name: string): Promise<void> {
    await changing(rbd.removeRbdImage(exec, place, name))
  }

  async function changing(done: Promise<void>): Promise<void> {
    await done.finally(() => images.forget())
  }

  async function snapshotNamed(snapshot: SnapshotId): Promise<rbd.RbdSnapshot> {
    const found = (await images.get()).snapshots.get(snapshot)
    if (found === undefined) throw new MalleeError('NotFound', `there are no bytes of ${snapshot}`)
    return found
  }

  async function show(
    id: VolumeId | SnapshotId,
    what: { readonly image: string; readonly snapshot: string | null },
  ): Promise<void> {
    const key = join(runDir, 'key')
    await mkdir(runDir, { recursive: true, mode: 0o700 })
    await writeFile(key, keyIn(await readFile(place.keyring, 'utf8'), place), { mode: 0o600 })
    await startStorageDaemon(pool, daemon(id), { ...place, ...what, key })
  }

  function daemon(id: VolumeId | SnapshotId): StorageDaemonFiles {
    return { file: path(id), pid: join(runDir, `${id}.pid`) }
  }
}

/** The user's key in the text of a keyring (ceph-authtool(8)). Throws BadConfig. */
function keyIn(text: string, { user, keyring }: Pick<rbd.RbdPlace, 'user' | 'keyring'>): string {
  let isOurs = false
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line.startsWith('[')) isOurs = line === `[client.${user}]`
    const [, key] = /^key\s*=\s*(\S+)$/.exec(line) ?? []
    if (isOurs && key !== undefined) return key
  }
  throw new MalleeError('BadConfig', `${keyring} has no key of client.${user}`)
}

function bytesOf(found: VolumeBytes | undefined): VolumeBytes | null {
  return found === undefined ? null : { sizeBytes: found.sizeBytes, usedBytes: found.usedBytes }
}

function checkSize(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % SIZE_UNIT_BYTES === 0) return
  throw new MalleeError('BadArgument', `a volume of ${bytes} bytes is no whole number of MiB`)
}

function taken(id: string): MalleeError {
  return new MalleeError('NameTaken', `there are bytes of ${id} already`)
}
