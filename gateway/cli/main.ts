// The `mallee` program.

import { runCli } from '../../common/cli.ts'
import { root } from './commands.ts'

await runCli('mallee', root, process.argv.slice(2))
