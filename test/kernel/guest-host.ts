// A host of a rack that is a virtual machine with a kernel of its own. It stands in the place of a
// sandbox host, whose cables it takes over: that one becomes the cabinet around the machine.

import { join } from 'node:path'
import type { Exec } from '../../common/exec.ts'
import type { SandboxHost, Started } from '../../sandbox/host.ts'
import type { Link } from './link.ts'
import { prepareMachine } from './machine.ts'

const MEMORY_MIB = 2_560

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
  for (const device of cables) await handOver(cabinet, device)
  const { argv, link, consoleLog } = await prepareMachine({
    ...{ name, dir, projectDisk, memoryMib: MEMORY_MIB, serve: 'test/kernel/serve.ts' },
    ...(systemOvs ? { append: 'mallee.ovs=system' } : {}),
    devices: cables.flatMap((device, index) => [
      ...['-netdev', `tap,id=${device},ifname=${tapOf(device)},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=${device},mac=${macOf(name, index)},romfile=`],
    ]),
  })
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
