// The sealer: what is sealed opens for its context only, and the key file is guarded.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { codeOf, messageOf } from '../../common/errors.ts'
import { openSealer } from '../../gateway/secrets.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mallee-sealer-'))
  file = join(folder, 'master.key')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('open gives back what seal took, also after the key was read again', async () => {
  const first = await openSealer(file, { create: true })
  for (const plain of ['', 'secret', 'é\u{1f600}', 'x'.repeat(10_000)]) {
    const sealed = first.seal(plain, 'access-key/A')
    assert.match(sealed, /^sealed1\.[A-Za-z0-9_-]+$/)
    assert.equal((await openSealer(file)).open(sealed, 'access-key/A'), plain)
  }
})

test('seal of the same secret is different every time', async () => {
  const sealer = await openSealer(file, { create: true })
  const texts = new Set(Array.from({ length: 100 }, () => sealer.seal('secret', 'c')))
  assert.equal(texts.size, 100)
})

test('open refuses another context and another key', async () => {
  const sealer = await openSealer(file, { create: true })
  const sealed = sealer.seal('secret', 'access-key/A')
  const other = await openSealer(join(folder, 'other.key'), { create: true })
  for (const attempt of [
    () => sealer.open(sealed, 'access-key/B'),
    () => sealer.open(sealed, ''),
    () => other.open(sealed, 'access-key/A'),
  ]) {
    assert.throws(attempt, (error) => {
      assert.equal(codeOf(error), 'BadMessage')
      assert.doesNotMatch(messageOf(error), /secret'|sealed1\./)
      return true
    })
  }
})

test('open refuses a sealed text with any bit changed or any end cut off', async () => {
  const sealer = await openSealer(file, { create: true })
  const sealed = sealer.seal('secret', 'c')
  const bytes = Buffer.from(sealed.slice('sealed1.'.length), 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const text = `sealed1.${changed.toString('base64url')}`
    assert.throws(() => sealer.open(text, 'c'), isBadMessage, `bit ${bit}`)
  }
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(() => sealer.open(sealed.slice(0, length), 'c'), isBadMessage)
  }
  for (const text of [`${sealed}.`, `${sealed}=`, sealed.replace('sealed1', 'sealed2')]) {
    assert.throws(() => sealer.open(text, 'c'), isBadMessage, text)
  }
})

test('openSealer creates 32 bytes for the owner only, and never over a key', async () => {
  await openSealer(file, { create: true })
  const key = await readFile(file)
  assert.equal(key.length, 32)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await openSealer(file, { create: true })
  assert.deepEqual(await readFile(file), key)
  assert.deepEqual(await readdir(folder), ['master.key'])
})

test('openSealer of many at once agrees on one key', async () => {
  const sealers = await Promise.all(
    Array.from({ length: 8 }, () => openSealer(file, { create: true })),
  )
  const sealed = sealers.map((sealer) => sealer.seal('secret', 'c'))
  for (const sealer of sealers) {
    for (const text of sealed) assert.equal(sealer.open(text, 'c'), 'secret')
  }
})

for (const mode of [0o640, 0o604, 0o660, 0o601]) {
  test(`openSealer refuses a key file of mode ${mode.toString(8)}`, async () => {
    await openSealer(file, { create: true })
    await chmod(file, mode)
    await assert.rejects(openSealer(file, { create: true }), /others can read .*: chmod 600 it/)
  })
}

test('openSealer refuses a missing key, a folder without room for it, and a wrong size', async () => {
  await assert.rejects(openSealer(file), (error) => codeOf(error) === 'BadConfig')
  const nowhere = join(folder, 'none/master.key')
  await assert.rejects(openSealer(nowhere, { create: true }), /cannot be made/)
  await writeFile(file, 'short', { mode: 0o600 })
  await assert.rejects(openSealer(file, { create: true }), /has 5 bytes, a master key has 32/)
})

function isBadMessage(error: unknown): boolean {
  return codeOf(error) === 'BadMessage'
}

test('derive gives one key per purpose and master key, and ids that tell them apart', async () => {
  const sealer = await openSealer(file, { create: true })
  const again = await openSealer(file)
  const other = await openSealer(join(folder, 'other.key'), { create: true })
  const [one, same] = [sealer.derive('a'), again.derive('a')]
  assert.ok(one.key.equals(same.key))
  assert.equal(one.id, same.id)
  assert.match(one.id, /^[0-9a-f]{8}$/)
  for (const different of [sealer.derive('b'), other.derive('a')]) {
    assert.ok(!different.key.equals(one.key))
    assert.notEqual(different.id, one.id)
  }
})
