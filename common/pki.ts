// The cloud's small certificate authority and everybody's keys: P-256, X.509 v3 (RFC 5280).
// Who a certificate is for stands in its one URI SAN (identity.ts); nothing else of it is asked.

// @peculiar/x509 needs this polyfill to be loaded before it.
import 'reflect-metadata'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  X509Certificate as NodeCertificate,
  randomBytes,
  webcrypto,
} from 'node:crypto'
import { promisify } from 'node:util'
import * as x509 from '@peculiar/x509'
import { MalleeError } from './errors.ts'
import { formatIdentity, type Identity, parseIdentity } from './identity.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const CA_DAYS = 3650
/** Certificates begin a little in the past: the clocks of hosts differ. */
const BACKDATE_MS = 10 * 60_000
const MAX_REQUEST_BYTES = 4096

export interface CertificateAuthority {
  readonly certificatePem: string
  readonly keyPem: string
}

export interface SignOptions {
  readonly identity: Identity
  readonly nowMs: number
  /** Valid for so many days, but never longer than the CA. */
  readonly days: number
  /** May it be a TLS server as well? Gateways, CCs and NCs are. */
  readonly server: boolean
}

/** A self-signed CA for 10 years whose certificates sign nothing further (path length 0). */
export async function createCa(options: {
  cloud: string
  nowMs: number
}): Promise<CertificateAuthority> {
  const { keyPem } = await newKey()
  const keys = await importKeys(keyPem)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ O: ['Mallee'] }, { CN: [`${options.cloud} CA`] }],
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificatePem: pem(certificate), keyPem }
}

/** A new P-256 key as PKCS#8 PEM. */
export async function newKey(): Promise<{ keyPem: string }> {
  const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return { keyPem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** A PKCS#10 request in DER: the public key and the proof that its owner has the other half. */
export async function certificateRequest(keyPem: string): Promise<Uint8Array> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await importKeys(keyPem),
    signingAlgorithm: ALGORITHM,
  })
  return new Uint8Array(request.rawData)
}

/**
 * A certificate for the request's key and for `identity`; names in the request are ignored.
 * Throws BadMessage when the request is not one, is for no P-256 key, or proves nothing.
 */
export async function signRequest(
  ca: CertificateAuthority,
  request: Uint8Array,
  { identity, nowMs, days, server }: SignOptions,
): Promise<{ certificatePem: string; serial: string }> {
  const { publicKey } = await checkedRequest(request)
  const caCertificate = new x509.X509Certificate(ca.certificatePem)
  const serial = newSerial()
  const usages = [x509.ExtendedKeyUsage.clientAuth]
  if (server) usages.push(x509.ExtendedKeyUsage.serverAuth)
  const notAfterMs = Math.min(nowMs + days * DAY_MS, caCertificate.notAfter.getTime())
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ O: ['Mallee'] }, { CN: [commonName(identity)] }],
    issuer: caCertificate.subjectName.toJSON(),
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(notAfterMs),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: (await importKeys(ca.keyPem)).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages, false),
      new x509.SubjectAlternativeNameExtension(
        [{ type: 'url', value: formatIdentity(identity) }],
        false,
      ),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(caCertificate),
    ],
  })
  return { certificatePem: pem(certificate), serial }
}

/** Throws BadMessage for a request that signRequest would not sign. */
export async function checkRequest(request: Uint8Array): Promise<void> {
  await checkedRequest(request)
}

/** Lower-case hex SHA-256 of the certificate's DER: what a token pins. */
export function caDigest(certificatePem: string): string {
  return sha256(new NodeCertificate(certificatePem).raw)
}

/** Throws BadMessage when the certificate has not exactly one SAN, a URI of Mallee's. */
export function identityOfCertificate(certificate: string | Uint8Array): Identity {
  const names = parse(certificate).getExtension(x509.SubjectAlternativeNameExtension)?.names.items
  const [name] = names ?? []
  if (names?.length !== 1 || name?.type !== 'url') {
    throw new MalleeError('BadMessage', 'the certificate does not have one URI as its only name')
  }
  return parseIdentity(name.value)
}

