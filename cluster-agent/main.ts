// The `cluster-agent` program.

import { runCli } from '../common/cli.ts'
import { command } from './command.ts'

await runCli('cluster-agent', command, process.argv.slice(2))
