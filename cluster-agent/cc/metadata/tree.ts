// What the metadata service tells one instance, as a tree in the shape of EC2's.

import type { Instance } from '../../../proto/gen/mallee/v1/desired_pb.js'
import type {
  InstanceMetadata,
  InstanceProfile,
  MetadataInterface,
} from '../../../proto/gen/mallee/v1/tenants_pb.js'

/** A folder that lists itself otherwise. */
const LISTING = Symbol('listing')

/** A text, or what a folder has: null is nothing there. */
export type Node = string | Uint8Array | Folder
export interface Folder {
  /** Instead of its names. */
  readonly [LISTING]?: string
  readonly [name: string]: Node | null
}

/** The dates of EC2's service that cloud-init and its like ask for. */
export const VERSIONS = [
  ...['1.0', '2007-01-19', '2007-03-01', '2007-08-29', '2007-10-10', '2007-12-15', '2008-02-01'],
  ...['2008-09-01', '2009-04-04', '2011-01-01', '2011-05-01', '2012-01-12', '2014-02-25'],
  ...['2014-11-05', '2015-10-20', '2016-04-19', '2016-06-30', '2016-09-02', '2018-03-28'],
  ...['2018-08-17', '2018-09-24', '2019-10-01', '2020-10-27', '2021-01-03', '2021-03-23'],
  ...['2021-07-15', '2022-09-24', 'latest'],
]

/** What is below a version. */
export function metadataTree(instance: Instance, metadata: InstanceMetadata): Folder {
  const document = metadata.identityDocument
  return {
    dynamic:
      document === ''
        ? null
        : {
            'instance-identity': {
              document,
              pkcs7: given(metadata.identityPkcs7),
              rsa2048: given(metadata.identityRsa2048),
              signature: given(metadata.identitySignature),
            },
          },
    'meta-data': metaData(instance, metadata),
    'user-data': metadata.hasUserData ? metadata.userData : null,
  }
}

function metaData(instance: Instance, metadata: InstanceMetadata): Folder {
  const interfaces = metadata.interfaces.toSorted((a, b) => a.deviceNumber - b.deviceNumber)
  const [primary] = interfaces
  const hostname = given(primary?.localHostname ?? '')
  const publicIpv4 = given(primary?.publicIpv4s[0] ?? '')
  const key = `${metadata.publicKey.trim()}\n`
  return {
    'ami-id': given(metadata.amiId),
    'ami-launch-index': String(metadata.launchIndex),
    'ami-manifest-path': '(unknown)',
    'block-device-mapping': devices(instance),
    hostname,
    iam: metadata.profile === undefined ? null : profileFolder(metadata.profile),
    'instance-action': 'none',
    'instance-id': instance.id,
    'instance-life-cycle': metadata.lifeCycle === '' ? 'on-demand' : metadata.lifeCycle,
    'instance-type': given(metadata.instanceType),
    ipv6: given(primary?.ipv6s[0] ?? ''),
    'local-hostname': hostname,
    'local-ipv4': given(primary?.localIpv4s[0] ?? ''),
    mac: given(primary?.mac ?? ''),
    network:
      interfaces.length === 0
        ? null
        : {
            interfaces: { macs: Object.fromEntries(interfaces.map((one) => [one.mac, nic(one)])) },
          },
    placement: {
      'availability-zone': given(metadata.availabilityZone),
      'availability-zone-id': given(metadata.availabilityZoneId),
      'group-name': given(metadata.placementGroup),
      'partition-number': metadata.partitionNumber === 0 ? null : String(metadata.partitionNumber),
      region: given(metadata.region),
    },
    profile: 'default-hvm',
    'public-ipv4': publicIpv4,
    'public-keys':
      metadata.publicKey === ''
        ? null
        : { [LISTING]: `0=${metadata.keyName}`, 0: { 'openssh-key': key } },
    'reservation-id': given(metadata.reservationId),
    'security-groups': given(metadata.securityGroups.join('\n')),
    services: { domain: 'amazonaws.com', partition: 'aws' },
    tags: metadata.tagsVisible ? { instance: tagFolder(metadata.tags) } : null,
  }
}

/** EC2 user guide, "Instance metadata categories": what it boots from, and its other disks. */
function devices({ volumes, ephemeralDisks }: Instance): Folder {
  const root = volumes.find(({ boot }) => boot)?.deviceName ?? '/dev/sda1'
  const others = volumes
    .filter(({ boot }) => !boot)
    .map(({ deviceName }) => withoutDev(deviceName))
    .toSorted()
  return {
    ami: root,
    ...Object.fromEntries(others.map((name, i) => [`ebs${i + 1}`, name])),
    ...Object.fromEntries(ephemeralDisks.map((one) => [one.name, withoutDev(one.deviceName)])),
    root,
  }
}

