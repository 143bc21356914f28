// Disks of a machine that are plain files of its host, over QMP: given before its guest runs, and
// its own as long as it does.

import { MalleeError } from '../../common/errors.ts'
import { devicesOf, firstFreeSlot } from './qemu-devices.ts'
import type { Qmp } from './qmp.ts'

export interface QemuFileDisk {
  /** What the guest reads as the disk's serial number. */
  readonly name: string
  /** Of raw bytes. */
  readonly file: string
}

const DEVICE = /^file-([a-z]+\d+)$/

/** The names of those that it has. */
export async function listFileDisks(qmp: Qmp): Promise<string[]> {
  return (await devicesOf(qmp)).flatMap(({ name }) => DEVICE.exec(name)?.[1] ?? [])
}

/** Throws CommandFailed when no slot is free, or QEMU cannot open the file. */
export async function plugFileDisk(qmp: Qmp, { name, file }: QemuFileDisk): Promise<void> {
  const bus = await firstFreeSlot(qmp)
  if (bus === null) throw new MalleeError('CommandFailed', `no slot is free for ${name}`)
  const node = `file-${name}`
  if (!(await qmp.blockNodes()).includes(node)) {
    const open = { driver: 'file', filename: file, 'node-name': node, discard: 'unmap' }
    await qmp.command('blockdev-add', { ...open, cache: { direct: false } })
  }
  const errors = { werror: 'report', rerror: 'report' }
  const disk = { driver: 'virtio-blk-pci', id: node, drive: node, serial: name, bus }
  await qmp.command('device_add', { ...disk, ...errors })
}
