// QEMU started by hand, as an instance's QEMU was: the same command line on a disk of its own.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { machineFiles } from '../../cluster-agent/host/qemu.ts'
import { createOverlay } from '../../cluster-agent/host/qemu-img.ts'
import { MalleeError } from '../../common/errors.ts'
import type { SandboxHost, Started } from '../../sandbox/host.ts'

const TAP = 'bare0'

export interface BareQemu {
  readonly consoleLog: string
  /** Makes a new disk; not timed, as nobody waits for it. */
  readonly prepare: () => Promise<void>
  readonly start: () => Promise<Started>
}

/**
 * What a running instance's QEMU was started with, to be started again without its agent and with
 * `more` arguments.
 */
export async function bareQemu(
  host: SandboxHost,
  pid: string,
  image: { readonly file: string; readonly diskGib: number },
  more: readonly string[] = [],
): Promise<BareQemu> {
  const { stdout } = await host.exec(['cat', `/proc/${pid}/cmdline`])
  // Both the host and we know it by this path.
  const dir = join(host.dir, 'bare')
  const argv = [...bareArgv(stdout.split('\0').slice(0, -1), dir, TAP), ...more]
  await host.exec(['ip', 'tuntap', 'add', 'dev', TAP, 'mode', 'tap'])
  await host.exec(['ip', 'link', 'set', TAP, 'up'])
  const files = machineFiles(dir)
  const logFile = join(host.dir, 'bare-qemu.log')
  return {
    consoleLog: files.consoleLog,
    prepare: async () => {
      await rm(dir, { recursive: true, force: true })
      await mkdir(dir)
      const { file: base, diskGib } = image
      await createOverlay(host.exec, { file: files.disk, base, format: 'raw', diskGib })
    },
    start: () => host.start(argv, { logFile }),
  }
}

/**
 * The same machine in another folder and at another tap, in the foreground. Throws NotSupported for
 * a command line that does not name its folder (by -pidfile) or its tap.
 */
export function bareArgv(argv: readonly string[], dir: string, tap: string): string[] {
  const pidFile = argv[argv.indexOf('-pidfile') + 1] ?? ''
  const own = pidFile.replace(/\/pid$/, '')
  const moved = argv
    .filter((argument) => argument !== '-daemonize')
    .map((argument) => argument.replaceAll(own, dir).replace(/ifname=[^,]+/, `ifname=${tap}`))
  const complete =
    own !== pidFile &&
    moved.includes(machineFiles(dir).pid) &&
    moved.some((argument) => argument.includes(`ifname=${tap}`))
  if (complete) return moved
  throw new MalleeError('NotSupported', `this is no command line of a machine: ${argv.join(' ')}`)
}
