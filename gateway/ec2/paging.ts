// Pages of Describe calls. A token names the last thing that was shown, so that it survives
// restarts and things that come and go meanwhile; it fits only the request that it was given for.

import { createHash } from 'node:crypto'
import type { CallContext } from '../aws/handlers.ts'
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
const PER_PAGE = new Set(['MaxResults', 'NextToken', 'DryRun'])

/**
 * One page of `items` in the order of `cursorOf`, which tells any two apart. Without MaxResults and
 * NextToken it is all of them. Throws InvalidParameterValue for sizes out of
 * minResults..maxResults and for false tokens.
 */
export function pageOf<T>(
  context: CallContext,
  action: string,
  { MaxResults: size, NextToken: token }: PageRequest,
  items: readonly T[],
  cursorOf: (item: T) => string,
  maxResults = MAX_RESULTS,
  minResults = MIN_RESULTS,
): Page<T> {
  if (size !== undefined && !(size >= minResults && size <= maxResults)) {
    const why = `Expecting a value between ${minResults} and ${maxResults}.`
    throw badValue('MaxResults', size, why)
  }
  // Once for each item: sorting compares many times.
  const cursors = items.map((item) => ({ item, cursor: cursorOf(item) }))
  const sorted = cursors.sort((a, b) => compareText(a.cursor, b.cursor))
  const digest = digestOf(context, action)
  const after = token === undefined ? null : parseToken(token, digest)
  const left = after === null ? sorted : sorted.filter(({ cursor }) => cursor > after)
  const isPaged = size !== undefined || token !== undefined
  const shown = isPaged ? left.slice(0, size ?? maxResults) : left
  const last = shown.length < left.length ? shown.at(-1) : undefined
  return {
    items: shown.map(({ item }) => item),
    nextToken:
      last === undefined ? undefined : Buffer.from(`${digest}${last.cursor}`).toString('base64url'),
  }
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
