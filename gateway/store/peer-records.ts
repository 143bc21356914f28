// The records of agreements with clouds of other owners. Keys and the table of all kinds:
// records.ts.

/** An offer to another cloud's operator; used once, by whoever brings its secret. */
export interface PeerInvitationRecord {
  /** 16 hex digits. */
  readonly id: string
  readonly secretHash: string
  readonly terms: PeerTerms
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly used: { readonly uid: string; readonly caDigest: string; readonly atMs: number } | null
}

/** What this side's operator lets the other cloud do. */
export interface PeerTerms {
  /** What the peer is called here. */
  readonly name: string
  /** Its region's name here; the other's own when that is free. */
  readonly region?: string
  /** Accounts that may have peerings with it; null is all. */
  readonly accounts: readonly string[] | null
  /** Racks whose CCs hold the tunnels; null is all that have a CC. */
  readonly borders: readonly string[] | null
  readonly limits: PeerLimitsRecord
}

export interface PeerLimitsRecord {
  readonly maxConnections: number
  readonly maxPrefixes: number
  /** Bits per second in each direction; 0 is no limit. */
  readonly bandwidth: number
  /** 0 is never. */
  readonly expiresAtMs: number
  /** Where the other's prefixes, as seen here, must lie; empty is any private one. */
  readonly acceptedPrefixes: readonly string[]
}

export interface CaBundleRecord {
  readonly sequence: number
  readonly certificates: readonly string[]
}

export interface PeerCardRecord {
  readonly name: string
  readonly region: string
  readonly endpoints: readonly string[]
  readonly usedPrefixes: readonly string[]
  readonly limits: PeerLimitsRecord
  readonly suspended: boolean
  /** It has ended the agreement on its side. */
  readonly ended?: true
}

/** A link of a chain: what is known there is known up to it. */
export interface ChainHead {
  /** 32 hex digits, a later one is greater; '' before the first link. */
  readonly epoch: string
  readonly sequence: number
  /** Lower-case hex SHA-256; '' before the first link. */
  readonly hash: string
}

export interface PeerRecord {
  /** The other cloud's: 32 hex digits. */
  readonly uid: string
  /** Of its devices: unique here. */
  readonly number: number
  readonly terms: PeerTerms
  /** Its region as users here call it. */
  readonly region: string
  /** `removing`: nothing goes on any more, and soon it is gone. */
  readonly state: 'active' | 'suspended' | 'removing'
  /** Of one that is being removed: another gateway ends that from then on. */
  readonly endsAtMs?: number
  /** Pinned; both count until the older one has ended. */
  readonly ca: CaBundleRecord
  /** As it stated last. */
  readonly card: PeerCardRecord
  /** Of what this side stated, as far as a receipt is there. */
  readonly stated: ChainHead
  /** Of what the other stated. */
  readonly heard: ChainHead
  readonly heardAtMs: number
  /** The last entry of its log. */
  readonly audit: { readonly sequence: number; readonly hash: string }
  readonly createdAtMs: number
}

/** A statement of the other side that holds; its key is that of the statement. */
export interface PeerStatementRecord {
  readonly uid: string
  readonly key: string
  /** Of the chain that it came with: what came with another one than `heard` holds no more. */
  readonly epoch: string
  /** A Statement of peering.proto as canonical JSON. */
  readonly statement: unknown
}

/** A statement of this side that the other has given a receipt for. */
export interface StatedRecord {
  readonly uid: string
  readonly key: string
  /** Of the chain; what went with another one than `stated` is not known there. */
  readonly epoch: string
  /** Lower-case hex SHA-256 of the statement. */
  readonly digest: string
}

/** What is under way between the two. */
export interface PeerChainRecord {
  readonly uid: string
  /** The next link, recorded before it is sent: every gateway sends these very bytes. */
  readonly pending: {
    readonly head: ChainHead
    /** Base64 of a Batch. */
    readonly batch: string
    /** Which gateway sends it, and since when. */
    readonly gateway: string
    readonly atMs: number
  } | null
  /** The receipt for `heard` as JSON, for when the same link comes again. */
  readonly receipt: unknown
}

/** Where gateways of this cloud are reached by peer clouds. */
export interface PeeringEndpointRecord {
  /** host:port or [host]:port, the best first; the first is the record's key. */
  readonly endpoints: readonly string[]
  readonly renewedAtMs: number
}

/** One link of the log that this side keeps of everything between the two. */
export interface PeerAuditRecord {
  readonly uid: string
  /** From 1, without a gap. */
  readonly sequence: number
  readonly atMs: number
  readonly what: 'stated' | 'heard' | 'operator' | 'user'
  /** What was done, for people and for machines. */
  readonly detail: unknown
  /** Of the entry before; '' with the first. */
  readonly previousHash: string
  readonly hash: string
  /** The other's, for what was stated; one's own, for what was heard. */
  readonly receipt?: unknown
}

/** What a CC says of its device for a peer. */
export interface PeerLinkRecord {
  readonly number: number
  readonly rack: string
  readonly host: string
  readonly publicKey: string
  readonly endpoints: readonly string[]
  readonly linkAddress: string
  readonly borders: readonly {
    readonly rack: string
    readonly host: string
    /** Since when it is heard without a silence; 0 while it is silent. */
    readonly handshakeAtMs: number
    readonly pathMtu: number
  }[]
  readonly trouble: string
}

export interface PeerRecords {
  'peer-invitation': PeerInvitationRecord
  peer: PeerRecord
  'peer-statement': PeerStatementRecord
  stated: StatedRecord
  'peer-chain': PeerChainRecord
  'peering-endpoint': PeeringEndpointRecord
  'peer-audit': PeerAuditRecord
  'peer-link': PeerLinkRecord
}
