// Kernels and ramdisks that instances start from: files that are no disks.

import { MalleeError } from '../common/errors.ts'
import type { FileFormat, ImageKind } from './store/image-records.ts'

export type BootKind = Exclude<ImageKind, 'machine'>

/** Bytes from the start on that tell. */
export const BOOT_BYTES = 1_024

/** Larger ones are refused: a guest has them in its memory. */
const MAX_MIB: Readonly<Record<BootKind, number>> = { kernel: 64, ramdisk: 512 }

/** Linux, "The Linux/x86 Boot Protocol": what every bzImage has, where. */
const BOOT_FLAG = { at: 0x1fe, value: 0xaa55 }
const HEADER = { at: 0x202, mark: 'HdrS' }
const LOAD_FLAGS = { at: 0x211, loadedHigh: 1 }

/** Linux, "Ramfs, rootfs and initramfs": an archive of cpio, as it is or compressed. */
const RAMDISKS: Readonly<Record<string, string>> = {
  cpio: '070701',
  'cpio with sums': '070702',
  gzip: '\x1f\x8b',
  xz: '\xfd7zXZ\0',
  zstd: '\x28\xb5\x2f\xfd',
  'lz4, as lz4 -l writes it': '\x02\x21\x4c\x18',
}

/** What kind of image is made of a file of the format. */
export function kindOf(format: FileFormat): ImageKind {
  return format === 'kernel' || format === 'ramdisk' ? format : 'machine'
}

export function maxBootBytes(kind: BootKind): number {
  return MAX_MIB[kind] * 2 ** 20
}

/** Throws BadArgument for the first bytes of what no guest can start from. */
export function checkBootFile(kind: BootKind, head: Buffer): void {
  if (kind === 'kernel' ? isKernel(head) : isRamdisk(head)) return
  const fits =
    kind === 'kernel'
      ? 'a bzImage of Linux for x86 (its header says HdrS)'
      : `one of ${Object.keys(RAMDISKS).join(', ')}`
  throw new MalleeError('BadArgument', `the file is no ${kind}, which is ${fits}`)
}

function isKernel(head: Buffer): boolean {
  if (head.length < BOOT_BYTES) return false
  const { at, mark } = HEADER
  return (
    head.readUInt16LE(BOOT_FLAG.at) === BOOT_FLAG.value &&
    head.toString('latin1', at, at + mark.length) === mark &&
    (head.readUInt8(LOAD_FLAGS.at) & LOAD_FLAGS.loadedHigh) !== 0
  )
}

function isRamdisk(head: Buffer): boolean {
  const text = head.toString('latin1')
  return Object.values(RAMDISKS).some((mark) => text.startsWith(mark))
}
