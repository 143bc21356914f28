// What serves the volumes of a storage controller: LIO, which is in the kernel, or tgtd, a program.
// Found out by trying, none of it by a version number.

import type { Exec } from './exec.ts'

export const VOLUME_TARGETS = ['auto', 'lio', 'tgt'] as const

/** What an operator may ask for; `auto` is LIO where the kernel has it. */
export type VolumeTargetChoice = (typeof VOLUME_TARGETS)[number]

export type VolumeTarget = Exclude<VolumeTargetChoice, 'auto'>

const CONFIGFS = '/sys/kernel/config'
/** LIO's own folder, once the kernel has it. */
export const LIO_TREE = `${CONFIGFS}/target`
const MODULES = ['target_core_mod', 'target_core_file', 'target_core_iblock', 'iscsi_target_mod']
/** PROC_PID_INIT_INO (include/linux/proc_ns.h of Linux). */
const FIRST_PIDS = 'pid:[4026531836]'

export interface ChoiceOfTarget {
  readonly roles: readonly string[]
  readonly volumeTarget: VolumeTargetChoice
}

/** Null without the role sc. May load the kernel's modules of LIO, and mount configfs. */
export async function chooseVolumeTarget(
  exec: Exec,
  { roles, volumeTarget }: ChoiceOfTarget,
): Promise<VolumeTarget | null> {
  if (!roles.includes('sc')) return null
  if (volumeTarget !== 'auto') return volumeTarget
  return (await loadLio(exec)) === null ? 'lio' : 'tgt'
}

/** Is this the machine itself, and no container of it? */
export async function hasKernel(exec: Exec): Promise<boolean> {
  const { stdout } = await exec(['sh', '-c', 'readlink /proc/self/ns/pid'], { okCodes: [0, 1] })
  return stdout.trim() === FIRST_PIDS
}

/** Has the kernel load it. A sentence that says why it is not to be had; null when it is there. */
export async function loadLio(exec: Exec): Promise<string | null> {
  const tell = async (line: string): Promise<{ code: number; said: string }> => {
    const options = { okCodes: [0, 1, 2, 32, 126, 127], timeoutMs: 60_000 }
    const { code, stdout, stderr } = await exec(['sh', '-c', line], options)
    return { code, said: `${stdout}${stderr}`.trim().split('\n')[0] ?? '' }
  }
  // Its targets are those of the whole machine, and several agents would take each other's away.
  if (!(await hasKernel(exec))) return "LIO is the whole machine's, and this is a part of one"
  const load = await tell(`modprobe -a ${MODULES.join(' ')}`)
  if (load.code !== 0) return `the kernel has no LIO: ${load.said}`
  const mount = await tell(`mountpoint -q ${CONFIGFS} || mount -t configfs configfs ${CONFIGFS}`)
  return mount.code === 0 ? null : `configfs cannot be mounted: ${mount.said}`
}
