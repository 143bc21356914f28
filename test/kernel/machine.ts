// QEMU's command line for a machine with Debian's cloud kernel and the project, which come from
// setup/host-image.sh and setup/project-disk.sh, and the line that it takes commands over. The
// machine is emulated, whether or not this one has KVM.

import { join } from 'node:path'
import { exec } from '../../common/exec.ts'
import { type Link, openLink } from './link.ts'

const ROOT = join(import.meta.dirname, '../..')
const IMAGES = join(ROOT, '.cache/host')
const BUILD_MS = 900_000
const COMMAND_LINE = [
  'root=/dev/nvme0n1 rw init=/sbin/mallee-init console=ttyS0 quiet loglevel=4 panic=5',
  'mitigations=off no_timer_check tsc=reliable random.trust_cpu=on',
].join(' ')

export interface MachineOptions {
  readonly name: string
  /** Gets the machine's disk, the socket of its line and its console's log. */
  readonly dir: string
  readonly projectDisk: string
  readonly memoryMib: number
  /** What the machine runs: a file of the project. */
  readonly serve: string
  /** More for the kernel's command line. */
  readonly append?: string
  /** More devices, as QEMU's arguments. */
  readonly devices: readonly string[]
}

export interface Machine {
  readonly argv: readonly string[]
  readonly link: Link
  /** What the machine's kernel and first process said. */
  readonly consoleLog: string
}

/** The image of machines, built if it is not there: minutes, once. */
export function buildHostImage(): Promise<void> {
  return script('host-image.sh', IMAGES)
}

/** Writes the project's disk. */
export function buildProjectDisk(file: string): Promise<void> {
  return script('project-disk.sh', file)
}

/** Runs a script of setup/ that builds something at a path. */
export async function script(name: string, path: string): Promise<void> {
  const argv = ['bash', join(ROOT, 'setup', name), path]
  await exec(argv, { timeoutMs: BUILD_MS, cwd: ROOT })
}

/** All that the machine needs before its QEMU starts. */
export async function prepareMachine(options: MachineOptions): Promise<Machine> {
  const { name, dir, projectDisk, memoryMib, serve, append, devices } = options
  const disk = join(dir, 'disk.qcow2')
  const base = join(IMAGES, 'host.raw')
  await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, disk, '20G'])
  const socket = join(dir, 'link.sock')
  const link = await openLink(socket)
  const consoleLog = join(dir, 'console.log')
  const more = append === undefined ? '' : ` ${append}`
  const argv = [
    ...['qemu-system-x86_64', '-name', name, '-machine', 'q35', '-nodefaults', '-display', 'none'],
    ...['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max', '-smp', '2'],
    ...['-m', `${memoryMib}M`, '-no-reboot', '-kernel', join(IMAGES, 'vmlinuz')],
    ...['-append', `${COMMAND_LINE} mallee.name=${name} mallee.serve=${serve}${more}`],
    ...['-chardev', `file,id=console,path=${consoleLog}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=link,path=${socket}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=link,name=mallee'],
    ...['-drive', `file=${disk},if=none,id=root,cache=unsafe`],
    ...['-device', 'nvme,drive=root,serial=root'],
    ...['-drive', `file=${projectDisk},if=none,id=project,format=raw,readonly=on`],
    ...['-device', 'nvme,drive=project,serial=project'],
    ...['-device', 'virtio-rng-pci', ...devices],
  ]
  return { argv, link, consoleLog }
}
