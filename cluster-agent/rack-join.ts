// The `rack-join` program.

import { runCli } from '../common/cli.ts'
import { root } from './join/commands.ts'

await runCli('rack-join', root, process.argv.slice(2))
