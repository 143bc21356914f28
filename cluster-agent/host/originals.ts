// What this host's settings were before Mallee changed them, so that `rack-join leave` can put them
// back: kernel settings (`sysctl key`) and a NIC's offloads (`offload nic feature`).

import { join } from 'node:path'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import type { Exec } from '../../common/exec.ts'
import type { Paths } from '../paths.ts'
import { setOffloads } from './ethtool.ts'
import { readSysctls, writeSysctls } from './ip.ts'

interface Originals {
  readonly sysctls: Readonly<Record<string, string>>
  readonly offloads: Readonly<Record<string, Readonly<Record<string, boolean>>>>
}

const NOTHING: Originals = { sysctls: {}, offloads: {} }

/** Writes down values that are about to change; the first one of each stays. */
export async function noteOriginals(paths: Paths, seen: Partial<Originals>): Promise<void> {
  const known = await readOriginals(paths)
  const offloads = { ...seen.offloads }
  for (const [nic, features] of Object.entries(known.offloads)) {
    offloads[nic] = { ...offloads[nic], ...features }
  }
  const all: Originals = { sysctls: { ...seen.sysctls, ...known.sysctls }, offloads }
  if (JSON.stringify(all) !== JSON.stringify(known)) {
    await writeDurably(fileOf(paths), `${JSON.stringify(all)}\n`, 0o644)
  }
}

/** Makes kernel settings what they shall be, and writes down what they were. */
export async function keepSysctls(
  exec: Exec,
  paths: Paths,
  values: ReadonlyMap<string, string>,
): Promise<void> {
  const were = await readSysctls(exec, [...values.keys()])
  if ([...values].every(([key, value]) => were.get(key) === value)) return
  await noteOriginals(paths, { sysctls: Object.fromEntries(were) })
  await writeSysctls(exec, values)
}

/** Puts back what still can be: a link that is gone has no settings. */
export async function restoreOriginals(exec: Exec, paths: Paths): Promise<void> {
  const { sysctls, offloads } = await readOriginals(paths)
  const there = await readSysctls(exec, Object.keys(sysctls))
  await writeSysctls(exec, new Map(Object.entries(sysctls).filter(([key]) => there.has(key))))
  for (const [nic, features] of Object.entries(offloads)) {
    await setOffloads(exec, nic, features).catch(() => undefined)
  }
}

async function readOriginals(paths: Paths): Promise<Originals> {
  const text = await readIfThere(fileOf(paths))
  return text === null ? NOTHING : (JSON.parse(text) as Originals)
}

function fileOf(paths: Paths): string {
  return join(paths.stateDir, 'originals.json')
}
