// QEMU's command line as a value. A machine is one folder: disk, sockets, console log, pid.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { readIfThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { ImageFormat } from './qemu-img.ts'
import { openQmp, type Qmp } from './qmp.ts'

const QEMU = 'qemu-system-x86_64'
const START_MS = 30_000
const POLL_MS = 20
/** Free slots for volumes and interfaces that come later: q35 has no hot plug without them. */
const HOTPLUG_PORTS = 16
/** How their names look. */
export const SLOT = /^slot(\d+)$/
/**
 * MiB for translated code: a quarter of the guest's memory, within these. When it is full QEMU
 * throws all of it away, two dozen times in one boot of Debian in 64 MiB. QEMU's default (a quarter
 * of its host's RAM, at most 1 GiB) is much.
 */
const TCG_BUFFER_MIB = { least: 64, most: 256 }
/** Of a guest's screen, which nobody but a screenshot sees. */
const SCREEN_MIB = 4
/** Seconds that reads of an image wait for an agent that is away; then they are I/O errors. */
const AGENT_AWAY_S = 600
const ROOT = 'driver=qcow2,file=root-file,node-name=root,discard=unmap'
const BASE = 'base'
const BASE_FILE = 'base-file'
const WHOLE = 'whole'
const WHOLE_FILE = 'whole-file'
/** Of libiscsi: connections to a portal that is gone fail after some 7 s, not 2 minutes. */
const ENVIRONMENT = { LIBISCSI_TCP_SYNCNT: '2' }

export interface QemuNic {
  readonly id: string
  readonly tap: string
  readonly mac: string
  /** Bytes; the guest's driver starts with it and takes no larger one. */
  readonly mtu: number
}

/** An image that is still on its way, below the disk: an NBD server gives what is asked for. */
export interface ArrivingBase {
  readonly socket: string
  readonly exportName: string
  readonly format: ImageFormat
}

/** Booted instead of what the disk has: paths, and what the kernel is told. */
export interface KernelFiles {
  readonly kernel: string
  readonly ramdisk: string | null
  readonly commandLine: string
}

export interface QemuMachine {
  readonly id: string
  /** ec2…: how cloud-init knows EC2; the serial is the same text in lower case. */
  readonly uuid: string
  /** A named one, `pc-q35-7.2`: the guest keeps its devices when QEMU is upgraded. */
  readonly machineType: string
  readonly accelerator: 'kvm' | 'tcg'
  readonly vcpus: number
  readonly memoryMib: number
  /** The first one stays as long as the machine. */
  readonly nics: readonly QemuNic[]
  /** False on the userspace switch: half-done checksums would reach it (see argv below). */
  readonly offloads: boolean
  /** False for one whose root is a volume. */
  readonly hasDisk: boolean
  /** Null when what the disk names as its backing file is whole. */
  readonly base: ArrivingBase | null
  /** Its guest does not run before `beginQemu`: it gets volumes first. */
  readonly waits: boolean
  readonly kernel: KernelFiles | null
}

/** The files of a machine's folder. */
export function machineFiles(dir: string) {
  return {
    disk: join(dir, 'disk.qcow2'),
    qmp: join(dir, 'qmp.sock'),
    /** For people, so that the agent's stays the agent's. */
    spareQmp: join(dir, 'qmp-spare.sock'),
    console: join(dir, 'console.sock'),
    consoleLog: join(dir, 'console.log'),
    pid: join(dir, 'pid'),
    /** What QEMU itself has to say. */
    log: join(dir, 'qemu.log'),
  } as const
}

/**
 * Starts a machine that outlives us, and returns the connection to it. Throws CommandFailed with
 * QEMU's words, CommandTimeout when it says nothing. Not QEMU's own -daemonize: that needs system
 * calls which the sandbox is there to refuse.
 */
