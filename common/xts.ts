// AES-256-XTS of the sectors of a disk, with plain64: a sector's number is its tweak (IEEE 1619).
// OpenSSL's own XTS takes one tweak a call, and a call for each 512 bytes costs eight times as much
// as this: all sectors at once, by two calls of ECB and the tweaks from here.

import { createCipheriv, createDecipheriv } from 'node:crypto'

export const SECTOR_BYTES = 512
const UNIT_WORDS = 4
const SECTOR_WORDS = SECTOR_BYTES / 4
const CIPHER = 'aes-256-ecb'
const HALF_KEY_BYTES = 32
/** Of GF(2^128): x^7 + x^2 + x + 1. */
const POLYNOMIAL = 0x87

/**
 * `key` has 64 bytes; `bytes` are whole sectors, of which the first has the number `first`. Throws
 * RangeError.
 */
export function encryptSectors(key: Uint8Array, first: number, bytes: Uint8Array): Buffer {
  return crypt(key, first, bytes, (half, words) => {
    return createCipheriv(CIPHER, half, null).setAutoPadding(false).update(bytesOf(words))
  })
}

/** As encryptSectors. */
export function decryptSectors(key: Uint8Array, first: number, bytes: Uint8Array): Buffer {
  return crypt(key, first, bytes, (half, words) => {
    return createDecipheriv(CIPHER, half, null).setAutoPadding(false).update(bytesOf(words))
  })
}

function crypt(
  key: Uint8Array,
  first: number,
  bytes: Uint8Array,
  ecb: (key: Uint8Array, words: Uint32Array) => Buffer,
): Buffer {
  if (key.length !== 2 * HALF_KEY_BYTES || bytes.length % SECTOR_BYTES !== 0) {
    throw new RangeError(`${key.length} bytes of key, ${bytes.length} bytes of sectors`)
  }
  const tweaks = tweaksOf(key.subarray(HALF_KEY_BYTES), first, bytes.length / SECTOR_BYTES)
  const before = wordsOf(bytes)
  mix(before, tweaks)
  const after = wordsOf(ecb(key.subarray(0, HALF_KEY_BYTES), before))
  mix(after, tweaks)
  return bytesOf(after)
}

/** Of each unit of 16 bytes: its sector's, times x for each unit before it in that. */
function tweaksOf(key: Uint8Array, first: number, count: number): Uint32Array {
  const numbers = new Uint32Array(count * UNIT_WORDS)
  for (let sector = 0; sector < count; sector++) {
    numbers[sector * UNIT_WORDS] = (first + sector) >>> 0
    numbers[sector * UNIT_WORDS + 1] = Math.floor((first + sector) / 2 ** 32)
  }
  const cipher = createCipheriv(CIPHER, key, null).setAutoPadding(false)
  const seeds = wordsOf(cipher.update(bytesOf(numbers)))
  const tweaks = new Uint32Array(count * SECTOR_WORDS)
  for (let sector = 0; sector < count; sector++) {
    let [a = 0, b = 0, c = 0, d = 0] = seeds.subarray(sector * UNIT_WORDS)
    const end = (sector + 1) * SECTOR_WORDS
    for (let at = sector * SECTOR_WORDS; at < end; at += UNIT_WORDS) {
      tweaks[at] = a
      tweaks[at + 1] = b
      tweaks[at + 2] = c
      tweaks[at + 3] = d
      const carry = d >>> 31
      d = (d << 1) | (c >>> 31)
      c = (c << 1) | (b >>> 31)
      b = (b << 1) | (a >>> 31)
      a = (a << 1) ^ (carry * POLYNOMIAL)
    }
  }
  return tweaks
}

function mix(words: Uint32Array, tweaks: Uint32Array): void {
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ (tweaks[i] ?? 0)
}

/** A copy, in the order of bytes of this machine, which is the small end first. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer)
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength)
}
