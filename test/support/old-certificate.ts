// Certificates of a test cloud as if they had been given long ago: a year's, with little left.

import { readFile } from 'node:fs/promises'
import { systemClock } from '../../common/clock.ts'
import { certificateRequest, identityOfCertificate, signRequest } from '../../common/pki.ts'
import { filesOf } from '../../gateway/files.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { TestCloud } from './cloud.ts'

const DAYS = 365
const DAY_MS = 86_400_000

/** The same name and key; the certificate ends in `leftMs`. */
export async function agedIdentity(
  cloud: TestCloud,
  identity: TlsIdentity,
  leftMs: number,
): Promise<TlsIdentity> {
  const { caCertificate, caKey } = filesOf(cloud.config.stateDir)
  const ca = {
    certificatePem: await readFile(caCertificate, 'utf8'),
    keyPem: await readFile(caKey, 'utf8'),
  }
  const { certificatePem } = await signRequest(ca, await certificateRequest(identity.keyPem), {
    identity: identityOfCertificate(identity.certificatePem),
    nowMs: systemClock.nowMs() + leftMs - DAYS * DAY_MS,
    days: DAYS,
    server: true,
  })
  return { ...identity, certificatePem }
}