/** May it be shown by a TLS server? Nodes that joined long ago have one that may not. */
export function isForServers(certificatePem: string): boolean {
  const usages = parse(certificatePem).getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? []
  return usages.includes(x509.ExtendedKeyUsage.serverAuth)
}

/** Lower-case hex SHA-256 of the public key (SPKI): the same for a request and its certificate. */
export function keyFingerprint(requestOrCertificate: Uint8Array | string): string {
  const publicKey = isRequest(requestOrCertificate)
    ? readRequest(requestOrCertificate).publicKey
    : parse(requestOrCertificate).publicKey
  return sha256(new Uint8Array(publicKey.rawData))
}

/** Throws BadMessage unless the CA made the certificate, and for that key. */
export function checkCertificate(
  certificatePem: string,
  { caPem, keyPem }: { readonly caPem: string; readonly keyPem: string },
): void {
  // Whether it can be read at all.
  parse(certificatePem)
  const certificate = new NodeCertificate(certificatePem)
  if (!certificate.verify(new NodeCertificate(caPem).publicKey)) {
    throw new MalleeError('BadMessage', 'the certificate is not signed by the CA of the cloud')
  }
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) {
    throw new MalleeError('BadMessage', 'the certificate is for another key')
  }
}

/** When the certificate begins, in milliseconds since 1970. */
export function notBeforeMs(certificatePem: string): number {
  return read(certificatePem).validFromDate.getTime()
}

/** When the certificate ends, in milliseconds since 1970. */
export function notAfterMs(certificatePem: string): number {
  return read(certificatePem).validToDate.getTime()
}

function parse(certificate: string | Uint8Array): x509.X509Certificate {
  const given = typeof certificate === 'string' ? certificate : new Uint8Array(certificate)
  return readable(() => new x509.X509Certificate(given))
}

/** A twentieth of what parsing it here costs; of names it has only text. */
function read(certificatePem: string): NodeCertificate {
  return readable(() => new NodeCertificate(certificatePem))
}

function readable<T>(make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new MalleeError('BadMessage', 'the certificate cannot be read', { cause })
  }
}

function isRequest(bytes: Uint8Array | string): bytes is Uint8Array {
  if (typeof bytes === 'string') return false
  try {
    readRequest(bytes)
    return true
  } catch {
    return false
  }
}

function readRequest(request: Uint8Array): x509.Pkcs10CertificateRequest {
  if (request.length > MAX_REQUEST_BYTES) {
    throw new MalleeError('BadMessage', `a certificate request of ${request.length} bytes`)
  }
  try {
    return new x509.Pkcs10CertificateRequest(new Uint8Array(request))
  } catch (cause) {
    throw new MalleeError('BadMessage', 'the certificate request cannot be read', { cause })
  }
}

async function checkedRequest(request: Uint8Array): Promise<x509.Pkcs10CertificateRequest> {
  const parsed = readRequest(request)
  const key = publicKeyOf(parsed)
  if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new MalleeError('BadMessage', 'the certificate request is not for a P-256 key')
  }
  if (!(await parsed.verify().catch(() => false))) {
    throw new MalleeError('BadMessage', 'the certificate request is not signed by its own key')
  }
  return parsed
}

function publicKeyOf({ publicKey }: x509.Pkcs10CertificateRequest): KeyObject | null {
  try {
    return createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' })
  } catch {
    return null
  }
}

async function importKeys(keyPem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = createPrivateKey(keyPem)
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const { subtle } = webcrypto
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']),
    publicKey: await subtle.importKey('spki', spki, ALGORITHM, true, ['verify']),
  }
}

/** 127 random bits, positive and at most 20 octets (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** For people who look at the certificate with openssl; at most 64 characters. */
function commonName(identity: Identity): string {
  return (identity.kind === 'gateway' ? 'gateway' : identity.host).slice(0, 64)
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
