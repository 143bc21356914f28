// A gateway's settings: numbers within their ranges, from the file and from the environment.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readConfig } from '../../gateway/files.ts'

async function fileOf(t: TestContext, settings: object): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-config-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = join(dir, 'gateway.json')
  await writeFile(file, JSON.stringify(settings))
  return file
}

test('readConfig takes numbers from the environment before those of the file', async (t) => {
  const file = await fileOf(t, { auditFiles: 2, apiPort: 1 })
  const env = { MALLEE_AUDIT_FILE_BYTES: '2097152', MALLEE_API_PORT: '2' }
  const { auditFiles, auditFileBytes, apiPort } = await readConfig(file, {}, env)
  assert.deepEqual([auditFiles, auditFileBytes, apiPort], [2, 2_097_152, 2])
})

test('readConfig takes a factor that is no whole number, and 12 when nothing is said', async (t) => {
  const file = await fileOf(t, { apiRateFactor: 0 })
  assert.equal((await readConfig(file, {}, {})).apiRateFactor, 0)
  const env = { MALLEE_API_RATE_FACTOR: '0.5' }
  assert.equal((await readConfig(file, {}, env)).apiRateFactor, 0.5)
  assert.equal((await readConfig(await fileOf(t, {}), {}, {})).apiRateFactor, 12)
})

test('an empty variable of the environment says nothing', async (t) => {
  const file = await fileOf(t, { auditFiles: 2, listenHost: '192.0.2.1' })
  const empty = { MALLEE_AUDIT_FILES: '', MALLEE_API_RATE_FACTOR: '', MALLEE_LISTEN_HOST: '' }
  const read = await readConfig(file, {}, { ...empty, MALLEE_REACHABLE_AT: '' })
  const { auditFiles, apiRateFactor, listenHost, reachableAt } = read
  assert.deepEqual([auditFiles, apiRateFactor, listenHost, reachableAt], [2, 12, '192.0.2.1', null])
})

test('readConfig takes names for the hosts of buckets, and nothing else', async (t) => {
  const s3Domains = 's3.example, s3.example.org'
  assert.equal((await readConfig(await fileOf(t, { s3Domains }), {}, {})).s3Domains, s3Domains)
  for (const bad of ['https://s3.example', 'a b', 'a,,b', 7]) {
    const file = await fileOf(t, { s3Domains: bad })
    await assert.rejects(readConfig(file, {}, {}), { code: 'BadConfig', message: /s3Domains/ })
    const env = { MALLEE_S3_WEBSITE_DOMAINS: String(bad) }
    const refused = { code: 'BadConfig', message: /s3WebsiteDomains/ }
    if (bad !== 7) await assert.rejects(readConfig(await fileOf(t, {}), {}, env), refused)
  }
})

test('readConfig takes directories of objects from the file, or from a variable with colons', async (t) => {
  const file = await fileOf(t, { objectDirs: ['/a', '/b'] })
  assert.deepEqual((await readConfig(file, {}, {})).objectDirs, ['/a', '/b'])
  const env = { MALLEE_OBJECT_DIRS: '/c:/d/e' }
  assert.deepEqual((await readConfig(file, {}, env)).objectDirs, ['/c', '/d/e'])
  assert.deepEqual((await readConfig(await fileOf(t, {}), {}, {})).objectDirs, [])
  await assert.rejects(readConfig(file, {}, { MALLEE_OBJECT_DIRS: 'a:/b' }), { code: 'BadConfig' })
})

for (const text of [' ', 'two', '0x10', '1e3', '1,5', '.5', '8773 ', 'Infinity']) {
  test(`readConfig refuses the port and the factor ${JSON.stringify(text)}`, async (t) => {
    const file = await fileOf(t, {})
    for (const name of ['API_PORT', 'API_RATE_FACTOR', 'AUDIT_FILES']) {
      const message = new RegExp(` is ${JSON.stringify(text)}, not a `)
      const read = readConfig(file, {}, { [`MALLEE_${name}`]: text })
      await assert.rejects(read, { code: 'BadConfig', message })
    }
  })
}

for (const [settings, message] of [
  [{ reachableAt: '' }, /reachableAt .* is "", not a name or an address/],
  [{ reachableAt: 5 }, /reachableAt .* is 5,/],
  [{ objectEncryption: true }, /objectEncryption .* is true, neither on nor off/],
  [{ s3SignatureV2: true }, /s3SignatureV2 .* is true, neither on nor off/],
  [{ customerKeysOverHttp: 'yes' }, /customerKeysOverHttp .* is "yes", neither on nor off/],
  [{ objectDirs: '/a' }, /objectDirs .* is "\/a", not different absolute paths/],
  [{ objectDirs: ['/a', '/a'] }, /objectDirs .* is \["\/a","\/a"\],/],
  [{ auditFiles: -1 }, /auditFiles .* is -1, not a number from 0 to 10000/],
  [{ auditFiles: 1.5 }, /auditFiles .* is 1.5,/],
  [{ auditFiles: '3' }, /auditFiles .* is "3",/],
  [{ auditFileBytes: 1000 }, /auditFileBytes .* is 1000, not a number from 1048576 to/],
  [{ lifecycleDayMs: 99 }, /lifecycleDayMs .* is 99, not a number from 100 to 86400000/],
  [{ bucketMetrics: 10_001 }, /bucketMetrics .* is 10001, not a number from 0 to 10000/],
  [{ volumeModificationSeconds: -1 }, /volumeModificationSeconds .* from 0 to 604800/],
  [{ volumeOvercommit: 0.5 }, /volumeOvercommit .* is 0.5, not a number from 1 to 1000/],
  [{ accessLogSeconds: 0 }, /accessLogSeconds .* is 0, not a number from 1 to 3600/],
  [{ auditFileBytes: null }, /auditFileBytes .* is null,/],
  [{ apiRateFactor: -0.5 }, /apiRateFactor .* is -0.5, not a number from 0 to 10000/],
  [{ apiRateFactor: 10_001 }, /apiRateFactor .* is 10001,/],
  [{ apiRateFactor: '5' }, /apiRateFactor .* is "5",/],
  [{ apiRateFactor: null }, /apiRateFactor .* is null,/],
  [{ apiPort: 65_536 }, /apiPort .* is 65536, not a port/],
  [{ auditPath: '/x' }, /auditPath .* is not a setting/],
] as const) {
  test(`readConfig refuses ${JSON.stringify(settings)}`, async (t) => {
    const file = await fileOf(t, settings)
    await assert.rejects(readConfig(file, {}, {}), { code: 'BadConfig', message })
  })
}
