// machine.json: what is known of a machine beyond what can be seen, for the agent's next start.

import { join } from 'node:path'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { ImageFormat } from '../host/qemu-img.ts'

export interface Ended {
  /** `wish`: stopped because it was to be; the others are for the parent to judge. */
  readonly by: 'wish' | 'guest' | 'failure'
  /** EC2's StateReason (API reference, StateReason). */
  readonly code: string
  readonly message: string
  readonly atMs: number
}

export interface MachineFile {
  readonly version: 1
  /** Empty for one whose root is a volume. */
  readonly imageSha256: string
  /** What is needed to fetch the image once more; absent in files of older agents. */
  readonly image?: { readonly format: ImageFormat; readonly listSha256: string }
  /** QEMU reads the image through this agent; absent when it does not. */
  readonly lazy?: boolean
  /** There was no room for its image: it has no disk yet. */
  readonly diskless?: boolean
  /** Pinned at creation: the guest keeps its devices. */
  readonly machineType: string
  /** Resets that were made. */
  readonly rebootCount: number
  /** The host's boot in which it was started; null before the first start and after a wish. */
  readonly startedBootId: string | null
  readonly startFailures: number
  /** The parent's count of the newest start; absent 0. */
  readonly startCount?: number
  readonly ended: Ended | null
}

export const NOT_STARTED = { startedBootId: null, startFailures: 0, ended: null } as const

/** Null when there is none. Throws BadMessage for one that this version does not understand. */
export async function readMachineFile(dir: string): Promise<MachineFile | null> {
  const path = machineFilePath(dir)
  const text = await readIfThere(path)
  if (text === null) return null
  const file = parse(text)
  if (file === null) throw new MalleeError('BadMessage', `${path} is not understood`)
  return file
}

export async function writeMachineFile(dir: string, file: MachineFile): Promise<void> {
  await writeDurably(machineFilePath(dir), `${JSON.stringify(file, null, 2)}\n`)
}

function machineFilePath(dir: string): string {
  return join(dir, 'machine.json')
}

function parse(text: string): MachineFile | null {
  try {
    const file = JSON.parse(text) as MachineFile
    return file.version === 1 && typeof file.rebootCount === 'number' ? file : null
  } catch {
    return null
  }
}