function withoutDev(device: string): string {
  return device.replace(/^\/dev\//, '')
}

/** Of credentials there is nothing until they are there, or a word of why they will not be. */
function profileFolder(profile: InstanceProfile): Folder {
  const credentials = credentialsText(profile)
  return {
    info: json({
      Code: 'Success',
      LastUpdated: timeText(profile.credentials?.issuedAtMs ?? profile.associatedAtMs),
      InstanceProfileArn: profile.arn,
      InstanceProfileId: profile.id,
    }),
    'security-credentials': credentials === null ? null : { [profile.role]: credentials },
  }
}

function credentialsText({
  role,
  credentials,
  untrusted,
  associatedAtMs,
}: InstanceProfile): string | null {
  if (role === '') return null
  if (untrusted) {
    return json({
      Code: 'AssumeRoleUnauthorizedAccess',
      Message: `EC2 cannot assume the role ${role}: its trust policy does not let ec2.amazonaws.com.`,
      LastUpdated: timeText(associatedAtMs),
    })
  }
  if (credentials === undefined) return null
  return json({
    Code: 'Success',
    LastUpdated: timeText(credentials.issuedAtMs),
    Type: 'AWS-HMAC',
    AccessKeyId: credentials.accessKeyId,
    SecretAccessKey: credentials.secretAccessKey,
    Token: credentials.sessionToken,
    Expiration: timeText(credentials.expiresAtMs),
  })
}

function json(value: object): string {
  return JSON.stringify(value, null, 2)
}

function timeText(ms: bigint): string {
  return new Date(Number(ms)).toISOString().replace(/\.\d+Z$/, 'Z')
}

function nic(one: MetadataInterface): Folder {
  const associations = Object.fromEntries(
    one.publicIpv4s.map((address, at) => [address, one.publicIpv4Locals[at] ?? '']),
  )
  return {
    'device-number': String(one.deviceNumber),
    'interface-id': one.interfaceId,
    'ipv4-associations': one.publicIpv4s.length === 0 ? null : associations,
    ipv6s: list(one.ipv6s),
    'local-hostname': given(one.localHostname),
    'local-ipv4s': list(one.localIpv4s),
    mac: one.mac,
    'network-card': '0',
    'owner-id': given(one.ownerId),
    'public-ipv4s': list(one.publicIpv4s),
    'security-group-ids': list(one.securityGroupIds),
    'security-groups': list(one.securityGroupNames),
    'subnet-id': given(one.subnetId),
    'subnet-ipv4-cidr-block': given(one.subnetIpv4Cidr),
    'subnet-ipv6-cidr-blocks': given(one.subnetIpv6Cidr),
    'vpc-id': given(one.vpcId),
    'vpc-ipv4-cidr-block': given(one.vpcIpv4Cidrs[0] ?? ''),
    'vpc-ipv4-cidr-blocks': list(one.vpcIpv4Cidrs),
    'vpc-ipv6-cidr-blocks': list(one.vpcIpv6Cidrs),
  }
}

/** A tag's key may be anything; as a name it must not have a slash, and EC2 allows none then. */
function tagFolder(tags: Readonly<Record<string, string>>): Folder {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !key.includes('/')))
}

/** As EC2 writes a folder: its folders with a slash, a line each, none at the end. */
export function listing(folder: Folder): string {
  const own = folder[LISTING]
  if (own !== undefined) return own
  return Object.entries(folder)
    .filter((entry): entry is [string, Node] => entry[1] !== null)
    .map(([name, node]) => (isFolder(node) ? `${name}/` : name))
    .sort()
    .join('\n')
}

export function isFolder(node: Node): node is Folder {
  return typeof node !== 'string' && !(node instanceof Uint8Array)
}

/** What stands at a path below a version; null when nothing does. */
export function nodeAt(root: Folder, segments: readonly string[]): Node | null {
  let node: Node = root
  for (const name of segments) {
    if (!isFolder(node) || !Object.hasOwn(node, name)) return null
    const next: Node | null | undefined = node[name]
    if (next === null || next === undefined) return null
    node = next
  }
  return node
}

function list(values: readonly string[]): string | null {
  return given(values.join('\n'))
}

function given(text: string): string | null {
  return text === '' ? null : text
}
