// What a rack is told of tenants' networks: routes, groups, public addresses, stretched subnets and
// what the metadata service says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkDesired } from '../../../gateway/control/check.ts'
import { type AgentName, rackDesired, resourceAt } from '../../../gateway/control/desired.ts'
import type { MemoryView } from '../../../gateway/store/memory-view.ts'
import { EVERY_RACK } from '../../../gateway/store/network-records.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { type BodyOf, bodyAt, type ResourceKind } from '../../../proto/resources.ts'
import {
  changesOf,
  instance,
  networkInterface,
  rule,
  SECRETS,
  startView,
  subnet,
  vpc,
  type Write,
} from './records.ts'

const A = { rack: 'a', host: 'a1' }
const B = { rack: 'b', host: 'b1' }
const NET_A = subnet('subnet-1', 'a', 0)
const NET_B = subnet('subnet-2', 'b', 1)
const STRETCHED = { ...subnet('subnet-3', EVERY_RACK, 2), rackTags: { b: 99 } }
const CARD_A = networkInterface('eni-1', NET_A, 'a1', 4)

function at<K extends ResourceKind>(
  view: MemoryView,
  agent: AgentName,
  key: string,
  kind: K,
): BodyOf<K> | null {
  const one = resourceAt(view, agent, key, SECRETS)
  return one === null ? null : bodyAt(new Map([[key, one]]), key, kind)
}

function routes(view: MemoryView, agent: AgentName, id: string): string[] | undefined {
  return at(view, agent, `routing/${id}`, 'routing')?.routes.map(
    ({ destination, kind, nextHop, natId }) =>
      [destination, RouteKind[kind], nextHop, natId].filter((part) => part !== '').join(' '),
  )
}

function table(id: string, ...list: readonly (readonly [string, string, string])[]): Write {
  const all = list.map(([destination, target, targetId]) => ({ destination, target, targetId }))
  return [`route-table/${id}`, { id, account: '1', vpc: 'vpc-1', routes: all, createdAtMs: 0 }]
}

const NAT: Write = [
  'nat-gateway/nat-1',
  {
    ...{ id: 'nat-1', account: '1', vpc: 'vpc-1', subnet: 'subnet-1', rack: 'a' },
    ...{ connectivity: 'public', interface: 'eni-9', allocation: 'eipalloc-9' },
    ...{ state: 'available', clientToken: '', createdAtMs: 0, deletedAtMs: null },
  },
]
const NAT_PARTS: readonly Write[] = [
  NAT,
  [
    'interface/eni-9',
    { ...networkInterface('eni-9', NET_A, '', 9), instance: '', type: 'nat-gateway' },
  ],
  ['address/eipalloc-9', address('eipalloc-9', '192.0.2.9', 'eni-9', '10.0.0.9')],
]

function address(id: string, publicIp: string, of: string, privateIp: string): object {
  const association = of === '' ? '' : 'eipassoc-1'
  return {
    id,
    account: '1',
    publicIp,
    pool: 'p',
    auto: false,
    association,
    privateIp,
    interface: of,
  }
}

test('a NAT gateway is next hop in its rack, and behind that rack in others', () => {
  const view = startView(...NAT_PARTS, table('rtb-vpc-1', ['0.0.0.0/0', 'nat-gateway', 'nat-1']))
  const local = ['fd98:7654:3200::/56 LOCAL', '10.0.0.0/20 LOCAL']
  assert.deepEqual(routes(view, A, 'subnet-1'), [...local, '0.0.0.0/0 NAT nat-1'])
  assert.deepEqual(routes(view, B, 'subnet-2'), [...local, '0.0.0.0/0 RACK fd12:3456:789a:1::1'])
  // Where the target is, the subnet of another rack has this route and no tag.
  assert.deepEqual(routes(view, A, 'subnet-2'), ['0.0.0.0/0 NAT nat-1'])
  assert.equal(at(view, A, 'routing/subnet-2', 'routing')?.vlanTag, 0)
  assert.equal(routes(view, B, 'subnet-1'), undefined)
  const nat = at(view, A, 'nat/nat-1', 'nat')
  assert.deepEqual([nat?.publicIp, nat?.privateIp, nat?.host], ['192.0.2.9', '10.0.0.9', 'a1'])
  assert.equal(at(view, A, 'elastic/eipalloc-9', 'elastic'), null)
  assert.equal(at(view, A, 'interface/eni-9', 'interface'), null)
})

