// The folder of a new machine: its disk, if it has one of its own, and machine.json.

import { mkdir } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { newestMachineType } from '../host/qemu.ts'
import { type DiskParts, imageFields, lacks, makeDisk, noRoom } from './machine-disk.ts'
import { type MachineFile, NOT_STARTED, writeMachineFile } from './machine-file.ts'
import type { MachineWanted } from './wanted.ts'

/** May be done again. Throws NotFound for what is missing, Unavailable, StoreFull. */
export async function createMachine(
  options: DiskParts & { readonly clock: Clock },
  dir: string,
  wanted: MachineWanted,
): Promise<void> {
  const { exec, clock } = options
  const { image, missing } = wanted
  if (missing.length > 0) throw lacks(wanted.id, missing)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const file: MachineFile = {
    version: 1,
    ...(image === null ? { imageSha256: '' } : imageFields(image)),
    machineType: await newestMachineType(exec),
    rebootCount: wanted.rebootCount,
    startCount: wanted.startCount,
    ...NOT_STARTED,
  }
  try {
    if (image !== null) await makeDisk(options, dir, image, wanted.diskGib)
  } catch (error) {
    const ended = noRoom(error)
    if (ended === null) throw error
    const atMs = clock.nowMs()
    await writeMachineFile(dir, { ...file, diskless: true, ended: { ...ended, atMs } })
    throw error
  }
  // Last: without it the folder is unfinished, and all of this is done again.
  await writeMachineFile(dir, file)
}
