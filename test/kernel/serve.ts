// What a host image runs as its first program: takes commands from the test over a virtio serial
// port, one JSON object a line, and answers each when it has ended. Many may run at once.

import { createReadStream, createWriteStream, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf, messageOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import type { Answer, Request } from './link.ts'

const PORTS = '/sys/class/virtio-ports'
const PORT_NAME = 'mallee'

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

say({ id: 0, result: { stdout: '', stderr: '', code: 0 } })
for await (const line of createInterface(createReadStream('', { fd, autoClose: false }))) {
  const { id, argv, options } = JSON.parse(line) as Request
  exec(argv, options).then(
    (result) => say({ id, result }),
    (error: unknown) =>
      say({ id, error: { code: codeOf(error) ?? 'CommandFailed', message: messageOf(error) } }),
  )
}
