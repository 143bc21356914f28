// EC2 ids: how they look, how new ones are made, and AWS's errors for those that are none, unknown
// or somebody else's. What the things are called: nouns.ts.

import { createHash } from 'node:crypto'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Records } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { NOUNS, type OwnedKind, type TaggedKind } from './nouns.ts'

export type { OwnedKind, TaggedKind } from './nouns.ts'

const TAGGED_KINDS = Object.keys(NOUNS) as TaggedKind[]
/** Ids in one request. */
const MAX_IDS = 1_000
const ID_DIGITS = 17
const NEW_ID_TRIES = 5

/** As tags call it; of some kinds the id says of which type one is. */
export function resourceTypeOf(kind: TaggedKind, id = ''): string {
  const { resourceType, otherTypes = [] } = NOUNS[kind]
  return otherTypes.find(({ prefix }) => id.startsWith(`${prefix}-`))?.resourceType ?? resourceType
}

/** The kind that an id of any kind is of, by its prefix; null when it has the form of none. */
export function kindOfId(id: string): TaggedKind | null {
  return TAGGED_KINDS.find((kind) => hasForm(kind, id)) ?? null
}

/** A random `<prefix>-` and 17 hex digits. */
export function randomId(randomHex: RandomHex, prefix: string): string {
  return `${prefix}-${randomHex(Math.ceil(ID_DIGITS / 2)).slice(0, ID_DIGITS)}`
}

/** A random id that no record of the kind has. Throws Conflict when chance is not random at all. */
export async function newId(
  tx: Transaction,
  randomHex: RandomHex,
  kind: OwnedKind,
  prefix = NOUNS[kind].prefix,
): Promise<string> {
  for (let tries = 0; tries < NEW_ID_TRIES; tries += 1) {
    const id = randomId(randomHex, prefix)
    if ((await tx.get(kind, id)) === null) return id
  }
  throw new MalleeError('Conflict', `${NEW_ID_TRIES} random ids for a new ${kind} were all taken`)
}

/** An id of a part that has no record of its own: the same for the same parts. */
export function derivedId(prefix: string, ...parts: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex')
  return `${prefix}-${hash.slice(0, ID_DIGITS)}`
}

/** The records that a request names, in its order. Throws when one is malformed or not there. */
export function namedInView<K extends OwnedKind>(
  view: View,
  kind: K,
  ids: readonly string[],
  account: string,
): Records[K][] {
  const unique = checkIds(kind, ids)
  return present(
    kind,
    unique,
    unique.map((id) => (hasForm(kind, id) ? view.get(kind, id) : null)),
    account,
  )
}

/** The same from the store: what is found is a condition of the transaction. */
export async function namedInStore<K extends OwnedKind>(
  tx: Transaction,
  kind: K,
  ids: readonly string[],
  account: string,
): Promise<Records[K][]> {
  const unique = checkIds(kind, ids)
  const records: (Records[K] | null)[] = []
  for (const id of unique) records.push(hasForm(kind, id) ? await tx.get(kind, id) : null)
  return present(kind, unique, records, account)
}

/** The same of one thing. */
export async function oneInStore<K extends OwnedKind>(
  tx: Transaction,
  kind: K,
  id: string,
  account: string,
): Promise<Records[K]> {
  const [record] = await namedInStore(tx, kind, [id], account)
  if (record === undefined) throw notFound(kind, [id])
  return record
}

export function notFound(kind: TaggedKind, ids: readonly string[]): ApiError {
  const { notFound: code, words } = NOUNS[kind]
  const text =
    ids.length === 1
      ? `The ${words} '${ids[0]}' does not exist`
      : `The ${words}s '${ids.join(', ')}' do not exist`
  return new ApiError(code, text)
}

/** Images and snapshots are also those to see that may use them; all else is its owner's alone. */
export function isVisible(record: Records[OwnedKind], account: string): boolean {
  // A snapshot that was deleted is a record as long as its blocks are there.
  if ('volumeSizeGib' in record && record.deletedAtMs !== null) return false
  if (record.account === account) return true
  return isForAll(record) || ('isPublic' in record && record.sharedWith?.includes(account) === true)
}

/** Images and snapshots may be public. */
export function isForAll(record: Records[OwnedKind]): boolean {
  if ('publicIsBlocked' in record && record.publicIsBlocked === true) return false
  return 'isPublic' in record && record.isPublic
}

/** Once each, all of the right form. */
export function checkIds(kind: TaggedKind, ids: readonly string[]): string[] {
  if (ids.length > MAX_IDS) {
    throw new ApiError(
      'InvalidParameterValue',
      `The request names ${ids.length} resources; at most ${MAX_IDS} are allowed.`,
    )
  }
  const { malformed, prefix } = NOUNS[kind]
  const bad = ids.find((id) => !hasForm(kind, id))
  if (bad !== undefined && malformed !== null) {
    throw new ApiError(malformed, `Invalid id: "${bad}" (expecting "${prefix}-...")`)
  }
  return [...new Set(ids)]
}

/** 17 hex digits; 8 were the form before 2016. */
function hasForm(kind: TaggedKind, id: string): boolean {
  const { prefix, otherPrefixes = [] } = NOUNS[kind]
  const start = [prefix, ...otherPrefixes].find((one) => id.startsWith(`${one}-`))
  return start !== undefined && /^-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id.slice(start.length))
}

function present<K extends OwnedKind>(
  kind: K,
  ids: readonly string[],
  records: readonly (Records[K] | null)[],
  account: string,
): Records[K][] {
  const missing: string[] = []
  const there: Records[K][] = []
  for (const [i, record] of records.entries()) {
    if (record !== null && isVisible(record, account)) there.push(record)
    else missing.push(ids[i] ?? '')
  }
  if (missing.length > 0) throw notFound(kind, missing)
  return there
}
