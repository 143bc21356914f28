// What certificate a host gets, at its join and at each renewal.

import { type CertificateAuthority, signRequest } from '../../common/pki.ts'
import type { HostRecord } from '../store/records.ts'

const CERTIFICATE_DAYS = 365

/**
 * A certificate with the name and roles of the record, for 365 days or until the CA ends. Throws
 * BadMessage for a request that proves nothing.
 */
export function signHost(
  ca: CertificateAuthority,
  cloud: string,
  { rack, host, roles }: HostRecord,
  request: Uint8Array,
  nowMs: number,
): Promise<{ certificatePem: string; serial: string }> {
  return signRequest(ca, request, {
    identity: { kind: 'host', cloud, rack, host, roles },
    nowMs,
    days: CERTIFICATE_DAYS,
    // A CC serves its rack's nodes; nodes serve images to each other.
    server: roles.includes('cc') || roles.includes('nc'),
  })
}
