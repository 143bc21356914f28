// Why packets pass or do not: every hop that may refuse one does so once, with its id and code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from '../../../common/errors.ts'
import { type Question, why } from '../../../gateway/control/why.ts'
import {
  acl,
  group,
  instance,
  networkInterface,
  rule,
  startView,
  subnet,
  vpc,
  type Write,
} from './records.ts'

const NET_A = subnet('subnet-1', 'a', 0)
const NET_B = subnet('subnet-2', 'b', 1)
const NET_P = { ...subnet('subnet-9', 'a', 16), vpc: 'vpc-2', ipv4Cidr: '10.1.0.0/24' }
const OUTSIDE = '198.51.100.7'

function card(id: string, of: typeof NET_A, n: number, groups: readonly string[]): Write {
  const fields = { instance: `i-${id.slice(4)}`, securityGroups: groups }
  return [`interface/${id}`, { ...networkInterface(id, of, `${of.rack}1`, n), ...fields }]
}

function running(id: string, rack: string): Write {
  return [`instance/${id}`, { ...instance(id, rack, `${rack}1`), state: 'running' }]
}

function table(...list: readonly (readonly [string, string, string])[]): Write {
  const routes = list.map(([destination, target, targetId]) => ({ destination, target, targetId }))
  return ['route-table/rtb-vpc-1', { id: 'rtb-vpc-1', vpc: 'vpc-1', routes }]
}

function address(id: string, publicIp: string, of: string, privateIp: string): Write {
  return [`address/${id}`, { id, publicIp, interface: of, privateIp, pool: 'p', account: '1' }]
}

const OUT = rule('sgr-out', { egress: true, ipv4: '0.0.0.0/0' })
const OUT6 = rule('sgr-out6', { egress: true, ipv6: '::/0' })
const OPEN_ACL = [{ number: 100 }, { number: 100, egress: true }]

/** i-1 in rack a and i-2 in rack b, where only members of sg-1 may come in by TCP 80. */
const WORLD: readonly Write[] = [
  card('eni-1', NET_A, 4, ['sg-1']),
  card('eni-2', NET_B, 4, ['sg-2']),
  running('i-1', 'a'),
  running('i-2', 'b'),
  group('sg-1', 'vpc-1', [OUT, OUT6]),
  group('sg-2', 'vpc-1', [
    OUT,
    OUT6,
    rule('sgr-web', { protocol: 'tcp', fromPort: 80, toPort: 80, group: 'sg-1' }),
  ]),
  acl('acl-vpc-1', OPEN_ACL),
  table(),
]

function ask(more: readonly Write[], question: Partial<Question> = {}): string {
  const whole = { from: 'i-1', to: 'i-2', protocol: 'tcp', port: 80, account: null } as const
  const { passes, steps } = why(startView(...WORLD, ...more), { ...whole, ...question })
  const last = steps.at(-1)
  if (passes) return `passes ${steps.length}`
  return `${last?.direction} ${last?.at} ${last?.code}`
}

