// What guards and translates tenants' packets: security groups and their members, network ACLs,
// public addresses, NAT gateways, and the stations of stretched networks.

import { create } from '@bufbuild/protobuf'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  AclSchema,
  ElasticSchema,
  GroupSchema,
  MemberSchema,
  NatSchema,
  StationSchema,
} from '../../proto/gen/mallee/v1/tenants_pb.js'
import { resource } from '../../proto/resources.ts'
import { protocolNumber } from '../../topology/firewall.ts'
import { farMember, readFarGroup } from '../peering/far-guests.ts'
import { EVERY_RACK, type SecurityGroupRule } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { hasPort, isAlive } from './desired-routes.ts'
import { addressesOf, ccAddress, ccFor } from './desired-tunnels.ts'
import { hasVpc, isIn, reachesVpc } from './presence.ts'

export function groupAt(view: View, rack: string, id: string): Resource | null {
  const group = view.get('security-group', id)
  if (group === null || !reachesVpc(view, rack, group.vpc)) return null
  const rules = group.rules
    .map((rule) => ({
      egress: rule.egress,
      protocol: protocolNumber(rule.protocol),
      fromPort: rule.fromPort,
      toPort: rule.toPort,
      cidrs: cidrsOf(view, rule),
      groupId: rule.group,
    }))
    // A prefix list that is empty or gone is nobody, and a rule without a peer would be everybody.
    .filter(({ cidrs, groupId }) => cidrs.length > 0 || groupId !== '')
  return resource(`group/${id}`, { case: 'group', value: create(GroupSchema, { id, rules }) })
}

/** Hangs on the interface and its VPC alone, so that a change of one member touches no other. */
export function memberAt(view: View, rack: string, group: string, id: string): Resource | null {
  if (readFarGroup(group) !== null) return farMemberAt(view, rack, group, id)
  const one = view.get('interface', id)
  if (one === null || !hasPort(one) || !one.securityGroups.includes(group)) return null
  if (!reachesVpc(view, rack, one.vpc)) return null
  const addresses = addressesOf(one)
  const value = create(MemberSchema, { groupId: group, interfaceId: id, addresses })
  return resource(`member/${group}/${id}`, { case: 'member', value })
}

/** Of a VPC in a peer cloud, where the VPC is that it is a peer of. */
function farMemberAt(
  view: View,
  rack: string,
  groupId: string,
  interfaceId: string,
): Resource | null {
  const member = farMember(view, groupId, interfaceId)
  if (member === null || !hasVpc(view, rack, member.vpc)) return null
  const value = create(MemberSchema, { groupId, interfaceId, addresses: member.addresses })
  return resource(`member/${groupId}/${interfaceId}`, { case: 'member', value })
}

export function aclAt(view: View, rack: string, id: string): Resource | null {
  const acl = view.get('network-acl', id)
  if (acl === null || !hasVpc(view, rack, acl.vpc)) return null
  const entries = acl.entries
    .map(({ action, protocol, ...entry }) => ({
      ...entry,
      protocol: protocolNumber(protocol),
      allow: action === 'allow',
    }))
    .sort((a, b) => a.number - b.number || Number(a.egress) - Number(b.egress))
  return resource(`acl/${id}`, { case: 'acl', value: create(AclSchema, { id, entries }) })
}

export function elasticAt(view: View, rack: string, id: string): Resource | null {
  const address = view.get('address', id)
  const one = address === null ? null : view.get('interface', address.interface)
  if (address === null || one === null || one.rack !== rack || !hasPort(one)) return null
  const host = ccFor(view, rack, one.vpc)
  if (host === null) return null
  const { publicIp, privateIp } = address
  const value = create(ElasticSchema, { id, publicIp, privateIp, interfaceId: one.id, host })
  return resource(`elastic/${id}`, { case: 'elastic', value })
}

export function natAt(view: View, rack: string, id: string): Resource | null {
  const nat = view.get('nat-gateway', id)
  if (nat === null || nat.rack !== rack || !isAlive(nat)) return null
  const host = ccFor(view, rack, nat.vpc)
  const privateIp = view.get('interface', nat.interface)?.ipv4 ?? ''
  const publicIp = nat.allocation === '' ? '' : view.get('address', nat.allocation)?.publicIp
  // Without its address it would translate to another one.
  if (host === null || publicIp === undefined || privateIp === '') return null
  const value = create(NatSchema, { id, publicIp, privateIp, interfaceId: nat.interface, host })
  return resource(`nat/${id}`, { case: 'nat', value })
}

export function stationAt(view: View, rack: string, id: string): Resource | null {
  const one = view.get('interface', id)
  if (one === null || !hasPort(one) || one.rack === rack) return null
  const subnet = view.get('subnet', one.subnet)
  if (subnet?.rack !== EVERY_RACK || !isIn(subnet, rack)) return null
  const fabricAddress = ccAddress(view, one.rack, one.vpc)
  if (fabricAddress === null) return null
  const value = create(StationSchema, {
    networkId: one.subnet,
    interfaceId: id,
    mac: one.mac,
    addresses: addressesOf(one),
    fabricAddress,
  })
  return resource(`station/${id}`, { case: 'station', value })
}

function cidrsOf(view: View, { ipv4, ipv6, prefixList }: SecurityGroupRule): string[] {
  const listed = view.get('prefix-list', prefixList)?.entries.map(({ cidr }) => cidr) ?? []
  return [ipv4, ipv6, ...listed].filter((cidr) => cidr !== '')
}
