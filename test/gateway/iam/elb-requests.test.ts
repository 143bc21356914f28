// What calls to Elastic Load Balancing ask policies for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { elbAsks } from '../../../gateway/iam/elb-requests.ts'
import { startView, type Write } from '../control/records.ts'

const ACCOUNT = '111122223333'
const BASE = `arn:aws:elasticloadbalancing:mallee-1:${ACCOUNT}`
const ID = '0123456789abcdef'
const BALANCER = `${BASE}:loadbalancer/net/web/${ID}`
const GROUP = `${BASE}:targetgroup/web/${ID}`
const OWN = { id: ID, account: ACCOUNT, name: 'web', tags: { Team: 'red' } }
const THERE: Write[] = [
  [`load-balancer/${ID}`, OWN],
  [`target-group/${ID}`, OWN],
]
const place = { view: startView(...THERE), region: 'mallee-1', account: ACCOUNT }

function asks(action: string, input: object): unknown[] {
  return elbAsks(place, action, input).map((one) => [
    one.action.replace('elasticloadbalancing:', ''),
    one.resource,
    Object.fromEntries(one.keys),
  ])
}

const RED = {
  'aws:resourcetag/team': ['red'],
  'elasticloadbalancing:resourcetag/team': ['red'],
}

test('a change asks about what it names, with its tags', () => {
  for (const [action, member, arn] of [
    ['DeleteLoadBalancer', 'LoadBalancerArn', BALANCER],
    ['SetIpAddressType', 'LoadBalancerArn', BALANCER],
    ['RegisterTargets', 'TargetGroupArn', GROUP],
    ['DeleteTargetGroup', 'TargetGroupArn', GROUP],
  ] as const) {
    assert.deepEqual(asks(action, { [member]: arn }), [[action, arn, RED]])
  }
})

test('what is somebody else’s, or nothing, has no tags to ask for', () => {
  const theirs = { ...place, account: '444455556666' }
  const [ask] = elbAsks(theirs, 'DeleteLoadBalancer', { LoadBalancerArn: BALANCER })
  assert.deepEqual([ask?.resource, ask?.keys.size], [BALANCER, 0])
  assert.deepEqual(asks('DeleteLoadBalancer', { LoadBalancerArn: 'nonsense' }), [
    ['DeleteLoadBalancer', 'nonsense', {}],
  ])
})

test('who looks asks about everything', () => {
  const asked = { LoadBalancerArn: BALANCER }
  assert.deepEqual(asks('DescribeListeners', asked), [['DescribeListeners', '*', {}]])
})

test('what is made is asked for by its name, and its tags as an action of their own', () => {
  const Tags = [{ Key: 'Team', Value: 'blue' }]
  const tags = { 'aws:requesttag/team': ['blue'], 'aws:tagkeys': ['Team'] }
  const made = `${BASE}:loadbalancer/net/new/*`
  const input = { Name: 'new', Scheme: 'internal', Subnets: ['subnet-1'], Tags }
  const keys = {
    ...tags,
    'elasticloadbalancing:scheme': ['internal'],
    'elasticloadbalancing:subnet': ['subnet-1'],
  }
  assert.deepEqual(asks('CreateLoadBalancer', input), [
    ['CreateLoadBalancer', made, keys],
    ['AddTags', made, { ...keys, 'elasticloadbalancing:createaction': ['CreateLoadBalancer'] }],
  ])
  const untagged = [['CreateTargetGroup', `${BASE}:targetgroup/new/*`, {}]]
  assert.deepEqual(asks('CreateTargetGroup', { Name: 'new', Protocol: 'TCP' }), untagged)
})

test('a listener is made at its load balancer, and tagged under its name', () => {
  const input = { LoadBalancerArn: BALANCER, Protocol: 'TCP', Tags: [{ Key: 'A', Value: 'b' }] }
  const resources = elbAsks(place, 'CreateListener', input).map((one) => one.resource)
  assert.deepEqual(resources, [BALANCER, `${BASE}:listener/net/web/${ID}/*`])
})

test('tags are given and taken of each thing by itself', () => {
  const input = { ResourceArns: [BALANCER, GROUP], TagKeys: ['Team'] }
  const keys = { ...RED, 'aws:tagkeys': ['Team'] }
  assert.deepEqual(asks('RemoveTags', input), [
    ['RemoveTags', BALANCER, keys],
    ['RemoveTags', GROUP, keys],
  ])
})
