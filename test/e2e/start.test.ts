// What a newcomer does: npm start, look, Ctrl-C. Runs the program behind it as npm does.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'

const MAIN = join(import.meta.dirname, '../../sandbox/main.ts')
const START_MS = 300_000

test('npm start shows pings over IPv4 and IPv6 between racks, and Ctrl-C leaves nothing', async () => {
  const before = await footprint()
  const sandbox = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [sandbox.stdout, sandbox.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = once(sandbox, 'exit')
  try {
    const up = (): boolean => {
      assert.equal(sandbox.exitCode, null, said)
      return said.includes('Ctrl-C ends and removes everything')
    }
    await until('npm start has printed its summary', up, { timeoutMs: START_MS, everyMs: 200 })
    assert.match(said, /# ping -c 3 .* 10\.[\d.]+\n[\s\S]*3 packets received, 0% packet loss/)
    assert.match(said, /# ping6 -c 3 .* fd[\da-f:]+\n[\s\S]*3 packets received, 0% packet loss/)
    assert.match(said, /export AWS_ACCESS_KEY_ID=AKIA\w{16}/)
  } finally {
    sandbox.kill('SIGINT')
    await ended
  }
  assert.match(said, /Removed: all processes, namespaces, interfaces and files/)
  assert.deepEqual(await footprint(), before)
})

/** Everything that the sandbox makes on a machine, by name. */
async function footprint(): Promise<Record<string, string[]>> {
  const { stdout: namespaces } = await exec(['ip', 'netns', 'list'])
  const { stdout: links } = await exec(['ip', '-o', 'link'])
  const { stdout: tables } = await exec(['nft', 'list', 'tables'])
  const { stdout: processes } = await exec(['ps', '-eo', 'args='])
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
  return {
    namespaces: lines(namespaces).filter((line) => /^mallee-(gateway|a\d|b\d|internet)/.test(line)),
    links: lines(links).map((line) => line.split(': ')[1] ?? ''),
    tables: lines(tables),
    processes: lines(processes).filter((line) => line.includes('/mallee/sandbox/')),
  }
}
