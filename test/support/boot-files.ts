// Files that look like a kernel and a ramdisk from outside; no guest starts from them.

import { randomBytes } from 'node:crypto'

/** As large as asked for, with what the boot protocol of Linux has at its beginning. */
export function kernelFile(sizeBytes = 2_001): Buffer {
  const file = randomBytes(sizeBytes)
  file.writeUInt16LE(0xaa55, 0x1fe)
  file.write('HdrS', 0x202, 'latin1')
  file.writeUInt8(1, 0x211)
  return file
}

/** An archive's beginning. */
export function ramdiskFile(sizeBytes = 2_003): Buffer {
  const file = randomBytes(sizeBytes)
  file.write('070701', 'latin1')
  return file
}
