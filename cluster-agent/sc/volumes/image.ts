// A file system for volumes inside of one file, for disks whose own shares no blocks: XFS, mounted
// through a loop device. The file is allocated as far as the file system reaches, so that what is
// acknowledged in it always has its place; it grows before it is full. The device goes with the
// mount (autoclear, loop(4)), and a second mount gets the same device (mount(8), "loop-device
// support"): two devices of one file would destroy it.

import { rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { isThere, syncFolder } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'

/** The file, and where it is mounted, in the folder for volumes. */
const IMAGE = 'volumes.xfs'
const MOUNT = 'mounted'
/** mkfs.xfs makes none below 300 MiB (mkfs.xfs(8)). */
export const LEAST_BYTES = 512 << 20
/** Shall be free in it, as long as the disk has it: guests may write so much between passes. */
const HEADROOM_BYTES = 8 * 2 ** 30
const HEADROOM_SHARE = 1 / 16
/** Grown in whole ones. */
const STEP_BYTES = 256 << 20
const MAKE_MS = 120_000

export interface Space {
  readonly sizeBytes: number
  readonly availableBytes: number
}

export function imageFolder(folder: string): string {
  return join(folder, MOUNT)
}

export function hasImage(folder: string): Promise<boolean> {
  return isThere(join(folder, IMAGE))
}

/** Makes the file; a half-made one does not count. Throws CommandFailed, CommandTimeout. */
export async function makeImage(exec: Exec, folder: string, bytes: number): Promise<void> {
  const file = join(folder, IMAGE)
  const draft = `${file}.new`
  try {
    await rm(draft, { force: true })
    await exec(['fallocate', '--length', String(bytes), draft], { timeoutMs: MAKE_MS })
    await exec(['chmod', '600', draft])
    // -K: what was allocated stays so.
    await exec(['mkfs.xfs', '-q', '-K', '-m', 'reflink=1', draft], { timeoutMs: MAKE_MS })
    await exec(['sync', draft], { timeoutMs: MAKE_MS })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/** False when it is mounted already. Throws CommandFailed with what mount(8) says. */
export async function mountImage(exec: Exec, folder: string): Promise<boolean> {
  if (await isMounted(folder)) return false
  const at = imageFolder(folder)
  await exec(['mkdir', '-p', '-m', '700', at])
  const file = join(folder, IMAGE)
  // No discard: what is freed in it stays allocated outside.
  const options = 'loop,noatime,nodev,nosuid,noexec,nodiscard'
  await exec(['mount', '-t', 'xfs', '-o', options, file, at], { timeoutMs: MAKE_MS })
  // Else each block is kept in memory twice. Where the disk cannot, it stays as it was.
  const device = await deviceOf(exec, folder)
  if (device !== null) await exec(['losetup', '--direct-io=on', device], { okCodes: [0, 1] })
  return true
}

/** One that was never used. */
export async function removeImage(folder: string): Promise<void> {
  await rm(join(folder, IMAGE), { force: true })
}

/** Also when it is not mounted. Throws CommandFailed when somebody has files of it open. */
export async function unmountImage(exec: Exec, folder: string): Promise<void> {
  while (await isMounted(folder)) await exec(['umount', imageFolder(folder)])
}

/** Makes the file as large as `bytes`, or leaves it, and the file system as large as the file. */
export async function growImage(exec: Exec, folder: string, bytes: number): Promise<void> {
  const device = await deviceOf(exec, folder)
  if (device === null) throw new MalleeError('Unavailable', `${folder} has no loop device`)
  const file = join(folder, IMAGE)
  await exec(['fallocate', '--length', String(bytes), file], { timeoutMs: MAKE_MS })
  await exec(['losetup', '--set-capacity', device])
  await exec(['xfs_growfs', imageFolder(folder)], { timeoutMs: MAKE_MS })
}

export interface ImageSeen {
  readonly fileBytes: number
  readonly inside: Space
  /** What the disk has left for it, above the reserve. */
  readonly roomBytes: number
}

export async function seeImage(folder: string, roomBytes: number): Promise<ImageSeen> {
  const { size } = await stat(join(folder, IMAGE))
  const { bsize, blocks, bavail } = await statfs(imageFolder(folder))
  const inside = { sizeBytes: bsize * blocks, availableBytes: bsize * bavail }
  return { fileBytes: size, inside, roomBytes }
}

/** What the file is to have now; null when it is large enough. */
export function planGrowth({ fileBytes, inside, roomBytes }: ImageSeen): number | null {
  const lacks = headroom(roomBytes) - inside.availableBytes
  if (lacks <= 0) return null
  const steps = Math.min(Math.floor(roomBytes / STEP_BYTES), Math.ceil(lacks / STEP_BYTES))
  return steps === 0 ? null : fileBytes + steps * STEP_BYTES
}

/** Of a new one; null where the disk has no room for any. */
export function firstSize(roomBytes: number): number | null {
  const wanted = Math.max(LEAST_BYTES, headroom(roomBytes))
  const bytes = Math.ceil(wanted / STEP_BYTES) * STEP_BYTES
  return bytes <= roomBytes ? bytes : null
}

function headroom(roomBytes: number): number {
  return Math.min(HEADROOM_BYTES, roomBytes * HEADROOM_SHARE)
}

async function isMounted(folder: string): Promise<boolean> {
  const at = imageFolder(folder)
  if (!(await isThere(at))) return false
  return (await stat(at)).dev !== (await stat(folder)).dev
}

/** Throws Conflict when there is more than one: writing goes on in neither. */
async function deviceOf(exec: Exec, folder: string): Promise<string | null> {
  const file = join(folder, IMAGE)
  const { stdout } = await exec(['losetup', '--associated', file, '--noheadings', '--output=NAME'])
  const [device, ...others] = stdout.split('\n').flatMap((line) => line.trim() || [])
  if (others.length > 0) {
    throw new MalleeError('Conflict', `${file} has several loop devices: ${device}, ${others}`)
  }
  return device ?? null
}
