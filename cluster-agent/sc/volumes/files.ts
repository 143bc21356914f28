// Volumes as sparse files of one folder. Where the file system shares blocks between files (XFS,
// btrfs) snapshots and clones take a moment and no room (ioctl_ficlonerange(2)).
// Owns FOLDER/volumes and FOLDER/snapshots: no other file is touched.

import { mkdir, open, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../../common/durable-file.ts'
import { codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { fileExtents } from '../../host/filefrag.ts'
import { formatLuks } from '../../host/luks.ts'
import { differing } from '../snapshots/block-ranges.ts'
import {
  parseSnapshotId,
  parseVolumeId,
  SIZE_UNIT_BYTES,
  type SnapshotId,
  type StoreSpace,
  type VolumeBackend,
  type VolumeBytes,
  type VolumeId,
} from './backend.ts'

const BLOCK_BYTES = 512
const CLONE_MS = 60_000
/** Of a file that is not complete. */
const DRAFT = '.new'
/** For what the file system itself needs, and to delete something. */
const RESERVE_BYTES = 1 << 30
const RESERVE_SHARE = 1 / 20
/** Kinds that share blocks unless they were made not to. */
const SHARING = new Set(['xfs', 'btrfs'])
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Makes its folders. `folder` is on the file system that the volumes fill. */
export async function fileBackend(exec: Exec, folder: string): Promise<VolumeBackend> {
  const volumes = join(folder, 'volumes')
  const snapshots = join(folder, 'snapshots')
  for (const one of [volumes, snapshots]) await mkdir(one, { recursive: true, mode: 0o700 })
  const shares = await sharesBlocks(exec, folder)

  function volumeFile(id: VolumeId): string {
    // What becomes a path is looked at once more, whoever minted it.
    if (!parseVolumeId(id).ok) throw new MalleeError('BadArgument', `no volume id: ${id}`)
    return join(volumes, `${id}.raw`)
  }
  function snapshotFile(id: SnapshotId): string {
    if (!parseSnapshotId(id).ok) throw new MalleeError('BadArgument', `no snapshot id: ${id}`)
    return join(snapshots, `${id}.raw`)
  }

  /** Throws StoreFull. */
  async function checkRoom(bytes = 1): Promise<void> {
    if ((await spaceOf(folder)).roomBytes >= bytes) return
    throw new MalleeError('StoreFull', 'there is no room for the volume')
  }

  return {
    path: volumeFile,
    snapshots: shares,
    space: () => spaceOf(folder),
    look: (id) => look(volumeFile(id)),
    create: async (id, sizeBytes, encryptionKey) => {
      const file = volumeFile(id)
      checkSize(sizeBytes)
      await checkFree(file, id)
      await checkRoom()
      await publish(file, volumes, async (draft) => {
        await setSize(draft, sizeBytes)
        if (encryptionKey === undefined) return
        await formatLuks(exec, draft, encryptionKey)
        await sync(draft)
      })
    },
    clone: async (id, from, sizeBytes) => {
      const file = volumeFile(id)
      const source = snapshotFile(from)
      checkSize(sizeBytes)
      const { sizeBytes: least } = await known(source, from)
      if (sizeBytes < least) {
        const wrong = `${sizeBytes} bytes are less than the ${least} of ${from}`
        throw new MalleeError('BadArgument', wrong)
      }
      await checkFree(file, id)
      await checkRoom()
      await publish(file, volumes, async (draft) => {
        await reflink(exec, source, draft)
        await setSize(draft, sizeBytes)
      })
    },
    grow: async (id, sizeBytes) => {
      const file = volumeFile(id)
      checkSize(sizeBytes)
      const { sizeBytes: now } = await known(file, id)
      if (sizeBytes < now) {
        throw new MalleeError('Conflict', `${id} has ${now} bytes and does not shrink`)
      }
      if (sizeBytes > now) await checkRoom()
      await setSize(file, sizeBytes)
    },
    remove: (id) => remove(volumeFile(id), volumes),
    snapshot: async (id, snapshot) => {
      const source = volumeFile(id)
      const file = snapshotFile(snapshot)
      const { usedBytes } = await known(source, id)
      await checkFree(file, snapshot)
      await checkRoom(shares ? 1 : Math.max(1, usedBytes))
      await publish(file, snapshots, async (draft) => {
        await (shares ? reflink : copy)(exec, source, draft)
        await sync(draft)
      })
    },
    lookSnapshot: (snapshot) => look(snapshotFile(snapshot)),
    reading: (snapshot, run) => run(snapshotFile(snapshot)),
    // They are there all the time.
    hold: async () => undefined,
    release: async () => undefined,
    removeSnapshot: (snapshot) => remove(snapshotFile(snapshot), snapshots),
    parts: async (snapshot, since) => {
      const data = await fileExtents(exec, snapshotFile(snapshot))
      if (since === null) return { data, changed: null }
      return { data, changed: differing(data, await fileExtents(exec, snapshotFile(since))) }
    },
    zero: async (id, { offset, length }) => {
      const file = volumeFile(id)
      await known(file, id)
      await exec(['fallocate', '-p', '-o', String(offset), '-l', String(length), file])
    },
  }
}

/** Of the file system of a folder, less the reserve. */
export async function spaceOf(folder: string): Promise<StoreSpace> {
  const { bsize, blocks, bavail } = await statfs(folder)
  const sizeBytes = bsize * blocks
  const reserve = Math.min(RESERVE_BYTES, sizeBytes * RESERVE_SHARE)
  return { sizeBytes, roomBytes: Math.max(0, Math.floor(bsize * bavail - reserve)) }
}

/** By trying it: its kind does not say how a file system was made. A full one is as its kind is. */
export async function sharesBlocks(exec: Exec, folder: string): Promise<boolean> {
  const [from, to] = ['one', 'two'].map((name) => join(folder, `probe-${name}${DRAFT}`))
  if (from === undefined || to === undefined) return false
  try {
    await writeFile(from, Buffer.alloc(4096, 1))
    await reflink(exec, from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'NotSupported') return false
    if (codeOf(asFull(error)) !== 'StoreFull') throw error
    return SHARING.has(await kindOf(exec, folder))
  } finally {
    for (const file of [from, to]) await rm(file, { force: true })
  }
}

/** Is the file system of a folder gone after a reboot? */
export async function isInMemory(exec: Exec, folder: string): Promise<boolean> {
  return ['tmpfs', 'ramfs'].includes(await kindOf(exec, folder))
}

async function kindOf(exec: Exec, folder: string): Promise<string> {
  return (await exec(['stat', '--file-system', '--format=%T', folder])).stdout.trim()
}

async function look(file: string): Promise<VolumeBytes | null> {
  try {
    const { size, blocks } = await stat(file)
    return { sizeBytes: size, usedBytes: blocks * BLOCK_BYTES }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function known(file: string, id: string): Promise<VolumeBytes> {
  const bytes = await look(file)
  if (bytes === null) throw new MalleeError('NotFound', `there are no bytes of ${id}`)
  return bytes
}

async function checkFree(file: string, id: string): Promise<void> {
  if ((await look(file)) !== null) {
    throw new MalleeError('NameTaken', `there are bytes of ${id} already`)
  }
}

function checkSize(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % SIZE_UNIT_BYTES === 0) return
  throw new MalleeError('BadArgument', `a volume of ${bytes} bytes is no whole number of MiB`)
}

/** Under its name only when it is complete: half of one would pass for a whole one. */
async function publish(
  file: string,
  folder: string,
  make: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${file}${DRAFT}`
  await rm(draft, { force: true })
  try {
    await make(draft)
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw asFull(error)
  }
  await syncFolder(folder)
}

/** Makes the file when there is none. What is new in it takes no room and reads as zeroes. */
async function setSize(file: string, bytes: number): Promise<void> {
  const handle = await open(file, 'a', 0o600)
  try {
    await handle.truncate(bytes)
    await handle.sync()
  } catch (error) {
    throw asFull(error)
  } finally {
    await handle.close()
  }
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function reflink(exec: Exec, from: string, to: string): Promise<void> {
  try {
    await exec(['cp', '--reflink=always', from, to], { timeoutMs: CLONE_MS })
  } catch (error) {
    const isOther = !/Operation not supported|Invalid cross-device link/.test(messageOf(error))
    if (isOther) throw asFull(error)
    const why = `the file system of ${to} shares no blocks between files; XFS and btrfs do`
    throw new MalleeError('NotSupported', why, { cause: error })
  }
}

/** Its holes stay such. Bounded: nothing else is done about volumes meanwhile. */
async function copy(exec: Exec, from: string, to: string): Promise<void> {
  const argv = ['cp', '--reflink=never', '--sparse=always', from, to]
  try {
    await exec(argv, { timeoutMs: CLONE_MS })
  } catch (error) {
    if (codeOf(error) !== 'CommandTimeout') throw error
    const why = `${from} was not copied within ${CLONE_MS / 1000} s`
    throw new MalleeError('NotSupported', why, { cause: error })
  }
}

async function remove(file: string, folder: string): Promise<void> {
  await rm(`${file}${DRAFT}`, { force: true })
  await rm(file, { force: true })
  await syncFolder(folder)
}

function asFull(error: unknown): unknown {
  const isFull =
    FULL.has((error as NodeJS.ErrnoException).code ?? '') ||
    messageOf(error).includes('No space left on device')
  return isFull
    ? new MalleeError('StoreFull', 'there is no room for the volume', { cause: error })
    : error
}
