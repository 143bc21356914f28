// moto's server, which many test against: everything in memory, no signature checked.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { until } from '../../sandbox/until.ts'
import { freePorts } from '../../test/support/ports.ts'
import type { Target } from '../load.ts'

/** Only AWS's own regions have networks there from the start. */
const REGION = 'us-east-1'
const START_MS = 60_000

export interface Moto {
  readonly target: Target
  readonly stop: () => Promise<void>
}

/** Null where `moto_server` (Debian: python3-moto) is not installed. */
export async function startMoto(): Promise<Moto | null> {
  const [port = 0] = await freePorts(1)
  const argv = ['-H', '127.0.0.1', '-p', `${port}`]
  const child = spawn('moto_server', argv, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  const isThere = await once(child, 'spawn').then(
    () => true,
    () => false,
  )
  if (!isThere) return null
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await gone
  }
  try {
    await until('moto answers', () => answers(port), { timeoutMs: START_MS })
  } catch (error) {
    await stop()
    throw error
  }
  return { target: { port, region: REGION, accessKeyId: 'moto', secret: 'moto' }, stop }
}

async function answers(port: number): Promise<boolean> {
  const url = `http://127.0.0.1:${port}/moto-api/`
  return await fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}
