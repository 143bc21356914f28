// What a rack's agent shall hold, as a pure function of the view: one resource by its key, all of
// them, and which keys a change touches. The last is what makes a change cost what it changes.

import { create } from '@bufbuild/protobuf'
import {
  ImageSchema,
  InstanceSchema,
  InterfaceSchema,
  NetworkSchema,
  Power,
  RackConfigSchema,
  type Resource,
  TunnelSchema,
  VpcSchema,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { formatCidr, mustCidr } from '../../topology/cidr.ts'
import type { OverlayRack } from '../../topology/overlay.ts'
import { pairName, planTunnels } from '../../topology/overlay.ts'
import { gatewayIpv4, gatewayIpv6, rackFabric } from '../../topology/plan.ts'
import { TENANT_MTU, TUNNEL_KEEPALIVE_S } from '../../topology/ranges.ts'
import { instanceType } from '../ec2/instance-types.ts'
import type { HostRecord, InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'

/** The agent a desired state is for: a CC of a rack. */
export interface AgentName {
  readonly rack: string
  readonly host: string
}

/** Opens a sealed pre-shared key of a pair of racks. */
export type OpenKey = (pair: string, sealed: string) => Uint8Array

/** Everything of one agent, by key. */
export function rackDesired(view: View, agent: AgentName, openKey: OpenKey): Map<string, Resource> {
  const found = new Map<string, Resource>()
  for (const key of keysOf(view, agent)) {
    const one = resourceAt(view, agent, key, openKey)
    if (one !== null) found.set(key, one)
  }
  return found
}

/** The resource under a key, null when this agent shall not have it. */
export function resourceAt(
  view: View,
  agent: AgentName,
  key: string,
  openKey: OpenKey,
): Resource | null {
  const [kind = '', id = '', more = ''] = key.split('/')
  switch (kind) {
    case 'rack':
      return rackAt(view, agent)
    case 'vpc':
      return vpcAt(view, agent, id)
    case 'network':
      return networkAt(view, agent, id)
    case 'interface':
      return interfaceAt(view, agent, id)
    case 'image':
      return imageAt(view, id)
    case 'instance':
      return instanceAt(view, agent, id)
    case 'tunnel':
      return tunnelAt(view, agent, id, more, openKey)
    default:
      throw new RangeError(`unknown resource key ${key}`)
  }
}

function keysOf(view: View, agent: AgentName): string[] {
  const keys = ['rack']
  const subnets = view.subnetsOf('rack', agent.rack)
  for (const vpc of new Set(subnets.map((subnet) => subnet.vpc))) keys.push(`vpc/${vpc}`)
  for (const subnet of subnets) keys.push(`network/${subnet.id}`)
  for (const image of view.all('image')) keys.push(`image/${image.id}`)
  for (const one of view.interfacesOf('rack', agent.rack)) keys.push(`interface/${one.id}`)
  for (const one of view.instancesOf('rack', agent.rack)) keys.push(`instance/${one.id}`)
  for (const host of view.all('host')) {
    if (host.rack !== agent.rack && host.roles.includes('cc')) {
      keys.push(`tunnel/${host.rack}/${host.host}`)
    }
  }
  return keys
}

function rackAt(view: View, agent: AgentName): Resource | null {
  const cloud = view.get('cloud', 'self')
  const rack = view.get('rack', agent.rack)
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
      .map(({ host, keyFingerprint }) => ({ host, keyFingerprint })),
  })
  return resource('rack', { case: 'rack', value })
}

function vpcAt(view: View, agent: AgentName, id: string): Resource | null {
  const vpc = view.get('vpc', id)
  if (vpc === null) return null
  const here = view.subnetsOf('vpc', id).some((one) => one.rack === agent.rack)
  if (!here) return null
  const value = create(VpcSchema, {
    id,
    ipv4Cidrs: [...vpc.ipv4Cidrs],
    ipv6Cidrs: [...vpc.ipv6Cidrs],
  })
  return resource(`vpc/${id}`, { case: 'vpc', value })
}

