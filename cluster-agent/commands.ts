// The commands of `cluster-agent`: run what rack-join configured.

import { flushCompileCache } from 'node:module'
import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering } from '../common/cli.ts'
import { completionRoutes } from '../common/completion.ts'
import { MalleeError } from '../common/errors.ts'
import { createLog } from '../common/log.ts'
import { startAgent } from './agent.ts'
import { readAgentConfig } from './config.ts'
import { type PathFlags, pathFlags, pathsOf } from './flags.ts'
import { HeldIdentity, needIdentity } from './identity.ts'
import { openHostRoles } from './main-parts.ts'

interface Flags extends PathFlags {
  readonly host: 'real' | 'simulated'
}

const runCommand = buildCommand<Flags>({
  docs: {
    brief: 'Run the agent of this host in the foreground',
    fullDescription: [
      'Run the agent of this host in the foreground; SIGTERM ends it. Guests, tunnels and switches',
      'go on without it, and the next start adopts them. rack-join installs it as a service.',
      '',
      'Example:',
      '  cluster-agent --config /etc/mallee/agent.json',
    ].join('\n'),
  },
  parameters: {
    flags: {
      host: {
        kind: 'enum',
        values: ['real', 'simulated'],
        brief: 'simulated: a model of a host in memory, for a host that joined as one',
        default: 'real',
      },
      ...pathFlags,
    },
  },
  func: (flags) => answering(false, () => serve(flags)),
})

export const root = buildRouteMap({
  routes: { run: runCommand, completion: completionRoutes('cluster-agent') },
  defaultCommand: 'run',
  docs: { brief: 'Run the agent of this host' },
})

async function serve(flags: Flags): Promise<void> {
  const paths = pathsOf(flags)
  const config = await readAgentConfig(paths.configFile)
  if (config.simulated !== (flags.host === 'simulated')) {
    const joined = config.simulated ? 'simulated' : 'real'
    throw new MalleeError(
      'BadConfig',
      `this host joined as ${joined}: start it with --host ${joined}`,
    )
  }
  const identity = new HeldIdentity(paths, await needIdentity(paths))
  const log = createLog(config.logLevel, { program: 'cluster-agent', host: config.host })
  const { roles, facts } = await openHostRoles({ config, paths, identity: identity.current, log })
  const agent = await startAgent({ config, paths, identity, roles, facts, log })
  // Else only an end in good order would keep it for the next start.
  flushCompileCache()
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await agent.stop()
}
