// How far this agent is, in a file that rack-join and people read: <runDir>/agent.json.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Paths } from './paths.ts'

export interface AgentProgress {
  readonly pid: number
  readonly version: string
  readonly connected: boolean
  /** The last thing that went wrong on the way to the parent; empty when connected. */
  readonly connectTrouble: string
  readonly generation: number | null
  /** The generation of the last pass that made everything true. */
  readonly madeGeneration: number | null
  readonly trouble: string
  readonly instances: number
  readonly draining: boolean
  readonly tunnels: readonly {
    readonly rack: string
    readonly host: string
    readonly latestHandshakeMs: number
    readonly receivedBytes: number
  }[]
}

export function progressFile(paths: Paths): string {
  return join(paths.runDir, 'agent.json')
}

/** Lies there as a file: then no new instance is placed on this host. */
export function drainFile(paths: Paths): string {
  return join(paths.stateDir, 'drain')
}

export async function writeProgress(paths: Paths, progress: AgentProgress): Promise<void> {
  await mkdir(paths.runDir, { recursive: true, mode: 0o755 })
  const file = progressFile(paths)
  await writeFile(`${file}.new`, JSON.stringify(progress), { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/** Null when no agent ever wrote here since the machine started. */
export async function readProgress(paths: Paths): Promise<AgentProgress | null> {
  try {
    return JSON.parse(await readFile(progressFile(paths), 'utf8')) as AgentProgress
  } catch {
    return null
  }
}
