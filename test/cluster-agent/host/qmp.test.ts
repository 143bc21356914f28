// The QMP client against a server that answers as QEMU does, and as it should not.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { openQmp, type QmpEvent } from '../../../cluster-agent/host/qmp.ts'
import { codeOf } from '../../../common/errors.ts'

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n'

let dir = ''
let path = ''
let server: Server | null = null
let client: Socket | null = null

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mallee-qmp-'))
  path = join(dir, 'qmp.sock')
})

afterEach(() => {
  client?.destroy()
  server?.close()
  rmSync(dir, { recursive: true })
})

interface Asked {
  readonly execute: string
  readonly id: number
}

/** Answers each command as QEMU would; `answer` gives the rest of the message, null for silence. */
async function fakeQemu(answer: (asked: Asked) => object | string | null): Promise<void> {
  server = createServer((socket) => {
    client = socket
    socket.setEncoding('utf8')
    socket.on('error', () => undefined)
    socket.write(GREETING)
    socket.on('data', (text: string) => {
      for (const line of text.trim().split('\n')) {
        const asked = JSON.parse(line) as Asked
        const said = asked.execute === 'qmp_capabilities' ? { return: {} } : answer(asked)
        if (typeof said === 'string') socket.write(said)
        else if (said !== null) socket.write(`${JSON.stringify({ ...said, id: asked.id })}\r\n`)
      }
    })
  })
  await new Promise<void>((resolve) => server?.listen(path, resolve))
}

function hasCode(code: string) {
  return (error: unknown) => {
    assert.equal(codeOf(error), code)
    return true
  }
}

test('openQmp negotiates, commands get their own answers, events come between', async () => {
  await fakeQemu(({ execute }) =>
    execute === 'query-status' ? { return: { status: 'running' } } : { return: { UUID: 'EC2A' } },
  )
  const qmp = await openQmp(path)
  const events: QmpEvent[] = []
  qmp.onEvent((event) => events.push(event))
  client?.write('{"timestamp": {}, "event": "RESET", "da')
  client?.write('ta": {"guest": true}}\r\n')
  const answers = await Promise.all([qmp.status(), qmp.uuid()])
  assert.deepEqual(answers, ['running', 'ec2a'])
  assert.deepEqual(events, [{ name: 'RESET', data: { guest: true } }])
  qmp.close()
})

test('command throws what QEMU refuses, and what it does not answer', async () => {
  const error = { class: 'GenericError', desc: 'no such device' }
  await fakeQemu(({ execute }) => (execute === 'device_del' ? { error } : null))
  const qmp = await openQmp(path)
  await assert.rejects(qmp.command('device_del'), /refused device_del: no such device/)
  await assert.rejects(qmp.command('stop', {}, 50), hasCode('CommandTimeout'))
  qmp.close()
})

test('onClose and every waiting command hear that QEMU is gone', async () => {
  await fakeQemu(() => null)
  const qmp = await openQmp(path)
  const closed = new Promise<void>((resolve) => qmp.onClose(resolve))
  const waiting = assert.rejects(qmp.command('quit'), hasCode('Unavailable'))
  client?.destroy()
  await Promise.all([closed, waiting])
  assert.equal(qmp.closed, true)
  await assert.rejects(qmp.command('stop'), hasCode('Unavailable'))
})

test('close is our own doing: onClose keeps silent', async () => {
  await fakeQemu(() => null)
  const qmp = await openQmp(path)
  qmp.onClose(() => assert.fail('called'))
  qmp.close()
  assert.equal(qmp.closed, true)
})

for (const [what, noise] of [
  ['what is no JSON', 'garbage\n'],
  ['a line without an end', 'x'.repeat((4 << 20) + 1)],
] as const) {
  test(`a connection ends at ${what}`, async () => {
    await fakeQemu(() => noise)
    const qmp = await openQmp(path)
    await assert.rejects(qmp.command('query-status'), hasCode('Unavailable'))
  })
}

test('openQmp tells no QEMU from one that does not greet', async () => {
  await assert.rejects(openQmp(path), hasCode('NotFound'))
  server = createServer((socket) => {
    client = socket
  })
  await new Promise<void>((resolve) => server?.listen(path, resolve))
  await assert.rejects(openQmp(path), hasCode('Unavailable'))
})
