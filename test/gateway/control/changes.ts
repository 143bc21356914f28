// Random changes of every kind of record that a desired state is made of, over few ids, so that
// they meet.

import fc from 'fast-check'
import type { RouteTarget, SecurityGroupRule } from '../../../gateway/store/network-records.ts'
import { EVERY_RACK } from '../../../gateway/store/network-records.ts'
import { someBalancing } from './balancer-changes.ts'
import { each, record } from './change.ts'
import { host, instance, networkInterface, rack, subnet, vpc, type Write } from './records.ts'
import { someRole } from './role-changes.ts'
import { someVolume } from './volume-changes.ts'
import { someVpn } from './vpn-changes.ts'

const VPCS = ['vpc-1', 'vpc-2', 'vpc-3'] as const
const RACKS = ['a', 'b', 'c'] as const
const SUBNETS = ['subnet-1', 'subnet-2', 'subnet-3', 'subnet-4', 'subnet-5', 'subnet-6'] as const
const CARDS = ['eni-1', 'eni-2', 'eni-3', 'eni-4'] as const
const GROUPS = ['sg-1', 'sg-2', 'sg-3'] as const

/** Where a subnet is and in which VPC never changes. */
function subnetOf(id: string): ReturnType<typeof subnet> {
  const n = SUBNETS.indexOf(id as (typeof SUBNETS)[number])
  const where = ['a', 'b', EVERY_RACK, 'a', 'b', 'c'][n] ?? 'a'
  const of = ['vpc-1', 'vpc-1', 'vpc-1', 'vpc-2', 'vpc-2', 'vpc-3'][n] ?? 'vpc-1'
  return { ...subnet(id, where, n), vpc: of }
}

const someVpc = each(VPCS, (id, n) =>
  record(
    `vpc/${id}`,
    fc
      .record({
        more: fc.boolean(),
        dhcpOptions: fc.constantFrom('default', 'dopt-1'),
        mainRouteTable: fc.constantFrom(`rtb-${id}`, 'rtb-1', ''),
        enableDnsSupport: fc.boolean(),
      })
      .map(({ more, ...fields }) => {
        const one = vpc(id, n - 1, fields)
        return more ? { ...one, ipv4Cidrs: [...one.ipv4Cidrs, `10.${n + 100}.0.0/20`] } : one
      }),
  ),
)

const someSubnet = each(SUBNETS, (id) =>
  record(
    `subnet/${id}`,
    fc
      .record({
        routeTable: fc.constantFrom('', 'rtb-1', 'rtb-2'),
        acl: fc.constantFrom('', 'acl-1'),
        families: fc.constantFrom('both', '4', '6'),
        rackTags: fc.constantFrom({}, { a: 77 }, { a: 77, c: 0 }),
        isRacks: fc.boolean(),
      })
      .map(({ families, isRacks, ...fields }) => {
        const one = { ...subnetOf(id), ...fields }
        // Tags of the racks' own: where it has none, it is not yet.
        if (isRacks && one.rack === EVERY_RACK) return { ...one, vlanTag: 0 }
        if (families === '4') return { ...one, ipv6Cidr: '' }
        return families === '6' ? { ...one, ipv4Cidr: '' } : one
      }),
  ),
)

const someHost = fc
  .record({
    r: fc.constantFrom(...RACKS),
    n: fc.constantFrom(1, 2),
    publicKey: fc.constantFrom('', 'K', 'L'),
    up: fc.boolean(),
    end: fc.boolean(),
  })
  .map(({ r, n, publicKey, up, end }): Write => {
    const key = `host/${r}/${r}${n}`
    return [key, end && n === 2 ? null : host(r, `${r}${n}`, n, publicKey, up)]
  })

const someInstance = each(['i-1', 'i-2'], (id) =>
  record(
    `instance/${id}`,
    fc
      .record({
        r: fc.constantFrom('a', 'b'),
        state: fc.constantFrom('terminated', 'running', 'pending'),
        tags: fc.boolean(),
        rootDevice: fc.constantFrom(undefined, '/dev/sda1'),
      })
      .map(({ r, state, tags, rootDevice }) => {
        const one = instance(id, r, `${r}1`)
        const metadataOptions = { ...one.metadataOptions, instanceTags: tags }
        return { ...one, metadataOptions, state, ...(rootDevice !== undefined && { rootDevice }) }
      }),
  ),
)

