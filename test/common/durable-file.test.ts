// Files that are there whole or not at all, also when the power goes.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'

describe('durable files', () => {
  let dir = ''
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'mallee-durable-'))
  })
  after(() => rmSync(dir, { recursive: true }))

  test('writeDurably replaces the content, keeps the mode and leaves no draft', async () => {
    const file = join(dir, 'key')
    await writeDurably(file, 'one')
    await writeDurably(file, 'two')
    assert.equal(readFileSync(file, 'utf8'), 'two')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(dir), ['key'])
  })

  test('writeDurably leaves the old content when the new one cannot be put there', async () => {
    const file = join(dir, 'key')
    await writeDurably(file, 'old')
    await assert.rejects(writeDurably(join(dir, 'key', 'below'), 'new'))
    assert.equal(readFileSync(file, 'utf8'), 'old')
    assert.deepEqual(readdirSync(dir), ['key'])
  })

  test('readIfThere says null for no file and throws for a folder', async () => {
    assert.equal(await readIfThere(join(dir, 'none')), null)
    await assert.rejects(readIfThere(dir), { code: 'EISDIR' })
  })
})
