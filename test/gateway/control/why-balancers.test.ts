// Why packets of load balancers' nodes pass or do not: no guest is behind them, and without groups
// groups forbid nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { why } from '../../../gateway/control/why.ts'
import {
  acl,
  group,
  instance,
  networkInterface,
  rule,
  startView,
  subnet,
  type Write,
} from './records.ts'

const NET = subnet('subnet-1', 'a', 0)
const CARD = { ...networkInterface('eni-1', NET, 'a1', 4), instance: 'i-1' }
const NODE = {
  ...networkInterface('eni-7', NET, 'a1', 7),
  ...{ instance: '', type: 'network-load-balancer', securityGroups: [] },
}
const WORLD: readonly Write[] = [
  ['interface/eni-1', { ...CARD, securityGroups: ['sg-1'] }],
  ['instance/i-1', { ...instance('i-1', 'a', 'a1'), state: 'running' }],
  group('sg-1', 'vpc-1', [
    rule('sgr-out', { egress: true, ipv4: '0.0.0.0/0' }),
    rule('sgr-in', { protocol: 'tcp', fromPort: 80, toPort: 80, ipv4: '10.0.0.7/32' }),
  ]),
  group('sg-7', 'vpc-1', []),
  acl('acl-vpc-1', [{ number: 100 }, { number: 100, egress: true }]),
  ['route-table/rtb-vpc-1', { id: 'rtb-vpc-1', vpc: 'vpc-1', routes: [] }],
]

function ask(node: object, from: string, to: string, port = 80): string {
  const view = startView(...WORLD, ['interface/eni-7', { ...NODE, ...node }])
  const { passes, steps } = why(view, { from, to, protocol: 'tcp', port, account: null })
  return passes ? 'passes' : `${steps.at(-1)?.at} ${steps.at(-1)?.code}`
}

test('why: a client reaches a node that has no groups', () => {
  assert.equal(ask({}, 'i-1', 'eni-7', 443), 'passes')
})

test('why: a node with groups lets in what they let in', () => {
  assert.equal(ask({ securityGroups: ['sg-7'] }, 'i-1', 'eni-7'), 'sg-7 ENI_SG_RULES_MISMATCH')
})

test('why: a node reaches a target whose groups let its address in', () => {
  assert.equal(ask({}, 'eni-7', 'i-1'), 'passes')
  assert.equal(ask({}, 'eni-7', 'i-1', 81), 'sg-1 ENI_SG_RULES_MISMATCH')
})

test('why: a node that no host takes is nowhere', () => {
  assert.equal(ask({ host: '' }, 'i-1', 'eni-7'), 'eni-7 BAD_STATE_ATTACHMENT')
})
