// What every rack has: its own configuration, VPCs, networks, interfaces, images and instances.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type EphemeralDiskSchema,
  ImageSchema,
  InstanceSchema,
  InterfaceSchema,
  NetworkSchema,
  Power,
  RackConfigSchema,
  type Resource,
  VpcSchema,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { mustCidr } from '../../topology/cidr.ts'
import { gatewayIpv4, gatewayIpv6 } from '../../topology/plan.ts'
import { STORAGE_VLAN_TAG, STRETCHED_MTU, TENANT_MTU } from '../../topology/ranges.ts'
import { isHeldForImage } from '../ebs/imaging.ts'
import type { VolumeSecrets } from '../ebs/names.ts'
import { instanceType } from '../ec2/instance-types.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { dhcpOption, domainOf, type MetadataSecrets, metadataOf } from './desired-metadata.ts'
import { remotePeersOf } from './desired-peers.ts'
import { hasPort } from './desired-routes.ts'
import { ccFor, fabricOf } from './desired-tunnels.ts'
import { attachmentsOf } from './desired-volumes.ts'
import { isIn, knowsVpc, peersOf, tagIn } from './presence.ts'

/** What EC2 calls the cloud's own name servers, and where they are (overlay of every network). */
const OWN_NAME_SERVERS = 'AmazonProvidedDNS'
const OWN_NAME_SERVER = '169.254.169.253'
/** For a disk that is a file system and has no partitions: virtio-blk's first one. */
const KERNEL_COMMAND_LINE = 'root=/dev/vda ro console=ttyS0'

export function rackAt(view: View, name: string): Resource | null {
  const cloud = view.get('cloud', 'self')
  const rack = view.get('rack', name)
  if (cloud === null || rack === null) return null
  const value = create(RackConfigSchema, {
    cloud: cloud.name,
    region: cloud.region,
    rack: rack.name,
    rackIndex: rack.index,
    cloudFabric: cloud.fabricPrefix,
    rackFabric: fabricOf(cloud.fabricPrefix, rack.index),
    mtu: TENANT_MTU,
    members: view
      .withPrefix('host', `${rack.name}/`)
      .map(({ host, keyFingerprint, index }) => ({ host, keyFingerprint, index })),
    storageVlanTag: STORAGE_VLAN_TAG,
  })
  return resource('rack', { case: 'rack', value })
}

export function vpcAt(view: View, rack: string, id: string): Resource | null {
  const vpc = view.get('vpc', id)
  if (vpc === null || !knowsVpc(view, rack, id)) return null
  const peers = peersOf(view, id)
    .map((peer) => view.get('vpc', peer))
    .filter((peer) => peer !== null)
  const value = create(VpcSchema, {
    id,
    ipv4Cidrs: [...vpc.ipv4Cidrs],
    ipv6Cidrs: [...vpc.ipv6Cidrs],
    peers: [
      ...peers.map((peer) => ({
        vpcId: peer.id,
        ipv4Cidrs: [...peer.ipv4Cidrs],
        ipv6Cidrs: [...peer.ipv6Cidrs],
      })),
      ...remotePeersOf(view, id),
    ],
  })
  return resource(`vpc/${id}`, { case: 'vpc', value })
}

export function networkAt(view: View, rack: string, id: string): Resource | null {
  const subnet = view.get('subnet', id)
  const cloud = view.get('cloud', 'self')
  if (subnet === null || cloud === null || !isIn(subnet, rack)) return null
  const { ipv4Cidr, ipv6Cidr } = subnet
  const vpc = view.get('vpc', subnet.vpc)
  const isStretched = subnet.rack === EVERY_RACK
  const value = create(NetworkSchema, {
    id,
    vpcId: subnet.vpc,
    vlanTag: tagIn(subnet, rack),
    vni: subnet.vni,
    ipv4Cidr,
    ipv4Gateway: ipv4Cidr === '' ? '' : gatewayIpv4(mustCidr(ipv4Cidr)),
    ipv6Cidr,
    ipv6Gateway: ipv6Cidr === '' ? '' : gatewayIpv6(mustCidr(ipv6Cidr)),
    mtu: isStretched ? STRETCHED_MTU : TENANT_MTU,
    domain: domainOf(view, cloud.region, subnet),
    stretched: isStretched,
    nameServers: nameServersOf(view, subnet.vpc),
    ntpServers: [...dhcpOption(view, subnet.vpc, 'ntp-servers')],
    netbiosNameServers: [...dhcpOption(view, subnet.vpc, 'netbios-name-servers')],
    netbiosNodeType: Number(dhcpOption(view, subnet.vpc, 'netbios-node-type')[0] ?? 0),
    dns: vpc?.enableDnsSupport ?? true,
    aclId: subnet.acl === '' ? (vpc?.defaultAcl ?? '') : subnet.acl,
    gatewayHost: ccFor(view, rack, subnet.vpc) ?? '',
  })
  return resource(`network/${id}`, { case: 'network', value })
}

