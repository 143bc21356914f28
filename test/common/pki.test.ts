// Certificates of a cloud: what OpenSSL says of them, and what is refused.

import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { exec } from '../../common/exec.ts'
import type { Identity } from '../../common/identity.ts'
import {
  caDigest,
  certificateRequest,
  createCa,
  identityOfCertificate,
  isForServers,
  keyFingerprint,
  newKey,
  notAfterMs,
  signRequest,
} from '../../common/pki.ts'

const NOW_MS = Date.UTC(2026, 10, 23)
const DAY_MS = 86_400_000
const HOST: Identity = {
  kind: 'host',
  cloud: 'c1',
  rack: 'a',
  host: 'a-1',
  roles: ['cc', 'nc'],
}

const ca = await createCa({ cloud: 'c1', nowMs: NOW_MS })
const { keyPem } = await newKey()
const request = await certificateRequest(keyPem)
const options = { identity: HOST, nowMs: NOW_MS, days: 90, server: true }

describe('pki', () => {
  for (const [purpose, server, accepted] of [
    ['sslclient', true, true],
    ['sslserver', true, true],
    ['sslclient', false, true],
    ['sslserver', false, false],
  ] as const) {
    const verdict = accepted ? 'accepts' : 'refuses'
    const kind = server ? 'server' : 'client'
    test(`openssl verify -x509_strict ${verdict} a ${kind} certificate as ${purpose}`, async (t) => {
      const dir = mkdtempSync(join(tmpdir(), 'mallee-pki-'))
      t.after(() => rmSync(dir, { recursive: true }))
      const { certificatePem } = await signRequest(ca, request, { ...options, server })
      assert.equal(isForServers(certificatePem), server)
      writeFileSync(join(dir, 'ca.pem'), ca.certificatePem)
      writeFileSync(join(dir, 'host.pem'), certificatePem)
      const at = String(NOW_MS / 1000)
      const { code, stderr, stdout } = await exec(
        ['openssl', 'verify', '-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile'].concat(
          join(dir, 'ca.pem'),
          join(dir, 'host.pem'),
        ),
        { okCodes: [0, 2] },
      )
      assert.equal(code === 0, accepted, stdout + stderr)
    })
  }

  test('createCa makes a CA for ten years whose certificates sign nothing further', () => {
    const text = new X509Certificate(ca.certificatePem)
    assert.ok(text.ca)
    assert.equal(notAfterMs(ca.certificatePem), NOW_MS + 3650 * DAY_MS)
  })

  test('signRequest certifies the given identity and the key of the request', async () => {
    const { certificatePem, serial } = await signRequest(ca, request, options)
    assert.deepEqual(identityOfCertificate(certificatePem), HOST)
    assert.deepEqual(identityOfCertificate(new X509Certificate(certificatePem).raw), HOST)
    assert.equal(keyFingerprint(certificatePem), keyFingerprint(request))
    assert.equal(new X509Certificate(certificatePem).serialNumber, serial.toUpperCase())
    assert.equal(notAfterMs(certificatePem), NOW_MS + 90 * DAY_MS)
  })

  test('signRequest gives no certificate that outlives the CA', async () => {
    const { certificatePem } = await signRequest(ca, request, { ...options, days: 9_999 })
    assert.equal(notAfterMs(certificatePem), notAfterMs(ca.certificatePem))
  })

  test('signRequest refuses a request whose signature is not by its key', async () => {
    const forged = Uint8Array.from(request)
    // The last bytes are the signature's second number.
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    await assert.rejects(signRequest(ca, forged, options), { code: 'BadMessage' })
  })

  test('signRequest refuses a key that is not on P-256', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey
    const pem = other.export({ type: 'pkcs8', format: 'pem' }).toString()
    const dir = mkdtempSync(join(tmpdir(), 'mallee-pki-'))
    writeFileSync(join(dir, 'key.pem'), pem)
    await exec(
      ['openssl', 'req', '-new', '-key', join(dir, 'key.pem'), '-subj', '/CN=x'].concat([
        '-outform',
        'DER',
        '-out',
        join(dir, 'req.der'),
      ]),
    )
    const bytes = readFileSync(join(dir, 'req.der'))
    rmSync(dir, { recursive: true })
    await assert.rejects(signRequest(ca, bytes, options), /not for a P-256 key/)
  })

  for (const bytes of [new Uint8Array(0), new Uint8Array(100).fill(48), new Uint8Array(5000)]) {
    test(`signRequest refuses ${bytes.length} bytes of rubbish`, async () => {
      await assert.rejects(signRequest(ca, bytes, options), { code: 'BadMessage' })
    })
  }

  test('identityOfCertificate refuses a certificate without a URI', () => {
    assert.throws(() => identityOfCertificate(ca.certificatePem), { code: 'BadMessage' })
    assert.throws(() => identityOfCertificate('rubbish'), { code: 'BadMessage' })
  })

  test('caDigest is what openssl calls the fingerprint', async () => {
    const { stdout } = await exec(['openssl', 'x509', '-noout', '-fingerprint', '-sha256'], {
      input: ca.certificatePem,
    })
    const hex = stdout.split('=')[1]?.trim().replaceAll(':', '').toLowerCase()
    assert.equal(caDigest(ca.certificatePem), hex)
  })
})
