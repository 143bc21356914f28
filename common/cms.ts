// A signing key of RSA with its own certificate, and what it signs: plain signatures and CMS
// SignedData (RFC 5652) without signed attributes, so that both are one and the same signature.

// @peculiar/x509 needs this polyfill to be loaded before it.
import 'reflect-metadata'
import { createPrivateKey, randomBytes, sign, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const
const DAY_MS = 86_400_000
/** AWS's own certificates for identity documents are as long-lived: users install them by hand. */
const YEARS_DAYS = 3650
const BACKDATE_MS = 10 * 60_000

// DER tags (X.690) and object identifiers (RFC 5652, 8017, 5754), already encoded.
const INTEGER = 0x02
const OCTET_STRING = 0x04
const SEQUENCE = 0x30
const SET = 0x31
const CONTEXT_0 = 0xa0
const NULL = Buffer.from('0500', 'hex')
const OID_DATA = Buffer.from('06092a864886f70d010701', 'hex')
const OID_SIGNED_DATA = Buffer.from('06092a864886f70d010702', 'hex')
const OID_SHA256 = Buffer.from('0609608648016503040201', 'hex')
const OID_RSA = Buffer.from('06092a864886f70d010101', 'hex')

export interface SigningKey {
  readonly certificatePem: string
  readonly keyPem: string
}

/** A new RSA-2048 key and its self-signed certificate, for ten years. */
export async function createSigningKey(name: string, nowMs: number): Promise<SigningKey> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Positive, and at most 20 octets (RFC 5280, 4.1.2.2).
    serialNumber: `40${randomBytes(15).toString('hex')}`,
    name: [{ O: ['Mallee'] }, { CN: [name.slice(0, 64)] }],
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + YEARS_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return {
    certificatePem: `${certificate.toString('pem').trim()}\n`,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Signs texts with a key: the signature (RSA, SHA-256), and it as CMS with the text in it. */
export function cmsSigner({ certificatePem, keyPem }: SigningKey): (text: string) => {
  readonly signature: Buffer
  readonly signedData: Buffer
} {
  const key = createPrivateKey(keyPem)
  const certificate = new x509.X509Certificate(certificatePem)
  const raw = Buffer.from(certificate.rawData)
  const issuer = Buffer.from(certificate.issuerName.toArrayBuffer())
  const serial = der(INTEGER, Buffer.from(certificate.serialNumber, 'hex'))
  const sha256 = der(SEQUENCE, OID_SHA256, NULL)
  return (text) => {
    const content = Buffer.from(text)
    const signature = sign('sha256', content, key)
    const signer = der(
      SEQUENCE,
      version(1),
      der(SEQUENCE, issuer, serial),
      sha256,
      der(SEQUENCE, OID_RSA, NULL),
      der(OCTET_STRING, signature),
    )
    const signedData = der(
      SEQUENCE,
      version(1),
      der(SET, sha256),
      der(SEQUENCE, OID_DATA, der(CONTEXT_0, der(OCTET_STRING, content))),
      der(CONTEXT_0, raw),
      der(SET, signer),
    )
    return { signature, signedData: der(SEQUENCE, OID_SIGNED_DATA, der(CONTEXT_0, signedData)) }
  }
}

function version(n: number): Buffer {
  return der(INTEGER, Buffer.from([n]))
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

/** X.690, 8.1.3: short below 128, else how many octets and those. */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const hex = length.toString(16)
  const octets = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.from([0x80 | octets.length]), octets])
}
