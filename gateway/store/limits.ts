// What both stores accept: sizes of keys, values and transactions, and the end of a key range.

import { MalleeError } from '../../common/errors.ts'
import type { Compare, Op } from './store.ts'

/** Bytes of UTF-8. A key of an object has 1,024, which the index doubles at worst. */
export const MAX_KEY_BYTES = 2304
/** Bytes of UTF-8. */
export const MAX_VALUE_BYTES = 1 << 20
/**
 * Writes, and likewise conditions, of one transaction. Redis' Lua unpacks one log entry of two
 * fields per write onto its C stack, which holds 8,000 (LUAI_MAXCSTACK).
 */
export const MAX_TRANSACTION_KEYS = 3_500
/** Bytes of all values of one transaction. */
export const MAX_TRANSACTION_BYTES = 16 << 20
/** Entries of one page; also what a page has when nobody says. */
export const MAX_PAGE = 1_000
/** Revisions that the log keeps for watchers when nobody says. */
export const KEEP_REVISIONS = 100_000

/** Throws BadArgument that names what is too large or twice there. */
export function checkTransaction(when: readonly Compare[], then: readonly Op[]): void {
  if (when.length > MAX_TRANSACTION_KEYS || then.length > MAX_TRANSACTION_KEYS) {
    const counts = `${when.length} conditions and ${then.length} writes`
    throw bad(`a transaction has ${counts}, more than ${MAX_TRANSACTION_KEYS}`)
  }
  for (const { key } of when) checkKey(key)
  const seen = new Set<string>()
  let bytes = 0
  for (const op of then) {
    const key = 'put' in op ? op.put : op.del
    checkKey(key)
    if (seen.has(key)) throw bad(`a transaction writes ${key} twice`)
    seen.add(key)
    if ('put' in op) bytes += valueBytes(op.put, op.value)
  }
  if (bytes > MAX_TRANSACTION_BYTES) {
    throw bad(`a transaction has ${bytes} bytes, more than ${MAX_TRANSACTION_BYTES}`)
  }
}

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes === 0 || bytes > MAX_KEY_BYTES || key.includes('\0') || !key.isWellFormed()) {
    throw bad(`${JSON.stringify(key.slice(0, 80))} is no key of 1 to ${MAX_KEY_BYTES} bytes`)
  }
}

function valueBytes(key: string, value: string): number {
  const bytes = Buffer.byteLength(value)
  if (bytes <= MAX_VALUE_BYTES && value.isWellFormed()) return bytes
  throw bad(`the value of ${key} is no text of at most ${MAX_VALUE_BYTES} bytes, it has ${bytes}`)
}

/** Throws BadArgument when it is not in 1..MAX_PAGE. */
export function checkPageLimit(limit = MAX_PAGE): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit
  throw bad(`page limit ${limit} is not from 1 to ${MAX_PAGE}`)
}

/**
 * The first key after all that start with `prefix`, in byte order of UTF-8 (which is the order of
 * code points); null when there is none, as after the empty prefix.
 */
export function prefixEnd(prefix: string): string | null {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0)
  while (points.length > 0) {
    const last = points.pop() ?? 0
    if (last === 0x10_ffff) continue
    // U+D800 to U+DFFF are no characters.
    points.push(last === 0xd7ff ? 0xe000 : last + 1)
    return String.fromCodePoint(...points)
  }
  return null
}

/** In byte order of UTF-8, which JavaScript's own comparison is not beyond U+FFFF. */
export function isAtOrAfter(key: string, other: string): boolean {
  return Buffer.from(key).compare(Buffer.from(other)) >= 0
}

function bad(message: string): MalleeError {
  return new MalleeError('BadArgument', message)
}