test('routes whose target is gone are black holes', () => {
  const view = startView(
    table(
      'rtb-vpc-1',
      ['0.0.0.0/0', 'internet-gateway', 'igw-1'],
      ['::/0', 'egress-only-gateway', 'eigw-1'],
      ['192.0.2.0/24', 'interface', 'eni-7'],
      ['198.51.100.0/24', 'nat-gateway', 'nat-1'],
    ),
    ['internet-gateway/igw-1', { id: 'igw-1', account: '1', vpc: '' }],
  )
  const kinds = routes(view, A, 'subnet-1')?.map((route) => route.split(' ')[1])
  const gone = Array<string>(4).fill('BLACKHOLE')
  assert.deepEqual(kinds?.sort(), [...gone, 'LOCAL', 'LOCAL'].sort())
  view.apply(
    changesOf([['internet-gateway/igw-1', { id: 'igw-1', account: '1', vpc: 'vpc-1' }]], 2),
    2,
  )
  assert.ok(routes(view, A, 'subnet-1')?.includes('0.0.0.0/0 INTERNET'))
})

test('an address of an attached interface is announced by a CC of its rack, and by no other', () => {
  const view = startView(
    ['interface/eni-1', CARD_A],
    ['instance/i-1', instance('i-1', 'a', 'a1')],
    ['address/eipalloc-1', address('eipalloc-1', '192.0.2.7', 'eni-1', '10.0.0.4')],
  )
  const elastic = at(view, A, 'elastic/eipalloc-1', 'elastic')
  assert.deepEqual([elastic?.publicIp, elastic?.host], ['192.0.2.7', 'a1'])
  assert.equal(at(view, B, 'elastic/eipalloc-1', 'elastic'), null)
  const [card] = at(view, A, 'instance/i-1', 'instance')?.metadata?.interfaces ?? []
  assert.deepEqual(card?.publicIpv4s, ['192.0.2.7'])
  view.apply(changesOf([['interface/eni-1', { ...CARD_A, instance: '', host: '' }]], 2), 2)
  assert.equal(at(view, A, 'elastic/eipalloc-1', 'elastic'), null)
  assert.equal(at(view, A, 'interface/eni-1', 'interface'), null)
})

test('a stretched subnet is in every rack, its interfaces are stations elsewhere', () => {
  const card = {
    ...networkInterface('eni-1', STRETCHED, 'a1', 4),
    rack: 'a',
    ipv4More: ['10.0.2.5'],
  }
  const view = startView(['subnet/subnet-3', STRETCHED], ['interface/eni-1', card])
  const [here, there] = [A, B].map((agent) => at(view, agent, 'network/subnet-3', 'network'))
  assert.deepEqual([here?.vlanTag, there?.vlanTag, there?.mtu, there?.vni], [12, 99, 1350, 5002])
  const station = at(view, B, 'station/eni-1', 'station')
  assert.equal(station?.fabricAddress, 'fd12:3456:789a:1::1')
  assert.deepEqual(station?.addresses, ['10.0.2.4', '10.0.2.5', 'fd98:7654:3200:2::4'])
  assert.equal(at(view, A, 'station/eni-1', 'station'), null)
  const allowed = at(view, B, 'tunnel/a/a1', 'tunnel')?.allowedIps ?? []
  assert.ok(allowed.includes('10.0.2.5/32') && allowed.includes('fd98:7654:3200:2::4/128'))
  assert.ok(!allowed.includes('10.0.2.0/24'))
  assert.deepEqual(checkDesired(rackDesired(view, B, SECRETS)), [])
})

test('a subnet of one family has a network of one family', () => {
  const only6 = { ...NET_A, ipv4Cidr: '' }
  const view = startView(['subnet/subnet-1', only6])
  const network = at(view, A, 'network/subnet-1', 'network')
  assert.deepEqual([network?.ipv4Cidr, network?.ipv4Gateway], ['', ''])
  assert.equal(network?.ipv6Gateway, 'fd98:7654:3200::1')
  assert.deepEqual(
    at(view, B, 'tunnel/a/a1', 'tunnel')?.allowedIps.filter((ip) => ip.includes('.')),
    [],
  )
})

