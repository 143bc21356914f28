// Key pairs: what ssh-keygen reads and says of them, and whose they are.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, createPrivateKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { parsePublicKey } from '../../../gateway/ec2/key-material.ts'
import { keyPairFor } from '../../../gateway/ec2/key-pairs.ts'
import { ppkFile } from '../../../gateway/ec2/ppk.ts'
import { pack } from '../../../gateway/ec2/ssh-wire.ts'
import { ACCOUNT, OTHER_ACCOUNT, openCloud, refusal, START_MS } from './support.ts'

const SSH_KEYGEN = '/usr/bin/ssh-keygen'
const skip = existsSync(SSH_KEYGEN) ? false : `there is no ${SSH_KEYGEN} (package openssh-client)`
const run = promisify(execFile)

const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIOjbe2myXiRoxL19F50Vs51KEJIMBZo/D4DY9zWags8c'
const ED25519_PRINT = 'pP6cAzt6LzyxoR21BrHgaWZaD0iVcGmwvQnaLEk59F4'
const RSA =
  'AAAAB3NzaC1yc2EAAAADAQABAAAAgQDS8I38tWaQySp+pjVmTXVGaChxVW5dqOUguMwjUna6XB2YKEr5KUU8EH/n0Aj3' +
  'HDo/VS45gMm4G7opQRoViQPo3dC9LRq05BtgSkJJgO3obvUqG4/0knPTkJFESrj1g9+urTCvhgeYBubrAtdpkzz7fL3O' +
  '4bB4TTyCjohrt4ZLoQ=='
/** What `openssl md5 -c` says of its DER. */
const RSA_PRINT = 'ad:d4:c3:90:4f:08:6a:4e:65:c0:59:44:30:00:75:b8'
const SPKI =
  'MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDS8I38tWaQySp+pjVmTXVGaChxVW5dqOUguMwjUna6XB2YKEr5KUU8' +
  'EH/n0Aj3HDo/VS45gMm4G7opQRoViQPo3dC9LRq05BtgSkJJgO3obvUqG4/0knPTkJFESrj1g9+urTCvhgeYBubrAtdp' +
  'kzz7fL3O4bB4TTyCjohrt4ZLoQIDAQAB'
const PKCS1 =
  'MIGJAoGBANLwjfy1ZpDJKn6mNWZNdUZoKHFVbl2o5SC4zCNSdrpcHZgoSvkpRTwQf+fQCPccOj9VLjmAybgbuilBGhWJ' +
  'A+jd0L0tGrTkG2BKQkmA7ehu9Sobj/SSc9OQkURKuPWD366tMK+GB5gG5usC12mTPPt8vc7hsHhNPIKOiGu3hkuhAgMB' +
  'AAE='
const ECDSA =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLA7SjglXd0LFBSxpg/Z85as5xaxUTSZln9jks1c' +
  'UaQ0xtL1QYN9+vxZ892HbZxzF6ZpTg74Bz3hlra0BHteXyQ='

const PPK: readonly string[] = [
  'PuTTY-User-Key-File-2: ssh-ed25519',
  'Encryption: none',
  'Comment: a b',
  'Public-Lines: 2',
  'AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkU',
  'RtIs',
  'Private-Lines: 1',
  'AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH',
  'Private-MAC: 82d807e3a74c97c4dd7f10026a8f0c55470c0c5f',
  '',
]

const pem = (name: string, base64: string): string =>
  `-----BEGIN ${name}-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END ${name}-----\n`
const rfc4716 = (...lines: readonly string[]): string =>
  ['---- BEGIN SSH2 PUBLIC KEY ----', ...lines, '---- END SSH2 PUBLIC KEY ----'].join('\n')

