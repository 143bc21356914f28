// What a machine's disk lies on: an image that is whole, or one that still comes and is read
// through this agent meanwhile. And the kernel that it boots, when its disk has none.

import { rm } from 'node:fs/promises'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { type ArrivingBase, type KernelFiles, machineFiles } from '../host/qemu.ts'
import { createOverlay } from '../host/qemu-img.ts'
import type { Images } from '../images/images.ts'
import type { LazyImages } from '../images/lazy-images.ts'
import type { Ended, MachineFile } from './machine-file.ts'
import type { FileWanted, ImageWanted, KernelWanted } from './wanted.ts'

export interface DiskParts {
  readonly exec: Exec
  readonly images: Images
  readonly lazy: LazyImages
}

/** Makes the disk of a machine. Throws Unavailable while the image does not come, StoreFull. */
export async function makeDisk(
  { exec, images, lazy }: DiskParts,
  dir: string,
  image: ImageWanted,
  diskGib: number,
): Promise<void> {
  const { sha256, listSha256, format, sizeBytes } = image
  const file = machineFiles(dir).disk
  await rm(file, { force: true })
  if (!lazy.startsFrom(sizeBytes) || (await images.isWhole(sha256))) {
    const base = await images.whole(sha256, listSha256)
    return createOverlay(exec, { file, base, format, diskGib })
  }
  await lazy.serve({ sha256, listSha256 })
  const readAt = `nbd+unix:///${sha256}?socket=${lazy.socket}`
  return createOverlay(exec, { file, base: images.path(sha256), readAt, format, diskGib })
}

/** What machine.json says of the image below a disk. */
export function imageFields({ sha256, format, listSha256 }: ImageWanted) {
  return { imageSha256: sha256, image: { format, listSha256 } } as const
}

/** What QEMU is to be told of the image below a disk; null when that is whole. */
export async function baseOf(
  { images, lazy }: DiskParts,
  file: MachineFile,
): Promise<ArrivingBase | null> {
  const { imageSha256: sha256, image } = file
  // Older agents made disks on whole images only, and did not write down how to get them again.
  if (image === undefined) return null
  const { format, listSha256 } = image
  if (!lazy.starts || (await images.isWhole(sha256))) {
    await images.whole(sha256, listSha256)
    return null
  }
  await lazy.serve({ sha256, listSha256 })
  return { socket: lazy.socket, exportName: sha256, format }
}

/** The files of a kernel, all of them here. Throws Unavailable, StoreFull, ImageCorrupt. */
export async function kernelOf(
  { images }: DiskParts,
  wanted: KernelWanted | null,
): Promise<KernelFiles | null> {
  if (wanted === null) return null
  const fileOf = ({ sha256, listSha256 }: FileWanted) => images.whole(sha256, listSha256)
  const { kernel, ramdisk, commandLine } = wanted
  return {
    kernel: await fileOf(kernel),
    ramdisk: ramdisk === null ? null : await fileOf(ramdisk),
    commandLine,
  }
}

/** How a machine ends whose image has no room here; null for another failure. */
export function noRoom(error: unknown): Omit<Ended, 'atMs'> | null {
  const isFull = codeOf(error) === 'StoreFull' || (error as NodeJS.ErrnoException).code === 'ENOSPC'
  if (!isFull) return null
  // As EC2 says it of a launch that finds no room.
  return { by: 'failure', code: 'Server.InsufficientInstanceCapacity', message: messageOf(error) }
}

/** The image of a file whose QEMU reads it through us. Throws RangeError for another one. */
export function lazyImageOf({ imageSha256: sha256, image }: MachineFile) {
  if (image === undefined) throw new RangeError(`nothing is known of image ${sha256}`)
  return { sha256, ...image }
}

export function lacks(id: string, missing: readonly string[]): MalleeError {
  return new MalleeError('NotFound', `${id} needs ${missing.join(', ')}`)
}
