// What conditions may ask of EC2's resources: the keys that AWS documents for each type, from the
// records (Service Authorization Reference, "Condition keys for Amazon EC2").

import { kindOf } from '../boot-files.ts'
import { rootDeviceType } from '../ebs/mapping-shapes.ts'
import { isForAll } from '../ec2/ids.ts'
import { NOUNS, type OwnedKind, type TaggedKind } from '../ec2/nouns.ts'
import { zoneName } from '../ec2/zones.ts'
import type { ImageRecord, InstanceRecord, MetadataOptions, Records } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { Place } from './ec2-named.ts'

/** Keys in lower case, ready for policies; a value of null or '' is not there. */
export type Keys = Map<string, readonly string[]>
/** An account and its VPC. */
type Side = { readonly account: string; readonly vpc: string }
type Values = Readonly<Record<string, string | boolean | number | null>>

const KINDS = new Map(
  (Object.keys(NOUNS) as TaggedKind[]).flatMap((kind) => {
    const { resourceType, otherTypes = [] } = NOUNS[kind]
    return [resourceType, ...otherTypes.map((one) => one.resourceType)].map((one) => [one, kind])
  }),
)

/** Types whose ids have a key of their own. */
const ID_KEYS: Readonly<Record<string, string>> = {
  'dhcp-options': 'DhcpOptionsID',
  'elastic-ip': 'AllocationId',
  image: 'ImageID',
  instance: 'InstanceID',
  'internet-gateway': 'InternetGatewayID',
  'key-pair': 'KeyPairName',
  'network-acl': 'NetworkAclID',
  'network-interface': 'NetworkInterfaceID',
  'placement-group': 'PlacementGroupName',
  'route-table': 'RouteTableID',
  'security-group': 'SecurityGroupID',
  snapshot: 'SnapshotID',
  subnet: 'SubnetID',
  volume: 'VolumeID',
  vpc: 'VpcID',
  'vpc-peering-connection': 'VpcPeeringConnectionID',
}
/** AWS service authorization reference, Amazon EC2, `ec2:ImageType`. */
const IMAGE_TYPES = { machine: 'machine', kernel: 'aki', ramdisk: 'ari' } as const
/** No account in their ARNs. */
const ACCOUNTLESS: ReadonlySet<string> = new Set(['image', 'snapshot'])

/** `id` may be `*`. */
export function ec2Arn({ region, account }: Place, type: string, id: string): string {
  return `arn:aws:ec2:${region}:${ACCOUNTLESS.has(type) ? '' : account}:${type}/${id}`
}

/** Of one resource. What is not there, or not for this account to see, has only its id. */
export function keysOf(place: Place, type: string, id: string): Keys {
  const idKey = ID_KEYS[type]
  const keys = asKeys(idKey === undefined ? {} : { [`ec2:${idKey}`]: id })
  const kind = KINDS.get(type)
  const found = kind === undefined ? null : find(place, kind, id)
  if (found === null) return keys
  for (const [key, value] of asKeys(found.values)) keys.set(key, value)
  addTagKeys(place.view, found.id, keys)
  return keys
}

export function asKeys(values: Values): Keys {
  const keys: Keys = new Map()
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== '') keys.set(key.toLowerCase(), [String(value)])
  }
  return keys
}

/** Tags in a request: `aws:RequestTag/…` and their keys. */
export function requestTagKeys(tags: ReadonlyMap<string, string>): Keys {
  const keys: Keys = new Map()
  for (const [key, value] of tags) add(keys, `aws:requesttag/${key.toLowerCase()}`, value)
  if (tags.size > 0) keys.set('aws:tagkeys', [...tags.keys()])
  return keys
}

export function metadataKeys(options: Partial<MetadataOptions>): Values {
  const { httpEndpoint, httpTokens, hopLimit, instanceTags } = options
  const enabled = (is: boolean | undefined) => (is === undefined ? null : onOff(is))
  return {
    'ec2:MetadataHttpEndpoint': enabled(httpEndpoint),
    'ec2:MetadataHttpTokens': httpTokens ?? null,
    'ec2:MetadataHttpPutResponseHopLimit': hopLimit ?? null,
    'ec2:InstanceMetadataTags': enabled(instanceTags),
  }
}

function onOff(is: boolean): string {
  return is ? 'enabled' : 'disabled'
}

/** Two tags whose keys differ in case alone are two values of one key: conditions ignore case. */
function addTagKeys(view: View, id: string, keys: Keys): void {
  for (const [key, value] of Object.entries(view.get('tags', id)?.tags ?? {})) {
    add(keys, `aws:resourcetag/${key.toLowerCase()}`, value)
    add(keys, `ec2:resourcetag/${key.toLowerCase()}`, value)
  }
}

function add(keys: Keys, key: string, value: string): void {
  keys.set(key, [...(keys.get(key) ?? []), value])
}

