// Named network namespaces (ip-netns(8)), and commands inside of them.

import { join } from 'node:path'
import type { Exec } from '../../common/exec.ts'

export const NETNS_DIR = '/run/netns'

/** The names that begin with `prefix`. */
export async function listNetns(exec: Exec, prefix: string): Promise<string[]> {
  const { stdout } = await exec(['ip', '-json', 'netns', 'list'])
  const rows = JSON.parse(stdout.trim() || '[]') as { readonly name: string }[]
  return rows.map(({ name }) => name).filter((name) => name.startsWith(prefix))
}

export async function addNetns(exec: Exec, name: string): Promise<void> {
  await exec(['ip', 'netns', 'add', name])
}

/** Ends every process inside, then the name: with both gone the kernel takes away the rest. */
export async function deleteNetns(exec: Exec, name: string): Promise<void> {
  await killInside(exec, name)
  await exec(['ip', 'netns', 'delete', name])
}

/** Ends every process inside at once. */
export async function killInside(exec: Exec, name: string): Promise<void> {
  const { stdout } = await exec(['ip', 'netns', 'pids', name])
  const pids = stdout.split('\n').filter((pid) => pid !== '')
  if (pids.length > 0) await exec(['kill', '-KILL', ...pids], { okCodes: [0, 1] })
}

/** Runs commands in a namespace; files are the host's. `ip netns exec` would copy its mounts. */
export function inNetns(exec: Exec, name: string): Exec {
  const enter = ['nsenter', `--net=${join(NETNS_DIR, name)}`, '--']
  return (argv, options) => exec([...enter, ...argv], options)
}
