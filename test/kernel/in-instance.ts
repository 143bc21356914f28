// in-instance.ts INSTANCE COMMAND: runs one line of shell at an instance's console, in its host.

import { join } from 'node:path'
import { GuestShell } from '../../sandbox/guest.ts'

const MS = 240_000
const [instance = '', command = ''] = process.argv.slice(2)
const shell = await GuestShell.open(join('/var/lib/mallee/instances', instance, 'console.sock'), MS)
const { output, code } = await shell.run(command, MS)
process.stdout.write(output)
shell.close()
process.exitCode = code
