// Bytes of encrypted volumes: the master key out of a LUKS header, and sectors by it. Of version 1
// (LUKS1 On-Disk Format Specification 1.2.3), with aes-xts-plain64 and SHA-256, as hosts make them.

import { hash, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { MalleeError } from './errors.ts'
import { decryptSectors, SECTOR_BYTES } from './xts.ts'

/** AES-256 of XTS: two keys. */
const KEY_BYTES = 64
const VERSION = 1
const MAGIC = Buffer.from('LUKS\xba\xbe', 'latin1')
const SLOT_ACTIVE = 0x00ac71f3
const DIGEST_BYTES = 20
const SALT_BYTES = 32
/** Where the fields of the header are. */
const AT = { version: 6, cipher: 8, mode: 40, hash: 72, keyBytes: 108, digest: 112 } as const
const DIGEST_SALT_AT = 132
const DIGEST_ITERATIONS_AT = 164
/** The first key slot, the only one that hosts fill. */
const SLOT_AT = 208
const SLOT = { iterations: 4, salt: 8, materialAt: 40, stripes: 44 } as const
/** Of the header as a whole: whatever it says costs no more than this. */
const MAX_ITERATIONS = 1_000_000
const SHA256_BYTES = 32

/**
 * The key of all sectors, 64 bytes, secret. `header` is the beginning of a volume's bytes, as far
 * as the material of its first key slot reaches: 512 KiB are enough. Throws DataCorrupt for what is
 * no such header, or is not opened by `passphrase`.
 */
export function openLuks(header: Uint8Array, passphrase: string): Buffer {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength)
  checkKind(bytes)
  const slot = bytes.subarray(SLOT_AT)
  const stripes = slot.readUInt32BE(SLOT.stripes)
  const from = slot.readUInt32BE(SLOT.materialAt) * SECTOR_BYTES
  const length = stripes * KEY_BYTES
  if (slot.readUInt32BE(0) !== SLOT_ACTIVE || length === 0 || from + length > bytes.length) {
    throw new MalleeError('DataCorrupt', 'the LUKS header has no key in its first slot')
  }
  const salt = slot.subarray(SLOT.salt, SLOT.salt + SALT_BYTES)
  const opening = derived(passphrase, salt, slot.readUInt32BE(SLOT.iterations), KEY_BYTES)
  const whole = Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES
  const material = decryptSectors(opening, 0, bytes.subarray(from, from + whole))
  const key = merged(material.subarray(0, length), stripes)
  const digestSalt = bytes.subarray(DIGEST_SALT_AT, DIGEST_SALT_AT + SALT_BYTES)
  const iterations = bytes.readUInt32BE(DIGEST_ITERATIONS_AT)
  const digest = bytes.subarray(AT.digest, AT.digest + DIGEST_BYTES)
  if (timingSafeEqual(derived(key, digestSalt, iterations, DIGEST_BYTES), digest)) return key
  throw new MalleeError('DataCorrupt', 'the LUKS header is not opened by its key')
}

function checkKind(bytes: Buffer): void {
  const isLuks = bytes.length > SLOT_AT + SLOT.stripes + 4 && bytes.indexOf(MAGIC) === 0
  if (!isLuks || bytes.readUInt16BE(AT.version) !== VERSION) {
    throw new MalleeError('DataCorrupt', 'there is no LUKS header of version 1')
  }
  const word = (at: number) => bytes.toString('latin1', at, at + 32).replace(/\0.*$/s, '')
  const [cipher, mode, digest] = [word(AT.cipher), word(AT.mode), word(AT.hash)]
  const keyBytes = bytes.readUInt32BE(AT.keyBytes)
  const isOurs = cipher === 'aes' && mode === 'xts-plain64' && digest === 'sha256'
  if (isOurs && keyBytes === KEY_BYTES) return
  const what = `${cipher}-${mode}, ${digest}, ${keyBytes} bytes`
  throw new MalleeError('DataCorrupt', `the LUKS header is of another kind: ${what}`)
}

function derived(from: string | Buffer, salt: Buffer, iterations: number, length: number): Buffer {
  if (iterations < 1 || iterations > MAX_ITERATIONS) {
    throw new MalleeError('DataCorrupt', `the LUKS header asks for ${iterations} iterations`)
  }
  return pbkdf2Sync(from, salt, iterations, length, 'sha256')
}

/** AFmerge (section 2.4): a key that is gone when any of its stripes is. */
function merged(material: Buffer, stripes: number): Buffer {
  let key: Buffer = Buffer.alloc(KEY_BYTES)
  for (let stripe = 0; stripe < stripes; stripe++) {
    if (stripe > 0) key = diffused(key)
    for (let i = 0; i < KEY_BYTES; i++) {
      key[i] = (key[i] ?? 0) ^ (material[stripe * KEY_BYTES + i] ?? 0)
    }
  }
  return key
}

function diffused(key: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let n = 0; n * SHA256_BYTES < KEY_BYTES; n++) {
    const input = Buffer.alloc(4 + SHA256_BYTES)
    input.writeUInt32BE(n)
    key.copy(input, 4, n * SHA256_BYTES)
    parts.push(hash('sha256', input, 'buffer'))
  }
  return Buffer.concat(parts)
}
