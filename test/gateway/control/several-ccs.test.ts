// A rack with two CCs: each is the edge of other VPCs, and the way to what the other one has.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkDesired } from '../../../gateway/control/check.ts'
import { type AgentName, rackDesired } from '../../../gateway/control/desired.ts'
import { ccFor } from '../../../gateway/control/desired-tunnels.ts'
import { EVERY_RACK } from '../../../gateway/store/network-records.ts'
import { bodies, type Desired } from '../../../proto/resources.ts'
import {
  changesOf,
  host,
  instance,
  networkInterface,
  SECRETS,
  startView,
  subnet,
  vpc,
  type Write,
} from './records.ts'

const A1 = { rack: 'a', host: 'a1' }
const A2 = { rack: 'a', host: 'a2' }
const B1 = { rack: 'b', host: 'b1' }
const NET = subnet('subnet-1', 'a', 0)
const STRETCHED = subnet('subnet-3', EVERY_RACK, 2)
/** Enough that each CC is the edge of some. */
const MORE = Array.from({ length: 8 }, (_, n) => n + 1)

const TWO: readonly Write[] = [
  ['host/a/a2', host('a', 'a2', 2, 'A2')],
  ['preshared-key/a|a', { pair: 'a|a', sealedKey: 'x' }],
  ...MORE.flatMap((n): Write[] => [
    [`vpc/vpc-m${n}`, vpc(`vpc-m${n}`, n)],
    [`subnet/subnet-m${n}`, { ...subnet(`subnet-m${n}`, 'a', n + 20), vpc: `vpc-m${n}` }],
  ]),
  ['subnet/subnet-3', STRETCHED],
  ['interface/eni-1', networkInterface('eni-1', NET, 'a1', 4)],
  ['instance/i-1', instance('i-1', 'a', 'a1')],
  ['interface/eni-3', networkInterface('eni-3', STRETCHED, 'b1', 6)],
  [
    'interface/eni-9',
    { ...networkInterface('eni-9', NET, '', 9), instance: '', type: 'nat-gateway' },
  ],
  [
    'address/eipalloc-1',
    {
      ...{ id: 'eipalloc-1', account: '1', publicIp: '192.0.2.7', pool: 'p', auto: false },
      ...{ association: 'eipassoc-1', privateIp: '10.0.0.4', interface: 'eni-1' },
    },
  ],
  [
    'nat-gateway/nat-1',
    {
      ...{ id: 'nat-1', account: '1', vpc: 'vpc-1', subnet: 'subnet-1', rack: 'a' },
      ...{ connectivity: 'private', interface: 'eni-9', allocation: '', state: 'available' },
      ...{ clientToken: '', createdAtMs: 0, deletedAtMs: null },
    },
  ],
  [
    'route-table/rtb-vpc-1',
    {
      ...{ id: 'rtb-vpc-1', account: '1', vpc: 'vpc-1', createdAtMs: 0 },
      routes: [{ destination: '192.0.2.0/24', target: 'nat-gateway', targetId: 'nat-1' }],
    },
  ],
]

function told(agent: AgentName, ...writes: readonly Write[]): Desired {
  const view = startView(...TWO)
  view.apply(changesOf(writes, 2), 2)
  const desired = rackDesired(view, agent, SECRETS)
  assert.deepEqual(checkDesired(desired), [])
  return desired
}

test('a VPC has one edge in a rack: gateways, routes, NAT and addresses are there together', () => {
  const view = startView(...TWO)
  const edges = new Map(
    ['vpc-1', ...MORE.map((n) => `vpc-m${n}`)].map((id) => [id, ccFor(view, 'a', id)]),
  )
  assert.deepEqual([...new Set(edges.values())].sort(), ['a1', 'a2'])
  const [one, two] = [told(A1), told(A2)]
  for (const { id, vpcId, gatewayHost } of bodies(one, 'network')) {
    assert.equal(gatewayHost, edges.get(vpcId), id)
  }
  const own = edges.get('vpc-1') ?? ''
  assert.deepEqual(
    [...bodies(one, 'elastic'), ...bodies(one, 'nat')].map((each) => each.host),
    [own, own],
  )
  const [edge, other] = own === 'a1' ? [one, two] : [two, one]
  const routings = (desired: Desired) =>
    bodies(desired, 'routing').map(({ subnetId, vlanTag }) => `${subnetId} ${vlanTag}`)
  // Also for the other rack's subnet, which has a route to the NAT gateway.
  const has = routings(edge).filter((text) => /subnet-[123] /.test(text))
  assert.deepEqual(has.sort(), ['subnet-1 10', 'subnet-2 0', 'subnet-3 12'])
  assert.deepEqual(
    routings(other).filter((text) => /subnet-[123] /.test(text)),
    [],
  )
  // Stretched networks lead to the edge of their VPC.
  const index = own === 'a1' ? 1 : 2
  const there = told(B1)
  const hops = bodies(there, 'routing').flatMap(({ routes }) => routes.map((each) => each.nextHop))
  assert.deepEqual(
    new Set(hops.filter((hop) => hop !== '')),
    new Set([`fd12:3456:789a:1::${index}`]),
  )
})

test('CCs of a rack have tunnels with what each is the edge of, and nothing twice', () => {
  const [one, two] = [told(A1), told(A2)]
  const [toTwo] = bodies(one, 'tunnel').filter(({ rack }) => rack === 'a')
  const [toOne] = bodies(two, 'tunnel').filter(({ rack }) => rack === 'a')
  assert.deepEqual([toTwo?.host, toOne?.host], ['a2', 'a1'])
  assert.ok(toTwo?.allowedIps.includes('fd12:3456:789a:1::2/128'))
  const prefixes = [...bodies(one, 'network')]
    .filter(({ stretched }) => !stretched)
    .map(({ ipv4Cidr, gatewayHost }) => [ipv4Cidr, gatewayHost] as const)
  for (const [cidr, edge] of prefixes) {
    assert.equal(toTwo?.allowedIps.includes(cidr), edge === 'a2', cidr)
    assert.equal(toOne?.allowedIps.includes(cidr), edge === 'a1', cidr)
  }
  // The rack's own /64 leads to nobody in particular from inside.
  assert.ok(
    ![toTwo, toOne].some((each) => each?.allowedIps.some((ip) => ip === 'fd12:3456:789a:1::/64')),
  )
})

test('when a CC is away the others are the edge of all, and told so', () => {
  const alone = told(A1, ['host/a/a2', host('a', 'a2', 2, 'A2', false)])
  const hosts = bodies(alone, 'network').map(({ gatewayHost }) => gatewayHost)
  assert.deepEqual(new Set(hosts), new Set(['a1']))
  // It may be back at any time: its tunnel stays, with its own address alone.
  const [tunnel] = bodies(alone, 'tunnel').filter(({ rack }) => rack === 'a')
  assert.deepEqual(tunnel?.allowedIps, ['fd12:3456:789a:1::2/128'])
})
