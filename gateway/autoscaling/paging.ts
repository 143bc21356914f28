// Pages of Auto Scaling's lists. A token names the last thing that was shown, so that it survives
// restarts and things that come and go meanwhile.

import { ApiError } from '../aws/api-error.ts'
import { compareText } from '../ec2/paging.ts'
import { within } from './errors.ts'

export interface PageRequest {
  readonly MaxRecords?: number | undefined
  readonly NextToken?: string | undefined
}

/** Auto Scaling API reference, MaxRecords of most actions. */
const DEFAULT_RECORDS = 50
const MAX_RECORDS = 100
const MAX_TOKEN = 1_024

/**
 * One page of `items` in the order of `cursorOf`, which tells any two apart. Throws ValidationError
 * for a size out of 1..most, InvalidNextToken for a token that nobody gave.
 */
export function pageOf<T>(
  { MaxRecords: size, NextToken: token }: PageRequest,
  items: readonly T[],
  cursorOf: (item: T) => string,
  most = MAX_RECORDS,
): { items: readonly T[]; nextToken: string | undefined } {
  const count =
    size === undefined ? Math.min(DEFAULT_RECORDS, most) : within('maxRecords', size, 1, most)
  const after = token === undefined || token === '' ? null : cursorIn(token)
  const left = items
    .map((item) => ({ item, cursor: cursorOf(item) }))
    .filter(({ cursor }) => after === null || cursor > after)
    .sort((a, b) => compareText(a.cursor, b.cursor))
  const shown = left.slice(0, count)
  const last = shown.length < left.length ? shown.at(-1) : undefined
  const nextToken = last && Buffer.from(last.cursor).toString('base64url')
  return { items: shown.map(({ item }) => item), nextToken }
}

function cursorIn(token: string): string {
  const text = token.length > MAX_TOKEN ? '' : Buffer.from(token, 'base64url').toString()
  if (text !== '' && Buffer.from(text).toString('base64url') === token) return text
  throw new ApiError('InvalidNextToken', `The token '${token.slice(0, 100)}' is invalid.`)
}
