// Secrets at rest: sealed with the cloud's master key, a file that is not in the store. Whoever has
// only the store, or only a backup of it, has no secret.

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { type FileHandle, link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type RandomHex, randomHex as realRandomHex } from '../common/clock.ts'
import { syncFolder, writeDurably } from '../common/durable-file.ts'
import { MalleeError, messageOf } from '../common/errors.ts'

const KEY_BYTES = 32
// NIST SP 800-38D: 96-bit nonces, at most 2^32 random ones per key; 128-bit tags.
const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION = 'sealed1'
const ID_DIGITS = 8
const MAX_PLAIN_BYTES = 1 << 16
const MAX_SEALED_CHARACTERS = 2 * MAX_PLAIN_BYTES

export interface Sealer {
  /** Text that only `open` with the same context reads; different at every call. At most 64 KiB. */
  seal(plain: string, context: string): string
  /**
   * What was sealed. Throws BadMessage when it was made for another context, by another key, or
   * changed since: `context` says whose secret it is, so that none passes for another.
   */
  open(sealed: string, context: string): string
  /** A key of 256 bits for one purpose, always the same one (RFC 5869, SHA-256). */
  derive(purpose: string): DerivedKey
}

export interface DerivedKey {
  /** 8 hex digits: tells it from the one of another master key. */
  readonly id: string
  readonly key: KeyObject
}

export interface OpenSealerOptions {
  /** Make the key file when there is none. */
  readonly create?: boolean
  readonly randomHex?: RandomHex
}

/**
 * Reads the master key of 32 bytes. Throws BadConfig when the file is missing (and not to be
 * created), readable by others than its owner, or not of that size.
 */
export async function openSealer(
  masterKeyFile: string,
  { create = false, randomHex = realRandomHex }: OpenSealerOptions = {},
): Promise<Sealer> {
  if (create) await createKey(masterKeyFile, randomHex)
  // Node uses a key object several times as fast as bytes.
  const masterKey = createSecretKey(await readKey(masterKeyFile))
  return {
    seal(plain, context) {
      if (Buffer.byteLength(plain) > MAX_PLAIN_BYTES) {
        throw new RangeError(`a secret for ${context} has more than ${MAX_PLAIN_BYTES} bytes`)
      }
      const nonce = Buffer.from(randomHex(NONCE_BYTES), 'hex')
      const cipher = createCipheriv('aes-256-gcm', masterKey, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      const sealed = Buffer.concat([nonce, body, cipher.getAuthTag()])
      return `${VERSION}.${sealed.toString('base64url')}`
    },
    open(sealed, context) {
      const bytes = parseSealed(sealed, context)
      const nonce = bytes.subarray(0, NONCE_BYTES)
      const body = bytes.subarray(NONCE_BYTES, -TAG_BYTES)
      const cipher = createDecipheriv('aes-256-gcm', masterKey, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      cipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        return Buffer.concat([cipher.update(body), cipher.final()]).toString('utf8')
      } catch (cause) {
        const message = `the secret of ${context} was changed or sealed for something else`
        throw new MalleeError('BadMessage', message, { cause })
      }
    },
    derive(purpose) {
      const key = createSecretKey(
        Buffer.from(hkdfSync('sha256', masterKey, '', purpose, KEY_BYTES)),
      )
      const id = createHmac('sha256', key).update('id').digest('hex').slice(0, ID_DIGITS)
      return { id, key }
    },
  }
}

function parseSealed(sealed: string, context: string): Buffer {
  const [version, text = '', ...rest] = sealed.split('.')
  const bytes = Buffer.from(text, 'base64url')
  // Comparing with its own encoding refuses characters that the decoder skips.
  const isWhole =
    sealed.length <= MAX_SEALED_CHARACTERS &&
    rest.length === 0 &&
    bytes.length >= NONCE_BYTES + TAG_BYTES &&
    bytes.toString('base64url') === text
  if (version === VERSION && isWhole) return bytes
  throw new MalleeError('BadMessage', `the secret of ${context} is not in the format ${VERSION}`)
}

/**
 * Leaves an existing file alone: a new key would make all that is sealed unreadable. The link
 * appears whole or not at all, and only where nothing is yet.
 */
async function createKey(file: string, randomHex: RandomHex): Promise<void> {
  const draft = `${file}.${randomHex(6)}.draft`
  try {
    await writeDurably(draft, Buffer.from(randomHex(KEY_BYTES), 'hex'))
    await link(draft, file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new MalleeError('BadConfig', `${file} cannot be made: ${messageOf(cause)}`, { cause })
  } finally {
    await rm(draft, { force: true })
  }
  await syncFolder(dirname(file))
}

async function readKey(file: string): Promise<Buffer> {
  let handle: FileHandle
  try {
    handle = await open(file, 'r')
  } catch (cause) {
    const message = `the master key ${file} cannot be read: ${messageOf(cause)}`
    throw new MalleeError('BadConfig', message, { cause })
  }
  try {
    const { mode, size } = await handle.stat()
    if ((mode & 0o077) !== 0) {
      throw new MalleeError('BadConfig', `others can read ${file}: chmod 600 it`)
    }
    if (size !== KEY_BYTES) {
      const message = `${file} has ${size} bytes, a master key has ${KEY_BYTES}: restore it`
      throw new MalleeError('BadConfig', message)
    }
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}