const someInterface = each(CARDS, (id, n) =>
  record(
    `interface/${id}`,
    fc
      .record({
        of: fc.constantFrom(...SUBNETS),
        r: fc.constantFrom(...RACKS),
        instance: fc.constantFrom('', 'i-1', 'i-2'),
        securityGroups: fc.subarray([...GROUPS]),
        ipv4More: fc.subarray(['10.9.9.9']),
        type: fc.constantFrom('interface', 'network-load-balancer', 'nat-gateway'),
        isPlaced: fc.boolean(),
      })
      .map(({ of, r, isPlaced, ...fields }) => {
        const net = subnetOf(of)
        const where = net.rack === EVERY_RACK ? r : net.rack
        const one = networkInterface(id, net, `${where}1`, n + 3)
        return { ...one, ...fields, rack: where, host: isPlaced ? `${where}1` : '' }
      }),
  ),
)

const someAddress = each(['eipalloc-1', 'eipalloc-2'], (id, n) =>
  record(
    `address/${id}`,
    fc.constantFrom('', ...CARDS).map((of) => ({
      ...{ id, account: '1', publicIp: `192.0.2.${n}`, pool: 'p', auto: false, createdAtMs: 0 },
      ...{ association: of, interface: of, privateIp: of === '' ? '' : '10.0.0.4' },
    })),
  ),
)

const TARGETS: readonly (readonly [RouteTarget, string])[] = [
  ['internet-gateway', 'igw-1'],
  ['egress-only-gateway', 'eigw-1'],
  ['nat-gateway', 'nat-1'],
  ['interface', 'eni-1'],
  ['interface', 'eni-3'],
  ['peering', 'pcx-1'],
  ['peering', 'pcx-2'],
  ['peering', 'pcx-5'],
  ['vpn-gateway', 'vgw-1'],
  ['vpn-gateway', 'vgw-2'],
]
const someRoute = fc.record({
  destination: fc.constantFrom('0.0.0.0/0', '::/0', '10.0.0.0/8', '10.1.0.0/24', 'pl-1'),
  to: fc.constantFrom(...TARGETS),
})

const someTable = each(['rtb-vpc-1', 'rtb-vpc-2', 'rtb-1', 'rtb-2'], (id, n) =>
  record(
    `route-table/${id}`,
    fc
      .record({
        routes: fc.array(someRoute, { maxLength: 3 }),
        propagating: fc.subarray(['vgw-1', 'vgw-2']),
      })
      .map(({ routes, propagating }) => ({
        id,
        account: '1',
        vpc: n === 2 ? 'vpc-2' : 'vpc-1',
        routes: routes.map(({ destination, to: [target, targetId] }) => ({
          ...{ destination, target, targetId },
        })),
        ...(propagating.length > 0 && { propagating }),
        createdAtMs: 0,
      })),
  ),
)

const someGateway = each(['internet-gateway/igw-1', 'egress-only-gateway/eigw-1'], (key) =>
  record(
    key,
    fc
      .constantFrom('', 'vpc-1', 'vpc-2')
      .map((of) => ({ id: key.split('/')[1], account: '1', vpc: of })),
  ),
)

const someNat = record(
  'nat-gateway/nat-1',
  fc
    .record({
      rack: fc.constantFrom('a', 'b'),
      interface: fc.constantFrom(...CARDS),
      allocation: fc.constantFrom('', 'eipalloc-1'),
      state: fc.constantFrom('available', 'deleted'),
    })
    .map((fields) => ({
      ...{ id: 'nat-1', account: '1', vpc: 'vpc-1', subnet: 'subnet-1', connectivity: 'public' },
      ...{ ...fields, clientToken: '', createdAtMs: 0, deletedAtMs: null },
    })),
)