const IGW: Write = ['internet-gateway/igw-1', { id: 'igw-1', account: '1', vpc: 'vpc-1' }]
const TO_IGW = table(['0.0.0.0/0', 'internet-gateway', 'igw-1'])
const PUBLIC = [IGW, TO_IGW, address('eipalloc-2', '203.0.113.2', 'eni-2', '10.0.1.4')]
const WEB = group('sg-2', 'vpc-1', [
  OUT,
  rule('sgr-all', { protocol: 'tcp', fromPort: 80, toPort: 80, ipv4: '0.0.0.0/0' }),
])
const NAT: readonly Write[] = [
  [
    'nat-gateway/nat-1',
    {
      ...{ id: 'nat-1', vpc: 'vpc-1', subnet: 'subnet-2', rack: 'b', state: 'available' },
      ...{ interface: 'eni-9', allocation: 'eipalloc-9' },
    },
  ],
  address('eipalloc-9', '203.0.113.9', 'eni-9', '10.0.1.9'),
  table(['0.0.0.0/0', 'nat-gateway', 'nat-1']),
]
const APPLIANCE = (check: boolean): readonly Write[] => [
  [
    'interface/eni-5',
    {
      ...networkInterface('eni-5', NET_A, 'a1', 5),
      ...{ instance: 'i-5', securityGroups: ['sg-5'], sourceDestCheck: check },
    },
  ],
  running('i-5', 'a'),
  group('sg-5', 'vpc-1', [OUT, rule('sgr-5', { ipv4: '0.0.0.0/0' })]),
  table([`${OUTSIDE}/32`, 'interface', 'eni-5'], ['0.0.0.0/0', 'internet-gateway', 'igw-1']),
]
const PEER: readonly Write[] = [
  ['vpc/vpc-2', vpc('vpc-2', 1)],
  ['subnet/subnet-9', NET_P],
  ['interface/eni-3', { ...networkInterface('eni-3', NET_P, 'a1', 4), instance: 'i-3' }],
  running('i-3', 'a'),
  ['route-table/rtb-vpc-2', { id: 'rtb-vpc-2', vpc: 'vpc-2', routes: [] }],
  table(['10.1.0.0/16', 'peering', 'pcx-1']),
]
function peering(state: string): Write {
  const ends = { requester: { vpc: 'vpc-1' }, accepter: { vpc: 'vpc-2' } }
  return ['peering/pcx-1', { id: 'pcx-1', state, ...ends }]
}

const CASES: readonly (readonly [string, readonly Write[], Partial<Question>, string])[] = [
  ['members of a group that may come', [], {}, 'passes 11'],
  ['another port', [], { port: 81 }, 'forward sg-2 ENI_SG_RULES_MISMATCH'],
  ['another protocol', [], { protocol: 'udp' }, 'forward sg-2 ENI_SG_RULES_MISMATCH'],
  [
    'a sender whose groups let nothing out',
    [group('sg-1', 'vpc-1', [])],
    {},
    'forward sg-1 ENI_SG_RULES_MISMATCH',
  ],
  [
    'an instance that is stopped',
    [['instance/i-2', { ...instance('i-2', 'b', 'b1'), state: 'stopped' }]],
    {},
    'forward i-2 BAD_STATE',
  ],
  [
    'an ACL that denies the way out',
    [
      acl('acl-vpc-1', [
        { number: 1, egress: true, action: 'deny', protocol: '6', fromPort: 80, toPort: 80 },
        ...OPEN_ACL,
      ]),
    ],
    {},
    'forward acl-vpc-1 SUBNET_ACL_RESTRICTION',
  ],
  [
    'an ACL that lets replies end',
    [
      acl('acl-vpc-1', [
        { number: 1, protocol: '6', fromPort: 80, toPort: 80 },
        { number: 2, egress: true },
      ]),
    ],
    {},
    'reply acl-vpc-1 SUBNET_ACL_RESTRICTION',
  ],
  ['a rack without a CC', [['host/b/b1', null]], {}, 'forward b BAD_STATE'],
  [
    'an address that nobody has',
    [],
    { to: '10.0.1.77' },
    'forward subnet-1 NO_POSSIBLE_DESTINATION',
  ],
  [
    'an address that no route has',
    [],
    { to: OUTSIDE },
    'forward rtb-vpc-1 NO_ROUTE_TO_DESTINATION',
  ],
  [
    'a gateway that is not attached',
    [TO_IGW],
    { to: OUTSIDE },
    'forward rtb-vpc-1 BAD_STATE_ROUTE',
  ],
  [
    'a sender without public address',
    [IGW, TO_IGW],
    { to: OUTSIDE },
    'forward igw-1 IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS',
  ],
  ['a sender with public address', [...PUBLIC], { from: 'i-2', to: OUTSIDE }, 'passes 6'],
  [
    'somebody outside to a public address',
    [...PUBLIC, WEB],
    { from: OUTSIDE, to: '203.0.113.2' },
    'passes 6',
  ],
  [
    'somebody outside to a private address',
    [...PUBLIC, WEB],
    { from: OUTSIDE },
    'forward igw-1 IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS',
  ],
  [
    'somebody outside who gets no answer',
    [...PUBLIC.slice(2), IGW, WEB],
    { from: OUTSIDE, to: '203.0.113.2' },
    'reply rtb-vpc-1 NO_ROUTE_TO_DESTINATION',
  ],
  [
    'a group that knows members by private address',
    [...PUBLIC, address('eipalloc-1', '203.0.113.1', 'eni-1', '10.0.0.4')],
    { to: '203.0.113.2' },
    'forward sg-2 ENI_SG_RULES_MISMATCH',
  ],
  [
    'a public address from inside',
    [...PUBLIC, WEB, address('eipalloc-1', '203.0.113.1', 'eni-1', '10.0.0.4')],
    { to: '203.0.113.2' },
    'passes 11',
  ],
  ['a NAT gateway in another rack', NAT, { to: OUTSIDE }, 'passes 7'],
  [
    'an appliance whose routes lead to itself',
    [IGW, ...APPLIANCE(false)],
    { to: OUTSIDE },
    'forward eni-5 BAD_STATE_ROUTE',
  ],
  [
    'an appliance with its check on',
    [IGW, ...APPLIANCE(true)],
    { to: OUTSIDE },
    'forward eni-5 ENI_SOURCE_DEST_CHECK_RESTRICTION',
  ],
  [
    'a peering that is not active',
    [...PEER, peering('pending-acceptance')],
    { to: 'i-3' },
    'forward rtb-vpc-1 BAD_STATE_ROUTE',
  ],
  [
    'a peer without groups',
    [...PEER, peering('active')],
    { to: 'i-3' },
    'forward eni-3 ENI_SG_RULES_MISMATCH',
  ],
  [
    'IPv6 from outside past an egress-only gateway',
    [
      ['egress-only-gateway/eigw-1', { id: 'eigw-1', vpc: 'vpc-1' }],
      table(['::/0', 'egress-only-gateway', 'eigw-1']),
    ],
    { from: '2001:db8::1' },
    'forward eigw-1 CANNOT_ROUTE',
  ],
  [
    'IPv6 from outside where no route leads out',
    [],
    { from: '2001:db8::1' },
    'forward vpc-1 NO_ROUTE_TO_DESTINATION',
  ],
  [
    'IPv6 by its addresses',
    [
      acl('acl-vpc-1', [
        ...OPEN_ACL,
        { number: 101, cidr: '::/0' },
        { number: 101, cidr: '::/0', egress: true },
      ]),
    ],
    { to: 'fd98:7654:3200:1::4' },
    'passes 11',
  ],
]

