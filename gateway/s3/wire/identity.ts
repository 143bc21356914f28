// Whose key a signature was made with, whatever the way of signing: unknown keys and sessions in
// S3's words, and as much work for a key that is not there as for one that is.

import type { Caller } from '../../aws/handlers.ts'
import { DECOY_SECRET, type SecretOf } from '../../http/sigv4.ts'
import { S3Error } from './error.ts'

/** What a request says about its key. */
export interface ClaimedKey {
  readonly accessKeyId: string
  /** '' without one. */
  readonly sessionToken: string
}

/** A signature as it was sent, to be made again with the key's secret. */
export interface SentSignature {
  /** In constant time. */
  readonly isRight: (secret: string) => boolean
  readonly mismatch: () => S3Error
}

/** Throws InvalidAccessKeyId, InvalidToken, SignatureDoesNotMatch, ExpiredToken. */
export async function identify(
  secretOf: SecretOf,
  { accessKeyId, sessionToken }: ClaimedKey,
  { isRight, mismatch }: SentSignature,
  nowMs: number,
): Promise<Caller> {
  const known = await secretOf(accessKeyId, sessionToken)
  const isEqual = isRight(known?.secret ?? DECOY_SECRET)
  if (known === null) throw unknownKey(accessKeyId)
  const { session } = known.caller
  if ((session === undefined) !== (sessionToken === '')) throw badToken(sessionToken)
  if (!isEqual) throw mismatch()
  if (session !== undefined && nowMs >= session.expiresAtMs) throw endedToken(sessionToken)
  return known.caller
}

/** With what a client's author needs to find the difference; the key is not in it. */
export function signatureMismatch(
  accessKeyId: string,
  { text, signature }: { readonly text: string; readonly signature: string },
  more: Readonly<Record<string, string>> = {},
): S3Error {
  const message =
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.'
  return new S3Error('SignatureDoesNotMatch', message, 403, {
    AWSAccessKeyId: accessKeyId,
    StringToSign: text,
    SignatureProvided: signature,
    StringToSignBytes: hexOf(Buffer.from(text)),
    ...more,
  })
}

/** Two digits a byte, with spaces between. */
export function hexOf(buffer: Buffer): string {
  return buffer.toString('hex').replaceAll(/..(?!$)/g, '$& ')
}

function unknownKey(accessKeyId: string): S3Error {
  const message = 'The AWS Access Key Id you provided does not exist in our records.'
  return new S3Error('InvalidAccessKeyId', message, 403, { AWSAccessKeyId: accessKeyId })
}

function badToken(sessionToken: string): S3Error {
  const message = 'The provided token is malformed or otherwise invalid.'
  return new S3Error('InvalidToken', message, 400, { 'Token-0': sessionToken })
}

function endedToken(sessionToken: string): S3Error {
  const message = 'The provided token has expired.'
  return new S3Error('ExpiredToken', message, 400, { 'Token-0': sessionToken })
}
