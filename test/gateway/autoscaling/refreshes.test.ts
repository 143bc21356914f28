// Instance refreshes: all instances of a group become new, some at a time.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { refused } from '../ec2/support.ts'
import { createGroup, idsIn, obey, openScaling, type ScalingCloud } from './support.ts'

const web = { AutoScalingGroupName: 'web' }
const MINUTE_MS = 60_000

interface Refreshed extends ScalingCloud {
  readonly before: readonly string[]
  readonly start: (preferences?: object) => Promise<unknown>
  /** Status, percent and what is left. */
  readonly shown: () => Promise<readonly unknown[]>
}

async function refreshed(t: TestContext, desired: number): Promise<Refreshed> {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: desired })
  await scaling.settle()
  scaling.clock.nowMs += MINUTE_MS
  return {
    ...scaling,
    before: idsIn(await scaling.group(), 'InService'),
    start: (Preferences = {}) => scaling.call('StartInstanceRefresh', { ...web, Preferences }),
    shown: async () => {
      const { InstanceRefreshes } = await scaling.call('DescribeInstanceRefreshes', web)
      const [newest] = InstanceRefreshes ?? []
      return [newest?.Status, newest?.PercentageComplete, newest?.InstancesToUpdate]
    },
  }
}

const newVersion = ({ cloud }: ScalingCloud) =>
  cloud.call('CreateLaunchTemplateVersion', {
    ...{ LaunchTemplateName: 'web', SourceVersion: '1' },
    LaunchTemplateData: { InstanceType: 't3.micro' },
  })

test('a refresh replaces all instances, and keeps as many in service as it is told', async (t) => {
  const scaling = await refreshed(t, 5)
  await newVersion(scaling)
  await scaling.start({ MinHealthyPercentage: 60, InstanceWarmup: 60 })
  assert.deepEqual(await scaling.shown(), ['InProgress', 0, 5])
  assert.equal((await refused(scaling.start())).code, 'InstanceRefreshInProgress')
  let fewest = 5
  for (let round = 0; round < 40; round += 1) {
    await scaling.tend()
    fewest = Math.min(fewest, idsIn(await scaling.group(), 'InService').length)
    await obey(scaling.cloud.state, scaling.clock.nowMs)
    if (round % 4 === 3) scaling.clock.nowMs += MINUTE_MS
  }
  assert.equal(fewest, 3)
  assert.deepEqual(await scaling.shown(), ['Successful', 100, 0])
  const { Instances = [] } = await scaling.group()
  assert.deepEqual([...new Set(Instances.map((one) => one.InstanceType))], ['t3.micro'])
  assert.ok(Instances.every((one) => !scaling.before.includes(one.InstanceId ?? '')))
  const causes = (await scaling.activities()).map((one) => one.Cause ?? '')
  assert.equal(causes.filter((one) => one.endsWith('to an instance refresh.')).length, 5)
})

test('the next ones go when those that came are warm', async (t) => {
  const scaling = await refreshed(t, 2)
  await scaling.start({ MinHealthyPercentage: 50, InstanceWarmup: 120 })
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['InProgress', 50, 1])
  scaling.clock.nowMs += 2 * MINUTE_MS - 1
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['InProgress', 50, 1])
  scaling.clock.nowMs += 1
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['InProgress', 100, 0])
  scaling.clock.nowMs += 2 * MINUTE_MS
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['Successful', 100, 0])
})

test('instances of the version that the group has may be left alone', async (t) => {
  const scaling = await refreshed(t, 2)
  await scaling.start({ SkipMatching: true })
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['Successful', 100, 0])
  assert.deepEqual(idsIn(await scaling.group()), scaling.before)
  await newVersion(scaling)
  scaling.clock.nowMs += MINUTE_MS
  await scaling.start({ SkipMatching: true })
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['Successful', 100, 0])
  assert.ok(idsIn(await scaling.group()).every((id) => !scaling.before.includes(id)))
})

for (const [onProtected, isReplaced, status] of [
  ['Refresh', true, 'Successful'],
  ['Ignore', false, 'Successful'],
  ['Wait', false, 'InProgress'],
] as const) {
  test(`a refresh that shall ${onProtected} protected instances is ${status}`, async (t) => {
    const scaling = await refreshed(t, 2)
    const [kept = ''] = scaling.before
    const members = { ...web, InstanceIds: [kept] }
    await scaling.call('SetInstanceProtection', { ...members, ProtectedFromScaleIn: true })
    await scaling.start({ ScaleInProtectedInstances: onProtected })
    await scaling.settle()
    assert.equal((await scaling.shown())[0], status)
    assert.equal(!idsIn(await scaling.group()).includes(kept), isReplaced)
  })
}

test('a refresh is cancelled, and nothing more is replaced', async (t) => {
  const scaling = await refreshed(t, 3)
  const cancel = () => scaling.call('CancelInstanceRefresh', web)
  assert.equal((await refused(cancel())).code, 'ActiveInstanceRefreshNotFound')
  await scaling.start({ InstanceWarmup: 600 })
  await scaling.settle()
  await cancel()
  scaling.clock.nowMs += 60 * MINUTE_MS
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['Cancelled', 33, 2])
  const left = idsIn(await scaling.group()).filter((id) => scaling.before.includes(id))
  assert.equal(left.length, 2)
})

test('what a refresh cannot do is refused; the group’s own configuration is nothing new', async (t) => {
  const scaling = await refreshed(t, 0)
  const start = (change: object) => scaling.call('StartInstanceRefresh', { ...web, ...change })
  for (const [change, code] of [
    [{ Preferences: { MinHealthyPercentage: 101 } }, 'ValidationError'],
    [{ Preferences: { MaxHealthyPercentage: 150 } }, 'UnsupportedOperation'],
    [{ Preferences: { AutoRollback: true } }, 'UnsupportedOperation'],
    [{ Preferences: { CheckpointPercentages: [50, 100] } }, 'UnsupportedOperation'],
    [{ Strategy: 'ReplaceRootVolume' }, 'UnsupportedOperation'],
    [
      { DesiredConfiguration: { LaunchTemplate: { LaunchTemplateName: 'web', Version: '1' } } },
      'UnsupportedOperation',
    ],
    [{ AutoScalingGroupName: 'none' }, 'ValidationError'],
  ] as const) {
    assert.equal((await refused(start(change))).code, code, JSON.stringify(change))
  }
  const LaunchTemplate = { LaunchTemplateName: 'web', Version: '$Latest' }
  await start({ DesiredConfiguration: { LaunchTemplate } })
  await scaling.settle()
  assert.deepEqual(await scaling.shown(), ['Successful', 100, 0])
})