for (const [what, records, question, want] of CASES) {
  test(`why: ${what}`, () => {
    assert.equal(ask(records, question), want)
  })
}

test('why tells what it found in words', () => {
  const view = startView(...WORLD)
  const { packet, steps } = why(view, {
    ...{ from: 'eni-1', to: '10.0.1.4', protocol: 'tcp', port: 80, account: null },
  })
  assert.equal(packet, 'tcp 80 from 10.0.0.4 to 10.0.1.4')
  const said = steps.map(({ at, text }) => `${at}: ${text}`)
  assert.ok(said.includes('sg-2: ingress rule sgr-web lets tcp 80 from 10.0.0.4 to 10.0.1.4 pass'))
  assert.ok(said.includes('b: racks a and b are joined by a tunnel'))
})

test('why shows an account what is its own, and calls other ends unknown', () => {
  const question = { from: 'i-1', to: 'i-2', protocol: 'tcp', port: 80, account: '2' } as const
  assert.throws(
    () => why(startView(...WORLD), question),
    (error) => codeOf(error) === 'NotFound',
  )
})

for (const [what, question] of [
  ['two ends outside', { from: OUTSIDE, to: '198.51.100.8' }],
  ['two families', { from: '10.0.0.4', to: 'fd98:7654:3200:1::4' }],
  ['a name that is none', { from: 'web' }],
] as const) {
  test(`why refuses ${what}`, () => {
    assert.throws(
      () => ask([], question),
      (error) => codeOf(error) === 'BadArgument',
    )
  })
}
