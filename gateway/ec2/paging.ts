// Pages of Describe calls. A token names the last thing that was shown, so that it survives
// restarts and things that come and go meanwhile; it fits only the request that it was given for.

import { createHash } from 'node:crypto'
import type { CallContext } from '../aws/handlers.ts'
import { type Entry, inOrder } from './in-order.ts'
import { badValue } from './input.ts'

export interface PageRequest {
  readonly MaxResults?: number | undefined
  readonly NextToken?: string | undefined
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Absent on the last page. */
  readonly nextToken: string | undefined
}

const MIN_RESULTS = 5
const MAX_RESULTS = 1_000
const MAX_TOKEN_CHARS = 1_024
/** Parameters that may differ from page to page. */
const PER_PAGE = new Set(['MaxResults', 'NextToken', 'PageSize', 'Marker', 'DryRun'])

/**
 * One page of `items` in the order of `cursorOf`, which tells any two apart. Without MaxResults and
 * NextToken it is all of them. Throws InvalidParameterValue for sizes out of
 * minResults..maxResults and for false tokens.
 */
export function pageOf<T>(
  context: CallContext,
  action: string,
  request: PageRequest,
  items: readonly T[],
  cursorOf: (item: T) => string,
  maxResults = MAX_RESULTS,
  minResults = MIN_RESULTS,
): Page<T> {
  const limits = { maxResults, minResults }
  return pageOfShown(context, action, request, items, { cursorOf, show: (item) => item, limits })
}

/**
 * The same of what `show` makes of records, null for those that are not to be seen. Only the page's
 * own are shown, and the next one: with many records that is what a page costs.
 */
export function pageOfShown<R, T>(
  context: CallContext,
  action: string,
  { MaxResults: size, NextToken: token }: PageRequest,
  records: readonly R[],
  {
    cursorOf,
    show,
    limits: { maxResults, minResults } = { maxResults: MAX_RESULTS, minResults: MIN_RESULTS },
  }: {
    readonly cursorOf: (record: R) => string
    readonly show: (record: R) => T | null
    readonly limits?: { readonly maxResults: number; readonly minResults: number }
  },
): Page<T> {
  if (size !== undefined && !(size >= minResults && size <= maxResults)) {
    const why = `Expecting a value between ${minResults} and ${maxResults}.`
    throw badValue('MaxResults', size, why)
  }
  const isPaged = size !== undefined || token !== undefined
  const digest = digestOf(context, action)
  const after = token === undefined ? null : parseToken(token, digest)
  const most = isPaged ? (size ?? maxResults) : Number.POSITIVE_INFINITY
  const items: T[] = []
  let last = ''
  for (const { cursor, item: record } of inOrder(entriesAfter(records, cursorOf, after))) {
    const shown = show(record)
    if (shown === null) continue
    if (items.length >= most) return { items, nextToken: tokenOf(digest, last) }
    items.push(shown)
    last = cursor
  }
  return { items, nextToken: undefined }
}

function entriesAfter<R>(
  records: readonly R[],
  cursorOf: (record: R) => string,
  after: string | null,
): Entry<R>[] {
  const entries: Entry<R>[] = []
  for (const item of records) {
    const cursor = cursorOf(item)
    if (after === null || cursor > after) entries.push({ cursor, item })
  }
  return entries
}

function tokenOf(digest: string, cursor: string): string {
  return Buffer.from(`${digest}${cursor}`).toString('base64url')
}

function parseToken(token: string, digest: string): string {
  const text = token.length > MAX_TOKEN_CHARS ? '' : Buffer.from(token, 'base64url').toString()
  const whole = Buffer.from(text).toString('base64url') === token
  if (!whole || !text.startsWith(digest) || text.length === digest.length) {
    throw badValue('NextToken', token.slice(0, MAX_TOKEN_CHARS), 'The token is invalid.')
  }
  return text.slice(digest.length)
}

/** For sort(): by UTF-16 code units, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Of who asks and for what. */
function digestOf({ caller, parameters }: CallContext, action: string): string {
  const asked = [...parameters].filter(([name]) => !PER_PAGE.has(name))
  return createHash('sha256')
    .update(JSON.stringify([caller.account, action, asked.sort(([a], [b]) => compareText(a, b))]))
    .digest('hex')
    .slice(0, 32)
}
