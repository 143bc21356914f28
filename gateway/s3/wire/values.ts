// Small things that requests and answers of S3 have in common: texts of headers, and the errors
// that say which argument is wrong.

import { MAX_SKEW_MS } from '../../http/sigv4.ts'
import { S3Error } from './error.ts'

/** To where a website sends whoever asks for the object: one of its headers. */
export const REDIRECT = 'x-amz-website-redirect-location'
const MAX_SHOWN = 200
/** Of URL and headers; metadata may have 2 KiB of it. */
const MAX_HEAD_BYTES = 32 << 10

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/g

/** A header's text: Node gives bytes as Latin-1, clients mean UTF-8 wherever it is that. */
export function textOf(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value
  const text = Buffer.from(value, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? value : text
}

/** The other way: what Node takes for a header. Control characters are left out. */
export function headerOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1').replaceAll(CONTROLS, '')
}

/** Throws RequestHeaderSectionTooLarge. `head` is URL and headers in pieces. */
export function checkHead(head: readonly string[]): void {
  const bytes = head.reduce((sum, part) => sum + part.length, 0)
  if (bytes <= MAX_HEAD_BYTES) return
  const message = 'Your request header section exceeds the maximum allowed header section size.'
  throw new S3Error('RequestHeaderSectionTooLarge', message, 400, {
    MaxSizeAllowed: String(MAX_HEAD_BYTES),
  })
}

/** A key as in the path of a URL: its slashes stay. */
export function pathOf(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/')
}

export function invalidArgument(
  name: string,
  value: string,
  message = 'Invalid Argument',
): S3Error {
  const fields = { ArgumentName: name, ArgumentValue: value.slice(0, MAX_SHOWN) }
  return new S3Error('InvalidArgument', message, 400, fields)
}

/** A request that was signed too long ago, or in the future. */
export function skewed(RequestTime: string, nowMs: number): S3Error {
  const message = 'The difference between the request time and the current time is too large.'
  return new S3Error('RequestTimeTooSkewed', message, 403, {
    RequestTime,
    ServerTime: isoSecond(nowMs),
    MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
  })
}

/** As in `2026-01-31T23:59:59Z`. */
export function isoSecond(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

export function missingHeader(name: string): S3Error {
  return new S3Error('InvalidRequest', `Missing required header for this request: ${name}`, 400)
}

/** The first value of each parameter. Throws MalformedQueryString for bad escapes. */
export function parseQuery(query: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decoded(equals < 0 ? part : part.slice(0, equals))
    if (!found.has(name)) found.set(name, equals < 0 ? '' : decoded(part.slice(equals + 1)))
  }
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.", 400)
  }
}

/** How a body travels is no property of the object: `aws-chunked` is not kept. */
export function withoutChunking(input: Record<string, unknown>): Record<string, unknown> {
  const { ContentEncoding: encoding } = input
  if (typeof encoding !== 'string' || !encoding.includes('aws-chunked')) return input
  const { ContentEncoding: _, ...rest } = input
  const kept = encoding.split(',').map((each) => each.trim())
  const others = kept.filter((each) => each !== 'aws-chunked' && each !== '')
  return others.length === 0 ? rest : { ...rest, ContentEncoding: others.join(',') }
}
