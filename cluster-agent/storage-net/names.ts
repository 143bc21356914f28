// The names of what a host has of its rack's storage network.

/** The host's own port in it: an internal one of the switch. */
export const STORAGE_PORT = 'mallee-stor'

/** The mark (external id) of that port. */
export const STORAGE_MARK = 'storage'

/** The nft table that keeps everybody else out of it, family inet. */
export const STORAGE_TABLE = 'mallee_storage'
