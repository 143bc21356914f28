// Entries that were read lately, also that there are none, so that what is asked again and again
// costs no query. An entry that is being written is not here until its commit was heard of.

import type { Entry, Op } from './store.ts'

/** Characters of keys and values of one generation; there are two. */
const MAX_CHARACTERS = 8 << 20
/** What an entry costs beside its key and value, in characters. */
const OVERHEAD = 200

export class EntryCache {
  #young = new Map<string, Entry | null>()
  #old = new Map<string, Entry | null>()
  #youngCharacters = 0
  /** How many writes of a key are under way. */
  readonly #writing = new Map<string, number>()
  readonly #max: number

  constructor(maxCharacters = MAX_CHARACTERS) {
    this.#max = maxCharacters
  }

  /** Null: there is none in the store. Undefined: ask the store. */
  get(key: string): Entry | null | undefined {
    const entry = this.#young.get(key)
    if (entry !== undefined) return entry
    const old = this.#old.get(key)
    if (old !== undefined) this.add(key, old)
    return old
  }

  /** As the store was just read. */
  add(key: string, entry: Entry | null): void {
    if (this.#writing.has(key)) return
    this.#young.set(key, entry)
    this.#youngCharacters += key.length + (entry?.value.length ?? 0) + OVERHEAD
    if (this.#youngCharacters <= this.#max) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngCharacters = 0
  }

  /** Before they can be committed. */
  begin(ops: readonly Op[]): void {
    for (const op of ops) {
      const key = keyOf(op)
      this.#young.delete(key)
      this.#old.delete(key)
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1)
    }
  }

  /** When they are committed, or never will be, or nobody will ever say. */
  end(ops: readonly Op[]): void {
    for (const op of ops) {
      const key = keyOf(op)
      const others = (this.#writing.get(key) ?? 1) - 1
      if (others === 0) this.#writing.delete(key)
      else this.#writing.set(key, others)
    }
  }
}

function keyOf(op: Op): string {
  return 'put' in op ? op.put : op.del
}
