// GuestShell drives a real shell at a real terminal, as a guest's serial console is one.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { codeOf } from '../../common/errors.ts'
import { GuestShell } from '../../sandbox/guest.ts'
import { until } from '../../sandbox/until.ts'

describe('GuestShell', () => {
  const dir = mkdtempSync(join(tmpdir(), 'guest-'))
  const path = join(dir, 'console.sock')
  let server: Server
  let shell: GuestShell

  before(async () => {
    server = createServer((client) => {
      const argv = ['-qfec', 'busybox sh -i', '/dev/null']
      const terminal = spawn('script', argv, { env: { PATH: process.env['PATH'], TERM: 'vt100' } })
      client.pipe(terminal.stdin)
      terminal.stdout.pipe(client)
      client.on('close', () => terminal.kill('SIGKILL'))
      terminal.on('exit', () => client.destroy())
    }).listen(path)
    await until('the console listens', () => server.listening)
    shell = await GuestShell.open(path)
  })
  after(() => {
    shell.close()
    server.close()
    rmSync(dir, { recursive: true, force: true })
  })

  test('run returns the output and the exit code', async () => {
    assert.deepEqual(await shell.run('echo one; echo two; (exit 3)'), {
      output: 'one\ntwo\n',
      code: 3,
    })
  })

  test('run takes a line longer than the terminal is wide', async () => {
    const long = 'x'.repeat(200)
    assert.deepEqual(await shell.run(`echo ${long}`), { output: `${long}\n`, code: 0 })
  })

  test('run throws CommandTimeout when the guest does not answer in time', async () => {
    const other = await GuestShell.open(path)
    await assert.rejects(other.run('sleep 60', 200), (error) => codeOf(error) === 'CommandTimeout')
    other.close()
  })

  test('run throws Unavailable when the console is closed', async () => {
    const other = await GuestShell.open(path)
    await assert.rejects(other.run('exit'), (error) => codeOf(error) === 'Unavailable')
  })
})
