// Groups with target groups: members are targets while they serve, drain before they end, and are
// replaced when the load balancer calls them unhealthy.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ACCOUNT, refused, START_MS } from '../ec2/support.ts'
import { balancingOf, makeGroup } from '../elb/support.ts'
import { createGroup, idsIn, openScaling, type ScalingCloud } from './support.ts'

const web = { AutoScalingGroupName: 'web' }
const DELAY_MS = 300_000

interface Served extends ScalingCloud {
  readonly arn: string
  /** Instances that are targets and do not drain. */
  readonly targets: () => string[]
  readonly ids: () => Promise<string[]>
}

/** A group of two behind a network load balancer of both racks. */
async function served(t: TestContext, change: object = {}): Promise<Served> {
  const scaling = await openScaling(t)
  const arn = await makeGroup(scaling.cloud)
  const elb = balancingOf(scaling.cloud)
  const made = await elb('CreateLoadBalancer', {
    ...{ Name: 'web', Type: 'network', Scheme: 'internal' },
    Subnets: [scaling.subnets['a'] ?? '', scaling.subnets['b'] ?? ''],
  })
  await elb('CreateListener', {
    ...{ LoadBalancerArn: made.LoadBalancers?.[0]?.LoadBalancerArn, Protocol: 'TCP', Port: 80 },
    DefaultActions: [{ Type: 'forward', TargetGroupArn: arn }],
  })
  await createGroup(scaling, { DesiredCapacity: 2, TargetGroupARNs: [arn], ...change })
  await scaling.settle()
  return {
    ...{ ...scaling, arn },
    targets: () =>
      scaling.cloud.state
        .view()
        .all('target')
        .filter((one) => one.drainingUntilMs === null)
        .map((one) => one.instance)
        .sort(),
    ids: async () => idsIn(await scaling.group(), 'InService').sort(),
  }
}

/** What every node says of a target. */
async function say(
  { cloud, clock }: ScalingCloud,
  instance: string,
  state: 'healthy' | 'unhealthy',
): Promise<void> {
  await cloud.state.update(async (tx) => {
    const view = cloud.state.view()
    for (const { group, address, port } of view.by('target', 'instance', instance)) {
      for (const { interface: id } of view.by('balancer-node', 'account', ACCOUNT)) {
        const host = view.get('interface', id)?.host ?? ''
        await tx.put('target-status', [id, group, address, String(port)], {
          ...{ interface: id, group, address, port, host, state, reason: '', timedOut: false },
          ...{ httpStatus: 0, sinceMs: clock.nowMs },
        })
      }
    }
  })
}

test('members are targets from the moment they serve, and drain before they end', async (t) => {
  const scaling = await served(t)
  const before = await scaling.ids()
  assert.deepEqual(scaling.targets(), before)
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 1 })
  await scaling.settle()
  const group = await scaling.group()
  const [ending = ''] = idsIn(group, 'Terminating')
  assert.deepEqual(scaling.targets(), idsIn(group, 'InService'))
  const desired = () => scaling.cloud.state.view().get('instance', ending)?.desired
  assert.equal(desired(), 'running')
  scaling.clock.nowMs += DELAY_MS - 1
  await scaling.settle()
  assert.equal(desired(), 'running')
  scaling.clock.nowMs += 1
  await scaling.settle()
  assert.equal(desired(), 'terminated')
  assert.equal(idsIn(await scaling.group()).length, 1)
})

test('an unhealthy target is replaced where the group asks its target groups', async (t) => {
  for (const [HealthCheckType, isReplaced] of [
    ['EC2', false],
    ['ELB', true],
  ] as const) {
    const scaling = await served(t, { HealthCheckType, HealthCheckGracePeriod: 60 })
    const [ill = '', well = ''] = await scaling.ids()
    await say(scaling, ill, 'unhealthy')
    await say(scaling, well, 'healthy')
    await scaling.settle()
    assert.deepEqual(await scaling.ids(), [ill, well])
    scaling.clock.nowMs += 60_000
    await scaling.settle()
    const now = await scaling.ids()
    assert.equal(now.length, 2)
    assert.equal(!now.includes(ill), isReplaced, HealthCheckType)
    assert.deepEqual(scaling.targets(), now)
    const causes = (await scaling.activities()).map((one) => one.Cause ?? '')
    const isSaid = causes.some((one) => one.endsWith('an ELB system health check failure.'))
    assert.equal(isSaid, isReplaced)
  }
})

