// A benchmark that is stopped leaves nothing behind and says nothing on standard output.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exec } from '../../common/exec.ts'
import { worldDir } from '../../sandbox/claim.ts'
import { until } from '../../sandbox/until.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))
const WORLD = 'bench-overlay'
const END_MS = 120_000

test('Ctrl-C ends a benchmark by that signal, with its world removed and no line printed', async (t) => {
  const bench = spawn(process.execPath, [MAIN, 'overlay', 'store'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => bench.kill('SIGKILL'))
  const [printed, ended] = [text(bench.stdout), once(bench, 'exit')]
  await saidHosts(bench)
  bench.kill('SIGINT')
  // npm passes a terminal's Ctrl-C on a second time.
  bench.kill('SIGINT')
  const timeout = AbortSignal.timeout(END_MS)
  const late = once(timeout, 'abort').then(() => assert.fail('it does not end'))
  assert.deepEqual(await Promise.race([ended, late]), [null, 'SIGINT'])
  assert.equal(await printed, '')
  assert.ok(!existsSync(worldDir(WORLD)), 'its folder is there')
  const { stdout } = await exec(['ip', 'netns', 'list'])
  assert.doesNotMatch(stdout, new RegExp(WORLD))
})

/** Waits until the benchmark says that its hosts are up. */
async function saidHosts(bench: ChildProcess): Promise<void> {
  let said = ''
  bench.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const up = (): boolean => {
    assert.equal(bench.exitCode, null, said)
    return said.includes('hosts are up')
  }
  await until('the hosts of the benchmark are up', up, { timeoutMs: 60_000 })
}