for (const [what, material, fingerprint, comment] of [
  ['an OpenSSH line', `ssh-ed25519 ${ED25519} joe@laptop\n`, ED25519_PRINT, 'joe@laptop'],
  ['a line without a comment', `ssh-rsa ${RSA}`, RSA_PRINT, ''],
  ['a comment with control characters', `ssh-rsa ${RSA} a\u001bb`, RSA_PRINT, 'ab'],
  ['RFC 4716', rfc4716('Comment: "a\\', 'b"', 'X-y: z', ED25519), ED25519_PRINT, 'ab'],
  ['PEM', pem('PUBLIC KEY', SPKI), RSA_PRINT, ''],
  ['PEM of PKCS#1', pem('RSA PUBLIC KEY', PKCS1), RSA_PRINT, ''],
  ['DER', Buffer.from(SPKI, 'base64'), RSA_PRINT, ''],
  ['DER as base64', SPKI, RSA_PRINT, ''],
  ['PKCS#1 as base64', PKCS1, RSA_PRINT, ''],
] as const) {
  test(`parsePublicKey reads ${what}`, () => {
    const parsed = parsePublicKey(Buffer.from(material as string))
    assert.ok(parsed.ok, parsed.ok ? '' : parsed.why)
    assert.equal(parsed.value.fingerprint, fingerprint)
    assert.equal(parsed.value.comment, comment)
    const line = fingerprint === RSA_PRINT ? `ssh-rsa ${RSA}` : `ssh-ed25519 ${ED25519}`
    assert.equal(parsed.value.line, line)
  })
}

const exponent4 = `ssh-rsa ${RSA.replace('AAAADAQAB', 'AAAAAQQAA')}`
for (const [what, material, why] of [
  ['nothing', '', /not in valid OpenSSH/],
  ['a key of another type', `ecdsa-sha2-nistp256 ${ECDSA}`, /not in valid OpenSSH/],
  ['a type that is not the key’s own', `ssh-rsa ${ECDSA}`, /not in valid OpenSSH/],
  ['two lines', `ssh-rsa ${RSA}\nssh-rsa ${RSA}`, /not in valid OpenSSH/],
  ['a cut key', `ssh-rsa ${RSA.slice(0, 80)}`, /not in valid OpenSSH/],
  ['what follows the DER', Buffer.from(`${SPKI}AAAA`, 'base64'), /not in valid OpenSSH/],
  ['options before the key', `command="x" ssh-rsa ${RSA}`, /not in valid OpenSSH/],
  ['an even exponent', exponent4, /not in valid OpenSSH|exponent/],
  ['more than a key can be', 'a'.repeat(9_000), /at most 8192 bytes, this has 9000/],
] as const) {
  test(`parsePublicKey refuses ${what}`, () => {
    const parsed = parsePublicKey(Buffer.from(material as string))
    assert.match(parsed.ok ? 'accepted' : parsed.why, why)
  })
}

test('CreateKeyPair gives an RSA key whose SHA-1 is the fingerprint, and keeps no private key', async (t) => {
  const cloud = await openCloud(t)
  const made = await cloud.call('CreateKeyPair', { KeyName: 'a/b' })
  assert.match(made.KeyMaterial ?? '', /^-----BEGIN RSA PRIVATE KEY-----\n/)
  const key = createPrivateKey(made.KeyMaterial ?? '')
  assert.equal(key.asymmetricKeyDetails?.modulusLength, 2048)
  const der = key.export({ format: 'der', type: 'pkcs8' })
  const hex = createHash('sha1').update(der).digest('hex')
  assert.equal(made.KeyFingerprint, hex.match(/../g)?.join(':'))
  const kept = JSON.stringify(cloud.state.view().get('key-pair', made.KeyPairId ?? ''))
  assert.ok(!kept.includes('PRIVATE'))
  const { KeyPairs } = await cloud.call('DescribeKeyPairs', { IncludePublicKey: true })
  assert.equal(KeyPairs?.[0]?.KeyType, 'rsa')
  assert.deepEqual(KeyPairs?.[0]?.CreateTime, new Date(START_MS))
  assert.match(KeyPairs?.[0]?.PublicKey ?? '', /^ssh-rsa AAAA\S+ a\/b$/)
})