function nameServersOf(view: View, vpc: string): string[] {
  const named = dhcpOption(view, vpc, 'domain-name-servers')
  if (named.every((one) => one === OWN_NAME_SERVERS)) return []
  return named.map((one) => (one === OWN_NAME_SERVERS ? OWN_NAME_SERVER : one))
}

export function interfaceAt(view: View, rack: string, id: string): Resource | null {
  const one = view.get('interface', id)
  if (one === null || one.rack !== rack || !hasPort(one)) return null
  const value = create(InterfaceSchema, {
    id,
    instanceId: one.instance,
    networkId: one.subnet,
    mac: one.mac,
    ipv4: one.ipv4,
    ipv6: one.ipv6,
    hostname: one.hostname,
    host: one.host,
    ipv4More: [...one.ipv4More],
    ipv6More: [...one.ipv6More],
    groupIds: [...one.securityGroups],
    sourceDestCheck: one.sourceDestCheck,
    deviceIndex: one.deviceIndex,
    balancer: one.type === 'network-load-balancer',
  })
  return resource(`interface/${id}`, { case: 'interface', value })
}

export function imageAt(view: View, id: string): Resource | null {
  const image = view.get('image', id)
  if (image === null || image.sha256 === '') return null
  const { sha256, format } = image
  const chunkListSha256 = view.get('blob', sha256)?.chunkListSha256 ?? ''
  const sizeBytes = BigInt(image.sizeBytes)
  const value = create(ImageSchema, { id, sha256, sizeBytes, format, chunkListSha256 })
  return resource(`image/${id}`, { case: 'image', value })
}

export function instanceAt(
  view: View,
  rack: string,
  id: string,
  secrets: MetadataSecrets & VolumeSecrets,
): Resource | null {
  const one = view.get('instance', id)
  if (one === null || one.rack !== rack || one.state === 'terminated') return null
  const type = instanceType(view, one.type)
  if (type === null) throw new RangeError(`${id} has the unknown instance type ${one.type}`)
  const volumes = attachmentsOf(view, one, secrets)
  if (awaitsRoot(one, volumes)) return null
  const value = create(InstanceSchema, {
    id,
    host: one.host,
    imageId: one.rootDevice === undefined ? one.image : '',
    kernelImageId: one.kernel ?? '',
    ramdiskImageId: one.ramdisk ?? '',
    kernelCommandLine: one.kernel === undefined ? '' : KERNEL_COMMAND_LINE,
    vcpus: type.vcpus,
    memoryMib: type.memoryMib,
    diskGib: one.rootDevice === undefined ? (one.diskGib ?? type.diskGib) : 0,
    interfaceIds: [...one.interfaces],
    power: powerOf(one),
    rebootCount: one.rebootCount,
    smbiosUuid: smbiosUuid(id),
    account: one.account,
    metadata: metadataOf(view, one, secrets),
    forceStop: one.forceStop ?? false,
    startCount: one.startCount ?? 0,
    volumes,
    ephemeralDisks: ephemeralDisks(one),
  })
  return resource(`instance/${id}`, { case: 'instance', value })
}

/**
 * Its host hears of one that starts from a volume when the volume may be used there. What runs is
 * never taken away from its host by this.
 */
function awaitsRoot(
  { rootDevice, state }: InstanceRecord,
  volumes: readonly { readonly boot?: boolean }[],
): boolean {
  if (rootDevice === undefined || state !== 'pending') return false
  return !volumes.some(({ boot }) => boot === true)
}

/** Their numbers are their places in the list. */
function ephemeralDisks({
  ephemeral = [],
}: InstanceRecord): MessageInitShape<typeof EphemeralDiskSchema>[] {
  return ephemeral.map(({ device, sizeGib }, n) => ({
    name: `ephemeral${n}`,
    deviceName: device,
    sizeGib,
  }))
}

function powerOf(one: InstanceRecord): Power {
  switch (one.desired) {
    case 'running':
      return isHeldForImage(one) ? Power.STOPPED : Power.RUNNING
    case 'stopped':
      return Power.STOPPED
    case 'terminated':
      return Power.TERMINATED
  }
}

/** cloud-init knows EC2 by a system UUID that starts with ec2; the rest is the instance's id. */
function smbiosUuid(instanceId: string): string {
  const hex = `ec2${instanceId.replace(/^i-/, '')}`.padEnd(32, '0').slice(0, 32)
  const cuts = [0, 8, 12, 16, 20, 32]
  return cuts
    .slice(1)
    .map((end, i) => hex.slice(cuts[i], end))
    .join('-')
}
