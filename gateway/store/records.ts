// Every kind of record in the store: its key and its shape. A record is JSON; keys are
// `<kind>/<id>`. Times are milliseconds since 1970. Instances: instance-records.ts; tenants'
// networks: network-records.ts; users and roles: iam-records.ts; groups that scale:
// scaling-records.ts; images: image-records.ts; volumes: volume-records.ts; clouds of
// other owners: peer-records.ts; VPN connections: vpn-records.ts.

import type { BalancerRecords } from './balancer-records.ts'
import type { BucketRecords } from './bucket-records.ts'
import type { CommandRecords } from './command-records.ts'
import type { ComputeRecords } from './compute-records.ts'
import type { DiskReport, VolumeStoreReport } from './disk-records.ts'
import type { EventRecords } from './event-records.ts'
import type { IamRecords } from './iam-records.ts'
import type { FileFormat, ImageRecords } from './image-records.ts'
import type { InstanceRecord, MetadataOptions } from './instance-records.ts'
import type * as network from './network-records.ts'
import type * as number from './number-records.ts'
import type { CaBundleRecord, PeerRecords } from './peer-records.ts'
import type { ScalingRecords } from './scaling-records.ts'
import type { VolumeRecords } from './volume-records.ts'
import type { VpnRecords } from './vpn-records.ts'

export type { CommandRecord, CommandResultRecord } from './command-records.ts'
export type { AccessKeyRecord } from './iam-records.ts'
export type { ImageRecord } from './image-records.ts'
export type {
  InstanceRecord,
  InstanceSettings,
  InstanceStateName,
  MetadataOptions,
} from './instance-records.ts'
export type {
  InterfaceRecord,
  PrivateAddressRecord,
  SecurityGroupRecord,
  SubnetRecord,
  VpcRecord,
} from './network-records.ts'

export interface CloudRecord {
  readonly name: string
  readonly region: string
  /** RFC 4193 /48 of the racks' own addresses. */
  readonly fabricPrefix: string
  /** Pool of tenants' IPv6: a /40. */
  readonly ipv6Pool: string
  readonly ipv4Pools: readonly string[]
  /** `rack`: a tag belongs to one rack, so that a cloud may have more networks than tags. */
  readonly vlanScope?: 'cloud' | 'rack'
  /** 32 random hex digits, by which peer clouds know it; made with the first agreement. */
  readonly uid?: string
  /** What peer clouds are to pin: the CA in use, and others that it was or will be. */
  readonly caBundle?: CaBundleRecord
  /** What a launch of spot instances gets; absent is usual capacity. */
  readonly spot?: 'on-demand' | 'refused'
  /** Id of the first access key, as long as nobody may have seen its secret. */
  readonly unshownKey?: string
  readonly createdAtMs: number
}

export interface RackRecord {
  readonly name: string
  readonly index: number
  readonly state: 'joined' | 'draining'
  /** Absent unless it is draining. */
  readonly drain?: DrainRecord
  readonly createdAtMs: number
}

/** The operator wants a host or a rack to be empty. */
export interface DrainRecord {
  /** Random; the ids of the events that users are shown are made of it. */
  readonly id: string
  /** What the gateway does about instances that are there; `keep` leaves them to their users. */
  readonly instances: 'keep' | 'stop' | 'terminate'
  readonly startedAtMs: number
  /** Nothing is stopped or terminated before. */
  readonly notBeforeMs: number
}

export type Role = 'cc' | 'sc' | 'nc'

/** One host of a rack, known by its certificate. `status` is what it last reported. */
export interface HostRecord {
  readonly rack: string
  readonly host: string
  readonly index: number
  readonly roles: readonly Role[]
  readonly keyFingerprint: string
  readonly simulated: boolean
  readonly joinedAtMs: number
  /** The operator said that nothing new is placed there. */
  readonly cordoned?: true
  /** It is cordoned then too. */
  readonly drain?: DrainRecord
  /** The operator said that it never comes back: its instances end, then it goes. */
  readonly lostAtMs?: number
  /** It is being taken out: no bytes of objects are to come there. */
  readonly storesNothing?: true
  readonly status: HostReport | null
  /** Since when it is not connected; absent while it is. */
  readonly awaySinceMs?: number
}

/** HostStatus of the protocol, as kept. */
export interface HostReport {
  readonly agentVersion: string
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  readonly accelerator: string
  readonly ovsDatapath: string
  readonly wireguard: string
  readonly wireguardPublicKey: string
  readonly wireguardEndpoints: readonly string[]
  /** `missing` where it has no strongSwan; absent without the role cc, and of older agents. */
  readonly ipsec?: string
  /** What it serves volumes by; absent without the role sc, and of older agents. */
  readonly volumeTarget?: string
  /** The session of the host (of a node: with its CC) is open. */
  readonly connected: boolean
  readonly trouble: string
  /** The operator takes the host out: place nothing new there. */
  readonly draining: boolean
  /** Where it keeps bytes of objects; absent without the role sc. */
  readonly disks?: readonly DiskReport[]
  /** Where it serves volumes, and on what; absent while it serves none. */
  readonly volumes?: VolumeStoreReport
}

