// The number plan on one screen: every space that numbers are taken from, with its source.
// docs/number-plan.md tells the same to people.

/** A space of whole numbers, both ends included. */
export interface Band {
  readonly first: number
  readonly last: number
  /** How long a number that was given back rests before somebody else may hold it. */
  readonly quarantineMs: number
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** Such a number is not given back to its pool: nobody will ever take it. */
export const NEVER_AGAIN = Number.POSITIVE_INFINITY

// Layer 2

/** 0 and 4095 are reserved (IEEE 802.1Q, 9.6); 1 is the default of most switches. */
export const VLAN_TAGS: Band = { first: 2, last: 4093, quarantineMs: DAY_MS }
/** The network between hosts and volumes. The last tag: tenants keep a band without a hole. */
export const STORAGE_VLAN_TAG = 4094
/** 24 bits (RFC 7348, 5), above the VLAN tags so that nobody takes one for the other. */
export const VNIS: Band = { first: 4096, last: 2 ** 24 - 1, quarantineMs: NEVER_AGAIN }
/** What follows `02:`: locally administered, unicast (IEEE 802, 8.4.2). */
export const MACS: Band = { first: 1, last: 2 ** 40 - 1, quarantineMs: NEVER_AGAIN }

// Racks and hosts

/** The 16 bits between a /48 and a /64 (RFC 4193, 3.1); 0 is nobody's. */
export const RACK_INDEXES: Band = { first: 1, last: 65_535, quarantineMs: DAY_MS }
/** Hosts of one rack: 12 bits, which is what a gateway's MAC has for them. */
export const HOST_INDEXES: Band = { first: 1, last: 4095, quarantineMs: DAY_MS }
/** Of devices towards peer clouds, whose ports are 52,000 above. */
export const PEER_NUMBERS: Band = { first: 1, last: 13_535, quarantineMs: DAY_MS }
/** Of devices towards customers' own, whose ports are 44,000 above. */
export const VPN_NUMBERS: Band = { first: 1, last: 7_800, quarantineMs: DAY_MS }
/** Of the RFC 4193 /48 that holds the racks' own addresses, and of each rack's share. */
export const CLOUD_FABRIC_LENGTH = 48
export const RACK_FABRIC_LENGTH = 64
/** Of a rack's fabric: the first /80 has its hosts' own addresses, the second those for storage. */
export const STORAGE_NETWORK_LENGTH = 80
export const STORAGE_NETWORK = 1

// Tenants' prefixes: the nth block of that length in the pools

/** The size of a default VPC would be /16 in EC2; /20 leaves 4096 of them in 10.0.0.0/8. */
export const DEFAULT_VPC_LENGTH = 20
export const DEFAULT_SUBNET_LENGTH = 24
/** EC2 takes IPv4 blocks from /16 to /28 (AWS, "VPC CIDR blocks"). */
export const SHORTEST_SUBNET_LENGTH = 16
export const LONGEST_SUBNET_LENGTH = 28
/** A tenant pool: fd and 32 random bits. */
export const IPV6_POOL_LENGTH = 40
/** AWS, "VPC CIDR blocks": /56 for a VPC, /64 for a subnet. */
export const VPC_IPV6_LENGTH = 56
export const SUBNET_IPV6_LENGTH = 64
/** For the numbers of prefixes: as long as a rack that is away may announce the old one. */
export const PREFIX_QUARANTINE_MS: number = DAY_MS

// Addresses of a subnet, as offsets from its first one

/** EC2 keeps the first four and the last address for itself (AWS, "Subnet CIDR blocks"). */
export const RESERVED_FIRST = 4
export const RESERVED_LAST = 1
/** Longer than neighbour caches keep an address: 60 s in Linux (arp(7)), 5 min in switches. */
export const ADDRESS_QUARANTINE_MS: number = 5 * MINUTE_MS

// Tunnels

/** wg(8) leaves the port open; 51820 is the one of its examples. */
export const WIREGUARD_PORT = 51_820
/** An Ethernet's 1500 less IPv6, UDP and WireGuard headers: 40 + 8 + 32 (wg-quick(8)). */
export const TENANT_MTU = 1420
/** Less an inner Ethernet, VXLAN, UDP and IPv6 header: 14 + 8 + 8 + 40 (RFC 7348, 4.3). */
export const STRETCHED_MTU = 1350
/** Shorter than the UDP timeouts of NAT (wg(8), PersistentKeepalive). */
export const TUNNEL_KEEPALIVE_S = 25

// Peer clouds

/** And the peer's number: where the device for it listens. */
export const PEER_PORT = 52_000
/** UDP has no more ports. */
export const LAST_PEER_NUMBER: number = 65_535 - PEER_PORT
/** Often: another pair of borders takes over when one end hears nothing. Some 25 bytes a second. */
export const PEER_KEEPALIVE_S = 5
/** Two and a half keepalives: an end of a tunnel that said nothing for so long is away. */
export const PEER_SILENCE_MS: number = 2.5 * PEER_KEEPALIVE_S * 1000

// VPN connections

/** And the tunnel's number: where the WireGuard device for it listens. */
export const VPN_PORT = 44_000
/**
 * Of tunnels with IPsec: the Ethernet's 1500 less IPv6 and UDP headers, 40 + 8, and ESP's own, 8,
 * with what takes most of the ciphers that EC2 names: AES-CBC's 16 of IV and SHA2-512's 32 of ICV.
 * Of these 1396 whole blocks of 16 are 1392, whose last two bytes are ESP's trailer (RFC 4303, 2;
 * RFC 3602; RFC 4868; RFC 3948).
 */
export const IPSEC_MTU = 1390
