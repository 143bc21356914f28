// A machine in memory that takes the plan's steps as the real one does, and an agent that may be
// cut off after any of them.

import assert from 'node:assert/strict'
import type { QemuVolume, SeenVolume } from '../../../cluster-agent/host/qemu-volumes.ts'
import type { MachineFile } from '../../../cluster-agent/nc/machine-file.ts'
import {
  type MachineSeen,
  type MachineStep,
  planMachine,
  type RunningProcess,
} from '../../../cluster-agent/nc/machine-plan.ts'
import { isSame } from '../../../cluster-agent/nc/volume-plan.ts'
import type { MachineWanted } from '../../../cluster-agent/nc/wanted.ts'

const BOOT = 'boot'
const NO_DISKS = { volumes: [], ephemeral: [] }

const FILE: MachineFile = {
  ...{ version: 1, imageSha256: '', machineType: 'pc', rebootCount: 0 },
  ...{ startedBootId: null, startFailures: 0, ended: null },
}

/** A machine as the real one takes the steps. */
export class MachineModel {
  isBusy = false
  #file: MachineFile | null = null
  #process: RunningProcess | null = null

  /** One pass for each wish; `cuts` says after how many steps the agent dies in it. */
  live(wishes: readonly MachineWanted[], cuts: readonly number[]): void {
    for (const [n, one] of wishes.entries()) {
      let left = cuts[n] ?? Number.POSITIVE_INFINITY
      // As the agent does: another round for a guest that waits.
      for (let round = 0; round < 3; round += 1) {
        const steps = planMachine(one, this.seen())
        this.#apply(one, steps.slice(0, left))
        const next = steps[left]
        // Half of a step is done, too.
        if (next?.kind === 'plug-volume') this.#plug(next.volume, null)
        if (left <= steps.length || this.#process?.runState !== 'prelaunch') break
        left -= steps.length
      }
    }
  }

  state(): string {
    const { runState = 'none', volumes = [] } = this.#process ?? {}
    return `${runState} ${volumes.map(keyOf).join(' ')}`
  }

  process(): RunningProcess | null {
    return this.#process
  }

  seen(): MachineSeen {
    const process = this.#process ?? 'none'
    const rest = { lazy: null, bootId: BOOT, pressedAtMs: null, nowMs: 0 }
    return { file: this.#file, folder: this.#file !== null, process, ...rest }
  }

  #apply(wanted: MachineWanted, steps: readonly MachineStep[]): void {
    const failed = new Set<string>()
    for (const step of steps) {
      if ('volume' in step) {
        if (failed.has(step.volume.volumeId)) continue
        if (step.kind === 'unplug-volume' && this.#keeps(step.volume)) {
          failed.add(step.volume.volumeId)
          continue
        }
      }
      this.#one(wanted, step)
    }
  }

  #keeps({ attachment }: SeenVolume): boolean {
    return attachment !== null && this.isBusy
  }

  #one(wanted: MachineWanted, step: MachineStep): void {
    switch (step.kind) {
      case 'create':
        this.#file = { ...FILE }
        break
      case 'start': {
        assert.equal(this.#process, null)
        const waits = wanted.volumes.length > 0
        this.#process = { runState: waits ? 'prelaunch' : 'running', nics: [], ...NO_DISKS }
        const { startCount } = wanted
        this.#record({ startedBootId: waits ? null : BOOT, ended: null, startCount })
        break
      }
      case 'begin':
        assert.deepEqual(this.#process?.volumes.map(keyOf), wanted.volumes.map(keyOf))
        this.#process = { ...this.#running(), runState: 'running' }
        this.#record({ startedBootId: BOOT })
        break
      case 'record-start':
        this.#record({ startedBootId: BOOT })
        break
      case 'record-reboot':
        this.#record({ rebootCount: step.rebootCount, startedBootId: null })
        break
      case 'record-end':
        this.#record({ ended: { ...step.ended, atMs: 0 } })
        break
      case 'press-power-button':
        this.#process = { ...this.#running(), runState: 'shutdown' }
        break
      case 'quit':
        this.#process = null
        break
      case 'plug-volume':
        this.#plug(step.volume, step.volume.attachment)
        break
      case 'unplug-volume':
        this.#set((all) => all.filter((one) => !isSame(one, step.volume)))
        break
      case 'resize-volume':
      case 'limit-volume':
        this.#set((all) =>
          all.map((one) =>
            isSame(one, step.volume) ? { ...one, ...numbersOf(step.volume) } : one,
          ),
        )
        break
      default:
        assert.fail(step.kind)
    }
  }

  #plug(volume: QemuVolume, attachment: string | null): void {
    const others = this.#running().volumes.filter((one) => !isSame(one, volume))
    if (attachment !== null) {
      const twice = others.find(
        (one) => one.volumeId === volume.volumeId && one.attachment !== null,
      )
      assert.equal(twice, undefined, 'a guest has one generation of a volume')
    }
    this.#set(() => [...others, { ...volume, attachment, slot: 1 }])
  }

  #set(change: (all: readonly SeenVolume[]) => readonly SeenVolume[]): void {
    const process = this.#running()
    this.#process = { ...process, volumes: change(process.volumes) }
  }

  #running(): RunningProcess {
    assert.ok(this.#process)
    return this.#process
  }

  #record(change: Partial<MachineFile>): void {
    assert.ok(this.#file)
    this.#file = { ...this.#file, ...change }
  }
}

export function numbersOf({
  sizeBytes,
  iops,
  bytesPerS,
}: Pick<QemuVolume, 'sizeBytes' | 'iops' | 'bytesPerS'>) {
  return { sizeBytes, iops, bytesPerS }
}

export function keyOf({
  volumeId,
  generation,
}: Pick<SeenVolume, 'volumeId' | 'generation'>): string {
  return `${volumeId}${generation}`
}
