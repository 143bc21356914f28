// What is to be done about the disks that a machine has beside its own: volumes and the host's
// ephemeral ones. Pure.

import type { QemuVolume, SeenVolume } from '../host/qemu-volumes.ts'
import type { RunningProcess } from './machine-plan.ts'
import type { EphemeralWanted, MachineWanted } from './wanted.ts'

export type VolumeStep =
  /** `needed`: the steps after it wait when it fails; else it is told and tried again. */
  | { readonly kind: 'plug-volume'; readonly volume: QemuVolume; readonly needed: boolean }
  | { readonly kind: 'unplug-volume'; readonly volume: SeenVolume }
  | { readonly kind: 'resize-volume'; readonly volume: QemuVolume }
  | { readonly kind: 'limit-volume'; readonly volume: QemuVolume }
  | { readonly kind: 'plug-ephemeral'; readonly disk: EphemeralWanted }
  /** Its guest has all disks that it starts with. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'start' }

type Wanted = Pick<MachineWanted, 'volumes' | 'ephemeral'>
type Process = Pick<RunningProcess, 'volumes' | 'ephemeral'>

/** Of a guest that runs. */
export function planVolumes({ volumes }: Wanted, process: Process): VolumeStep[] {
  const steps: VolumeStep[] = []
  for (const seen of process.volumes) {
    const wanted = volumes.find((one) => isSame(one, seen))
    // A half plugged one is plugged anew.
    if (wanted === undefined) steps.push({ kind: 'unplug-volume', volume: seen })
  }
  for (const volume of volumes) {
    const seen = process.volumes.find((one) => isSame(volume, one))
    if (seen === undefined || seen.attachment === null) {
      steps.push({ kind: 'plug-volume', volume, needed: false })
      continue
    }
    if (seen.iops !== volume.iops || seen.bytesPerS !== volume.bytesPerS) {
      steps.push({ kind: 'limit-volume', volume })
    }
    if (seen.sizeBytes < volume.sizeBytes) steps.push({ kind: 'resize-volume', volume })
  }
  return steps
}

/** Of a guest that waits for its disks: they come in their order, the one that boots first. */
export function planFirstDisks({ volumes, ephemeral }: Wanted, process: Process): VolumeStep[] {
  const plugged = process.volumes.filter(({ attachment }) => attachment !== null)
  const inOrder = plugged.every((seen, index) => isSame(seen, volumes[index]))
  // Nobody is there who could let go of a disk.
  const isLate = process.ephemeral.length > 0 && plugged.length < volumes.length
  if (!inOrder || isLate) return [{ kind: 'quit' }, { kind: 'start' }]
  const there = new Set(process.ephemeral)
  // Of an agent that died within a plug: no device of the guest's has them.
  const halves = process.volumes.filter(
    (seen) => seen.attachment === null && !volumes.some((one) => isSame(one, seen)),
  )
  return [
    ...halves.map((volume) => ({ kind: 'unplug-volume', volume }) as const),
    ...volumes
      .slice(plugged.length)
      .map((volume) => ({ kind: 'plug-volume', volume, needed: true }) as const),
    ...ephemeral
      .filter(({ name }) => !there.has(name))
      .map((disk) => ({ kind: 'plug-ephemeral', disk }) as const),
    { kind: 'begin' },
  ]
}

/** Of the same attachment: those of a volume have different generations. */
export function isSame(
  a: Pick<SeenVolume, 'volumeId' | 'generation'>,
  b: Pick<SeenVolume, 'volumeId' | 'generation'> | undefined,
): boolean {
  return a.volumeId === b?.volumeId && a.generation === b.generation
}
