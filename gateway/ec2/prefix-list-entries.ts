// Entries of prefix lists and their versions: what a change makes of a list. Form and arithmetic
// only, the store is prefix-lists.ts's.

import { formatCidr, parseLooseCidr } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { PrefixListRecord } from '../store/network-records.ts'
import { badValue, required } from './input.ts'
import { parseText } from './rule-request.ts'

type Entry = PrefixListRecord['entries'][number]

/** EC2's quota of one list. */
const MAX_ENTRIES = 1_000
/** Entries in one request (EC2 API reference, CreateManagedPrefixList). */
const MAX_CHANGES = 100
/** Of all earlier versions together: a record does not grow for ever. */
const MAX_HISTORY_CIDRS = 5_000

export function parseMaxEntries(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_ENTRIES) return count
  throw badValue('MaxEntries', count, `Expecting 1 to ${MAX_ENTRIES}.`)
}

export function parseFamily(text: string): 4 | 6 {
  if (text === 'IPv4') return 4
  if (text === 'IPv6') return 6
  throw badValue('AddressFamily', text, 'Expecting IPv4 or IPv6.')
}

/** Entries of a request, each once, in their canonical form. */
export function parseEntries(
  family: 4 | 6,
  entries: readonly { Cidr?: string | undefined; Description?: string | undefined }[] | undefined,
): Entry[] {
  const parsed = new Map<string, Entry>()
  for (const { Cidr, Description } of entries ?? []) {
    const text = required('Cidr', Cidr)
    const block = parseLooseCidr(text)
    if (!block.ok || block.value.family !== family) {
      throw badValue('Cidr', text, `This is not a valid IPv${family} CIDR block.`)
    }
    const cidr = formatCidr(block.value)
    if (parsed.has(cidr)) throw badValue('Cidr', text, `The entry ${cidr} is there twice.`)
    parsed.set(cidr, { cidr, description: parseText('Description', Description ?? '') })
  }
  if (parsed.size <= MAX_CHANGES) return [...parsed.values()]
  const text = `The request has ${parsed.size} entries; at most ${MAX_CHANGES} are allowed.`
  throw new ApiError('InvalidParameterValue', text)
}

/** An entry that is there already gets the new description. */
export function changedEntries(
  list: PrefixListRecord,
  added: readonly Entry[],
  removed: readonly Entry[],
): Entry[] {
  const entries = new Map(list.entries.map((entry) => [entry.cidr, entry]))
  for (const { cidr } of removed) {
    if (added.some((entry) => entry.cidr === cidr)) {
      const text = `The entry ${cidr} is among those to add and those to remove`
      throw new ApiError('InvalidParameterCombination', text)
    }
    if (!entries.delete(cidr)) {
      const text = `The entry ${cidr} is not in the prefix list ${list.id}`
      throw new ApiError('InvalidPrefixListModification', text)
    }
  }
  for (const entry of added) entries.set(entry.cidr, entry)
  return [...entries.values()]
}

/** The next version with these entries. Throws PrefixListMaxEntriesExceeded. */
export function nextVersion(list: PrefixListRecord, entries: readonly Entry[]): PrefixListRecord {
  checkSize(list, entries.length)
  const before = { version: list.version, cidrs: list.entries.map((entry) => entry.cidr) }
  const history = [...list.history, before]
  const kept = (): number => history.reduce((sum, { cidrs }) => sum + cidrs.length, 0)
  while (kept() > MAX_HISTORY_CIDRS && history.length > 1) history.shift()
  return { ...list, version: list.version + 1, entries, history }
}

export function checkSize(
  { id, maxEntries }: Pick<PrefixListRecord, 'id' | 'maxEntries'>,
  count: number,
): void {
  if (count <= maxEntries) return
  const text = `The prefix list '${id}' would have ${count} entries; it may have ${maxEntries}.`
  throw new ApiError('PrefixListMaxEntriesExceeded', text)
}

/** The entries of a version. Throws when it never was or is not kept any more. */
export function entriesAt(list: PrefixListRecord, version: number): readonly Entry[] {
  if (version === list.version) return list.entries
  const past = list.history.find((one) => one.version === version)
  if (past === undefined) {
    const kept = [...list.history, list].map((one) => one.version)
    const text = `The prefix list '${list.id}' has no version ${version}; it has ${kept.join(', ')}`
    throw new ApiError('PrefixListVersionNotFound', text)
  }
  const described = new Map(list.entries.map((entry) => [entry.cidr, entry.description]))
  return past.cidrs.map((cidr) => ({ cidr, description: described.get(cidr) ?? '' }))
}

export function checkVersion(list: PrefixListRecord, asked: number): void {
  if (asked === list.version) return
  const text = `The prefix list '${list.id}' has the version ${list.version}, not ${asked}`
  throw new ApiError('PrefixListVersionMismatch', text)
}
