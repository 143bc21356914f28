// The key of identity documents: one for a cloud, and openssl believes what it signs.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { openIdentitySigner } from '../../gateway/identity-signer.ts'
import { openSealer } from '../../gateway/secrets.ts'
import { openCloud } from './ec2/support.ts'

const DOCUMENT = '{\n  "instanceId": "i-1"\n}'

test('openssl verifies signature and CMS of a document with the certificate of the cloud', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-identity-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const { state } = await openCloud(t)
  const sealer = await openSealer(join(dir, 'master.key'), { create: true })
  const parts = { state, sealer, clock: systemClock, cloud: 'office' }
  const [sign, other] = await Promise.all([openIdentitySigner(parts), openIdentitySigner(parts)])
  const { signature, signedData } = sign(DOCUMENT)
  assert.deepEqual(other(DOCUMENT), { signature, signedData }, 'both have the same key')

  const file = (name: string): string => join(dir, name)
  await writeFile(file('document'), DOCUMENT)
  await writeFile(file('signature'), Buffer.from(signature, 'base64'))
  const pem = `-----BEGIN PKCS7-----\n${signedData}\n-----END PKCS7-----\n`
  await writeFile(file('pkcs7'), pem)
  const record = state.view().get('identity-signer', 'self')
  await writeFile(file('certificate'), record?.certificatePem ?? '')

  const certificate = file('certificate')
  const { stdout: key } = await exec(['openssl', 'x509', '-in', certificate, '-pubkey', '-noout'])
  await writeFile(file('key'), key)
  const verify = ['openssl', 'dgst', '-sha256', '-verify', file('key'), '-signature']
  await exec([...verify, file('signature'), file('document')])
  for (const program of ['cms', 'smime']) {
    const { stdout } = await exec(
      ['openssl', program, '-verify', '-inform', 'PEM', '-in', file('pkcs7')].concat([
        ...['-CAfile', certificate, '-purpose', 'any', '-binary'],
      ]),
    )
    assert.equal(stdout, DOCUMENT, program)
  }
})