for (const KeyType of ['rsa', 'ed25519'] as const) {
  test(`ssh-keygen reads the ${KeyType} key that CreateKeyPair gives`, { skip }, async (t) => {
    const cloud = await openCloud(t)
    const made = await cloud.call('CreateKeyPair', { KeyName: 'mine', KeyType })
    const file = await fileOf(t, made.KeyMaterial ?? '')
    const { stdout } = await run(SSH_KEYGEN, ['-y', '-f', file])
    const { KeyPairs } = await cloud.call('DescribeKeyPairs', { IncludePublicKey: true })
    const words = (text: string): string[] => text.trim().split(' ').slice(0, 2)
    assert.deepEqual(words(stdout), words(KeyPairs?.[0]?.PublicKey ?? ''))
    if (KeyType === 'rsa') return
    const print = await run(SSH_KEYGEN, ['-l', '-f', file])
    assert.equal(print.stdout.split(' ')[1], `SHA256:${made.KeyFingerprint}`)
  })
}

test('ppkFile writes what puttygen reads', () => {
  // puttygen 0.78 -L says of this file what `ssh-keygen -y` says of the same key.
  const seed = Buffer.alloc(32, 7)
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const { x = '' } = key.export({ format: 'jwk' })
  const file = ppkFile({
    algorithm: 'ssh-ed25519',
    comment: 'a b',
    publicBlob: pack(Buffer.from('ssh-ed25519'), Buffer.from(x, 'base64url')),
    privateBlob: pack(seed),
  })
  assert.deepEqual(file.split('\n'), PPK)
})

test('CreateKeyPair gives PuTTY files of both types', async (t) => {
  const cloud = await openCloud(t)
  for (const KeyType of ['rsa', 'ed25519'] as const) {
    const input = { KeyName: KeyType, KeyType, KeyFormat: 'ppk' } as const
    const { KeyMaterial = '' } = await cloud.call('CreateKeyPair', input)
    assert.ok(KeyMaterial.startsWith(`PuTTY-User-Key-File-2: ssh-${KeyType}\nEncryption: none\n`))
    const { KeyPairs } = await cloud.call('DescribeKeyPairs', {
      KeyNames: [KeyType],
      IncludePublicKey: true,
    })
    const [, blob] = KeyPairs?.[0]?.PublicKey?.split(' ') ?? []
    assert.ok(KeyMaterial.replaceAll('\n', '').includes(`${blob}Private-Lines: `))
  }
})

test('a name is held by one key pair of an account, whichever gateway is asked', async (t) => {
  const cloud = await openCloud(t)
  const other = await cloud.otherGateway()
  const input = { KeyName: 'k', PublicKeyMaterial: Buffer.from(`ssh-ed25519 ${ED25519} joe`) }
  const codes = await Promise.all(
    [cloud.call, other, cloud.call, other].map((call) => refusal(call('ImportKeyPair', input))),
  )
  const duplicate = 'InvalidKeyPair.Duplicate'
  assert.deepEqual(codes.sort(), [duplicate, duplicate, duplicate, 'accepted'])
  await cloud.call('ImportKeyPair', input, { account: OTHER_ACCOUNT })
  const pair = await cloud.state.update((tx) => keyPairFor(tx, ACCOUNT, 'k'))
  assert.equal(pair.publicKey, `ssh-ed25519 ${ED25519} joe`)
  await cloud.call('DeleteKeyPair', { KeyName: 'k' })
  const gone = cloud.state.update((tx) => keyPairFor(tx, ACCOUNT, 'k'))
  assert.equal(await refusal(gone), 'InvalidKeyPair.NotFound')
  assert.equal((await cloud.state.fresh()).all('key-pair').length, 1)
  assert.equal(await refusal(cloud.call('ImportKeyPair', input)), 'accepted')
})

