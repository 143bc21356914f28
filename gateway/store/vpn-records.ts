// The records of VPN connections to customers' own devices. Keys and the table of all kinds:
// records.ts.

/** A customer's device: whom a connection goes to. */
export interface CustomerGatewayRecord {
  readonly id: string
  readonly account: string
  /** Where it is; '' for one that dials from anywhere, with WireGuard only. */
  readonly ipAddress: string
  /** Base64, of a WireGuard device; '' for one that speaks IPsec. */
  readonly publicKey: string
  readonly deviceName: string
  /** Kept and shown; routes are static. */
  readonly bgpAsn: number
  readonly state: 'available' | 'deleted'
  readonly createdAtMs: number
  readonly deletedAtMs: number | null
}

/** The cloud's end of VPN connections, of one VPC at a time. */
export interface VpnGatewayRecord {
  readonly id: string
  readonly account: string
  /** '' while it is detached. At most one VPN gateway names a VPC. */
  readonly vpc: string
  readonly amazonSideAsn: number
  readonly state: 'available' | 'deleted'
  readonly createdAtMs: number
  readonly deletedAtMs: number | null
}

export interface VpnConnectionRecord {
  readonly id: string
  readonly account: string
  readonly customerGateway: string
  readonly vpnGateway: string
  /** `pending` until a CC has said what the customer's device needs to know. */
  readonly state: 'pending' | 'available' | 'deleted'
  /** Static routes, prefixes of either family behind the device. */
  readonly routes: readonly string[]
  /** Two, as in EC2. */
  readonly tunnels: readonly VpnTunnelRecord[]
  readonly createdAtMs: number
  readonly deletedAtMs: number | null
}

export interface VpnTunnelRecord {
  /** Of VPN_NUMBERS (ranges.ts), unique in the cloud. */
  readonly number: number
  /** The CC that holds it; '' while there is none for it. */
  readonly rack: string
  readonly host: string
  /** The pre-shared key as its user knows it, sealed like an access key's secret. */
  readonly sealedKey: string
  /** A /30 of 169.254.0.0/16: the first address is this side's, the second the device's. */
  readonly insideCidr: string
  readonly options: VpnTunnelOptions
}

/** As EC2 names them; empty lists are what EC2 takes by default. */
export interface VpnTunnelOptions {
  /** As the request says; absent: it says nothing. Version 2 is what is spoken. */
  readonly ikeVersions?: readonly string[]
  readonly phase1EncryptionAlgorithms: readonly string[]
  readonly phase1IntegrityAlgorithms: readonly string[]
  readonly phase1DhGroupNumbers: readonly number[]
  readonly phase1LifetimeSeconds: number
  readonly phase2EncryptionAlgorithms: readonly string[]
  readonly phase2IntegrityAlgorithms: readonly string[]
  readonly phase2DhGroupNumbers: readonly number[]
  readonly phase2LifetimeSeconds: number
  readonly dpdTimeoutSeconds: number
  readonly dpdTimeoutAction: 'clear' | 'none' | 'restart'
  readonly startupAction: 'add' | 'start'
}

/** What a CC says of a tunnel that it holds. Key: the number. */
export interface VpnLinkRecord {
  readonly number: number
  readonly rack: string
  readonly host: string
  /** Of its WireGuard device; '' with IPsec. */
  readonly publicKey: string
  /** address:port, with IPsec addresses; the best first. */
  readonly endpoints: readonly string[]
  readonly up: boolean
  readonly changedAtMs: number
  readonly trouble: string
}

export interface VpnRecords {
  'customer-gateway': CustomerGatewayRecord
  'vpn-gateway': VpnGatewayRecord
  'vpn-connection': VpnConnectionRecord
  'vpn-link': VpnLinkRecord
}
