// Small things that requests and answers of S3 have in common: texts of headers, and the errors
// that say which argument is wrong.

import { S3Error } from './error.ts'

const MAX_SHOWN = 200

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

export function invalidArgument(
  name: string,
  value: string,
  message = 'Invalid Argument',
): S3Error {
  const fields = { ArgumentName: name, ArgumentValue: value.slice(0, MAX_SHOWN) }
  return new S3Error('InvalidArgument', message, 400, fields)
}

export function missingHeader(name: string): S3Error {
  return new S3Error('InvalidRequest', `Missing required header for this request: ${name}`, 400)
}
