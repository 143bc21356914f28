// dnsmasq(8) as a daemon that outlives us: which configuration runs, start, reload and stop.

import { readIfThere } from '../../common/durable-file.ts'
import type { Exec } from '../../common/exec.ts'

/** The process of a pid file if it runs with a configuration out of `dir`. */
export interface Dnsmasq {
  readonly pid: number
  readonly configFile: string
}

/** Finds the daemon by its pid file and its own command line: a pid may be another's now. */
export async function findDnsmasq(
  exec: Exec,
  { pidFile, dir }: { readonly pidFile: string; readonly dir: string },
): Promise<Dnsmasq | null> {
  const pid = Number((await readIfThere(pidFile))?.trim() ?? '0')
  if (!Number.isInteger(pid) || pid <= 0) return null
  const { code, stdout } = await exec(['cat', `/proc/${pid}/cmdline`], { okCodes: [0, 1] })
  const [program = '', ...args] = stdout.split('\0')
  if (code !== 0 || !program.endsWith('dnsmasq')) return null
  const configFile = args.find((arg) => arg.startsWith(CONFIG_FLAG))?.slice(CONFIG_FLAG.length)
  return configFile?.startsWith(`${dir}/`) === true ? { pid, configFile } : null
}

/** Returns when it serves; what is wrong with the configuration is in `logFile`. */
export async function startDnsmasq(
  exec: Exec,
  { configFile, logFile }: { readonly configFile: string; readonly logFile: string },
): Promise<void> {
  await exec(['setsid', 'dnsmasq', `${CONFIG_FLAG}${configFile}`], { outputFile: logFile })
}

/** It reads its hosts, options and names again; leases stay. */
export async function reloadDnsmasq(exec: Exec, { pid }: Dnsmasq): Promise<void> {
  await exec(['kill', '-HUP', String(pid)])
}

/** Ends the process and waits for its end, so that its sockets are free. */
export async function stopDnsmasq(exec: Exec, { pid }: Dnsmasq): Promise<void> {
  await exec(['kill', String(pid)], { okCodes: [0, 1] })
  await exec(['tail', '--follow', '-s', '0.02', `--pid=${pid}`, '/dev/null'])
}

const CONFIG_FLAG = '--conf-file='
