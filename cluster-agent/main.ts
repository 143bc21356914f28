// The `cluster-agent` program.

import { runCli } from '../common/cli.ts'
import { root } from './commands.ts'

await runCli('cluster-agent', root, process.argv.slice(2))
