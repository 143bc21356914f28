// Waits until an agent that was just started is one with the cloud, and says how far it is. A CC
// is ready when an encrypted packet of each rack that it knows has come through its tunnel.

import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Paths } from '../paths.ts'
import { type AgentProgress, readProgress } from '../progress.ts'
import { logFile, runningPid } from './service.ts'

const LOOK_EVERY_MS = 200

export interface Ready {
  readonly seconds: number
  /** Racks whose packets came through; empty for the first rack and for nodes. */
  readonly racks: readonly string[]
}

/** Throws CommandTimeout that says what is missing. */
export async function awaitReady(
  { paths, clock }: { paths: Paths; clock: Clock },
  { timeoutMs, progress }: { timeoutMs: number; progress: (sentence: string) => void },
): Promise<Ready> {
  const startMs = clock.nowMs()
  let said = ''
  let step = 'waiting for the agent'
  while (clock.nowMs() - startMs < timeoutMs) {
    const now = await readProgress(paths)
    step = stepOf(now)
    if (step === '') {
      const racks = [...new Set((now?.tunnels ?? []).map((tunnel) => tunnel.rack))]
      return { seconds: (clock.nowMs() - startMs) / 1000, racks }
    }
    if (step !== said) progress(step)
    said = step
    await clock.sleep(LOOK_EVERY_MS)
  }
  const alive = await runningPid(paths)
  const more = alive === null ? `; the agent does not run, see ${logFile(paths)}` : ''
  throw new MalleeError('CommandTimeout', `not ready after ${timeoutMs / 1000} s: ${step}${more}`)
}

/** What it waits for now; empty when there is nothing left. */
function stepOf(now: AgentProgress | null): string {
  if (now === null) return 'waiting for the agent'
  if (!now.connected) {
    const why = now.connectTrouble === '' ? '' : `: ${now.connectTrouble}`
    return `connecting to the parent${why}`
  }
  if (now.generation === null) return 'waiting for the desired state'
  if (now.madeGeneration === null) {
    return `making the network${now.trouble === '' ? '' : `: ${now.trouble}`}`
  }
  const silent = now.tunnels.filter((one) => one.latestHandshakeMs === 0 || one.receivedBytes === 0)
  if (silent.length === 0) return ''
  return `waiting for the first packet from rack ${silent.map((one) => one.rack).join(', ')}`
}
