// What a rack's agent shall hold, as a pure function of the view: one resource by its key, and all
// of them. Which keys a change touches is in affected.ts; that makes a change cost what it changes.

import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import type { VolumeSecrets } from '../ebs/names.ts'
import { farGuestKeys } from '../peering/far-guests.ts'
import { trafficOf } from '../peering/traffic.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import type { OpenVpnKey } from '../vpn/keys.ts'
import {
  balancerAt,
  balancerKeys,
  nameAt,
  nameKeys,
  targetAt,
  targetGroupAt,
} from './desired-balancers.ts'
import type { OpenRole, SignIdentity } from './desired-metadata.ts'
import { peerLinkAt, peerLinkKeys } from './desired-peers.ts'
import { imageAt, instanceAt, interfaceAt, networkAt, rackAt, vpcAt } from './desired-rack.ts'
import { routingAt } from './desired-routes.ts'
import { volumeSnapshotAt, volumeSnapshotKeys } from './desired-snapshots.ts'
import { aclAt, elasticAt, groupAt, memberAt, natAt, stationAt } from './desired-tenants.ts'
import { type OpenKey, tunnelAt } from './desired-tunnels.ts'
import { volumeAt, volumeKeys } from './desired-volumes.ts'
import { vpnAt, vpnKeys } from './desired-vpns.ts'
import { peersOf, subnetsIn } from './presence.ts'

/** The agent a desired state is for: a CC of a rack. */
export interface AgentName {
  readonly rack: string
  readonly host: string
}

/** What needs the cloud's keys. */
export interface Secrets extends VolumeSecrets {
  readonly openKey: OpenKey
  readonly sign: SignIdentity
  readonly openRole: OpenRole
  readonly openVpnKey: OpenVpnKey
}

/** Everything of one agent, by key. */
export function rackDesired(view: View, agent: AgentName, secrets: Secrets): Map<string, Resource> {
  const found = new Map<string, Resource>()
  for (const key of keysOf(view, agent)) {
    const one = resourceAt(view, agent, key, secrets)
    if (one !== null) found.set(key, one)
  }
  return found
}

/** The resource under a key, null when this agent shall not have it. */
export function resourceAt(
  view: View,
  agent: AgentName,
  key: string,
  secrets: Secrets,
): Resource | null {
  const [kind = '', id = '', more = '', last = ''] = key.split('/')
  const { rack } = agent
  const { openKey } = secrets
  switch (kind) {
    case 'rack':
      return rackAt(view, rack)
    case 'vpc':
      return vpcAt(view, rack, id)
    case 'network':
      return networkAt(view, rack, id)
    case 'interface':
      return interfaceAt(view, rack, id)
    case 'image':
      return imageAt(view, id)
    case 'instance':
      return instanceAt(view, rack, id, secrets)
    case 'tunnel':
      return tunnelAt(view, agent, id, more, openKey)
    case 'routing':
      return routingAt(view, agent, id)
    case 'group':
      return groupAt(view, rack, id)
    case 'member':
      return memberAt(view, rack, id, more)
    case 'acl':
      return aclAt(view, rack, id)
    case 'elastic':
      return elasticAt(view, rack, id)
    case 'nat':
      return natAt(view, rack, id)
    case 'station':
      return stationAt(view, rack, id)
    case 'balancer':
      return balancerAt(view, rack, id)
    case 'target-group':
      return targetGroupAt(view, rack, id)
    case 'target':
      return targetAt(view, rack, id, more, last)
    case 'name':
      return nameAt(view, rack, id)
    case 'volume':
      return volumeAt(view, rack, id, secrets)
    case 'snapshot':
      return volumeSnapshotAt(view, rack, id)
    case 'peer-link':
      return peerLinkAt(view, agent, id)
    case 'vpn':
      return vpnAt(view, agent, id, secrets.openVpnKey)
    default:
      throw new RangeError(`unknown resource key ${key}`)
  }
}

/** Every key that the agent may have something under. */
function keysOf(view: View, { rack, host: own }: AgentName): Set<string> {
  const keys = new Set(['rack'])
  const subnets = subnetsIn(view, rack)
  const vpcs = new Set(subnets.map((subnet) => subnet.vpc))
  for (const subnet of subnets) keys.add(`network/${subnet.id}`)
  for (const vpc of vpcs) {
    keys.add(`vpc/${vpc}`)
    for (const { id } of view.by('network-acl', 'vpc', vpc)) keys.add(`acl/${id}`)
    for (const { id } of view.subnetsOf('vpc', vpc)) keys.add(`routing/${id}`)
  }
  const reached = new Set([...vpcs].flatMap((vpc) => [vpc, ...peersOf(view, vpc)]))
  for (const key of [...reached].flatMap((vpc) => guardKeys(view, vpc))) keys.add(key)
  for (const key of [...reached].flatMap((vpc) => nameKeys(view, vpc))) keys.add(key)
  for (const key of balancerKeys(view, rack)) keys.add(key)
  for (const image of view.all('image')) keys.add(`image/${image.id}`)
  for (const { id } of view.interfacesOf('rack', rack)) {
    keys.add(`interface/${id}`)
    for (const address of view.by('address', 'interface', id)) keys.add(`elastic/${address.id}`)
  }
  for (const { id } of view.by('nat-gateway', 'rack', rack)) keys.add(`nat/${id}`)
  for (const { id } of view.subnetsOf('rack', EVERY_RACK)) {
    for (const one of view.interfacesOf('subnet', id)) keys.add(`station/${one.id}`)
  }
  for (const one of view.instancesOf('rack', rack)) keys.add(`instance/${one.id}`)
  for (const key of volumeKeys(view, rack)) keys.add(key)
  for (const key of volumeSnapshotKeys(view, rack)) keys.add(key)
  for (const key of peerLinkKeys(view)) keys.add(key)
  for (const key of vpnKeys(view, rack)) keys.add(key)
  for (const { id, peer } of trafficOf(view).byPeering.values()) {
    for (const key of farGuestKeys(view, peer.uid, id)) keys.add(key)
  }
  for (const host of view.all('host')) {
    if (host.roles.includes('cc') && (host.rack !== rack || host.host !== own)) {
      keys.add(`tunnel/${host.rack}/${host.host}`)
    }
  }
  return keys
}

/** The security groups of a VPC and who is in them. */
export function guardKeys(view: View, vpc: string): string[] {
  return [
    ...view.by('security-group', 'vpc', vpc).map(({ id }) => `group/${id}`),
    ...view
      .by('interface', 'vpc', vpc)
      .flatMap((one) => one.securityGroups.map((group) => `member/${group}/${one.id}`)),
  ]
}