/** The id that its tags are under, and what its record tells. */
function find(place: Place, kind: TaggedKind, id: string): { id: string; values: Values } | null {
  const { view, account } = place
  if (kind === 'security-group-rule') {
    return view.get('tags', id)?.account === account ? { id, values: {} } : null
  }
  if (kind === 'peering') {
    const peering = view.get('peering', id)
    if (peering === null) return null
    const { remote } = peering
    // The side in a peer cloud has its ids there.
    const [requester, accepter] = [peering.requester, peering.accepter].map((side) =>
      remote !== undefined && side.account === '' ? remote : side,
    ) as [Side, Side]
    const isOurs = [peering.requester.account, peering.accepter.account].includes(account)
    const vpcOf = (side: Side) => ec2Arn({ ...place, account: side.account }, 'vpc', side.vpc)
    const values = { 'ec2:RequesterVpc': vpcOf(requester), 'ec2:AccepterVpc': vpcOf(accepter) }
    return isOurs ? { id, values } : null
  }
  if (kind === 'key-pair') {
    // In ARNs by its name.
    const pair = view.by('key-pair', 'account', account).find(({ name }) => name === id)
    return pair === undefined ? null : { id: pair.id, values: { 'ec2:KeyPairType': pair.type } }
  }
  if (kind === 'placement-group') {
    const group = view.by('placement-group', 'account', account).find(({ name }) => name === id)
    if (group === undefined) return null
    return { id: group.id, values: { 'ec2:PlacementGroupStrategy': group.strategy } }
  }
  const record = view.get(kind, id)
  if (record === null) return null
  const isOwn = record.account === account
  if (!isOwn && !isForAll(record)) return null
  const owner = { 'aws:ResourceAccount': record.account }
  return {
    id,
    values: { ...owner, ...placeValues(place, record), ...ownValues(place, kind, record) },
  }
}

/** Network, subnet and zone, of all that has them. */
function placeValues(place: Place, record: Records[OwnedKind]): Values {
  const {
    vpc = '',
    subnet = '',
    rack = '',
  } = record as {
    vpc?: string
    subnet?: string
    rack?: string
  }
  return {
    'ec2:Vpc': vpc === '' ? null : ec2Arn(place, 'vpc', vpc),
    'ec2:Subnet': subnet === '' ? null : ec2Arn(place, 'subnet', subnet),
    'ec2:AvailabilityZone': rack === '' ? null : zoneName(place.region, rack),
  }
}

function ownValues(place: Place, kind: OwnedKind, record: Records[OwnedKind]): Values {
  switch (kind) {
    case 'instance': {
      const { type, metadataOptions } = record as InstanceRecord
      return {
        'ec2:InstanceType': type,
        'ec2:RootDeviceType': rootDeviceType(record as InstanceRecord),
        'ec2:Tenancy': 'default',
        'ec2:EbsOptimized': false,
        ...metadataKeys(metadataOptions),
      }
    }
    case 'image': {
      const { account, isPublic, format } = record as ImageRecord
      return {
        'ec2:ImageType': IMAGE_TYPES[kindOf(format)],
        'ec2:Owner': account,
        'ec2:Public': isPublic,
        'ec2:RootDeviceType': rootDeviceType(record as ImageRecord),
      }
    }
    case 'address':
      return {
        'ec2:Domain': 'vpc',
        'ec2:PublicIpAddress': (record as Records['address']).publicIp,
      }
    case 'vpc':
      return { 'ec2:Tenancy': 'default' }
    case 'volume':
      return volumeValues(place, record as Records['volume'])
    case 'volume-snapshot':
      return snapshotValues(place, record as Records['volume-snapshot'])
    default:
      return {}
  }
}

function volumeValues(place: Place, volume: Records['volume']): Values {
  const { sizeGib, type, iops, throughputMibps, encrypted, snapshot } = volume
  return {
    'ec2:VolumeSize': sizeGib,
    'ec2:VolumeType': type,
    'ec2:VolumeIops': iops,
    'ec2:VolumeThroughput': throughputMibps,
    'ec2:Encrypted': encrypted,
    'ec2:ParentSnapshot': snapshot === '' ? null : ec2Arn(place, 'snapshot', snapshot),
  }
}

function snapshotValues(place: Place, snapshot: Records['volume-snapshot']): Values {
  const { account, volume, volumeSizeGib, encrypted, startedAtMs } = snapshot
  return {
    'ec2:Owner': account,
    'ec2:ParentVolume': volume === '' ? null : ec2Arn({ ...place, account }, 'volume', volume),
    'ec2:VolumeSize': volumeSizeGib,
    'ec2:Encrypted': encrypted,
    'ec2:SnapshotTime': new Date(startedAtMs).toISOString(),
  }
}
