// Records in order of their ids. A change costs the same with a hundred and a million records;
// arrays that callers got never change.

/** A full chunk is split in halves. Small enough that moving it costs nothing. */
const CHUNK = 512

/** Lists under prefixes that are kept; there are a few for each peer cloud. */
const MAX_KEPT = 65_536

/** Ids are compared as JavaScript compares strings: for ASCII that is byte order. */
export class Ordered<T> {
  readonly #records = new Map<string, T>()
  /** Sorted ids in sorted chunks, none of them empty. */
  readonly #chunks: string[][] = []
  #all: readonly T[] | null = null
  readonly #under = new Map<string, readonly T[]>()

  get size(): number {
    return this.#records.size
  }

  get(id: string): T | undefined {
    return this.#records.get(id)
  }

  set(id: string, record: T): void {
    if (!this.#records.has(id)) this.#insert(id)
    this.#records.set(id, record)
    this.#changed(id)
  }

  delete(id: string): void {
    if (!this.#records.delete(id)) return
    const at = this.#chunkOf(id)
    const chunk = this.#chunks[at]
    chunk?.splice(lowerBound(chunk, id), 1)
    if (chunk?.length === 0) this.#chunks.splice(at, 1)
    this.#changed(id)
  }

  /** All records in order; the same array until something changes. */
  all(): readonly T[] {
    this.#all ??= this.withPrefix('')
    return this.#all
  }

  /** Those below `prefix`, which ends with a slash; the same array until one of them changes. */
  under(prefix: string): readonly T[] {
    const known = this.#under.get(prefix)
    if (known !== undefined) return known
    const found = this.withPrefix(prefix)
    if (this.#under.size >= MAX_KEPT) this.#under.clear()
    this.#under.set(prefix, found)
    return found
  }

  withPrefix(prefix: string): readonly T[] {
    const found: T[] = []
    for (const id of this.idsFrom(prefix)) {
      if (!id.startsWith(prefix)) break
      const record = this.#records.get(id)
      if (record !== undefined) found.push(record)
    }
    return found
  }

  /** Ids that are not before `first`, in order. */
  *idsFrom(first: string): Iterable<string> {
    for (let at = this.#chunkOf(first); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] ?? []
      for (let i = lowerBound(chunk, first); i < chunk.length; i++) yield chunk[i] ?? ''
    }
  }

  #changed(id: string): void {
    this.#all = null
    if (this.#under.size === 0) return
    for (let at = id.indexOf('/'); at >= 0; at = id.indexOf('/', at + 1)) {
      this.#under.delete(id.slice(0, at + 1))
    }
  }

  #insert(id: string): void {
    const at = this.#chunkOf(id)
    const chunk = this.#chunks[at]
    if (chunk === undefined) {
      this.#chunks.push([id])
      return
    }
    chunk.splice(lowerBound(chunk, id), 0, id)
    if (chunk.length > CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK / 2))
  }

  /** The last chunk that starts at or before `id`; the first one when none does. */
  #chunkOf(id: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#chunks[middle]?.[0] ?? '') <= id) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

function lowerBound(sorted: readonly string[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < id) low = middle + 1
    else high = middle
  }
  return low
}
