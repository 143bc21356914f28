// Pages of IAM's lists. A marker names the last thing that was shown, so that it survives restarts
// and things that come and go meanwhile.

import { unsatisfied } from './errors.ts'

export interface PageRequest {
  readonly Marker?: string | undefined
  readonly MaxItems?: number | undefined
}

export interface PageEnd {
  readonly IsTruncated: boolean
  readonly Marker?: string
}

const DEFAULT_ITEMS = 100
const MAX_ITEMS = 1_000
const MAX_MARKER = 1_024

/**
 * One page of `items` in the order of `cursorOf`, which tells any two apart. Throws ValidationError
 * for a size that is none and a marker that nobody gave.
 */
export function pageOf<T>(
  { Marker: marker, MaxItems: size = DEFAULT_ITEMS }: PageRequest,
  items: readonly T[],
  cursorOf: (item: T) => string,
): { items: readonly T[]; end: PageEnd } {
  if (size < 1) {
    throw unsatisfied('maxItems', String(size), 'have value greater than or equal to 1')
  }
  if (size > MAX_ITEMS) {
    throw unsatisfied('maxItems', String(size), `have value less than or equal to ${MAX_ITEMS}`)
  }
  const after = marker === undefined ? null : cursorIn(marker)
  const left = items
    .map((item) => ({ item, cursor: cursorOf(item) }))
    .filter(({ cursor }) => after === null || cursor > after)
    .sort((a, b) => (a.cursor < b.cursor ? -1 : 1))
  const shown = left.slice(0, size)
  const last = shown.length < left.length ? shown.at(-1) : undefined
  return {
    items: shown.map(({ item }) => item),
    end:
      last === undefined
        ? { IsTruncated: false }
        : { IsTruncated: true, Marker: Buffer.from(last.cursor).toString('base64url') },
  }
}

function cursorIn(marker: string): string {
  const text = marker.length > MAX_MARKER ? '' : Buffer.from(marker, 'base64url').toString()
  if (text !== '' && Buffer.from(text).toString('base64url') === marker) return text
  throw unsatisfied('marker', marker, 'be a marker of an earlier answer')
}
