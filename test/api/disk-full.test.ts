// A gateway whose disk gets full: requests fail with an error of AWS's, nothing is half written,
// and with room again it goes on without a restart.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exec } from '../../common/exec.ts'

const PROGRAM = fileURLToPath(import.meta.resolve('../support/gateway-disk-full.ts'))
const skip = process.getuid?.() === 0 ? false : 'needs root to mount a small file system'

test('RunInstances on a full disk fails whole, and works again with room', { skip }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-full-'))
  try {
    const argv = ['unshare', '--mount', process.execPath, PROGRAM]
    const { stdout } = await exec(argv, { env: { TMPDIR: dir }, timeoutMs: 60_000 })
    const { acknowledged, ...report } = JSON.parse(stdout)
    assert.ok(acknowledged > 5 && acknowledged < 500, `${acknowledged} before the disk was full`)
    assert.deepEqual(report, {
      ...{ code: 'Unavailable', status: 503 },
      ...{
        shownWhenFull: true,
        console: 'simulated',
        importCode: 'StoreFull',
        files: ['', '.chunks'],
      },
      ...{ storedAll: true, interfaces: 0, addresses: 0 },
    })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
