// From a bundle's parts to the image: joined, decrypted (AES-128-CBC), unzipped, taken out of a tar
// file, and every digest of the manifest checked on the way.

import {
  constants,
  createDecipheriv,
  createHash,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { MalleeError } from '../../common/errors.ts'
import type { BundleManifest, BundlePart } from './manifest.ts'
import { MAX_TAR_EXTRA_BYTES, untarOne } from './tar.ts'

const KEY_BYTES = 16
/** What OpenSSL and zlib call what they cannot read. */
const UNREADABLE = /^(?:ERR_OSSL_|ERR_CRYPTO_|Z_)/

/** The bytes of a part, from its object. */
export type OpenPart = (part: BundlePart) => AsyncIterable<Uint8Array>

/**
 * The image's bytes. Throws BadArgument for a bundle that is not what its manifest says, or is for
 * another key, at the latest before it ends; and what `open` throws.
 */
export async function* unbundle(
  manifest: BundleManifest,
  privateKey: KeyObject,
  open: OpenPart,
): AsyncGenerator<Uint8Array> {
  const key = secretOf(privateKey, manifest.encryptedKey)
  const iv = secretOf(privateKey, manifest.encryptedIv)
  const joined = Readable.from(joinedParts(manifest, open), { objectMode: false })
  // Whoever reads it is told of errors.
  const told = (): void => undefined
  const decipher = createDecipheriv('aes-128-cbc', key, iv)
  const plain = pipeline(joined, decipher, createGunzip(), told)
  try {
    yield* untarOne(hashed(plain, manifest), manifest.sizeBytes)
  } catch (error) {
    if (!UNREADABLE.test(String((error as NodeJS.ErrnoException).code))) throw error
    const why =
      'the bundle cannot be decrypted and unzipped: was it made with this cloud’s certificate?'
    throw new MalleeError('BadArgument', why, { cause: error })
  }
}

/** Both tools encrypt the hex digits, as text. */
function secretOf(privateKey: KeyObject, encrypted: Uint8Array): Buffer {
  const padding = constants.RSA_PKCS1_PADDING
  try {
    const plain = privateDecrypt({ key: privateKey, padding }, encrypted)
    const secret = Buffer.from(plain.toString('latin1').trim(), 'hex')
    if (secret.length === KEY_BYTES) return secret
  } catch {
    // The same answer: whose key it is for shows in nothing else.
  }
  throw new MalleeError('BadArgument', 'the bundle is not encrypted for this cloud’s certificate')
}

async function* joinedParts(manifest: BundleManifest, open: OpenPart): AsyncGenerator<Uint8Array> {
  let bundled = 0
  for (const part of manifest.parts) {
    const hash = createHash('sha1')
    for await (const bytes of open(part)) {
      bundled += bytes.length
      if (bundled > manifest.bundledBytes) throw wrongSize(manifest)
      hash.update(bytes)
      yield bytes
    }
    if (hash.digest('hex') === part.sha1) continue
    throw new MalleeError('BadArgument', `the part ${part.name} is not what the manifest says`)
  }
  if (bundled !== manifest.bundledBytes) throw wrongSize(manifest)
}

function wrongSize({ bundledBytes }: BundleManifest): MalleeError {
  const why = `the parts have not ${bundledBytes} bytes together, as the manifest says`
  return new MalleeError('BadArgument', why)
}

/** A file that unzips to more than it should ends it, too. */
async function* hashed(
  stream: AsyncIterable<Uint8Array>,
  { sizeBytes, sha1 }: BundleManifest,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha1')
  let total = 0
  for await (const bytes of stream) {
    total += bytes.length
    if (total > sizeBytes + MAX_TAR_EXTRA_BYTES) {
      throw new MalleeError('BadArgument', `the bundle unzips to more than ${sizeBytes} bytes`)
    }
    hash.update(bytes)
    yield bytes
  }
  if (hash.digest('hex') === sha1) return
  throw new MalleeError('BadArgument', 'the image is not what the manifest says')
}
