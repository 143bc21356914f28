// The records of the store in memory, parsed, with the indexes that View promises. Changes come
// from the mirror; nobody else writes here.

import { MalleeError } from '../../common/errors.ts'
import { INDEXED, type IndexedKind, type IndexField } from './indexes.ts'
import { Ordered } from './ordered.ts'
import type { Kind, Records } from './records.ts'
import type { AppliedChange, View } from './state.ts'
import type { Change } from './store.ts'

type Index = Map<string, Ordered<unknown>>

/** Always the same one: whoever compares lists sees that nothing came. */
const NONE: readonly never[] = []
/** Keys of the number pools are no records: only transactions read them. */
const POOL_PREFIX = 'pool/'

export function isRecord({ key }: Change): boolean {
  return !key.startsWith(POOL_PREFIX)
}

export class MemoryView implements View {
  revision = 0
  readonly #kinds = new Map<string, Ordered<unknown>>()
  readonly #indexes = new Map<string, Index>()

  get<K extends Kind>(kind: K, ...id: readonly string[]): Records[K] | null {
    const joined = joinId(id)
    if (joined === null) return null
    return (this.#kinds.get(kind)?.get(joined) as Records[K] | undefined) ?? null
  }

  all<K extends Kind>(kind: K): readonly Records[K][] {
    return (this.#kinds.get(kind)?.all() as readonly Records[K][] | undefined) ?? NONE
  }

  withPrefix<K extends Kind>(kind: K, prefix: string): readonly Records[K][] {
    return (this.#kinds.get(kind)?.withPrefix(prefix) as readonly Records[K][] | undefined) ?? []
  }

  under<K extends Kind>(kind: K, ...id: readonly string[]): readonly Records[K][] {
    const joined = joinId(id)
    if (joined === null) return NONE
    return (this.#kinds.get(kind)?.under(`${joined}/`) as readonly Records[K][] | undefined) ?? NONE
  }

  instancesOf(by: 'account' | 'rack' | 'host', id: string): readonly Records['instance'][] {
    return this.#indexed('instance', by, id)
  }

  interfacesOf(
    by: 'account' | 'rack' | 'instance' | 'subnet',
    id: string,
  ): readonly Records['interface'][] {
    return this.#indexed('interface', by, id)
  }

  subnetsOf(by: 'account' | 'rack' | 'vpc', id: string): readonly Records['subnet'][] {
    return this.#indexed('subnet', by, id)
  }

  by<K extends IndexedKind>(kind: K, field: IndexField<K>, value: string): readonly Records[K][] {
    return this.#indexed(kind, field, value)
  }

  #indexed<K extends Kind>(kind: K, by: string, id: string): readonly Records[K][] {
    const bucket = this.#indexes.get(`${kind}/${by}`)?.get(id)
    return (bucket?.all() as readonly Records[K][] | undefined) ?? NONE
  }

  /**
   * Takes changes in, all of them or, when it throws BadMessage for one's value, none. Returns
   * those of records.
   */
  apply(changes: readonly Change[], revision: number): AppliedChange[] {
    const parsed = changes.filter(isRecord).map((change) => ({
      change,
      record: change.value === null ? null : parseRecord(change.key, change.value),
    }))
    const applied = parsed.map(({ change, record }) => ({
      ...change,
      before: this.#set(change.key, record),
    }))
    this.revision = revision
    return applied
  }

  /** What was there before. */
  #set(key: string, record: object | null): object | null {
    const slash = key.indexOf('/')
    const kind = key.slice(0, slash)
    const id = key.slice(slash + 1)
    const records = this.#kinds.get(kind) ?? new Ordered()
    this.#kinds.set(kind, records)
    const before = records.get(id)
    this.#reindex(kind, id, before, record)
    if (record === null) records.delete(id)
    else records.set(id, record)
    return (before as object | undefined) ?? null
  }

  /** What turns `this` into `next`, as changes at its revision, keys in order within a kind. */
  differences(next: MemoryView): readonly AppliedChange[] {
    const changes: AppliedChange[] = []
    for (const kind of new Set([...this.#kinds.keys(), ...next.#kinds.keys()])) {
      const before = this.#kinds.get(kind) ?? new Ordered()
      const after = next.#kinds.get(kind) ?? new Ordered()
      for (const id of new Set([...before.idsFrom(''), ...after.idsFrom('')])) {
        const value = textOf(after.get(id))
        const was = before.get(id) ?? null
        if (value === (was === null ? null : textOf(was))) continue
        const key = `${kind}/${id}`
        changes.push({ revision: next.revision, key, value, before: was as object | null })
      }
    }
    return changes
  }

  #reindex(kind: string, id: string, before: unknown, after: unknown): void {
    for (const by of fieldsOf(kind)) {
      const name = `${kind}/${by}`
      const index: Index = this.#indexes.get(name) ?? new Map()
      this.#indexes.set(name, index)
      const to = new Set(valuesOf(after, by))
      for (const from of valuesOf(before, by)) {
        if (to.has(from)) continue
        const bucket = index.get(from)
        bucket?.delete(id)
        if (bucket?.size === 0) index.delete(from)
      }
      for (const value of to) {
        const bucket = index.get(value) ?? new Ordered()
        index.set(value, bucket)
        bucket.set(id, after)
      }
    }
  }
}

/** Null when no key can have these parts: nothing is there, whatever a caller asks for. */
export function joinId(parts: readonly string[]): string | null {
  return parts.some((part) => part === '' || part.includes('/')) ? null : parts.join('/')
}

/** Throws BadMessage that names the key. */
export function parseRecord(key: string, value: string): object {
  try {
    const record: unknown = JSON.parse(value)
    if (typeof record === 'object' && record !== null) return record
  } catch (cause) {
    throw new MalleeError('BadMessage', `what the store holds at ${key} is not JSON`, { cause })
  }
  throw new MalleeError('BadMessage', `what the store holds at ${key} is no record`)
}

function fieldsOf(kind: string): readonly string[] {
  return Object.hasOwn(INDEXED, kind) ? INDEXED[kind as IndexedKind] : []
}

/** A field of texts is indexed under each of them; `a.b` is the field b of the field a. */
function valuesOf(record: unknown, name: string): readonly string[] {
  const value = name
    .split('.')
    .reduce((at, part) => (at as Record<string, unknown> | null | undefined)?.[part], record)
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

function textOf(record: unknown): string | null {
  return record === undefined ? null : JSON.stringify(record)
}
