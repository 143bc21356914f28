// The gateway's state behind an interface like etcd's. Two implementations, one contract test.

export interface Entry {
  readonly key: string
  readonly value: string
  /** Revision of the last change of this key. */
  readonly version: number
  /** Revision at which the key was created. */
  readonly created: number
}

/** A condition of a transaction: the key has this version; 0 means it does not exist. */
export interface Compare {
  readonly key: string
  readonly version: number
}

export type Op = { readonly put: string; readonly value: string } | { readonly del: string }

export type TxnResult =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly key: string; readonly version: number }

export interface Change {
  readonly revision: number
  readonly key: string
  /** null when the key was deleted. */
  readonly value: string | null
}

export interface Page {
  readonly entries: readonly Entry[]
  /** A watch from here misses nothing that this page does not show. */
  readonly revision: number
  readonly more: boolean
}

/** Thrown by watch when the log no longer reaches back to `from`: list again. */
export class Compacted extends Error {
  constructor(from: number) {
    super(`revision ${from} was compacted, list again`)
    this.name = 'Compacted'
  }
}

export interface Store {
  get(key: string): Promise<Entry | null>
  /** Keys that start with `prefix` in byte order of their UTF-8, after `after` (exclusive). */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<Page>
  /**
   * All of `then`, in one revision, if every compare holds; nothing otherwise. Resolves when
   * durable. Throws MalleeError StoreFull, Unavailable (too many wait), Conflict (the epoch changed
   * meanwhile: read again), BadArgument (limits.ts), all four with nothing written, or
   * StoreUnavailable (outcome unknown unless the sentence says otherwise).
   */
  txn(when: readonly Compare[], then: readonly Op[]): Promise<TxnResult>
  /** The newest revision: not before that of anything which was read here. */
  revision(): Promise<number>
  /** Every change with revision > from, in order, one array per revision, until aborted. */
  watch(prefix: string, from: number, signal: AbortSignal): AsyncIterable<readonly Change[]>
  /**
   * Names one history: revisions compare only within one epoch. It changes when a store lost
   * acknowledged writes (a Redis fail-over), and then every agent gets the whole state anew.
   */
  epoch(): Promise<string>
  close(): Promise<void>
}
