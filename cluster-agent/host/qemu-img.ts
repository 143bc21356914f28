// qemu-img(1) as values: what an image is, and overlays on it.

import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export type ImageFormat = 'raw' | 'qcow2'

const TIMEOUT_MS = 30_000
const GIB = 1024 ** 3

export function parseImageFormat(text: string): ImageFormat | null {
  return text === 'raw' || text === 'qcow2' ? text : null
}

/**
 * The virtual size in bytes of an image file that users made. Throws ImageCorrupt when it is not of
 * the format that is said, or names other files: such an image could read the host's.
 */
export async function checkImage(exec: Exec, file: string, format: ImageFormat): Promise<number> {
  const info = await qemuImg(exec, ['info', '--output=json', '-f', format, file]).then(
    (text) => JSON.parse(text) as ImageInfo,
    (cause: unknown) => {
      throw new MalleeError('ImageCorrupt', `the image ${file} is no ${format} file`, { cause })
    },
  )
  const named = info['backing-filename'] ?? info['format-specific']?.data?.['data-file']
  if (named !== undefined) {
    throw new MalleeError('ImageCorrupt', `the image ${file} refers to another file, ${named}`)
  }
  return info['virtual-size']
}

/** A disk of at least `diskGib` that reads from `base` what was not written yet. */
export async function createOverlay(
  exec: Exec,
  overlay: {
    readonly file: string
    readonly base: string
    /** Where the base is to be read now, when it is not at its path yet: an NBD URI. */
    readonly readAt?: string
    readonly format: ImageFormat
    readonly diskGib: number
  },
): Promise<void> {
  const { file, base, readAt, format, diskGib } = overlay
  // A disk smaller than its image would cut the guest's file system off.
  const bytes = Math.max(await checkImage(exec, readAt ?? base, format), diskGib * GIB)
  const unread = readAt === undefined ? [] : ['-u']
  const create = ['create', '-q', ...unread, '-f', 'qcow2', '-F', format, '-b', base]
  await qemuImg(exec, [...create, file, `${bytes}`])
}

interface ImageInfo {
  readonly 'virtual-size': number
  readonly 'backing-filename'?: string
  readonly 'format-specific'?: { readonly data?: { readonly 'data-file'?: string } }
}

async function qemuImg(exec: Exec, args: readonly string[]): Promise<string> {
  const { stdout } = await exec(['qemu-img', ...args], { timeoutMs: TIMEOUT_MS })
  return stdout
}
