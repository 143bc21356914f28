// The certificates of a gateway: the cloud's CA, its own, which it makes and renews by itself, and
// what users see, which the operator brings.

import { isDue } from '../common/certificate-life.ts'
import type { Clock } from '../common/clock.ts'
import { readIfThere, writeDurably } from '../common/durable-file.ts'
import { codeOf, MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import {
  type CertificateAuthority,
  certificateRequest,
  checkCertificate,
  newKey,
  notAfterMs,
  signRequest,
} from '../common/pki.ts'
import { Loop } from '../common/reconcile.ts'
import type { RenewableServer } from '../proto/renewable-server.ts'
import type { TlsIdentity } from '../proto/tls.ts'
import { filesOf, type GatewayConfig } from './files.ts'

const CERTIFICATE_DAYS = 365
const DAY_MS = 86_400_000
/** With less left of the CA than this, every certificate that it signs is a short one. */
const WARN_OF_CA_MS = 365 * DAY_MS

export interface CertificateParts {
  readonly stateDir: string
  readonly ca: CertificateAuthority
  readonly cloud: string
  readonly clock: Clock
  readonly log: Log
}

/** When each certificate ends, in milliseconds since 1970. */
export interface CertificateEnds {
  readonly ca: number
  readonly gateway: number
}

/** Throws BadConfig when there is none. */
export async function readCa(stateDir: string): Promise<CertificateAuthority> {
  const files = filesOf(stateDir)
  const certificatePem = await readIfThere(files.caCertificate)
  const keyPem = await readIfThere(files.caKey)
  if (certificatePem === null || keyPem === null) {
    throw new MalleeError('BadConfig', `there is no CA in ${stateDir}, run 'mallee init' first`)
  }
  return { certificatePem, keyPem }
}

/** The gateway's own certificate; the key stays, as hosts keep theirs. */
export class GatewayCertificate {
  readonly #parts: CertificateParts
  #current: TlsIdentity

  private constructor(parts: CertificateParts, current: TlsIdentity) {
    this.#parts = parts
    this.#current = current
  }

  /** The one on the disk, or another where that is missing, due, or of another key or CA. */
  static async open(parts: CertificateParts): Promise<GatewayCertificate> {
    const files = filesOf(parts.stateDir)
    const caPem = parts.ca.certificatePem
    const keptKey = await readIfThere(files.key)
    const keyPem = keptKey ?? (await newKey()).keyPem
    if (keptKey === null) await writeDurably(files.key, keyPem)
    const kept = await readIfThere(files.certificate)
    const fits = kept !== null && isFitting(kept, { caPem, keyPem })
    const certificatePem = fits ? kept : await makeCertificate(parts, keyPem)
    const certificate = new GatewayCertificate(parts, { certificatePem, keyPem, caPem })
    await certificate.renewIfDue()
    return certificate
  }

  /** The newest; who serves asks each time. */
  readonly current = (): TlsIdentity => this.#current

  readonly ends = (): CertificateEnds => ({
    ca: notAfterMs(this.#current.caPem),
    gateway: notAfterMs(this.#current.certificatePem),
  })

  async renewIfDue(): Promise<void> {
    const { clock, log } = this.#parts
    if (!isDue(this.#current, clock.nowMs())) return
    const certificatePem = await makeCertificate(this.#parts, this.#current.keyPem)
    this.#current = { ...this.#current, certificatePem }
    log.info('certificate renewed', { until: new Date(this.ends().gateway).toISOString() })
  }
}

/** Looks once a day; a new certificate opens the server anew, and the racks redial. */
export function keepCertificate(
  certificate: GatewayCertificate,
  server: RenewableServer,
  { clock, chance, log }: { clock: Clock; chance: () => number; log: Log },
): { readonly stop: () => Promise<void> } {
  const loop = new Loop({ name: 'certificate', pass, everyMs: DAY_MS, clock, chance, log })
  loop.start()
  return { stop: () => loop.stop() }

  async function pass(): Promise<void> {
    await certificate.renewIfDue()
    await server.ensure()
    const { ca } = certificate.ends()
    if (ca - clock.nowMs() < WARN_OF_CA_MS) {
      log.warn("the cloud's CA ends soon, and all certificates with it", {
        until: new Date(ca).toISOString(),
      })
    }
  }
}

/** Null for plain HTTP. Throws BadConfig when a file is missing. */
export async function readTls(
  config: GatewayConfig,
): Promise<{ cert: string; key: string } | null> {
  if (config.tlsCertificate === null || config.tlsKey === null) return null
  const cert = await readIfThere(config.tlsCertificate)
  const key = await readIfThere(config.tlsKey)
  if (cert === null) throw new MalleeError('BadConfig', `there is no file ${config.tlsCertificate}`)
  if (key === null) throw new MalleeError('BadConfig', `there is no file ${config.tlsKey}`)
  return { cert, key }
}

async function makeCertificate(
  { stateDir, ca, cloud, clock }: CertificateParts,
  keyPem: string,
): Promise<string> {
  const { certificatePem } = await signRequest(ca, await certificateRequest(keyPem), {
    identity: { kind: 'gateway', cloud },
    nowMs: clock.nowMs(),
    days: CERTIFICATE_DAYS,
    server: true,
  })
  await writeDurably(filesOf(stateDir).certificate, certificatePem)
  return certificatePem
}

function isFitting(certificatePem: string, of: { caPem: string; keyPem: string }): boolean {
  try {
    checkCertificate(certificatePem, of)
    return true
  } catch (error) {
    if (codeOf(error) === 'BadMessage') return false
    throw error
  }
}
