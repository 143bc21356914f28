// Encrypted volumes as cryptsetup makes them and QEMU reads and writes them.

import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatLuks } from '../../cluster-agent/host/luks.ts'
import { exec } from '../../common/exec.ts'
import { openLuks } from '../../common/luks.ts'
import { LUKS_HEADER_BYTES } from '../../common/volume-sizes.ts'
import { decryptSectors, encryptSectors, SECTOR_BYTES } from '../../common/xts.ts'

const MIB = 1 << 20

test('sectors are those of AES-256-XTS, whatever their number', () => {
  const key = randomBytes(64)
  const bytes = randomBytes(8 * SECTOR_BYTES)
  for (const first of [0, 1, 2 ** 32 - 4, 2 ** 40 + 5]) {
    const crypted = encryptSectors(key, first, bytes)
    for (let n = 0; n < 8; n++) {
      const iv = Buffer.alloc(16)
      iv.writeBigUInt64LE(BigInt(first + n))
      const part = (of: Buffer) => of.subarray(n * SECTOR_BYTES, (n + 1) * SECTOR_BYTES)
      const want = createCipheriv('aes-256-xts', key, iv).update(part(bytes))
      assert.ok(part(crypted).equals(want), `sector ${first + n}`)
    }
    assert.ok(decryptSectors(key, first, crypted).equals(bytes))
  }
  assert.throws(() => encryptSectors(key, 0, bytes.subarray(1)), RangeError)
  assert.throws(() => decryptSectors(key.subarray(1), 0, bytes), RangeError)
})

test('openLuks has the key by which QEMU reads and writes', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-luks-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const [file, secret] = [join(dir, 'volume'), randomBytes(32).toString('hex')]
  await writeFile(file, '')
  await truncate(file, LUKS_HEADER_BYTES + MIB)
  await formatLuks(exec, file, secret)
  const header = (await readFile(file)).subarray(0, 512 << 10)
  const key = openLuks(header, secret)
  const wrong = { code: 'DataCorrupt', message: /not opened by its key/ }
  assert.throws(() => openLuks(header, 'ab'.repeat(32)), wrong)
  const broken = Buffer.from(header)
  broken[8192] = (broken[8192] ?? 0) ^ 1
  assert.throws(() => openLuks(broken, secret), wrong)
  const no = { code: 'DataCorrupt', message: /no LUKS header/ }
  assert.throws(() => openLuks(Buffer.alloc(4096), secret), no)
  assert.throws(() => openLuks(header.subarray(0, 64), secret), no)
  assert.throws(() => openLuks(header.subarray(0, 4096), secret), /no key in its first slot/)
  const other = Buffer.from(header)
  other.write('cbc-essiv:sha256', 40)
  assert.throws(() => openLuks(other, secret), /another kind: aes-cbc-essiv:sha256/)

  const at = MIB / 2
  const bytes = await readFile(file)
  const first = at / SECTOR_BYTES
  const mine = Buffer.alloc(2 * SECTOR_BYTES, 7)
  encryptSectors(key, first, mine).copy(bytes, LUKS_HEADER_BYTES + at)
  await writeFile(file, bytes)
  const image = `driver=luks,key-secret=k,file.filename=${file}`
  const object = ['--object', `secret,id=k,data=${secret}`]
  const commands = ['-c', `read -P 7 ${at} 1k`, '-c', `write -P 9 ${at + 1024} 1k`]
  const { stdout } = await exec(['qemu-io', ...object, ...commands, '--image-opts', image])
  assert.doesNotMatch(stdout, /Pattern verification failed/)
  const theirs = (await readFile(file)).subarray(LUKS_HEADER_BYTES + at + 1024)
  const plain = decryptSectors(key, first + 2, theirs.subarray(0, 1024))
  assert.ok(plain.equals(Buffer.alloc(1024, 9)))
})
