// The tokens of EBS direct APIs: what a list gave somebody leave to read, or where its next page
// begins. Signed, so that nobody makes one up; they end after a week, as AWS's do.

import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { invalid } from './errors.ts'

/** EBS user guide, "Read snapshots": tokens are good for seven days. */
export const TOKEN_MS = 7 * 86_400_000
const MAC_BYTES = 24
const TIME_BYTES = 6
const INDEX_BYTES = 6
const TOKEN = /^[A-Za-z0-9+/]{48}$/

/** What a token is good for: what it says of `names` and no other ones. */
export interface TokenUse {
  readonly kind: 'block' | 'page'
  /** Account, snapshots. */
  readonly names: readonly string[]
}

export interface Tokens {
  readonly make: (use: TokenUse, index: number, expiresAtMs: number) => string
  /** The index that is in it. Throws INVALID_BLOCK_TOKEN or INVALID_PAGE_TOKEN. */
  readonly open: (use: TokenUse, token: string, nowMs: number) => number
}

export function createTokens(keyOf: () => KeyObject): Tokens {
  let known: KeyObject | null = null

  function macOf(head: Uint8Array, { kind, names }: TokenUse): Buffer {
    const what = JSON.stringify([kind, ...names])
    known ??= keyOf()
    const whole = createHmac('sha256', known).update(head).update(what).digest()
    return whole.subarray(0, MAC_BYTES)
  }
  return {
    make(use, index, expiresAtMs) {
      const head = Buffer.alloc(TIME_BYTES + INDEX_BYTES)
      head.writeUIntBE(expiresAtMs, 0, TIME_BYTES)
      head.writeUIntBE(index, TIME_BYTES, INDEX_BYTES)
      return Buffer.concat([head, macOf(head, use)]).toString('base64')
    },
    open(use, token, nowMs) {
      const bytes = TOKEN.test(token) ? Buffer.from(token, 'base64') : Buffer.alloc(0)
      const head = bytes.subarray(0, TIME_BYTES + INDEX_BYTES)
      const mac = bytes.subarray(TIME_BYTES + INDEX_BYTES)
      const isOurs = mac.length === MAC_BYTES && timingSafeEqual(mac, macOf(head, use))
      if (isOurs && nowMs < head.readUIntBE(0, TIME_BYTES)) {
        return head.readUIntBE(TIME_BYTES, INDEX_BYTES)
      }
      const reason = use.kind === 'block' ? 'INVALID_BLOCK_TOKEN' : 'INVALID_PAGE_TOKEN'
      throw invalid(reason, `The ${use.kind} token is not valid for this request, or has expired.`)
    },
  }
}