test('a group and its members are where the VPC or a peer of it is', () => {
  const other = subnet('subnet-9', 'c', 16)
  const rules = [
    rule('sgr-0', { protocol: 'tcp', prefixList: 'pl-1' }),
    rule('sgr-1', { protocol: 'icmpv6', group: 'sg-2' }),
    rule('sgr-2', { protocol: '47', prefixList: 'pl-gone' }),
  ]
  const list = ['192.0.2.0/24', '198.51.100.0/24'].map((cidr) => ({ cidr, description: '' }))
  const view = startView(
    ['rack/c', { name: 'c', index: 3, state: 'joined', createdAtMs: 0 }],
    ['vpc/vpc-2', vpc('vpc-2', 1)],
    ['subnet/subnet-9', { ...other, vpc: 'vpc-2' }],
    ['prefix-list/pl-1', { id: 'pl-1', entries: list }],
    ['security-group/sg-1', { id: 'sg-1', vpc: 'vpc-1', name: 'web', rules }],
    ['interface/eni-1', { ...CARD_A, securityGroups: ['sg-1'] }],
  )
  const c = { rack: 'c', host: 'c1' }
  const found = at(view, B, 'group/sg-1', 'group')
  assert.deepEqual(
    found?.rules.map(({ protocol, cidrs, groupId }) => [protocol, cidrs, groupId]),
    [
      [6, ['192.0.2.0/24', '198.51.100.0/24'], ''],
      [58, [], 'sg-2'],
    ],
  )
  const member = at(view, B, 'member/sg-1/eni-1', 'member')
  assert.deepEqual(member?.addresses, ['10.0.0.4', 'fd98:7654:3200:0::4'])
  assert.equal(at(view, c, 'group/sg-1', 'group'), null)
  const peering = { id: 'pcx-1', requester: { vpc: 'vpc-2' }, accepter: { vpc: 'vpc-1' } }
  view.apply(changesOf([['peering/pcx-1', { ...peering, state: 'active' }]], 2), 2)
  assert.ok(at(view, c, 'group/sg-1', 'group'))
  assert.ok(at(view, c, 'member/sg-1/eni-1', 'member'))
  assert.deepEqual(at(view, c, 'vpc/vpc-2', 'vpc')?.peers[0]?.ipv4Cidrs, ['10.0.0.0/20'])
})

test('networks tell the DHCP options of their VPC', () => {
  const options = [
    { key: 'domain-name', values: ['example.com'] },
    { key: 'domain-name-servers', values: ['AmazonProvidedDNS', '192.0.2.53'] },
    { key: 'ntp-servers', values: ['192.0.2.123'] },
  ]
  const view = startView(
    ['vpc/vpc-1', vpc('vpc-1', 0, { dhcpOptions: 'dopt-1', enableDnsSupport: false })],
    ['dhcp-options/dopt-1', { id: 'dopt-1', options }],
  )
  const network = at(view, B, 'network/subnet-2', 'network')
  assert.equal(network?.domain, 'example.com')
  assert.deepEqual(network?.nameServers, ['169.254.169.253', '192.0.2.53'])
  assert.deepEqual(network?.ntpServers, ['192.0.2.123'])
  assert.deepEqual([network?.dns, network?.aclId], [false, 'acl-vpc-1'])
})

test('metadata has tags only where they are to be seen, and user data as bytes', () => {
  const shown = instance('i-1', 'b', 'b1')
  const metadataOptions = { ...shown.metadataOptions, instanceTags: true }
  const userData = Buffer.from('#!/bin/sh').toString('base64')
  const view = startView(
    ['instance/i-1', { ...shown, metadataOptions, userData }],
    ['instance/i-2', instance('i-2', 'b', 'b1')],
    ['interface/eni-1', networkInterface('eni-1', NET_B, 'b1', 4)],
    ['tags/i-1', { resource: 'i-1', tags: { Name: 'web' } }],
    ['tags/i-2', { resource: 'i-2', tags: { Name: 'db' } }],
  )
  const [one, two] = ['i-1', 'i-2'].map((id) => at(view, B, `instance/${id}`, 'instance')?.metadata)
  assert.deepEqual([one?.tags, two?.tags], [{ Name: 'web' }, {}])
  assert.equal(Buffer.from(one?.userData ?? []).toString(), '#!/bin/sh')
  assert.deepEqual([one?.hasUserData, two?.hasUserData], [true, false])
  assert.equal(one?.interfaces[0]?.localHostname, 'ip-4.mallee-1-b.internal')
  const document = JSON.parse(one?.identityDocument ?? '') as Record<string, unknown>
  assert.deepEqual(
    [document['privateIp'], document['availabilityZone'], document['pendingTime']],
    ['10.0.1.4', 'mallee-1-b', '1970-01-01T00:00:00Z'],
  )
  assert.equal(one?.identitySignature, `signed ${one?.identityDocument.length}`)
})
