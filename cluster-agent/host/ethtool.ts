// A NIC's offloads (ethtool(8)). The userspace data path takes frames as they pass by: one whose
// checksum or segmentation is left to the NIC would reach a guest unfinished, and TCP would hang.

import type { Exec } from '../../common/exec.ts'

/** As `ethtool -k` and `-K` name them. */
const UNFIT = [
  'tx-checksumming',
  'tcp-segmentation-offload',
  'generic-segmentation-offload',
  'generic-receive-offload',
  'large-receive-offload',
] as const

/** The offloads of a NIC that spoil frames for the userspace data path and can be changed. */
export async function readOffloads(
  exec: Exec,
  nic: string,
): Promise<Readonly<Record<string, boolean>>> {
  return parseOffloads((await exec(['ethtool', '-k', nic])).stdout)
}

export function parseOffloads(stdout: string): Record<string, boolean> {
  const found: Record<string, boolean> = {}
  for (const [, name = '', value = ''] of stdout.matchAll(/^([\w-]+): (on|off)$/gm)) {
    if ((UNFIT as readonly string[]).includes(name)) found[name] = value === 'on'
  }
  return found
}

export async function setOffloads(
  exec: Exec,
  nic: string,
  offloads: Readonly<Record<string, boolean>>,
): Promise<void> {
  const args = Object.entries(offloads).flatMap(([name, on]) => [name, on ? 'on' : 'off'])
  if (args.length > 0) await exec(['ethtool', '-K', nic, ...args])
}
