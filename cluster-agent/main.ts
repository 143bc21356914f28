// The `cluster-agent` command: runs what rack-join configured.

import { buildCommand } from '@stricli/core'
import { answering, runCli } from '../common/cli.ts'
import { createLog } from '../common/log.ts'
import { startAgent } from './agent.ts'
import { readAgentConfig } from './config.ts'
import { type PathFlags, pathFlags, pathsOf } from './flags.ts'
import { needIdentity } from './identity.ts'
import { openHostRoles } from './main-parts.ts'

const command = buildCommand<PathFlags>({
  docs: {
    brief: 'Run the agent of this host in the foreground',
    fullDescription: [
      'Run the agent of this host in the foreground; SIGTERM ends it. Guests, tunnels and switches',
      'go on without it, and the next start adopts them. rack-join installs it as a service.',
    ].join('\n'),
  },
  parameters: { flags: pathFlags },
  func: (flags) => answering(false, () => serve(flags)),
})

await runCli('cluster-agent', command, process.argv.slice(2))

async function serve(flags: PathFlags): Promise<void> {
  const paths = pathsOf(flags)
  const config = await readAgentConfig(paths.configFile)
  const identity = await needIdentity(paths)
  const log = createLog(config.logLevel, { program: 'cluster-agent', host: config.host })
  const { roles, facts } = await openHostRoles({ config, paths, identity, log })
  const agent = await startAgent({ config, paths, identity, roles, facts, log })
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await agent.stop()
}
