// SSH keys: public ones in every form that ImportKeyPair takes, new pairs, fingerprints as EC2
// counts them. Private keys go out in the answer and are kept nowhere.

import { createHash, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { RandomHex } from '../../common/clock.ts'
import { no, ok, type Result } from '../../topology/result.ts'
import { type PpkKey, ppkFile } from './ppk.ts'
import { opensshPrivateKey, pack, unpack } from './ssh-wire.ts'

export type KeyType = 'rsa' | 'ed25519'
export type KeyFormat = 'pem' | 'ppk'

export interface PublicKey {
  readonly type: KeyType
  readonly fingerprint: string
  /** `ssh-rsa AAAA…`, without a comment. */
  readonly line: string
  /** What followed the key in its file. */
  readonly comment: string
}

export interface NewKey extends PublicKey {
  readonly privateKey: string
}

const CREATED_RSA_BITS = 2048
/** EC2 user guide, "Requirements for key pairs". */
const RSA_BITS: readonly number[] = [1024, 2048, 4096]
/** A key of 4096 bits is 800 characters; the rest is room for headers and comments. */
const MAX_MATERIAL_BYTES = 8_192
const MAX_COMMENT_CHARS = 255
/** Larger exponents are legal and useful to nobody but who wants slow logins. */
const MAX_EXPONENT_BYTES = 8
const DER_SEQUENCE = 0x30

const generate = promisify(generateKeyPair)

export async function newRsaKey(format: KeyFormat, comment: string): Promise<NewKey> {
  const { publicKey, privateKey } = await generate('rsa', { modulusLength: CREATED_RSA_BITS })
  const der = privateKey.export({ format: 'der', type: 'pkcs8' })
  return {
    ...described(publicKey, comment),
    fingerprint: pairs(createHash('sha1').update(der).digest('hex')),
    privateKey:
      format === 'pem'
        ? String(privateKey.export({ format: 'pem', type: 'pkcs1' }))
        : ppkFile({ ...ppkHead(publicKey, comment), privateBlob: rsaPrivateBlob(privateKey) }),
  }
}

export async function newEd25519Key(
  format: KeyFormat,
  comment: string,
  randomHex: RandomHex,
): Promise<NewKey> {
  const { publicKey, privateKey } = await generate('ed25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  const seed = Buffer.from(d, 'base64url')
  const point = Buffer.from(x, 'base64url')
  return {
    ...described(publicKey, comment),
    privateKey:
      format === 'pem'
        ? opensshPrivateKey(seed, point, comment, Buffer.from(randomHex(4), 'hex'))
        : ppkFile({ ...ppkHead(publicKey, comment), privateBlob: pack(seed) }),
  }
}

/** What is wrong with the material, as a sentence, or the key in it. */
export function parsePublicKey(material: Uint8Array): Result<PublicKey, string> {
  if (material.length > MAX_MATERIAL_BYTES) {
    return no(`A public key has at most ${MAX_MATERIAL_BYTES} bytes, this has ${material.length}`)
  }
  const read = readKey(Buffer.from(material))
  if (read === null) {
    return no('Key is not in valid OpenSSH public key format, nor RFC 4716, PEM or DER')
  }
  const { key, comment } = read
  if (key.asymmetricKeyType === 'ed25519') return ok(described(key, comment))
  if (key.asymmetricKeyType !== 'rsa') {
    return no(`A key of the type ${key.asymmetricKeyType ?? ''} is neither RSA nor ED25519`)
  }
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (!RSA_BITS.includes(modulusLength)) {
    return no(`An RSA key has 1024, 2048 or 4096 bits, this has ${modulusLength}`)
  }
  if (publicExponent < 3n || publicExponent % 2n === 0n) {
    return no(`The RSA exponent ${publicExponent} is not odd and at least 3`)
  }
  if (publicExponent >= 1n << BigInt(8 * MAX_EXPONENT_BYTES)) {
    return no(`The RSA exponent has more than ${MAX_EXPONENT_BYTES} bytes`)
  }
  return ok(described(key, comment))
}

interface Read {
  readonly key: KeyObject
  readonly comment: string
}

function readKey(material: Buffer): Read | null {
  if (material[0] === DER_SEQUENCE && !isText(material)) return readDer(material)
  const text = material.toString('latin1').trim()
  const line = /^ssh-(?:rsa|ed25519)[ \t]+([A-Za-z0-9+/]+=*)(?:[ \t]+([^\r\n]*))?$/.exec(text)
  if (line !== null) return readWire(line[1] ?? '', line[2] ?? '')
  const pem = /^-----BEGIN ((?:RSA )?PUBLIC KEY)-----\s[A-Za-z0-9+/=\s]+-----END \1-----$/
  if (pem.test(text)) return madeBy(() => createPublicKey(text), '')
  if (text.startsWith('---- BEGIN SSH2 PUBLIC KEY ----')) return readRfc4716(text)
  if (!/^[A-Za-z0-9+/\s]+=*$/.test(text)) return null
  return readDer(Buffer.from(text, 'base64'))
}

function readDer(der: Buffer): Read | null {
  // OpenSSL takes no notice of what follows the key.
  if (der.length !== derLength(der)) return null
  for (const type of ['spki', 'pkcs1'] as const) {
    const read = madeBy(() => createPublicKey({ key: der, format: 'der', type }), '')
    if (read !== null) return read
  }
  return null
}

/** How long the first value is, its tag and its length included (X.690, 8.1.3). */
function derLength(der: Buffer): number {
  const first = der[1] ?? 0
  const count = first < 0x80 ? 0 : first - 0x80
  const bytes = der.subarray(2, 2 + count)
  const length = count === 0 ? first : bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return 2 + count + length
}

/** Lines of base64 between two marks, after headers whose lines may go on behind a backslash. */
function readRfc4716(text: string): Read | null {
  const lines = text.replaceAll(/\\\r?\n/g, '').split(/\r?\n/)
  if (lines.at(-1) !== '---- END SSH2 PUBLIC KEY ----') return null
  const inner = lines.slice(1, -1)
  const comment = inner.map((one) => /^comment:\s*"?([^"]*)"?$/i.exec(one)?.[1]).find(Boolean)
  return readWire(inner.filter((one) => !one.includes(':')).join(''), comment ?? '')
}

function readWire(base64: string, comment: string): Read | null {
  const parts = unpack(Buffer.from(base64, 'base64'))
  const [name, first, second] = parts ?? []
  const url = (part: Buffer): string => part.toString('base64url')
  if (name?.toString() === 'ssh-ed25519' && first?.length === 32 && parts?.length === 2) {
    const key = { kty: 'OKP', crv: 'Ed25519', x: url(first) }
    return madeBy(() => createPublicKey({ key, format: 'jwk' }), comment)
  }
  if (name?.toString() !== 'ssh-rsa' || first === undefined || second === undefined) return null
  if (parts?.length !== 3) return null
  const key = { kty: 'RSA', e: url(unsigned(first)), n: url(unsigned(second)) }
  return madeBy(() => createPublicKey({ key, format: 'jwk' }), comment)
}

function madeBy(make: () => KeyObject, comment: string): Read | null {
  try {
    return { key: make(), comment }
  } catch {
    return null
  }
}

function described(key: KeyObject, comment: string): PublicKey {
  const type = key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ed25519'
  const shown = comment.replaceAll(/[^ -~]/g, '').slice(0, MAX_COMMENT_CHARS)
  return { type, fingerprint: fingerprintOf(key), line: lineOf(key), comment: shown }
}

/** Of a key whose private half EC2 never saw: MD5 for RSA, as ssh-keygen prints for ED25519. */
function fingerprintOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') {
    const der = key.export({ format: 'der', type: 'spki' })
    return pairs(createHash('md5').update(der).digest('hex'))
  }
  return createHash('sha256').update(wireOf(key)).digest('base64').replaceAll('=', '')
}

