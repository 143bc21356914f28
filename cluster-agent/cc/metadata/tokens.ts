// The session tokens of the metadata service: nothing is kept of them but the key that signs them.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { randomHex } from '../../../common/clock.ts'
import { readIfThere, writeDurably } from '../../../common/durable-file.ts'

export const MAX_TTL_S = 21_600

const KEY_BYTES = 32
const EXPIRY_BYTES = 6
const MAC_BYTES = 32
const TOKEN = /^[\w-]{51}=$/

export class Tokens {
  readonly #key: Buffer

  constructor(key: Buffer) {
    this.#key = key
  }

  /** Good for `instance` until `ttlS` seconds from now. */
  issue(instance: string, ttlS: number, nowMs: number): string {
    const expiry = Buffer.alloc(EXPIRY_BYTES)
    expiry.writeUIntBE(nowMs + ttlS * 1000, 0, EXPIRY_BYTES)
    const token = Buffer.concat([expiry, this.#mac(instance, expiry)])
    return token.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
  }

  /** The seconds that are left of it; null when it is none of ours for `instance`. */
  check(instance: string, token: string, nowMs: number): number | null {
    if (!TOKEN.test(token)) return null
    const bytes = Buffer.from(token, 'base64url')
    if (bytes.length !== EXPIRY_BYTES + MAC_BYTES) return null
    const expiry = bytes.subarray(0, EXPIRY_BYTES)
    if (!timingSafeEqual(bytes.subarray(EXPIRY_BYTES), this.#mac(instance, expiry))) return null
    const leftMs = expiry.readUIntBE(0, EXPIRY_BYTES) - nowMs
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : null
  }

  #mac(instance: string, expiry: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(expiry).update(instance).digest()
  }
}

/** With the key of `file`, which is made when there is none: tokens outlive the agent. */
export async function openTokens(file: string): Promise<Tokens> {
  const kept = Buffer.from((await readIfThere(file))?.trim() ?? '', 'hex')
  if (kept.length === KEY_BYTES) return new Tokens(kept)
  const key = randomHex(KEY_BYTES)
  await writeDurably(file, `${key}\n`)
  return new Tokens(Buffer.from(key, 'hex'))
}
