// The records of tenants' networks. Keys and the table of all kinds: records.ts. Where a field
// names another record it holds that one's id; '' is none.

import type { AclRule, FirewallRule } from '../../topology/firewall.ts'

export type { AddressRecord, PublicAddressRecord, PublicPoolRecord } from './public-records.ts'

export interface VpcRecord {
  readonly id: string
  readonly account: string
  readonly ipv4Cidrs: readonly string[]
  readonly ipv6Cidrs: readonly string[]
  readonly isDefault: boolean
  /** `default` is what nobody made: the cloud's own name servers and domain. */
  readonly dhcpOptions: string
  /** The route table of subnets that name none, and the id of its association. */
  readonly mainRouteTable: string
  readonly mainAssociation: string
  readonly defaultAcl: string
  readonly enableDnsSupport: boolean
  readonly enableDnsHostnames: boolean
  readonly createdAtMs: number
}

/** The rack of a stretched subnet, one layer 2 in all racks; no real rack has this name. */
export const EVERY_RACK = 'any'

export interface SubnetRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
  /** EVERY_RACK for a stretched one. */
  readonly rack: string
  /** '' for an IPv6-native one. */
  readonly ipv4Cidr: string
  /** '' without IPv6. */
  readonly ipv6Cidr: string
  /** The same in all racks, but for those in `rackTags`; 0: only in those. */
  readonly vlanTag: number
  /** Tags of a stretched subnet by rack, when tags are the racks' own. */
  readonly rackTags: Readonly<Record<string, number>>
  readonly vni: number
  readonly isDefault: boolean
  /** '' for the VPC's main one. */
  readonly routeTable: string
  readonly routeTableAssociation: string
  readonly acl: string
  readonly aclAssociation: string
  readonly mapPublicIpOnLaunch: boolean
  readonly assignIpv6OnCreation: boolean
  readonly hostnameType: 'ip-name' | 'resource-name'
  readonly resourceNameDnsA: boolean
  readonly resourceNameDnsAaaa: boolean
  readonly enableDns64: boolean
  readonly createdAtMs: number
}

export type RouteTarget =
  | 'internet-gateway'
  | 'egress-only-gateway'
  | 'nat-gateway'
  | 'interface'
  | 'peering'
  | 'vpn-gateway'

/** The routes to the VPC's own blocks are in every table and not written down. */
export interface RouteRecord {
  /** A prefix of either family, or the id of a prefix list. */
  readonly destination: string
  readonly target: RouteTarget
  readonly targetId: string
}

export interface RouteTableRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
  readonly routes: readonly RouteRecord[]
  /** VPN gateways whose connections' routes are in it too; absent is none. */
  readonly propagating?: readonly string[]
  readonly createdAtMs: number
}

export interface InternetGatewayRecord {
  readonly id: string
  readonly account: string
  /** At most one internet gateway names a VPC. */
  readonly vpc: string
}

export interface EgressOnlyGatewayRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
}

export interface NatGatewayRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
  readonly subnet: string
  readonly rack: string
  readonly connectivity: 'public' | 'private'
  readonly interface: string
  /** The elastic IP; '' when private. */
  readonly allocation: string
  readonly state: 'pending' | 'available' | 'deleting' | 'deleted' | 'failed'
  /** Why it could not be made; only of a failed one. */
  readonly failure?: { readonly code: string; readonly message: string }
  readonly clientToken: string
  readonly createdAtMs: number
  readonly deletedAtMs: number | null
}

export interface DhcpOptionsRecord {
  readonly id: string
  readonly account: string
  readonly options: readonly { readonly key: string; readonly values: readonly string[] }[]
}

export type RulePeer = Pick<FirewallRule, 'ipv4' | 'ipv6' | 'group' | 'prefixList'>

export interface SecurityGroupRule extends FirewallRule {
  readonly description: string
}

export interface SecurityGroupRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
  readonly name: string
  readonly description: string
  readonly rules: readonly SecurityGroupRule[]
  readonly createdAtMs: number
}

export interface PrefixListRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly family: 4 | 6
  readonly maxEntries: number
  readonly version: number
  readonly entries: readonly { readonly cidr: string; readonly description: string }[]
  /** The entries of earlier versions, the newest last. */
  readonly history: readonly { readonly version: number; readonly cidrs: readonly string[] }[]
}

export type NetworkAclEntry = AclRule

export interface NetworkAclRecord {
  readonly id: string
  readonly account: string
  readonly vpc: string
  readonly isDefault: boolean
  readonly entries: readonly NetworkAclEntry[]
}