export async function startQemu(
  { exec, clock }: { readonly exec: Exec; readonly clock: Clock },
  machine: QemuMachine,
  dir: string,
): Promise<Qmp> {
  const { log, qmp } = machineFiles(dir)
  await rm(log, { force: true })
  await exec(['setsid', '--fork', ...qemuArgv(machine, dir)], { outputFile: log, env: ENVIRONMENT })
  const deadlineMs = clock.nowMs() + START_MS
  for (;;) {
    try {
      return await openQmp(qmp)
    } catch (error) {
      if (codeOf(error) !== 'NotFound' && codeOf(error) !== 'Unavailable') throw error
    }
    const said = errorIn(await readIfThere(log))
    if (said !== null) throw new MalleeError('CommandFailed', `${machine.id}: ${said}`)
    if (clock.nowMs() > deadlineMs) {
      const late = `${machine.id}: QEMU does not answer ${START_MS / 1000} s after its start`
      throw new MalleeError('CommandTimeout', late)
    }
    await clock.sleep(POLL_MS)
  }
}

/** Lets the guest of one that waits run. */
export async function beginQemu(qmp: Qmp): Promise<void> {
  // Its firmware finds the disks that came since the start, and which one boots.
  await qmp.command('system_reset')
  await qmp.command('cont')
}

/**
 * Lets a machine that was started from an arriving image read the whole file from now on, unseen by
 * its guest. May be run again after a failure. Throws CommandFailed, CommandTimeout, Unavailable.
 */
export async function swapBase(
  qmp: Qmp,
  { file, format }: { readonly file: string; readonly format: ImageFormat },
): Promise<void> {
  const nodes = new Set(await qmp.blockNodes())
  const add = { 'read-only': true, 'node-name': WHOLE, driver: format, file: WHOLE_FILE }
  if (!nodes.has(WHOLE_FILE)) {
    const one = { driver: 'file', filename: file, 'node-name': WHOLE_FILE, 'read-only': true }
    await qmp.command('blockdev-add', one)
  }
  if (!nodes.has(WHOLE)) await qmp.command('blockdev-add', add)
  if (nodes.has(BASE)) {
    const root = { driver: 'qcow2', 'node-name': 'root', file: 'root-file', discard: 'unmap' }
    await qmp.command('blockdev-reopen', { options: [{ ...root, backing: WHOLE }] })
    await qmp.command('blockdev-del', { 'node-name': BASE })
  }
  if (nodes.has(BASE_FILE)) await qmp.command('blockdev-del', { 'node-name': BASE_FILE })
}

/** The last line that is an error and no warning. */
function errorIn(log: string | null): string | null {
  const lines = (log ?? '').split('\n').filter((line) => line.startsWith(`${QEMU}: `))
  return lines.filter((line) => !line.startsWith(`${QEMU}: warning: `)).at(-1) ?? null
}

/** The newest q35 of the installed QEMU by its own name. Throws NotSupported without QEMU. */
export async function newestMachineType(exec: Exec): Promise<string> {
  const { stdout } = await exec([QEMU, '-machine', 'help'])
  const name = /^q35 .*\(alias of (pc-q35-[\d.]+)\)/m.exec(stdout)?.[1]
  if (name === undefined) throw new MalleeError('NotSupported', `${QEMU} has no machine type q35`)
  return name
}

export function qemuArgv(machine: QemuMachine, dir: string): string[] {
  const files = machineFiles(dir)
  const uuid = machine.uuid.toLowerCase()
  const tcg = machine.accelerator === 'tcg'
  return [
    ...[QEMU, '-name', `${machine.id},debug-threads=on`, '-uuid', uuid],
    ...['-smbios', `type=1,manufacturer=Mallee,uuid=${uuid},serial=${uuid}`],
    ...['-machine', machine.machineType],
    ...['-accel', tcg ? `tcg,tb-size=${tcgBufferMib(machine)}` : 'kvm'],
    ...['-cpu', tcg ? 'max' : 'host', '-smp', String(machine.vcpus)],
    ...['-m', `${machine.memoryMib}M`],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    // A guest that powers off leaves QEMU behind, which can be asked: so we know it from a crash.
    '-no-shutdown',
    ...['-pidfile', files.pid],
    ...['-qmp', `unix:${files.qmp},server=on,wait=off`],
    ...['-qmp', `unix:${files.spareQmp},server=on,wait=off`],
    ...['-chardev', consoleChardev(files), '-serial', 'chardev:console'],
    ...hotplugPorts(),
    ...(machine.waits ? ['-S'] : []),
    ...(machine.hasDisk ? diskArgv(machine, files.disk) : []),
    ...machine.nics.flatMap((nic, index) => nicArgv(machine, nic, index)),
    ...['-device', 'virtio-rng-pci,id=rng'],
    // Last: devices that a guest knows keep their places. Enough for 1280 by 800 in full colour.
    ...['-device', `VGA,id=screen,vgamem_mb=${SCREEN_MIB}`],
    ...kernelArgv(machine),
  ]
}

