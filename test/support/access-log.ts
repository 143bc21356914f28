// Lines of access logs as those read them who have AWS's documentation: one expression, all fields.

import assert from 'node:assert/strict'

const QUOTED = '"([^"]*)"'
const WORD = '(\\S+)'
/** In the order of "Amazon S3 server access log format" of the S3 user guide. */
const FIELDS = [
  ['owner', '([0-9a-f]{64})'],
  ['bucket', WORD],
  ['time', '\\[(\\d{2}/[A-Z][a-z]{2}/\\d{4}:\\d{2}:\\d{2}:\\d{2} \\+0000)\\]'],
  ['remoteIp', WORD],
  ['requester', WORD],
  ['requestId', WORD],
  ['operation', '([A-Z]+\\.[A-Z]+\\.[A-Z_]+)'],
  ['key', WORD],
  ['uri', QUOTED],
  ['status', '(\\d{3})'],
  ['error', '(-|[A-Za-z]+)'],
  ['sent', '(-|\\d+)'],
  ['size', '(-|\\d+)'],
  ['total', '(-|\\d+)'],
  ['turnAround', '(-|\\d+)'],
  ['referer', QUOTED],
  ['userAgent', QUOTED],
  ['version', WORD],
  ['hostId', WORD],
  ['signature', '(-|SigV[24])'],
  ['cipher', WORD],
  ['authentication', '(-|AuthHeader|QueryString)'],
  ['host', WORD],
  ['tls', '(-|TLSV1\\.[123])'],
  ['accessPoint', WORD],
  ['acl', '(-|Yes)'],
] as const
const LINE = new RegExp(`^${FIELDS.map(([, pattern]) => pattern).join(' ')}$`)

export type LogFields = Readonly<Record<(typeof FIELDS)[number][0], string>>

export function logFields(line: string): LogFields {
  const [, ...values] = LINE.exec(line) ?? []
  assert.equal(values.length, FIELDS.length, line)
  return Object.fromEntries(FIELDS.map(([name], at) => [name, values[at]])) as LogFields
}
