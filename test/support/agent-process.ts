// The agent of a host of a test as a program of its own, which can be killed at any moment.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keepIdentity } from '../../cluster-agent/identity.ts'
import { identityDir } from '../../cluster-agent/paths.ts'
import type { Ending } from './cloud.ts'
import type { RackHost } from './simulated-rack.ts'

const AGENT = join(import.meta.dirname, '../../cluster-agent/main.ts')

export interface AgentProcess {
  readonly start: () => Promise<void>
  /** SIGKILL; resolves when it is dead. */
  readonly kill: () => Promise<void>
}

/** In place of the agent in this process, which ends. Ends with the test. */
export async function asProcess(end: Ending, host: RackHost): Promise<AgentProcess> {
  const { config, paths, identity } = host
  await host.stop()
  await mkdir(identityDir(paths), { recursive: true, mode: 0o700 })
  await writeFile(join(identityDir(paths), 'host.key'), identity.keyPem, { mode: 0o600 })
  await keepIdentity(paths, identity)
  await mkdir(paths.runDir, { recursive: true })
  await writeFile(paths.configFile, JSON.stringify(config))
  let child: ChildProcess | null = null
  const kill = async (): Promise<void> => {
    const running = child
    child = null
    if (running === null || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    running.kill('SIGKILL')
    await gone
  }
  const start = async (): Promise<void> => {
    const log = await open(join(paths.runDir, 'agent.log'), 'a', 0o600)
    const { stateDir, runDir, configFile } = paths
    const where = ['--state-dir', stateDir, '--run-dir', runDir, '--config', configFile]
    const argv = [AGENT, '--host', 'simulated', ...where]
    child = spawn(process.execPath, argv, { stdio: ['ignore', log.fd, log.fd] })
    await log.close()
  }
  end.after(kill)
  await start()
  return { start, kill }
}