function networkAt(view: View, agent: AgentName, id: string): Resource | null {
  const subnet = view.get('subnet', id)
  const cloud = view.get('cloud', 'self')
  if (subnet === null || cloud === null || subnet.rack !== agent.rack) return null
  const value = create(NetworkSchema, {
    id,
    vpcId: subnet.vpc,
    vlanTag: subnet.vlanTag,
    vni: subnet.vni,
    ipv4Cidr: subnet.ipv4Cidr,
    ipv4Gateway: gatewayIpv4(mustCidr(subnet.ipv4Cidr)),
    ipv6Cidr: subnet.ipv6Cidr,
    ipv6Gateway: gatewayIpv6(mustCidr(subnet.ipv6Cidr)),
    mtu: TENANT_MTU,
    domain: `${cloud.region}-${subnet.rack}.internal`,
  })
  return resource(`network/${id}`, { case: 'network', value })
}

function interfaceAt(view: View, agent: AgentName, id: string): Resource | null {
  const one = view.get('interface', id)
  if (one === null || one.rack !== agent.rack) return null
  const value = create(InterfaceSchema, {
    id,
    instanceId: one.instance,
    networkId: one.subnet,
    mac: one.mac,
    ipv4: one.ipv4,
    ipv6: one.ipv6,
    hostname: one.hostname,
    host: one.host,
  })
  return resource(`interface/${id}`, { case: 'interface', value })
}

function imageAt(view: View, id: string): Resource | null {
  const image = view.get('image', id)
  if (image === null) return null
  const { sha256, format } = image
  const value = create(ImageSchema, { id, sha256, sizeBytes: BigInt(image.sizeBytes), format })
  return resource(`image/${id}`, { case: 'image', value })
}

function instanceAt(view: View, agent: AgentName, id: string): Resource | null {
  const one = view.get('instance', id)
  if (one === null || one.rack !== agent.rack || one.state === 'terminated') return null
  const type = instanceType(one.type)
  if (type === null) throw new RangeError(`${id} has the unknown instance type ${one.type}`)
  const value = create(InstanceSchema, {
    id,
    host: one.host,
    imageId: one.image,
    vcpus: type.vcpus,
    memoryMib: type.memoryMib,
    diskGib: type.diskGib,
    interfaceIds: [...one.interfaces],
    power: powerOf(one),
    rebootCount: one.rebootCount,
    smbiosUuid: smbiosUuid(id),
    account: one.account,
  })
  return resource(`instance/${id}`, { case: 'instance', value })
}

function powerOf(one: InstanceRecord): Power {
  switch (one.desired) {
    case 'running':
      return Power.RUNNING
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

function tunnelAt(
  view: View,
  agent: AgentName,
  rack: string,
  host: string,
  openKey: OpenKey,
): Resource | null {
  if (rack === agent.rack) return null
  const here = overlayRack(view, agent.rack)
  const there = overlayRack(view, rack)
  const pair = pairName(agent.rack, rack)
  const sealed = view.get('preshared-key', pair)
  if (here === null || there === null || sealed === null) return null
  const tunnel = planTunnels([here, there], agent).find((one) => one.host === host)
  if (tunnel === undefined) return null
  const value = create(TunnelSchema, {
    rack,
    host,
    publicKey: tunnel.publicKey,
    presharedKey: openKey(pair, sealed.sealedKey),
    endpoints: [...tunnel.endpoints],
    allowedIps: [...tunnel.allowedIps],
    keepaliveS: TUNNEL_KEEPALIVE_S,
  })
  return resource(`tunnel/${rack}/${host}`, { case: 'tunnel', value })
}

function overlayRack(view: View, name: string): OverlayRack | null {
  const cloud = view.get('cloud', 'self')
  const rack = view.get('rack', name)
  if (cloud === null || rack === null) return null
  const subnets = view.subnetsOf('rack', name)
  return {
    name,
    index: rack.index,
    fabric: fabricOf(cloud.fabricPrefix, rack.index),
    prefixes: subnets.flatMap((subnet) => [subnet.ipv4Cidr, subnet.ipv6Cidr]),
    gateways: view.withPrefix('host', `${name}/`).filter(isGateway).map(gatewayOf),
  }
}

function isGateway(host: HostRecord): boolean {
  return host.roles.includes('cc') && (host.status?.wireguardPublicKey ?? '') !== ''
}

function gatewayOf(host: HostRecord): OverlayRack['gateways'][number] {
  return {
    host: host.host,
    index: host.index,
    publicKey: host.status?.wireguardPublicKey ?? '',
    endpoints: host.status?.wireguardEndpoints ?? [],
    connected: host.status?.connected ?? false,
  }
}

function fabricOf(cloudFabric: string, rackIndex: number): string {
  return formatCidr(rackFabric(mustCidr(cloudFabric), rackIndex))
}
