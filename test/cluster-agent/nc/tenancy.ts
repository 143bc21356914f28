// Desired state of two networks with groups and ACLs, written short, for tests of flows.

import { create } from '@bufbuild/protobuf'
import {
  NetworkSchema,
  RackConfigSchema,
  type Resource,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import {
  AclEntrySchema,
  AclSchema,
  GroupRuleSchema,
  GroupSchema,
  MemberSchema,
} from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies, type Desired, resource } from '../../../proto/resources.ts'

const PROTOCOLS = new Map([
  ['all', -1],
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['icmp6', 58],
])

export interface Tenancy {
  /** By group: `in tcp 22-25 10.0.0.0/8,::/0`, `out all any`, `in tcp 80 sg-b`. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
  /** By group: addresses of its members, each a member of its own. */
  readonly members?: Readonly<Record<string, readonly string[]>>
  /** By ACL: `in allow tcp 22 0.0.0.0/0`, in the order of their numbers. */
  readonly acls?: Readonly<Record<string, readonly string[]>>
  /** By number of the network. */
  readonly aclOf?: Readonly<Record<number, string>>
}

export function tenancy({ groups = {}, members = {}, acls = {}, aclOf = {} }: Tenancy): Desired {
  const all: Resource[] = [
    ...[1, 2].map((net) => network(net, aclOf[net] ?? '')),
    ...Object.entries(groups).map(([id, rules]) => {
      const value = create(GroupSchema, { id, rules: rules.map(ruleOf) })
      return resource(`group/${id}`, { case: 'group', value })
    }),
    ...Object.entries(members).flatMap(([groupId, addresses]) =>
      addresses.map((address) => memberOf(groupId, address)),
    ),
    ...Object.entries(acls).map(([id, entries]) => {
      const value = create(AclSchema, { id, entries: entries.map(entryOf) })
      return resource(`acl/${id}`, { case: 'acl', value })
    }),
  ]
  return new Map(all.map((one) => [one.key, one]))
}

/** A desired state with one member more, and everything else the same objects. */
export function withMember(desired: Desired, groupId: string, address: string): Desired {
  const member = memberOf(groupId, address)
  return new Map([...desired, [member.key, member]])
}

/** The same in a rack with two CCs, h1 and h2, the first of which has the gateways. */
export function withTwoCcs(desired: Desired): Desired {
  const members = [1, 2].map((index) => ({ host: `h${index}`, index }))
  const rack = create(RackConfigSchema, { rackIndex: 1, members })
  const networks = bodies(desired, 'network').map((one) =>
    resource(`network/${one.id}`, { case: 'network', value: { ...one, gatewayHost: 'h1' } }),
  )
  const all = [resource('rack', { case: 'rack', value: rack }), ...networks]
  return new Map([...desired, ...all.map((one) => [one.key, one] as const)])
}

function memberOf(groupId: string, address: string): Resource {
  const interfaceId = `eni-${address}`
  const value = create(MemberSchema, { groupId, interfaceId, addresses: [address] })
  return resource(`member/${groupId}/${interfaceId}`, { case: 'member', value })
}

function network(net: number, aclId: string): Resource {
  const value = create(NetworkSchema, {
    id: `subnet-${net}`,
    vpcId: 'vpc-1',
    vlanTag: 100 * net,
    ipv4Cidr: `10.1.${net}.0/24`,
    ipv4Gateway: `10.1.${net}.1`,
    ipv6Cidr: `fd10:1:${net}::/64`,
    ipv6Gateway: `fd10:1:${net}::1`,
    mtu: 1_400,
    aclId,
  })
  return resource(`network/subnet-${net}`, { case: 'network', value })
}

function ruleOf(text: string) {
  const words = text.split(' ')
  const [way = '', protocol = '', ports = '-1'] = words
  const peers = words.at(-1) ?? ''
  const [from, to] = words.length > 3 ? rangeOf(ports) : [-1, -1]
  const grouped = peers.startsWith('sg-')
  const whom = { groupId: grouped ? peers : '', cidrs: grouped ? [] : cidrsOf(peers) }
  const value = { egress: way === 'out', protocol: PROTOCOLS.get(protocol) ?? Number(protocol) }
  return create(GroupRuleSchema, { ...value, fromPort: from, toPort: to, ...whom })
}

function entryOf(text: string, index: number) {
  const words = text.split(' ')
  const [way = '', verdict = '', protocol = '', ports = '-1'] = words
  const [from, to] = words.length > 4 ? rangeOf(ports) : [-1, -1]
  return create(AclEntrySchema, {
    number: 100 * (index + 1),
    egress: way === 'out',
    allow: verdict === 'allow',
    protocol: PROTOCOLS.get(protocol) ?? Number(protocol),
    cidr: words.at(-1) ?? '',
    ...(protocol.startsWith('icmp')
      ? { icmpType: from, icmpCode: to }
      : { fromPort: from, toPort: to, icmpType: -1, icmpCode: -1 }),
  })
}

function cidrsOf(text: string): string[] {
  return text === 'any' ? ['0.0.0.0/0', '::/0'] : text.split(',')
}

/** `22`, `22-25`, of ICMP `8-*`. */
function rangeOf(text: string): [number, number] {
  const [from = '', to = from] = text.split('-')
  return [Number(from), to === '*' ? -1 : Number(to)]
}
