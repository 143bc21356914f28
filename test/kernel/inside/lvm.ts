// A thin pool of a program's own inside a lone machine.

import { readFile, writeFile } from 'node:fs/promises'
import type { LvName } from '../../../cluster-agent/host/lvm.ts'
import { exec } from '../../../common/exec.ts'
import { loadModules } from './kernel.ts'

export const CHUNK_BYTES = 65_536
const LVM_MS = 60_000

/** On a disk that is empty. LVM is told that there is no udev to wait for. */
export async function makePool(disk: string, pool: LvName, sizeBytes: number): Promise<void> {
  await loadModules('dm_mod', 'dm_thin_pool')
  const config = '/etc/lvm/lvm.conf'
  const text = await readFile(config, 'utf8')
  const off = text.replaceAll(/^[#\s]*(udev_sync|udev_rules)\s*=.*$/gm, '\t$1 = 0')
  await writeFile(config, off)
  await exec(['vgcreate', '--yes', pool.vg, disk], { timeoutMs: LVM_MS })
  const kind = ['--type', 'thin-pool', '--chunksize', `${CHUNK_BYTES}b`]
  await lvcreate(...kind, '--size', `${sizeBytes}b`, '--name', pool.lv, pool.vg)
}

export async function lvcreate(...args: readonly string[]): Promise<void> {
  await exec(['lvcreate', '--yes', ...args], { timeoutMs: LVM_MS })
}