function ppkHead(key: KeyObject, comment: string): Omit<PpkKey, 'privateBlob'> {
  return { algorithm: `ssh-${key.asymmetricKeyType}`, comment, publicBlob: wireOf(key) }
}

function rsaPrivateBlob(key: KeyObject): Buffer {
  const { d = '', p = '', q = '', qi = '' } = key.export({ format: 'jwk' })
  return pack(positive(d), positive(p), positive(q), positive(qi))
}

function lineOf(key: KeyObject): string {
  return `ssh-${key.asymmetricKeyType} ${wireOf(key).toString('base64')}`
}

/** RFC 4253, 6.6, and RFC 8709, 4. */
function wireOf(key: KeyObject): Buffer {
  const { e = '', n = '', x = '' } = key.export({ format: 'jwk' })
  if (key.asymmetricKeyType === 'rsa') {
    return pack(Buffer.from('ssh-rsa'), positive(e), positive(n))
  }
  return pack(Buffer.from('ssh-ed25519'), Buffer.from(x, 'base64url'))
}

/** The mpint of RFC 4251: a zero in front keeps a number from being read as negative. */
function positive(base64url: string): Buffer {
  const bytes = unsigned(Buffer.from(base64url, 'base64url'))
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes
}

function unsigned(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0)
  return start <= 0 ? bytes : bytes.subarray(start)
}

function isText(material: Buffer): boolean {
  return material.every((byte) => byte >= 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)
}

function pairs(hex: string): string {
  return hex.replaceAll(/..(?=.)/g, '$&:')
}
