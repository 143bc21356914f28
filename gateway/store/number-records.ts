// The records of numbers and prefixes that are taken, or at rest. Keys: records.ts.

/** A block of a space of prefixes: taken, or at rest. Key: space, the block with `_` for `/`. */
export interface BlockRecord {
  readonly space: string
  readonly cidr: string
  /** Whose it is, or was last. */
  readonly account: string
  /** '' when it was given back. */
  readonly holder: string
  readonly freedAtMs: number | null
}

/** How often a block was taken from a space: who takes one must have seen all the others. */
export interface BlockSpaceRecord {
  readonly space: string
  readonly takes: number
}

/** A VLAN tag that was given back when tags are the racks' own. EVERY_RACK rests in all racks. */
export interface RestingTagRecord {
  readonly rack: string
  readonly tag: number
  readonly freedAtMs: number
}