export interface TokenRecord {
  readonly id: string
  readonly secretHash: string
  readonly rack: string
  readonly roles: readonly Role[]
  /** Its CC may join a rack that has one already. */
  readonly additional?: boolean
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly used: {
    readonly keyFingerprint: string
    readonly host: string
    readonly atMs: number
  } | null
}

export interface AccountRecord {
  readonly id: string
  readonly name: string
  readonly createdAtMs: number
  /** What its launches get that say nothing of it; absent fields are the cloud's own. */
  readonly metadataDefaults?: Partial<MetadataOptions>
  /** The operator refuses all of its calls since then. */
  readonly blockedAtMs?: number
  /** None of its images becomes public any more. */
  readonly blocksPublicImages?: boolean
  /** Its users may connect to the serial consoles of its instances. */
  readonly serialConsole?: boolean
}

/** What signs instances' identity documents. The key is sealed like an access key's secret. */
export interface IdentitySignerRecord {
  readonly certificatePem: string
  readonly sealedKey: string
}

/** A file that `mallee image import` brought in, by digest; RegisterImage makes images of it. */
export interface BlobRecord {
  readonly sha256: string
  /** Every name under which it was imported, the first one first. */
  readonly names: readonly string[]
  readonly sizeBytes: number
  readonly virtualSizeBytes: number
  readonly format: FileFormat
  /** Of its chunk list; absent until it was made for a file of an older gateway. */
  readonly chunkListSha256?: string
  readonly createdAtMs: number
}

/** Tags of one resource. They live as long as it is visible. */
export interface TagsRecord {
  readonly resource: string
  readonly resourceType: string
  readonly account: string
  readonly tags: Readonly<Record<string, string>>
}

/** The answer that a ClientToken got, and for which parameters. */
export interface ClientTokenRecord {
  readonly account: string
  readonly action: string
  readonly token: string
  readonly parametersHash: string
  readonly reservation: string
  readonly createdAtMs: number
}

/** The pre-shared key of two racks' tunnel, sealed like an access key's secret. */
export interface PresharedKeyRecord {
  readonly pair: string
  readonly sealedKey: string
}

/** Which gateway holds a host's session; renewed while it does. */
export interface LeaseRecord {
  readonly rack: string
  readonly host: string
  readonly gateway: string
  /** Where other gateways may reach that one's session port; absent when it does not say. */
  readonly reachedAt?: readonly { readonly host: string; readonly port: number }[]
  readonly renewedAtMs: number
}

/** Who holds a name that one may hold at a time, for example an image's within its account. */
export interface NameRecord {
  readonly name: string
  readonly holder: string
}

/** Somebody looks for references to a record, to delete it when there are none. */
export interface RemovalRecord {
  readonly kind: string
  readonly id: string
  /** Random: a later announcement of the same is another one. */
  readonly mark: string
  readonly announcedAtMs: number
}

/** Kind → record; the kind is the first part of the key. */
export interface Records
  extends BalancerRecords,
    BucketRecords,
    CommandRecords,
    ComputeRecords,
    EventRecords,
    IamRecords,
    ImageRecords,
    PeerRecords,
    ScalingRecords,
    VolumeRecords,
    VpnRecords {
  cloud: CloudRecord
  rack: RackRecord
  host: HostRecord
  token: TokenRecord
  account: AccountRecord
  'identity-signer': IdentitySignerRecord
  vpc: network.VpcRecord
  subnet: network.SubnetRecord
  'route-table': network.RouteTableRecord
  'internet-gateway': network.InternetGatewayRecord
  'egress-only-gateway': network.EgressOnlyGatewayRecord
  'nat-gateway': network.NatGatewayRecord
  'dhcp-options': network.DhcpOptionsRecord
  'security-group': network.SecurityGroupRecord
  'prefix-list': network.PrefixListRecord
  'network-acl': network.NetworkAclRecord
  address: network.AddressRecord
  'public-pool': network.PublicPoolRecord
  'public-address': network.PublicAddressRecord
  peering: network.PeeringRecord
  'key-pair': network.KeyPairRecord
  block: number.BlockRecord
  'block-space': number.BlockSpaceRecord
  'resting-tag': number.RestingTagRecord
  'private-address': network.PrivateAddressRecord
  'insights-path': network.InsightsPathRecord
  'insights-analysis': network.InsightsAnalysisRecord
  blob: BlobRecord
  instance: InstanceRecord
  interface: network.InterfaceRecord
  tags: TagsRecord
  'client-token': ClientTokenRecord
  'preshared-key': PresharedKeyRecord
  lease: LeaseRecord
  name: NameRecord
  removal: RemovalRecord
}
export type Kind = keyof Records

/** `key('host', 'a', 'a-cc')` is `host/a/a-cc`. Parts are non-empty and have no `/`. */
export function key(kind: Kind, ...parts: readonly string[]): string {
  for (const part of parts) {
    if (part === '' || part.includes('/')) {
      throw new RangeError(`bad key part ${JSON.stringify(part)}`)
    }
  }
  return [kind, ...parts].join('/')
}
