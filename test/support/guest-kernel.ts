// The guest image in three: its file system without a boot loader, its kernel and its ramdisk.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ChunkListMaker } from '../../common/chunk-list.ts'
import { exec } from '../../common/exec.ts'
import { type GuestImage, guestImage } from './guest-image.ts'

/** Where the only partition begins. */
const PARTITION_MIB = 1

export interface GuestParts {
  readonly disk: GuestImage
  readonly kernel: GuestImage
  readonly ramdisk: GuestImage
}

/** In files of `dir`. */
export async function guestParts(dir: string): Promise<GuestParts> {
  const { file: whole } = await guestImage()
  const place = (name: string) => join(dir, name)
  const disk = place('root.ext4')
  await exec(['dd', `if=${whole}`, `of=${disk}`, 'bs=1M', `skip=${PARTITION_MIB}`, 'conv=sparse'])
  for (const name of ['vmlinuz', 'initrd.img']) {
    await exec(['debugfs', '-R', `dump /boot/${name} ${place(name)}`, disk])
  }
  return {
    disk: await imageOf(disk),
    kernel: await imageOf(place('vmlinuz')),
    ramdisk: await imageOf(place('initrd.img')),
  }
}

async function imageOf(file: string): Promise<GuestImage> {
  const bytes = await readFile(file)
  const maker = new ChunkListMaker()
  maker.add(bytes)
  return { file, sha256: createHash('sha256').update(bytes).digest('hex'), list: maker.end() }
}
