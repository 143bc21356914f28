// What is to be done about one machine. Pure: QEMU, the disk and time are facts that come in.

import type { PluggedNic } from '../host/qemu-nics.ts'
import type { SeenVolume } from '../host/qemu-volumes.ts'
import type { RunState } from '../host/qmp.ts'
import type { Ended, MachineFile } from './machine-file.ts'
import { planFirstDisks, planVolumes, type VolumeStep } from './volume-plan.ts'
import type { MachineWanted, NicWanted } from './wanted.ts'

export interface MachineSeen {
  /** Null before the disk is complete. */
  readonly file: MachineFile | null
  /** Is there a folder, complete or not? */
  readonly folder: boolean
  /** `stuck`: somebody has the monitor's socket and does not answer us. */
  readonly process: 'none' | 'stuck' | RunningProcess
  /** Of an image that its QEMU reads through us; null when it reads none so. */
  readonly lazy: { readonly served: boolean; readonly whole: boolean } | null
  /** Changes when the host restarts. */
  readonly bootId: string
  /** When the guest's power button was pressed by us; null when it was not. */
  readonly pressedAtMs: number | null
  readonly nowMs: number
}

export interface RunningProcess {
  readonly runState: RunState
  readonly nics: readonly PluggedNic[]
  readonly volumes: readonly SeenVolume[]
  /** Names of the host's own disks that it got, without the root. */
  readonly ephemeral: readonly string[]
}

export type MachineStep =
  | { readonly kind: 'create' }
  /** It runs, and the file does not say so yet. */
  | { readonly kind: 'record-start' }
  /** Its QEMU waits for bytes of the image. */
  | { readonly kind: 'serve-image' }
  /** All of the image is here: QEMU may read it by itself. */
  | { readonly kind: 'swap-image' }
  | { readonly kind: 'reset'; readonly rebootCount: number }
  /** The start that follows is the reboot. */
  | { readonly kind: 'record-reboot'; readonly rebootCount: number }
  | { readonly kind: 'unplug-nic'; readonly nic: PluggedNic }
  | { readonly kind: 'plug-nic'; readonly nic: NicWanted }
  | VolumeStep
  | { readonly kind: 'resume' }
  | { readonly kind: 'press-power-button' }
  | { readonly kind: 'record-end'; readonly ended: Omit<Ended, 'atMs'> }
  | { readonly kind: 'kill' }
  | { readonly kind: 'remove' }

/** EC2 gives a guest some minutes to shut down before it is stopped the hard way. */
export const SHUTDOWN_MS = 120_000

/** A machine that QEMU refuses so often does not start any more. */
export const MAX_START_FAILURES = 5

const BY_GUEST = {
  by: 'guest',
  code: 'Client.InstanceInitiatedShutdown',
  message: 'Instance initiated shutdown',
} as const
const BY_WISH = {
  by: 'wish',
  code: 'Client.UserInitiatedShutdown',
  message: 'User initiated shutdown',
} as const

/** Why a machine is not there any more that was never asked to go. */
export const UNEXPECTED = {
  by: 'failure',
  code: 'Server.InternalError',
  message: 'The virtual machine of the instance ended unexpectedly',
} as const

export function guestPoweredOff(): Omit<Ended, 'atMs'> {
  return BY_GUEST
}

/** `wanted` is null for a machine that nobody knows any more. */
export function planMachine(wanted: MachineWanted | null, seen: MachineSeen): MachineStep[] {
  if (wanted === null || wanted.power === 'terminated') return planRemoval(seen)
  const steps = wanted.power === 'running' ? planRunning(wanted, seen) : planStopped(wanted, seen)
  return withImage(seen, steps)
}

/** First its guest gets to read: a QEMU that is stuck may be so because it waits for that. */
function withImage({ process, lazy }: MachineSeen, steps: readonly MachineStep[]): MachineStep[] {
  if (lazy === null || process === 'none') return [...steps]
  if (!lazy.served) return [{ kind: 'serve-image' }, ...steps]
  const ends = steps.some(({ kind }) => kind === 'quit' || kind === 'kill')
  if (!lazy.whole || process === 'stuck' || ends) return [...steps]
  return [...steps, { kind: 'swap-image' }]
}

function planRemoval({ process, folder }: MachineSeen): MachineStep[] {
  const steps: MachineStep[] = []
  if (process !== 'none') steps.push({ kind: process === 'stuck' ? 'kill' : 'quit' })
  if (folder) steps.push({ kind: 'remove' })
  return steps
}

