// A page of a list: keys, and what they have in common up to a delimiter. Keys that a common prefix
// stands for are skipped and not read.

export interface Walk<T> {
  readonly prefix: string
  /** '' : every key for itself. */
  readonly delimiter: string
  readonly maxKeys: number
  /** Entries after a place, in order; a common prefix is left by `beyond`. */
  readonly next: (
    after: Place<T>,
    limit: number,
  ) => Promise<{ entries: readonly T[]; more: boolean }>
  readonly keyOf: (entry: T) => string
  readonly start: Place<T>
}

/** Where a page goes on: after an entry, or after all keys that begin with a text. */
export type Place<T> =
  | { readonly kind: 'start' }
  | { readonly kind: 'after'; readonly entry: T }
  /** As somebody named it: when it is a common prefix, all that it stands for is left out. */
  | { readonly kind: 'key'; readonly key: string }
  /** The last key of a page before. */
  | { readonly kind: 'last'; readonly key: string }
  | { readonly kind: 'beyond'; readonly prefix: string }

export interface Walked<T> {
  readonly entries: readonly T[]
  readonly prefixes: readonly string[]
  /** The last thing that the page shows; null when nothing comes after it. */
  readonly last: Extract<Place<T>, { kind: 'after' | 'beyond' }> | null
}

const MAX_ROWS = 1_000
/** After a common prefix the next row is likely to begin another one. */
const FEW_ROWS = 2
/** No key has so many bytes: it sorts after all that begin as it does. */
const LAST = '\u{10ffff}'.repeat(257)

export async function walk<T>(options: Walk<T>): Promise<Walked<T>> {
  const { maxKeys, next, keyOf } = options
  const entries: T[] = []
  const prefixes: string[] = []
  let place: Place<T> = skipped(options)
  let last: Walked<T>['last'] = null
  if (maxKeys === 0) return { entries, prefixes, last }
  let rows = options.delimiter === '' ? MAX_ROWS : FEW_ROWS
  for (;;) {
    // One more than the page has place for tells whether it is the last one.
    const left = maxKeys - entries.length - prefixes.length + 1
    const page = await next(place, Math.min(left, rows, MAX_ROWS))
    let jump: Place<T> | null = null
    for (const entry of page.entries) {
      if (entries.length + prefixes.length >= maxKeys) return { entries, prefixes, last }
      const common = commonOf(keyOf(entry), options)
      if (common === null) {
        entries.push(entry)
        last = { kind: 'after', entry }
        place = last
      } else {
        prefixes.push(common)
        last = { kind: 'beyond', prefix: common }
        jump = last
        break
      }
    }
    if (jump === null && !page.more) return { entries, prefixes, last: null }
    place = jump ?? place
    rows = jump === null ? rows * 2 : FEW_ROWS
  }
}

/** The key after which a list goes on, for an index that knows only keys. */
export function keyAfter<T>(place: Place<T>, keyOf: (entry: T) => string): string {
  switch (place.kind) {
    case 'start':
      return ''
    case 'after':
      return keyOf(place.entry)
    case 'key':
    case 'last':
      return place.key
    case 'beyond':
      return `${place.prefix}${LAST}`
  }
}

/** Who goes on after a common prefix has seen all that it stands for. */
function skipped<T>(options: Walk<T>): Place<T> {
  const { start } = options
  if (start.kind !== 'key') return start
  const isCommon = commonOf(start.key, options) === start.key
  return isCommon ? { kind: 'beyond', prefix: start.key } : start
}

function commonOf<T>(key: string, { prefix, delimiter }: Walk<T>): string | null {
  if (delimiter === '' || !key.startsWith(prefix)) return null
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? null : key.slice(0, at + delimiter.length)
}
