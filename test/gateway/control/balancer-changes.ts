// Random changes of load balancers and of what they are made of, over few ids, so that they meet.

import fc from 'fast-check'
import { each, record } from './change.ts'
import { networkInterface, subnet, type Write } from './records.ts'

const BALANCERS = ['00000000000000b1', '00000000000000b2'] as const
const GROUPS = ['00000000000000c1', '00000000000000c2'] as const
const CARDS = ['eni-1', 'eni-2', 'eni-3', 'eni-4'] as const
const CROSS_ZONE = 'load_balancing.cross_zone.enabled'
const OWN = { account: '1', tags: {}, createdAtMs: 0 }

const someAttributes = fc.constantFrom({}, { [CROSS_ZONE]: 'true' }, { [CROSS_ZONE]: 'false' })

const someBalancer = each(BALANCERS, (id, n) =>
  record(
    `load-balancer/${id}`,
    fc.record({ attributes: someAttributes, tag: fc.constantFrom('x', 'y') }).map((one) => ({
      ...{ ...OWN, id, name: `lb${n}`, vpc: `vpc-${n}`, scheme: 'internal' },
      ...{ ipAddressType: 'ipv4', securityGroups: [], interfaces: [], listeners: [] },
      ...{ attributes: one.attributes, state: 'active', reason: '', provisioningSinceMs: 0 },
      tags: { Name: one.tag },
    })),
  ),
)

const someNode = each(CARDS, (id) =>
  record(
    `balancer-node/${id}`,
    fc
      .record({
        loadBalancer: fc.constantFrom(...BALANCERS),
        rack: fc.constantFrom('a', 'b', 'c'),
        serving: fc.boolean(),
      })
      .map(({ loadBalancer, rack, serving }) => ({
        ...{ interface: id, account: '1', loadBalancer, vpc: 'vpc-1', subnet: 'subnet-1', rack },
        ...{ allocation: '', ipv4: '', ipv6: '', report: { host: 'a1', serving, trouble: '' } },
      })),
  ),
)

const someListener = each(['00000000000000d1', '00000000000000d2'], (id) =>
  record(
    `listener/${id}`,
    fc
      .record({
        loadBalancer: fc.constantFrom(...BALANCERS),
        targetGroup: fc.constantFrom(...GROUPS),
        port: fc.constantFrom(80, 81),
        attributes: fc.constantFrom({}, { 'tcp.idle_timeout.seconds': '60' }),
      })
      .map((fields) => ({ ...OWN, id, protocol: 'TCP', ...fields })),
  ),
)

const someGroup = each(GROUPS, (id, n) =>
  record(
    `target-group/${id}`,
    fc
      .record({
        attributes: fc.oneof(someAttributes, fc.constant({ 'stickiness.enabled': 'true' })),
        intervalS: fc.constantFrom(10, 30),
      })
      .map(({ attributes, intervalS }) => ({
        ...{ ...OWN, id, name: `tg${n}`, vpc: 'vpc-1', protocol: 'TCP', port: 80 },
        ...{ targetType: 'ip', ipAddressType: 'ipv4', attributes },
        healthCheck: {
          ...{ protocol: 'TCP', port: 0, path: '', codes: '', intervalS, timeoutS: 10 },
          ...{ healthyThreshold: 5, unhealthyThreshold: 2 },
        },
        ...{ loadBalancer: '', listeners: [] },
      })),
  ),
)

const someTarget = each(GROUPS, (group) =>
  each(['10.0.0.9', '10.0.0.10'], (address) =>
    record(
      `target/${group}/${address}/80`,
      fc
        .record({
          rack: fc.constantFrom('', 'a', 'b'),
          drainingUntilMs: fc.constantFrom(null, 1),
        })
        .map((fields) => ({
          ...{ group, account: '1', address, port: 80, instance: '', registeredAtMs: 0 },
          ...fields,
        })),
    ),
  ),
)

const someStatus = each(['eni-1', 'eni-2'], (id) =>
  each(GROUPS, (group) =>
    record(
      `target-status/${id}/${group}/10.0.0.9/80`,
      fc
        .record({
          state: fc.constantFrom('healthy', 'unhealthy'),
          host: fc.constantFrom('a1', 'b1'),
        })
        .map((fields) => ({
          ...{ interface: id, group, address: '10.0.0.9', port: 80, ...fields },
          ...{ reason: '', timedOut: false, httpStatus: 0, sinceMs: 0 },
        })),
    ),
  ),
)

export const someBalancing: fc.Arbitrary<Write> = fc.oneof(
  ...[someBalancer, someNode, someListener, someGroup, someTarget, someStatus],
)

/** A load balancer with nodes in two racks that use one target, for changes on top. */
export const BALANCING: readonly Write[] = [
  ...(['a', 'b'] as const).flatMap((rack, n): Write[] => {
    const net = subnet(`subnet-${n + 1}`, rack, n)
    const card = networkInterface(CARDS[n] ?? '', net, `${rack}1`, n + 3)
    const placed = { ...card, instance: '', type: 'network-load-balancer' }
    const node = { interface: card.id, account: '1', loadBalancer: BALANCERS[0], rack }
    const place = { vpc: 'vpc-1', subnet: net.id, allocation: '', ipv4: '', ipv6: '' }
    return [
      [`interface/${card.id}`, placed],
      [`balancer-node/${card.id}`, { ...node, ...place, report: null }],
    ]
  }),
  [
    `load-balancer/${BALANCERS[0]}`,
    {
      ...{ ...OWN, id: BALANCERS[0], name: 'lb1', vpc: 'vpc-1', scheme: 'internal' },
      ...{ ipAddressType: 'ipv4', securityGroups: [], interfaces: [], listeners: [] },
      ...{ attributes: {}, state: 'active', reason: '', provisioningSinceMs: 0 },
    },
  ],
  [
    'listener/00000000000000d1',
    {
      ...{ ...OWN, id: '00000000000000d1', protocol: 'TCP', attributes: {}, port: 80 },
      ...{ loadBalancer: BALANCERS[0], targetGroup: GROUPS[0] },
    },
  ],
  [
    `target/${GROUPS[0]}/10.0.0.9/80`,
    {
      ...{ group: GROUPS[0], account: '1', address: '10.0.0.9', port: 80, instance: '', rack: '' },
      ...{ registeredAtMs: 0, drainingUntilMs: null },
    },
  ],
]