function planRunning(wanted: MachineWanted, seen: MachineSeen): MachineStep[] {
  const { file, process, bootId } = seen
  if (file === null) return [{ kind: 'create' }, { kind: 'start' }]
  if (process === 'stuck') return planStuck(wanted, seen, file)
  if (file.ended !== null) {
    // Who stopped by himself or died is not started again: its parent decides, and counts. Who was
    // stopped by a wish is started by the opposite one.
    if (process !== 'none') return [{ kind: 'quit' }]
    if (file.ended.by !== 'wish' && !isNewStart(wanted, file)) return []
    return file.diskless ? [{ kind: 'create' }, { kind: 'start' }] : [{ kind: 'start' }]
  }
  if (process === 'none') {
    // Never started, or the host restarted and took its guests along: they come back with it, on
    // their disks, also when nobody can be reached.
    if (file.startedBootId !== bootId) return [{ kind: 'start' }]
    return [{ kind: 'record-end', ended: UNEXPECTED }]
  }
  switch (process.runState) {
    case 'shutdown':
      // Recorded first: after a crash in between, the quit would look like a death.
      return [{ kind: 'record-end', ended: BY_GUEST }, { kind: 'quit' }]
    case 'internal-error':
      return [{ kind: 'record-end', ended: UNEXPECTED }, { kind: 'quit' }]
    case 'io-error':
      return [{ kind: 'resume' }]
    case 'prelaunch':
      return planFirstDisks(wanted, process)
    default: {
      const steps: MachineStep[] = []
      if (file.startedBootId === null) steps.push({ kind: 'record-start' })
      if (wanted.rebootCount > file.rebootCount) {
        const { rebootCount } = wanted
        if (planVolumes(wanted, process).some(({ kind }) => kind === 'unplug-volume')) {
          // A guest that waits for a volume which is gone for good does so for ever, and QEMU's
          // reset with it: the next QEMU does not know that volume.
          return [{ kind: 'record-reboot', rebootCount }, { kind: 'quit' }, { kind: 'start' }]
        }
        steps.push({ kind: 'reset', rebootCount })
      }
      // Volumes last: they wait for their guest, and for others.
      return [...steps, ...planNics(wanted, process.nics), ...planVolumes(wanted, process)]
    }
  }
}

/**
 * A QEMU whose guest was reset while a volume is away waits for that volume. Who asks for a reset
 * gets one all the same.
 */
function planStuck(
  { rebootCount }: MachineWanted,
  { lazy }: MachineSeen,
  file: MachineFile,
): MachineStep[] {
  // It may wait for us.
  const isReading = lazy !== null && !lazy.served
  if (file.ended !== null || isReading || rebootCount <= file.rebootCount) return []
  return [{ kind: 'record-reboot', rebootCount }, { kind: 'kill' }, { kind: 'start' }]
}

/** Does the parent want it started once more than we did? */
export function isNewStart({ startCount }: MachineWanted, file: MachineFile): boolean {
  return startCount > (file.startCount ?? 0)
}

function planNics({ nics, missing }: MachineWanted, plugged: readonly PluggedNic[]): MachineStep[] {
  // What is not known yet is not gone.
  if (missing.length > 0) return []
  const wanted = new Set(nics.map(({ mac }) => mac))
  const there = new Set(plugged.map(({ mac }) => mac))
  return [
    ...plugged
      .filter(({ mac }) => !wanted.has(mac))
      .map((nic) => ({ kind: 'unplug-nic', nic }) as const),
    ...nics.filter(({ mac }) => !there.has(mac)).map((nic) => ({ kind: 'plug-nic', nic }) as const),
  ]
}

function planStopped(
  { forceStop }: MachineWanted,
  { file, process, pressedAtMs, nowMs }: MachineSeen,
): MachineStep[] {
  if (file === null) return []
  const record: MachineStep = { kind: 'record-end', ended: BY_WISH }
  if (process === 'stuck') return forceStop ? [record, { kind: 'kill' }] : []
  if (process === 'none') return file.ended?.by === 'wish' ? [] : [record]
  const isAsked = process.runState !== 'shutdown' && process.runState !== 'prelaunch'
  if (!isAsked || forceStop) return [record, { kind: 'quit' }]
  if (pressedAtMs === null) return [{ kind: 'press-power-button' }]
  return nowMs - pressedAtMs < SHUTDOWN_MS ? [] : [record, { kind: 'quit' }]
}
