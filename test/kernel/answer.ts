// A machine's end of the line to the test: takes commands over a virtio serial port, one JSON
// object a line, and answers each when it has ended. Many may run at once.

import { createReadStream, createWriteStream, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf, messageOf } from '../../common/errors.ts'
import { type ExecResult, exec } from '../../common/exec.ts'
import { GuestShell } from '../../sandbox/guest.ts'
import type { Answer, Request } from './link.ts'

const PORTS = '/sys/class/virtio-ports'
const PORT_NAME = 'mallee'
const INSTANCES = '/var/lib/mallee/instances'

/** Until the test hangs up; `ready` first. Throws when there is no such line. */
export async function answerTest(ready: () => Promise<void>): Promise<void> {
  const port = readdirSync(PORTS).find(
    (one) => readFileSync(join(PORTS, one, 'name'), 'utf8').trim() === PORT_NAME,
  )
  if (port === undefined) throw new Error(`this machine has no virtio port ${PORT_NAME}`)
  // The kernel lets one open it: both streams share the descriptor.
  const fd = openSync(join('/dev', port), 'r+')
  const out = createWriteStream('', { fd, autoClose: false })
  const say = (answer: Answer): void => {
    out.write(`${JSON.stringify(answer)}\n`)
  }
  await ready()
  say({ id: 0, result: { stdout: '', stderr: '', code: 0 } })
  for await (const line of createInterface(createReadStream('', { fd, autoClose: false }))) {
    const request = JSON.parse(line) as Request
    const { id } = request
    answerTo(request).then(
      (result) => say({ id, result }),
      (error: unknown) =>
        say({ id, error: { code: codeOf(error) ?? 'CommandFailed', message: messageOf(error) } }),
    )
  }
}

async function answerTo({ argv, options, instance }: Request): Promise<ExecResult> {
  if (instance === undefined) return exec(argv, options)
  const shell = await GuestShell.open(join(INSTANCES, instance, 'console.sock'), options.timeoutMs)
  try {
    const { output, code } = await shell.run(argv.join(' '), options.timeoutMs)
    return { stdout: output, stderr: '', code }
  } finally {
    shell.close()
  }
}
