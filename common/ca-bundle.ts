// CAs of another cloud, as they are pinned: whether they are CAs at all, and which one made a
// certificate.

import { X509Certificate } from 'node:crypto'
import { MalleeError, messageOf } from './errors.ts'

/** CAs that one cloud may have at a time: the one in use, the next, and some before. */
export const MAX_CAS = 4
const MAX_PEM_CHARS = 4096

/** Throws BadMessage unless it is one certificate of a CA with a P-256 key, in PEM. */
export function checkCa(pem: string): void {
  if (pem.length > MAX_PEM_CHARS) throw bad(`it has ${pem.length} characters`)
  if (pem.split('-----BEGIN').length !== 2) throw bad('it is not one certificate in PEM')
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch (cause) {
    throw bad(messageOf(cause))
  }
  if (!certificate.ca) throw bad('it may not sign certificates')
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw bad('its key is no P-256 key')
  }
}

/** Whether that CA signed the certificate (PEM or DER); dates are not looked at. */
export function isIssuedBy(certificate: string | Uint8Array, caPem: string): boolean {
  const issued = new X509Certificate(certificate)
  const ca = new X509Certificate(caPem)
  return issued.checkIssued(ca) && issued.verify(ca.publicKey)
}

function bad(why: string): MalleeError {
  return new MalleeError('BadMessage', `that is no CA certificate: ${why}`)
}
