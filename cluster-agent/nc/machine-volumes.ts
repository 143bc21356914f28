// The disks that a machine has beside its own: makes the plan's steps true, and remembers what
// stood in the way of which volume. What one volume cannot have keeps no other from what it shall
// have.

import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { type PluggedVolume, PluggedVolumeSchema } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { UNPLUG_MS } from '../host/qemu-devices.ts'
import { plugFileDisk } from '../host/qemu-file-disks.ts'
import {
  knock,
  limitVolume,
  plugVolume,
  type QemuVolume,
  resizeVolume,
  type SeenVolume,
  unplugVolume,
} from '../host/qemu-volumes.ts'
import type { Qmp } from '../host/qmp.ts'
import { isSame, type VolumeStep } from './volume-plan.ts'
import type { EphemeralWanted } from './wanted.ts'

const ASKED_MS = 100
const NAME = /^ephemeral\d{1,2}$/
const FILE = /^ephemeral\d{1,2}\.raw$/

/** A step of one volume. */
export type OneVolumeStep = Extract<VolumeStep, { readonly volume: object }>

type Key = Pick<SeenVolume, 'volumeId' | 'generation'>

export class MachineVolumes {
  readonly #exec: Exec
  readonly #log: Log
  readonly #instance: string
  readonly #dir: string
  /** By attachment: why it is not as it shall be. */
  readonly #troubles = new Map<string, string>()
  /** Of this pass: volumes whose later steps have to wait, and portals that do not answer. */
  readonly #failed = new Set<string>()
  readonly #deaf = new Map<string, unknown>()

  constructor(
    { exec, log }: { readonly exec: Exec; readonly log: Log },
    { id, dir }: { readonly id: string; readonly dir: string },
  ) {
    this.#exec = exec
    this.#log = log
    this.#instance = id
    this.#dir = dir
  }

  /**
   * Throws what stood in the way of a step that others need. Else that is told of the volume and no
   * failure of the host: it may be its guest's doing.
   */
  async apply(qmp: Qmp, step: OneVolumeStep): Promise<void> {
    const { volumeId: volume } = step.volume
    if (this.#failed.has(volume)) return
    try {
      await this.#one(qmp, step)
      this.#troubles.delete(keyOf(step.volume))
    } catch (error) {
      const [key, trouble] = [keyOf(step.volume), messageOf(error)]
      this.#failed.add(volume)
      // Tried again every few seconds: one line for each thing that is wrong.
      if (this.#troubles.get(key) !== trouble) {
        this.#log.warn('volume', { instance: this.#instance, volume, step: step.kind, error })
      }
      this.#troubles.set(key, trouble)
      if (step.kind === 'plug-volume' && step.needed) throw error
    }
  }

  /** What failed is tried again in the pass that begins. */
  begin(): void {
    this.#failed.clear()
    this.#deaf.clear()
  }

  /** What the guest has, and what it shall have and has not. */
  report(wanted: readonly QemuVolume[], seen: readonly SeenVolume[]): PluggedVolume[] {
    const keys = new Set([...wanted, ...seen].map(keyOf))
    for (const key of this.#troubles.keys()) if (!keys.has(key)) this.#troubles.delete(key)
    const there = seen.filter(({ attachment }) => attachment !== null)
    const lacking = wanted.filter((one) => !there.some((other) => isSame(one, other)))
    return [
      ...there.map((one) => this.#told(one, one.sizeBytes, '')),
      ...lacking.map((one) => this.#told(one, 0, `${one.volumeId} is not plugged yet`)),
    ]
  }

  #told(one: QemuVolume | SeenVolume, size: number, otherwise: string): PluggedVolume {
    const { volumeId, generation, attachment } = one
    return create(PluggedVolumeSchema, {
      ...{ volumeId, attachment: attachment ?? '' },
      generation: BigInt(generation),
      sizeBytes: BigInt(size),
      trouble: this.#troubles.get(keyOf(one)) ?? otherwise,
    })
  }

  async #one(qmp: Qmp, step: OneVolumeStep): Promise<void> {
    switch (step.kind) {
      case 'plug-volume':
        await this.#knock(step.volume)
        return plugVolume(qmp, step.volume)
      case 'unplug-volume':
        if (await unplugVolume(qmp, step.volume, this.#patience(step.volume))) return
        throw new MalleeError(
          'Conflict',
          `the guest has not let go of ${step.volume.volumeId} yet: it may be busy with it`,
        )
      case 'resize-volume':
        await this.#knock(step.volume)
        return resizeVolume(qmp, step.volume)
      case 'limit-volume':
        return limitVolume(qmp, step.volume)
    }
  }

  /** Who was asked before is not waited for again: its answer is an event that begins a pass. */
  #patience(volume: SeenVolume): number {
    return this.#troubles.has(keyOf(volume)) ? ASKED_MS : UNPLUG_MS
  }

  /** A portal that lets one wait is asked once in a pass. */
  async #knock(volume: QemuVolume): Promise<void> {
    const deaf = this.#deaf.get(volume.portal)
    if (deaf !== undefined) throw deaf
    try {
      await knock(this.#exec, volume, this.#dir)
    } catch (error) {
      this.#deaf.set(volume.portal, error)
      throw error
    }
  }
}

/** The files of ephemeral disks, empty unless they are kept. Throws BadMessage. */
export async function makeEphemeral(
  dir: string,
  wanted: readonly EphemeralWanted[],
  keep: boolean,
): Promise<void> {
  if (!keep) await removeEphemeral(dir)
  for (const { name, sizeBytes } of wanted) {
    const file = await open(ephemeralFile(dir, name), 'a', 0o600)
    // Holes: they take room as they are written.
    await file.truncate(sizeBytes).finally(() => file.close())
  }
}

/** They are lost when their guest ends, as EC2's instance stores are; a reboot keeps them. */
export async function removeEphemeral(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  for (const name of names) if (FILE.test(name)) await rm(join(dir, name), { force: true })
}

export async function plugEphemeral(qmp: Qmp, dir: string, { name }: EphemeralWanted) {
  await plugFileDisk(qmp, { name, file: ephemeralFile(dir, name) })
}

function ephemeralFile(dir: string, name: string): string {
  if (NAME.test(name)) return join(dir, `${name}.raw`)
  throw new MalleeError('BadMessage', `${name} is no name of an ephemeral disk`)
}

function keyOf({ volumeId, generation }: Key): string {
  return `${volumeId}/${generation}`
}