test('standby, detaching and attaching take members from targets and give them back', async (t) => {
  const scaling = await served(t)
  const [one = '', two = ''] = await scaling.ids()
  const InstanceIds = [one]
  const less = { ...web, InstanceIds, ShouldDecrementDesiredCapacity: true }
  await scaling.call('EnterStandby', less)
  assert.deepEqual(scaling.targets(), [two])
  await scaling.call('ExitStandby', { ...web, InstanceIds })
  assert.deepEqual(scaling.targets(), [one, two])
  await scaling.call('DetachInstances', less)
  assert.deepEqual(scaling.targets(), [two])
  await scaling.call('AttachInstances', { ...web, InstanceIds })
  assert.deepEqual(scaling.targets(), [one, two])
})

test('target groups are attached to and detached from a group that has instances', async (t) => {
  const scaling = await served(t)
  const ids = await scaling.ids()
  const source = { Identifier: scaling.arn, Type: 'elbv2' }
  const shown = async () => {
    const { LoadBalancerTargetGroups: all } = await scaling.call(
      'DescribeLoadBalancerTargetGroups',
      web,
    )
    return all?.map((one) => [one.LoadBalancerTargetGroupARN, one.State])
  }
  assert.deepEqual(await shown(), [[scaling.arn, 'Added']])
  await say(scaling, ids[0] ?? '', 'healthy')
  assert.deepEqual(await shown(), [[scaling.arn, 'InService']])
  assert.deepEqual((await scaling.group()).TargetGroupARNs, [scaling.arn])
  await scaling.call('DetachTrafficSources', { ...web, TrafficSources: [source] })
  assert.deepEqual(scaling.targets(), [])
  assert.deepEqual(await shown(), [])
  await scaling.call('SuspendProcesses', { ...web, ScalingProcesses: ['AddToLoadBalancer'] })
  await scaling.call('AttachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [scaling.arn] })
  assert.deepEqual(scaling.targets(), [])
  await scaling.call('DetachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [scaling.arn] })
  await scaling.call('ResumeProcesses', web)
  await scaling.call('AttachTrafficSources', { ...web, TrafficSources: [source] })
  assert.deepEqual(scaling.targets(), ids)
  const { TrafficSources } = await scaling.call('DescribeTrafficSources', web)
  assert.deepEqual(
    TrafficSources?.map((one) => [one.Identifier, one.Type]),
    [[scaling.arn, 'elbv2']],
  )
})

test('a target group that is gone fails launches, until it is detached', async (t) => {
  const scaling = await openScaling(t)
  const arn = await makeGroup(scaling.cloud)
  await createGroup(scaling, { DesiredCapacity: 0, TargetGroupARNs: [arn] })
  await balancingOf(scaling.cloud)('DeleteTargetGroup', { TargetGroupArn: arn })
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 1 })
  await scaling.settle()
  const [failed] = await scaling.activities()
  const what = 'One or more target groups not found. Validating load balancer configuration failed'
  assert.equal(failed?.StatusMessage, `${what}. Launching EC2 instance failed.`)
  await scaling.call('DetachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [arn] })
  await scaling.settle()
  assert.equal(idsIn(await scaling.group(), 'InService').length, 1)
})

test('a group takes no target group of addresses or of another VPC', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling)
  const { Vpc } = await scaling.cloud.call('CreateVpc', { CidrBlock: '10.90.0.0/16' })
  const attach = (arn: string) =>
    scaling.call('AttachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [arn] })
  for (const [change, want] of [
    [{ Name: 'ips', TargetType: 'ip' as const }, /^The target type of \S+ is ip/],
    [{ Name: 'far', VpcId: Vpc?.VpcId }, /not in the VPC of the subnets\.$/],
  ] as const) {
    const { code, message } = await refused(attach(await makeGroup(scaling.cloud, change)))
    assert.equal(code, 'ValidationError')
    assert.match(message, want)
  }
  const ips = await makeGroup(scaling.cloud, { Name: 'gone' })
  const unknown = await refused(attach(ips.replace(/\w{16}$/, '0'.repeat(16))))
  assert.equal(
    unknown.message,
    'Provided Target Groups may not be valid. Please ensure they exist and try again.',
  )
  assert.equal(scaling.clock.nowMs, START_MS)
})
