// dnsmasq(8): one daemon of this host, found by its pid file and its command line.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Paths } from '../paths.ts'

export interface DnsmasqFiles {
  readonly dir: string
  readonly config: string
  readonly hosts: string
  readonly pid: string
  readonly log: string
}

const STOP_S = 10

export function dnsmasqFiles(paths: Paths): DnsmasqFiles {
  const dir = join(paths.runDir, 'dhcp')
  const at = (name: string): string => join(dir, name)
  return {
    dir,
    config: at('dnsmasq.conf'),
    hosts: at('hosts'),
    pid: at('dnsmasq.pid'),
    log: at('dnsmasq.log'),
  }
}

/** Others may read: dnsmasq gives up root and reads its hosts again later. */
export async function prepareDnsmasq(files: DnsmasqFiles): Promise<void> {
  await mkdir(files.dir, { recursive: true, mode: 0o755 })
}

/** Starts it; it has read its files and answers when this resolves. */
export async function startDnsmasq(exec: Exec, files: DnsmasqFiles): Promise<void> {
  await exec(['dnsmasq', `--conf-file=${files.config}`])
}

/** The pid of ours; null when it does not run. */
export async function dnsmasqPid(exec: Exec, files: DnsmasqFiles): Promise<number | null> {
  const pid = Number((await readIfThere(files.pid))?.trim())
  if (!Number.isInteger(pid) || pid < 2) return null
  const { code, stdout } = await exec(['cat', `/proc/${pid}/cmdline`], { okCodes: [0, 1] })
  return code === 0 && stdout.split('\0').includes(`--conf-file=${files.config}`) ? pid : null
}

/** Makes it read its hosts again; leases and sockets stay. */
export async function rereadHosts(exec: Exec, files: DnsmasqFiles): Promise<void> {
  const pid = await dnsmasqPid(exec, files)
  if (pid === null) throw new MalleeError('Unavailable', `dnsmasq of ${files.config} has ended`)
  await exec(['kill', '-HUP', String(pid)])
}

/** Ends it and waits until it is gone; nothing happens when it does not run. */
export async function stopDnsmasq(exec: Exec, files: DnsmasqFiles): Promise<void> {
  const pid = await dnsmasqPid(exec, files)
  if (pid === null) return
  await exec(['kill', '-TERM', String(pid)])
  const wait = ['tail', '--follow', '-s', '0.05', `--pid=${pid}`, '/dev/null']
  await exec(wait, { timeoutMs: STOP_S * 1_000 })
}