test('DescribeKeyPairs shows what is named and the caller’s own, with tags', async (t) => {
  const cloud = await openCloud(t)
  const material = Buffer.from(`ssh-ed25519 ${ED25519}`)
  const TagSpecifications = [
    { ResourceType: 'key-pair' as const, Tags: [{ Key: 'use', Value: 'web' }] },
  ]
  const input = { KeyName: 'web', PublicKeyMaterial: material, TagSpecifications }
  const { KeyPairId = '', Tags } = await cloud.call('ImportKeyPair', input)
  assert.deepEqual(Tags, [{ Key: 'use', Value: 'web' }])
  await cloud.call('ImportKeyPair', { KeyName: 'db', PublicKeyMaterial: material })
  const namesOf = async (asked: object, account = ACCOUNT): Promise<(string | undefined)[]> =>
    ((await cloud.call('DescribeKeyPairs', asked, { account })).KeyPairs ?? []).map(
      (pair) => pair.KeyName,
    )
  assert.deepEqual((await namesOf({})).sort(), ['db', 'web'])
  assert.deepEqual(await namesOf({}, OTHER_ACCOUNT), [])
  assert.deepEqual(await namesOf({ KeyNames: ['web'] }), ['web'])
  assert.deepEqual(await namesOf({ KeyPairIds: [KeyPairId] }), ['web'])
  assert.deepEqual(await namesOf({ Filters: [{ Name: 'tag:use', Values: ['w*'] }] }), ['web'])
  assert.deepEqual(await namesOf({ Filters: [{ Name: 'key-name', Values: ['d?'] }] }), ['db'])
  for (const asked of [{ KeyNames: ['no'] }, { KeyPairIds: ['key-0123456789abcdef0'] }]) {
    assert.equal(await refusal(namesOf(asked)), 'InvalidKeyPair.NotFound')
  }
  const foreign = namesOf({ KeyPairIds: [KeyPairId] }, OTHER_ACCOUNT)
  assert.equal(await refusal(foreign), 'InvalidKeyPair.NotFound')
  await cloud.call('DeleteKeyPair', { KeyPairId }, { account: OTHER_ACCOUNT })
  await cloud.call('DeleteKeyPair', { KeyName: 'nobody' })
  assert.equal((await namesOf({})).length, 2)
  await cloud.call('DeleteKeyPair', { KeyPairId })
  assert.deepEqual(await namesOf({}), ['db'])
  assert.deepEqual((await cloud.call('DescribeTags', {})).Tags, [])
})

test('key pair actions refuse bad input and do nothing in a dry run', async (t) => {
  const cloud = await openCloud(t)
  const material = Buffer.from(`ssh-ed25519 ${ED25519}`)
  for (const [action, input, code] of [
    ['CreateKeyPair', {}, 'MissingParameter'],
    ['CreateKeyPair', { KeyName: ' a' }, 'InvalidParameterValue'],
    ['CreateKeyPair', { KeyName: 'a\nb' }, 'InvalidParameterValue'],
    ['CreateKeyPair', { KeyName: 'a'.repeat(256) }, 'InvalidParameterValue'],
    ['CreateKeyPair', { KeyName: 'a', KeyType: 'dsa' }, 'InvalidParameterValue'],
    ['CreateKeyPair', { KeyName: 'a', KeyFormat: 'der' }, 'InvalidParameterValue'],
    ['CreateKeyPair', { KeyName: 'a', DryRun: true, KeyType: 'ed25519' }, 'DryRunOperation'],
    ['ImportKeyPair', { KeyName: 'a' }, 'MissingParameter'],
    ['ImportKeyPair', { KeyName: 'a', PublicKeyMaterial: Buffer.from('x') }, 'InvalidKey.Format'],
    [
      'ImportKeyPair',
      { KeyName: 'a', PublicKeyMaterial: material, DryRun: true },
      'DryRunOperation',
    ],
    ['DeleteKeyPair', {}, 'MissingParameter'],
    ['DeleteKeyPair', { KeyName: 'a', DryRun: true }, 'DryRunOperation'],
  ] as const) {
    assert.equal(await refusal(cloud.call(action, input as never)), code, JSON.stringify(input))
  }
  assert.deepEqual((await cloud.state.fresh()).all('key-pair'), [])
})

async function fileOf(t: TestContext, text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-key-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = join(dir, 'key')
  await writeFile(file, text, { mode: 0o600 })
  return file
}
