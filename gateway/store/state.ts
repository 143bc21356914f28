// The records as programs use them: a mirror of the store in memory for reading, and transactions
// with compare-and-set for writing. Contract here; mirror.ts and update.ts make it.

import type { Freed } from '../../topology/pool.ts'
import type { IndexedKind, IndexField } from './indexes.ts'
import type { Kind, Records } from './records.ts'
import type { Change } from './store.ts'

/** A change as the mirror took it in. */
export interface AppliedChange extends Change {
  /** The record that it replaced; undefined when it is known from the store's log only. */
  readonly before?: object | null
}

/** Everything at one revision. Does not change within one turn of the event loop. */
export interface View {
  readonly revision: number
  /** `get('host', 'a', 'a-cc')`; null when absent. */
  get<K extends Kind>(kind: K, ...id: readonly string[]): Records[K] | null
  /** All of a kind, in key order. */
  all<K extends Kind>(kind: K): readonly Records[K][]
  /** All of a kind whose id starts with `prefix` (for `host`: 'a/'). */
  withPrefix<K extends Kind>(kind: K, prefix: string): readonly Records[K][]
  /** All of a kind whose id begins with these parts; the same list until one of them changes. */
  under<K extends Kind>(kind: K, ...id: readonly string[]): readonly Records[K][]
  /** `by('interface', 'vpc', id)`: through a kept index (indexes.ts), in order of ids. */
  by<K extends IndexedKind>(kind: K, field: IndexField<K>, value: string): readonly Records[K][]
  /** Kept indexes, so that a host's or an account's things cost no walk over everybody's. */
  instancesOf(by: 'account' | 'rack' | 'host', id: string): readonly Records['instance'][]
  interfacesOf(
    by: 'account' | 'rack' | 'instance' | 'subnet',
    id: string,
  ): readonly Records['interface'][]
  subnetsOf(by: 'account' | 'rack' | 'vpc', id: string): readonly Records['subnet'][]
}

/** Reads and writes of one transaction. Reads are of the store as it is, not of the mirror. */
export interface Transaction {
  get<K extends Kind>(kind: K, ...id: readonly string[]): Promise<Records[K] | null>
  /** Writes the record; the key's version as read (or absence) becomes a condition. */
  put<K extends Kind>(kind: K, id: readonly string[], record: Records[K]): Promise<void>
  delete(kind: Kind, ...id: readonly string[]): Promise<void>
  /** A number pool, for example `pool('mac')`: take and give back within this transaction. */
  pool(name: string): Pool
  /** The time by which pools let numbers rest. */
  nowMs(): number
}

/** Numbers of a band: lowest never used first, else the one freed longest ago, after a while. */
export interface Pool {
  /** A free number in first..last, or null when all are held (or still in quarantine). */
  take(band: { first: number; last: number; quarantineMs: number }): Promise<number | null>
  give(n: number): Promise<void>
  /**
   * Forgets the pool, and of the numbers that were given back the `most` newest: those of a pool
   * whose name nobody uses again need no more than the place that they take.
   */
  drop(most: number): Promise<void>
  /** Nobody takes or gives between this and the commit, or the change runs again. */
  watch(): Promise<void>
  /** Those that were given back last and not taken again, `most` at most, the newest last. */
  freed(most: number): Promise<readonly Freed[]>
}

export interface State {
  /** The mirror as it is now; at most milliseconds old. */
  view(): View
  /** The mirror after it has seen everything that was acknowledged anywhere before this call. */
  fresh(): Promise<View>
  /**
   * Runs `change` and commits what it wrote, if nobody changed what it read; else runs it again
   * (up to 50 times, then Conflict). Resolves when durable AND visible in view(). `change` does
   * nothing but read and write through `tx`: it may run several times, some of them for nothing,
   * and an update inside of it would wait for a key that this one has.
   */
  update<T>(change: (tx: Transaction) => Promise<T>): Promise<T>
  /** Called after the mirror applied one revision. Returns the function that ends it. */
  onChange(listener: (changes: readonly AppliedChange[], revision: number) => void): () => void
  /** Changes since a revision of this epoch, or null when the log does not reach back. */
  changesSince(revision: number): Promise<readonly AppliedChange[] | null>
  epoch(): string
  close(): Promise<void>
}