function kernelArgv({ kernel: files }: QemuMachine): string[] {
  if (files === null) return []
  const { kernel, ramdisk, commandLine } = files
  const rest = ramdisk === null ? [] : ['-initrd', ramdisk]
  return ['-kernel', kernel, ...rest, '-append', commandLine]
}

function diskArgv(machine: QemuMachine, disk: string): string[] {
  return [
    ...['-blockdev', `driver=file,filename=${escaped(disk)},node-name=root-file`],
    ...baseArgv(machine),
    ...['-blockdev', `${ROOT}${machine.base === null ? '' : `,backing=${BASE}`}`],
    ...['-device', 'virtio-blk-pci,drive=root,id=root-disk,serial=root,bootindex=1'],
  ]
}

function baseArgv({ base }: QemuMachine): string[] {
  if (base === null) return []
  const { socket, exportName, format } = base
  const server = `server.type=unix,server.path=${escaped(socket)},export=${exportName}`
  // While the agent is away its guests wait.
  const file = `driver=nbd,node-name=${BASE_FILE},read-only=on,${server}`
  return [
    ...['-blockdev', `${file},reconnect-delay=${AGENT_AWAY_S}`],
    ...['-blockdev', `driver=${format},file=${BASE_FILE},node-name=${BASE},read-only=on`],
  ]
}

function tcgBufferMib({ memoryMib }: QemuMachine): number {
  const { least, most } = TCG_BUFFER_MIB
  return Math.min(most, Math.max(least, Math.floor(memoryMib / 4)))
}

/** The host's end of an interface, as QEMU names it. */
export function netdevOf(mac: string): string {
  return `net-${mac.replaceAll(':', '')}`
}

/** The guest's end. */
export function nicDeviceOf(mac: string): string {
  return `nic-${mac.replaceAll(':', '')}`
}

function consoleChardev({ console, consoleLog }: ReturnType<typeof machineFiles>): string {
  // logappend: the log may be cut while QEMU writes on.
  const log = `logfile=${escaped(consoleLog)},logappend=on`
  return `socket,id=console,path=${escaped(console)},server=on,wait=off,${log}`
}

function nicArgv({ offloads }: QemuMachine, { tap, mac, mtu }: QemuNic, index: number): string[] {
  // The userspace switch takes frames from the tap as they are: with vnet_hdr guests would send
  // packets without checksums and larger than the MTU, which it drops.
  const options = offloads ? 'vhost=on' : 'vnet_hdr=off'
  const netdev = netdevOf(mac)
  // All but the first can be unplugged again.
  const bus = index === 0 ? '' : `,bus=slot${index}`
  const guest = `id=${nicDeviceOf(mac)},mac=${mac},host_mtu=${mtu},romfile=${bus}`
  return [
    ...['-netdev', `tap,id=${netdev},ifname=${tap},script=no,downscript=no,${options}`],
    ...['-device', `virtio-net-pci,netdev=${netdev},${guest}`],
  ]
}

function hotplugPorts(): string[] {
  return Array.from({ length: HOTPLUG_PORTS }, (_, index) => [
    '-device',
    `pcie-root-port,id=slot${index + 1},chassis=${index + 1}`,
  ]).flat()
}

/** QEMU's option syntax: a comma is written twice. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,')
}
