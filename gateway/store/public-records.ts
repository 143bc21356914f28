// The records of public addresses: pools, who has which, and what they are associated with.

/** An elastic IP, or with `auto` the public address of a launch. Key: its id. */
export interface AddressRecord {
  readonly id: string
  readonly account: string
  readonly publicIp: string
  readonly pool: string
  readonly auto: boolean
  /** What it is associated with: '' or all three. */
  readonly association: string
  readonly interface: string
  readonly privateIp: string
  readonly createdAtMs: number
}

/** Public addresses that the operator gave the cloud. */
export interface PublicPoolRecord {
  readonly id: string
  readonly cidr: string
  /** The racks whose CCs can announce them; empty for all. */
  readonly racks: readonly string[]
  /** Addresses that nobody gets, the upstream router's for example. */
  readonly excluded: readonly string[]
  /** It is about to go: nothing more is taken from it. */
  readonly closing: boolean
  readonly createdAtMs: number
}

/** Who has a public address, or how long nobody has had it. Key: the address. */
export interface PublicAddressRecord {
  readonly address: string
  readonly pool: string
  /** The id of its AddressRecord; '' while it rests. */
  readonly allocation: string
  /** The pool's sequence of numbers counts it as taken. */
  readonly pooled: boolean
  readonly freedAtMs: number | null
}
