// The key of cephx, Ceph's authentication, that belongs to the secret of an attachment: both ends
// make the same one of it.

import { MalleeError } from '../../common/errors.ts'

const SECRET = /^[0-9a-f]{32}$/
/** Of a key for AES-128 (Ceph, src/auth/Crypto.h). */
const AES = 1
const HEAD_BYTES = 12

/**
 * Of 16 bytes as lower-case hex. Ceph, src/auth/Crypto.cc, CryptoKey::encode: type, when it was
 * made (seconds and nanoseconds; nobody asks), length, secret; little endian, then base64. Throws
 * BadMessage, which does not say the secret.
 */
export function cephxKey(secret: string): string {
  if (!SECRET.test(secret)) {
    throw new MalleeError('BadMessage', 'a secret for Ceph must be 32 lower-case hex digits')
  }
  const bytes = Buffer.from(secret, 'hex')
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt16LE(AES, 0)
  head.writeUInt16LE(bytes.length, HEAD_BYTES - 2)
  return Buffer.concat([head, bytes]).toString('base64')
}