const somePeering = each(['pcx-1', 'pcx-2'], (id, n) =>
  record(
    `peering/${id}`,
    fc.constantFrom('active', 'active', 'deleted').map((state) => ({
      id,
      requester: { account: '1', vpc: 'vpc-1' },
      accepter: { account: '1', vpc: `vpc-${n + 1}` },
      ...{ state, message: '', createdAtMs: 0, expiresAtMs: 0, endedAtMs: null },
      requesterDnsResolution: false,
      accepterDnsResolution: false,
    })),
  ),
)

const someRule: fc.Arbitrary<SecurityGroupRule> = fc
  .constantFrom(
    { ipv4: '0.0.0.0/0', ipv6: '', group: '', prefixList: '' },
    { ipv4: '', ipv6: '', group: 'sg-2', prefixList: '' },
    { ipv4: '', ipv6: '', group: '', prefixList: 'pl-1' },
  )
  .map((peer) => ({
    ...{ id: 'sgr-1', egress: false, protocol: 'tcp', fromPort: 80, toPort: 80, description: '' },
    ...peer,
  }))

const someGroup = each(GROUPS, (id, n) =>
  record(
    `security-group/${id}`,
    fc
      .record({ rules: fc.array(someRule, { maxLength: 2 }), name: fc.constantFrom('web', 'db') })
      .map((fields) => ({
        ...{ id, account: '1', vpc: `vpc-${n}`, description: '', createdAtMs: 0 },
        ...fields,
      })),
  ),
)

const someAcl = each(['acl-vpc-1', 'acl-vpc-2', 'acl-1'], (id, n) =>
  record(
    `network-acl/${id}`,
    fc.boolean().map((isDefault) => ({
      ...{ id, account: '1', vpc: n === 2 ? 'vpc-2' : 'vpc-1', isDefault, entries: [] },
    })),
  ),
)

const someList = record(
  'prefix-list/pl-1',
  fc.subarray(['192.0.2.0/24', '10.1.0.0/20']).map((cidrs) => ({
    ...{ id: 'pl-1', account: '1', name: 'l', family: 4, maxEntries: 5, version: 1, history: [] },
    entries: cidrs.map((cidr) => ({ cidr, description: '' })),
  })),
)

const someOptions = record(
  'dhcp-options/dopt-1',
  fc.constantFrom('example.com', 'example.org').map((name) => ({
    ...{ id: 'dopt-1', account: '1' },
    options: [{ key: 'domain-name', values: [name] }],
  })),
)

const someImage = each(['ami-1', 'ami-2'], (id) =>
  record(
    `image/${id}`,
    fc.constantFrom('d1', 'd2').map((sha256) => ({ id, sha256, sizeBytes: 512, format: 'raw' })),
  ),
)

const someImageFile = each(['d1', 'd2'], (sha256) =>
  record(
    `blob/${sha256}`,
    fc.constantFrom({}, { chunkListSha256: 'l1' }).map((list) => ({ sha256, ...list })),
  ),
)

const someRest: fc.Arbitrary<Write> = fc.oneof(
  fc
    .constantFrom('b', 'c')
    .chain((r) => record(`rack/${r}`, fc.constant(rack(r, r === 'b' ? 2 : 3)))),
  fc
    .constantFrom('a|a', 'a|b', 'a|c', 'b|c')
    .chain((pair) => record(`preshared-key/${pair}`, fc.constant({ pair, sealedKey: 'y' }))),
  each(['i-1', 'i-2'], (id) =>
    record(
      `tags/${id}`,
      fc.constantFrom('x', 'y').map((value) => ({ resource: id, tags: { Name: value } })),
    ),
  ),
)

/** Who is in the racks, and the blocks of VPCs. */
export const someGround: fc.Arbitrary<Write> = fc.oneof(someVpc, someHost)

export const someChange: fc.Arbitrary<Write> = fc.oneof(
  ...[someVpc, someSubnet, someHost, someInstance, someInterface, someAddress, someTable],
  ...[someGateway, someNat, somePeering, someGroup, someAcl, someList, someOptions, someRest],
  ...[someRole, someBalancing, someBalancing, someBalancing, someImage, someImageFile],
  ...[someVolume, someVolume, someVpn, someVpn],
)
