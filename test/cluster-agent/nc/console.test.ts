// Console logs: their ends, and what is left of a long one.

import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { machineFiles } from '../../../cluster-agent/host/qemu.ts'
import { capLogs, consoleOutput } from '../../../cluster-agent/nc/console.ts'
import { instanceDir, type Paths } from '../../../cluster-agent/paths.ts'
import { codeOf } from '../../../common/errors.ts'

const ID = 'i-00000000000000001'
let base = ''
let paths: Paths
let log = ''

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'mallee-console-'))
  paths = { stateDir: base, runDir: base, configFile: '' }
  mkdirSync(instanceDir(paths, ID), { recursive: true })
  log = machineFiles(instanceDir(paths, ID)).consoleLog
})

afterEach(() => rmSync(base, { recursive: true }))

const output = async (maxBytes: number) =>
  Buffer.from(await consoleOutput(paths, ID, maxBytes)).toString()

test('consoleOutput gives the last bytes, also beyond a cut', async () => {
  appendFileSync(log, 'first line\nsecond line\n')
  assert.equal(await output(12), 'second line\n')
  await capLogs(instanceDir(paths, ID), 10)
  assert.equal(statSync(log).size, 0)
  appendFileSync(log, 'third line\n')
  assert.equal(await output(23), 'second line\nthird line\n')
  assert.equal(await output(5), 'line\n')
})

test('capLogs leaves a short log alone', async () => {
  appendFileSync(log, 'short\n')
  await capLogs(instanceDir(paths, ID))
  assert.equal(await output(100), 'short\n')
})

test('consoleOutput says NotFound for an instance that is not here', async () => {
  await assert.rejects(consoleOutput(paths, 'i-00000000000000002', 10), (error) => {
    assert.equal(codeOf(error), 'NotFound')
    return true
  })
})
