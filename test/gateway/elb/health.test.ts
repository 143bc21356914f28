// How targets are: what one node or another says of them, and what becomes of them by themselves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tendBalancers } from '../../../gateway/control/balancer-life.ts'
import { resourceAt } from '../../../gateway/control/desired.ts'
import { TargetState } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { SECRETS } from '../control/records.ts'
import { report, START_MS, setHost } from '../ec2/support.ts'
import { partsOf, watched } from './life-support.ts'

const MINUTE_MS = 60_000

test('a target is well when one node says so, and why it is not else', async (t) => {
  const { health, sees } = await watched(t)
  assert.deepEqual((await health()).slice(0, 2), ['initial', 'Elb.RegistrationInProgress'])
  const bad = { state: TargetState.UNHEALTHY }
  await sees('a', { ...bad, timedOut: true })
  assert.deepEqual(await health(), ['unhealthy', 'Target.Timeout', 'Request timed out'])
  await sees('a', { ...bad, httpStatus: 503 })
  const codes = 'Health checks failed with these codes: [503]'
  assert.deepEqual(await health(), ['unhealthy', 'Target.ResponseCodeMismatch', codes])
  await sees('a', { ...bad, reason: 'refused' })
  assert.deepEqual((await health()).slice(0, 2), ['unhealthy', 'Target.FailedHealthChecks'])
  await sees('b', { state: TargetState.INITIAL })
  assert.deepEqual((await health()).slice(0, 2), ['initial', 'Elb.InitialHealthChecking'])
  await sees('b', { state: TargetState.HEALTHY })
  assert.deepEqual(await health(), ['healthy'])
})

test('silence makes no target unhealthy', async (t) => {
  const { cloud, health, sees } = await watched(t)
  const { state } = cloud
  await sees('a', { state: TargetState.HEALTHY })
  await setHost(state, 'a', 'a0', { connected: false })
  assert.deepEqual((await health()).slice(0, 2), ['initial', 'Elb.RegistrationInProgress'])
  await setHost(state, 'b', 'b0', { connected: false })
  assert.deepEqual((await health()).slice(0, 2), ['unavailable', 'Elb.InternalError'])
  await setHost(state, 'a', 'a0', { connected: true })
  assert.deepEqual(await health(), ['healthy'])
})

test('an instance that stops is not used, one that ends is no target any more', async (t) => {
  const { cloud, health, instance, sees } = await watched(t)
  const { state } = cloud
  await sees('a', { state: TargetState.HEALTHY })
  await report(state, instance, 'stopped')
  assert.deepEqual(await health(), [
    ...['unused', 'Target.InvalidState', 'Target is in the stopped state'],
  ])
  await report(state, instance, 'terminated')
  await tendBalancers(partsOf(state), START_MS)
  assert.deepEqual(await health(), [])
  assert.deepEqual(state.view().all('target-status'), [], 'and what was seen of it is forgotten')
})

test('a target that is deregistered drains for as long as its group says', async (t) => {
  const { cloud, elb, group, instance, health } = await watched(t)
  await elb('DeregisterTargets', { TargetGroupArn: group, Targets: [{ Id: instance }] })
  const draining = ['draining', 'Target.DeregistrationInProgress']
  assert.deepEqual((await health()).slice(0, 2), draining)
  await tendBalancers(partsOf(cloud.state), START_MS + 5 * MINUTE_MS - 1)
  assert.deepEqual((await health()).slice(0, 2), draining)
  await tendBalancers(partsOf(cloud.state), START_MS + 5 * MINUTE_MS)
  assert.deepEqual(await health(), [])
})

test('the name has the addresses of zones where targets are well, or of all', async (t) => {
  const ground = await watched(t)
  const { cloud, elb, sees } = ground
  const { state } = cloud
  const ipv4In = (rack: string) => {
    const [node] = state.view().by('balancer-node', 'rack', rack)
    return state.view().get('interface', node?.interface ?? '')?.ipv4 ?? ''
  }
  const { LoadBalancers } = await elb('DescribeLoadBalancers', {})
  const key = `name/${LoadBalancers?.[0]?.DNSName}`
  const addresses = () => {
    const body = resourceAt(state.view(), { rack: 'b', host: 'b0' }, key, SECRETS)?.body
    return body?.case === 'name' ? body.value.addresses : null
  }
  const both = [ipv4In('a'), ipv4In('b')].sort()
  assert.deepEqual(addresses(), both, 'nothing is known yet')
  await sees('a', { state: TargetState.HEALTHY })
  assert.deepEqual(addresses(), [ipv4In('a')])
  await sees('b', { state: TargetState.HEALTHY })
  assert.deepEqual(addresses(), both)
  await sees('a', { state: TargetState.UNHEALTHY })
  assert.deepEqual(addresses(), [ipv4In('b')])
  await sees('b', { state: TargetState.UNHEALTHY })
  assert.deepEqual(addresses(), both, 'nobody is better than another')
})
