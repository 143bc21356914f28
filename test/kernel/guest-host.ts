// A host of a rack that is a virtual machine with a kernel of its own. It stands in the place of a
// sandbox host, whose cables it takes over: that one becomes the cabinet around the machine.

import { join } from 'node:path'
import { type Exec, exec } from '../../common/exec.ts'
import type { SandboxHost, Started } from '../../sandbox/host.ts'
import { type Link, openLink } from './link.ts'

const IMAGES = join(import.meta.dirname, '../../.cache/host')
const MEMORY_MIB = 2_560
const COMMAND_LINE = [
  'root=/dev/nvme0n1 rw init=/sbin/mallee-init console=ttyS0 quiet loglevel=4 panic=5',
  'mitigations=off no_timer_check tsc=reliable random.trust_cpu=on',
].join(' ')

export interface GuestHost {
  readonly name: string
  /** Runs a command in the guest to its end, as a sandbox host's does. */
  readonly exec: Exec
  readonly inInstance: Link['inInstance']
  /** What the guest's kernel and first process said. */
  readonly consoleLog: string
  readonly qemu: Started
  /** Resolves when commands can be run. */
  readonly up: Promise<unknown>
  readonly close: () => void
}

export interface GuestOptions {
  readonly cabinet: SandboxHost
  /** Devices of the cabinet, in the order of the guest's. */
  readonly cables: readonly string[]
  readonly projectDisk: string
  /** Whether the guest's init starts Open vSwitch, as Debian's package does. */
  readonly systemOvs: boolean
}

/** Starts the machine and returns at once; `up` tells when it answers. */
export async function startGuest({
  cabinet,
  cables,
  projectDisk,
  systemOvs,
}: GuestOptions): Promise<GuestHost> {
  const { name, dir } = cabinet
  const disk = join(dir, 'disk.qcow2')
  const base = join(IMAGES, 'host.raw')
  await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, disk, '20G'])
  for (const device of cables) await handOver(cabinet, device)
  const link = await openLink(join(dir, 'link.sock'))
  const consoleLog = join(dir, 'console.log')
  const ovs = systemOvs ? ' mallee.ovs=system' : ''
  const append = `${COMMAND_LINE} mallee.name=${name} mallee.serve=test/kernel/serve.ts${ovs}`
  const argv = [
    ...['qemu-system-x86_64', '-name', name, '-machine', 'q35', '-nodefaults', '-display', 'none'],
    ...['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max', '-smp', '2'],
    ...['-m', `${MEMORY_MIB}M`, '-no-reboot'],
    ...['-kernel', join(IMAGES, 'vmlinuz'), '-append', append],
    ...['-chardev', `file,id=console,path=${consoleLog}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=link,path=${join(dir, 'link.sock')}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=link,name=mallee'],
    ...['-drive', `file=${disk},if=none,id=root,cache=unsafe`],
    ...['-device', 'nvme,drive=root,serial=root'],
    ...['-drive', `file=${projectDisk},if=none,id=project,format=raw,readonly=on`],
    ...['-device', 'nvme,drive=project,serial=project'],
    ...['-device', 'virtio-rng-pci'],
    ...cables.flatMap((device, index) => [
      ...['-netdev', `tap,id=${device},ifname=${tapOf(device)},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=${device},mac=${macOf(name, index)},romfile=`],
    ]),
  ]
  const qemu = await cabinet.start(argv, { logFile: join(dir, 'qemu.log') })
  const { exec: run, inInstance, up, close } = link
  return { name, exec: run, inInstance, consoleLog, qemu, up, close }
}

/** The addresses of the cabinet's device go, and its cable ends in the guest. */
async function handOver({ exec: run }: SandboxHost, device: string): Promise<void> {
  const bridge = `br-${device}`
  const tap = tapOf(device)
  await run(['ip', 'address', 'flush', 'dev', device])
  await run(['sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1'])
  await run(['ip', 'link', 'add', bridge, 'type', 'bridge'])
  await run(['ip', 'tuntap', 'add', tap, 'mode', 'tap', 'vnet_hdr'])
  for (const port of [device, tap]) {
    await run(['sysctl', '-qw', `net.ipv6.conf.${port}.disable_ipv6=1`])
    await run(['ip', 'link', 'set', port, 'master', bridge])
  }
  for (const link of [tap, bridge]) await run(['ip', 'link', 'set', link, 'up'])
}

function tapOf(device: string): string {
  return `tap-${device}`
}

/** Locally administered; differs from host to host. */
function macOf(name: string, index: number): string {
  const bytes = Buffer.from(name.padEnd(2, '0')).subarray(0, 2).toString('hex')
  return `52:54:00:${bytes.slice(0, 2)}:${bytes.slice(2, 4)}:0${index + 1}`
}
