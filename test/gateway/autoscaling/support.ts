// A cloud with Auto Scaling: its handlers called as the endpoint calls them, the loop's passes made
// by hand, and hosts that do at once what they are told.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Activity, AutoScalingGroup } from '@aws-sdk/client-auto-scaling'
import { type Clock, randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { autoScalingHandlers } from '../../../gateway/autoscaling/index.ts'
import type {
  AutoScalingHandlers,
  AutoScalingInputs,
  AutoScalingOutputs,
  CallContext,
} from '../../../gateway/aws/handlers.ts'
import { forgetActivities, tendGroups } from '../../../gateway/control/scaling.ts'
import { runScheduled } from '../../../gateway/control/scaling-schedule.ts'
import type { State } from '../../../gateway/store/state.ts'
import { testSealer } from '../../support/sealer.ts'
import {
  ACCOUNT,
  type Cloud,
  type CloudOptions,
  openCloud,
  REGION,
  registerImage,
  report,
  START_MS,
} from '../ec2/support.ts'

export type ScalingCall = <K extends keyof AutoScalingHandlers & keyof AutoScalingInputs>(
  action: K,
  input: AutoScalingInputs[K],
  as?: { account?: string },
) => Promise<AutoScalingOutputs[K]>

export interface ScalingCloud {
  readonly cloud: Cloud
  readonly call: ScalingCall
  /** One pass over all groups, at the clock's time. */
  readonly tend: (state?: State) => Promise<void>
  /** Passes and hosts that do what they are told, until nothing changes any more. */
  readonly settle: () => Promise<void>
  readonly forget: () => Promise<void>
  readonly runScheduled: () => Promise<void>
  readonly clock: { nowMs: number }
  /** Of the group `web`, or of another one. */
  readonly group: (name?: string) => Promise<AutoScalingGroup>
  /** The newest first. */
  readonly activities: (name?: string) => Promise<Activity[]>
  readonly subnets: Readonly<Record<string, string>>
}

/** Rounds of settle: more is a group that never comes to rest. */
const MAX_ROUNDS = 50

/** With an image and a launch template `web` of t3.nano. */
export async function openScaling(
  t: TestContext,
  options: CloudOptions = {},
): Promise<ScalingCloud> {
  const clock = { nowMs: START_MS }
  const cloud = await openCloud(t, options)
  const sealer = await testSealer(t)
  const ImageId = await registerImage(cloud)
  await cloud.call('CreateLaunchTemplate', {
    LaunchTemplateName: 'web',
    LaunchTemplateData: { ImageId, InstanceType: 't3.nano' },
  })
  const call: ScalingCall = (async (action, input, { account = ACCOUNT } = {}) => {
    const handlers = autoScalingHandlers({ state: cloud.state, randomHex, sealer, region: REGION })
    const handler = handlers[action] as
      | ((context: CallContext, input: unknown) => unknown)
      | undefined
    assert.ok(handler, `${action} has a handler`)
    return await handler(contextOf(account, clock.nowMs), input)
  }) as ScalingCall
  const held: Clock = { nowMs: () => clock.nowMs, sleep: async () => undefined }
  const tend = async (state = cloud.state): Promise<void> =>
    await tendGroups(
      { state, randomHex, sealer, region: REGION, clock: held, log: silentLog, startedAtMs: 0 },
      null,
    )
  const subnets = Object.fromEntries(
    cloud.state
      .view()
      .subnetsOf('account', ACCOUNT)
      .map(({ rack, id }) => [rack, id]),
  )
  return {
    cloud,
    call,
    tend,
    clock,
    subnets,
    runScheduled: () =>
      runScheduled(
        { state: cloud.state, randomHex, sealer, region: REGION, log: silentLog },
        clock.nowMs,
      ),
    forget: () => forgetActivities({ state: cloud.state, clock: held }),
    settle: async () => {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const { revision } = await cloud.state.fresh()
        await tend()
        await obey(cloud.state, clock.nowMs)
        if ((await cloud.state.fresh()).revision === revision) return
      }
      assert.fail('the group does not come to rest')
    },
    group: async (name = 'web') => {
      const names = { AutoScalingGroupNames: [name] }
      const [group] = (await call('DescribeAutoScalingGroups', names)).AutoScalingGroups ?? []
      assert.ok(group, `${name} is there`)
      return group
    },
    activities: async (name = 'web') => {
      const asked = { AutoScalingGroupName: name, IncludeDeletedGroups: true }
      return (await call('DescribeScalingActivities', asked)).Activities ?? []
    },
  }
}

/** A group `web` over the default subnets of two racks, or of those that are named. */
export async function createGroup(
  { call, subnets }: ScalingCloud,
  input: Partial<AutoScalingInputs['CreateAutoScalingGroup']> = {},
): Promise<void> {
  await call('CreateAutoScalingGroup', {
    ...{ AutoScalingGroupName: 'web', MinSize: 0, MaxSize: 10 },
    ...{ LaunchTemplate: { LaunchTemplateName: 'web', Version: '$Latest' } },
    VPCZoneIdentifier: [subnets['a'], subnets['b']].join(','),
    ...input,
  })
}

/** What hosts do: what is to run runs, what is to end is gone. */
export async function obey(state: State, nowMs: number): Promise<void> {
  const view = await state.fresh()
  for (const { id, state: now, rack, host } of view.all('instance')) {
    if (view.get('host', rack, host)?.status?.connected !== true) continue
    if (now === 'pending') await boot(state, id, nowMs)
    if (now === 'shutting-down') await report(state, id, 'terminated', nowMs)
  }
}

/** Unless somebody wants it gone by now. */
async function boot(state: State, id: string, nowMs: number): Promise<void> {
  await state.update(async (tx) => {
    const record = await tx.get('instance', id)
    if (record?.state !== 'pending') return
    const observed = { state: 'running', sinceMs: nowMs }
    await tx.put('instance', [id], { ...record, state: 'running', observed })
  })
}

/** Ids of the instances in a lifecycle state, or in any. */
export function idsIn({ Instances = [] }: AutoScalingGroup, state?: string): string[] {
  return Instances.filter((one) => state === undefined || one.LifecycleState === state).map(
    ({ InstanceId = '' }) => InstanceId,
  )
}

/** How many instances that count are in each zone. */
export function byZone({ Instances = [] }: AutoScalingGroup): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { AvailabilityZone: zone = '', LifecycleState: state } of Instances) {
    if (state === 'Terminating') continue
    const rack = zone.slice(`${REGION}-`.length)
    counts[rack] = (counts[rack] ?? 0) + 1
  }
  return counts
}

function contextOf(account: string, nowMs: number): CallContext {
  return {
    caller: {
      ...{ account, userArn: `arn:aws:iam::${account}:root`, userId: account },
      accessKeyId: 'AKIAAAAAAAAAAAAAAAAA',
    },
    requestId: '00000000-0000-4000-8000-000000000000',
    nowMs,
    log: silentLog,
    parameters: new Map(),
  }
}