export interface InterfaceRecord {
  readonly id: string
  readonly account: string
  /** '' while it is attached to nothing; so are `attachment` and `host`. */
  readonly instance: string
  readonly attachment: string
  readonly deviceIndex: number
  readonly attachedAtMs: number
  readonly deleteOnTermination: boolean
  readonly vpc: string
  readonly subnet: string
  /** Where it is; in a stretched subnet EVERY_RACK until it is attached. */
  readonly rack: string
  readonly host: string
  readonly mac: string
  /** The primary addresses; '' without one of that family. */
  readonly ipv4: string
  readonly ipv6: string
  /** Secondary addresses. */
  readonly ipv4More: readonly string[]
  readonly ipv6More: readonly string[]
  readonly hostname: string
  readonly securityGroups: readonly string[]
  readonly sourceDestCheck: boolean
  readonly description: string
  /**
   * `nat-gateway` ones belong to a NAT gateway and have no port, `network-load-balancer` ones to a
   * load balancer's node, which is on `host` without an instance.
   */
  readonly type: 'interface' | 'nat-gateway' | 'network-load-balancer'
  readonly createdAtMs: number
}

/** Who has a private address: no two interfaces have the same one. Key: the address. */
export interface PrivateAddressRecord {
  readonly address: string
  readonly subnet: string
  /** '' while it rests after its interface gave it back. */
  readonly interface: string
  /** The id of the AddressRecord associated with it. */
  readonly publicAddress: string
  /** Is its number to go back to the subnet's pool? */
  readonly pooled: boolean
  readonly freedAtMs: number | null
}

export interface PeeringSide {
  readonly account: string
  readonly vpc: string
}

export interface PeeringRecord {
  readonly id: string
  readonly requester: PeeringSide
  readonly accepter: PeeringSide
  /** `initiating-request` and `provisioning`: of one with another cloud that is asked. */
  readonly state:
    | 'initiating-request'
    | 'pending-acceptance'
    | 'provisioning'
    | 'active'
    | 'rejected'
    | 'failed'
    | 'expired'
    | 'deleted'
  readonly message: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly endedAtMs: number | null
  readonly requesterDnsResolution: boolean
  readonly accepterDnsResolution: boolean
  /** Absent when both sides are in this cloud. */
  readonly remote?: RemotePeering
}

/** A peering whose other side is in a peer cloud, and what the two have agreed about prefixes. */
export interface RemotePeering {
  /** The peer cloud. */
  readonly uid: string
  /** Which side is here. The other of the peering is empty: its ids are no ids of this cloud. */
  readonly side: 'requester' | 'accepter'
  /** Of the other side, as it calls them. */
  readonly account: string
  readonly vpc: string
  /** Own blocks, in the order of the offers. */
  readonly own: readonly string[]
  /** For each own block the prefixes by which it may be seen there, the best first. */
  readonly offers: readonly (readonly string[])[]
  /** By what each own block is seen there; empty until the other has chosen. */
  readonly seenAs: readonly string[]
  /** By what each of the other's blocks is seen here; empty until this side has chosen. */
  readonly theirs: readonly string[]
  /** Lower-case hex SHA-256 of what both have agreed to; '' until then. */
  readonly terms: string
  /** What still holds of before, the newest first; absent while `terms` is all there is. */
  readonly former?: readonly FormerTerms[]
  /** What was asked for and is not to be had: told to who asked, and a side of nobody here. */
  readonly refused?: PeeringSide
}

/** What was agreed to, or would have been: lists as those of the peering were. */
export interface FormerTerms extends Pick<RemotePeering, 'own' | 'seenAs' | 'theirs' | 'terms'> {}

export interface KeyPairRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly type: 'rsa' | 'ed25519'
  readonly fingerprint: string
  /** One line as sshd reads it. */
  readonly publicKey: string
  readonly createdAtMs: number
}

export interface InsightsPathRecord {
  readonly id: string
  readonly account: string
  readonly source: string
  readonly destination: string
  readonly sourceIp: string
  readonly destinationIp: string
  readonly protocol: 'tcp' | 'udp'
  readonly destinationPort: number | null
  readonly createdAtMs: number
}

export interface InsightsAnalysisRecord {
  readonly id: string
  readonly account: string
  readonly path: string
  readonly startedAtMs: number
  readonly reachable: boolean
  /** What `mallee why` said, as JSON. */
  readonly findings: string
}
