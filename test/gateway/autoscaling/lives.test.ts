// Random lives of a group: users do what comes to their minds while two gateways look after it and
// hosts come and go. At no moment is anything half done, and in the end it is as it shall be.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { GROUP_TAG } from '../../../gateway/autoscaling/group-launch.ts'
import { isActive } from '../../../gateway/autoscaling/groups-kept.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State, View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { setHost } from '../ec2/support.ts'
import { makeGroup } from '../elb/support.ts'
import { createGroup, idsIn, obey, openScaling, type ScalingCloud } from './support.ts'

const SEEDS = [1, 2, 3, 4]
const ROUNDS = 40
const GATEWAYS = 2
const MAX = 12
const LAST = 4
const web = { AutoScalingGroupName: 'web' }
const HOOK = { ...web, LifecycleHookName: 'hook' }

type Random = (below: number) => number
type Deed = () => Promise<unknown>

/** Numbers that look random, the same for the same seed (Numerical Recipes, "ranqd1"). */
function randomOf(seed: number): Random {
  let now = seed
  return (below) => {
    now = (Math.imul(now, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((now / 2 ** 32) * below)
  }
}

/** What may happen to a group. */
function deedsOf(scaling: ScalingCloud, random: Random, arn: string): readonly Deed[] {
  const { call, cloud, clock } = scaling
  const { state } = cloud
  const one = async (): Promise<string> => {
    const ids = idsIn(await scaling.group())
    return ids[random(ids.length)] ?? 'i-00000000'
  }
  const some = async () => ({ ...web, InstanceIds: [await one()] })
  const shrinks = () => ({ ShouldDecrementDesiredCapacity: random(2) === 0 })
  const stranger = (): string => {
    const view = state.view()
    const free = view
      .all('instance')
      .filter(({ id, state: now }) => now === 'running' && view.get('scaling-member', id) === null)
    return free[random(free.length)]?.id ?? 'i-00000000'
  }
  return [
    () => call('SetDesiredCapacity', { ...web, DesiredCapacity: random(10) }),
    async () => cloud.call('TerminateInstances', { InstanceIds: [await one()] }),
    async () => cloud.call('StopInstances', { InstanceIds: [await one()] }),
    async () =>
      call('TerminateInstanceInAutoScalingGroup', { InstanceId: await one(), ...shrinks() }),
    async () => call('EnterStandby', { ...(await some()), ...shrinks() }),
    async () => call('ExitStandby', await some()),
    async () => call('DetachInstances', { ...(await some()), ...shrinks() }),
    () => call('AttachInstances', { ...web, InstanceIds: [stranger()] }),
    async () => call('SetInstanceHealth', { InstanceId: await one(), HealthStatus: 'Unhealthy' }),
    async () =>
      call('SetInstanceProtection', { ...(await some()), ProtectedFromScaleIn: random(2) === 0 }),
    () => setHost(state, 'b', 'b0', { connected: random(2) === 0 }),
    () =>
      call('StartInstanceRefresh', {
        ...web,
        Preferences: {
          ...{ MinHealthyPercentage: 50, InstanceWarmup: 0 },
          ...{ ScaleInProtectedInstances: 'Refresh', StandbyInstances: 'Ignore' },
        },
      }),
    () => call('AttachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [arn] }),
    () => call('DetachLoadBalancerTargetGroups', { ...web, TargetGroupARNs: [arn] }),
    () =>
      call('PutLifecycleHook', {
        ...{ ...HOOK, HeartbeatTimeout: 30, DefaultResult: 'CONTINUE' },
        LifecycleTransition: `autoscaling:EC2_INSTANCE_${random(2) ? 'LAUNCH' : 'TERMINAT'}ING`,
      }),
    () => call('DeleteLifecycleHook', HOOK),
    async () => {
      clock.nowMs += 40_000
    },
    () => obey(state, clock.nowMs),
    () => obey(state, clock.nowMs),
  ]
}

function checkWhole(view: View): void {
  const [group] = view.all('scaling-group')
  const members = view.all('scaling-member')
  const ids = new Set(members.map(({ instance }) => instance))
  for (const { id, state } of view.all('instance')) {
    const isOurs = view.get('tags', id)?.tags[GROUP_TAG] !== undefined
    assert.ok(!isOurs || state === 'terminated' || ids.has(id), `${id} is ${state}, in no group`)
  }
  assert.ok(members.filter(isActive).length <= (group?.max ?? 0) + 1)
  const going = view.all('scaling-activity').filter(({ status }) => status === 'InProgress')
  const known = new Set(members.map(({ activity }) => activity))
  assert.deepEqual(
    going.filter(({ id }) => !known.has(id)),
    [],
  )
  for (const { activity, state } of members) {
    const isGoing = activity !== '' && going.some(({ id }) => id === activity)
    assert.equal(isGoing, activity !== '', `its activity goes on while it is ${state}`)
  }
}

/** Refusals are what somebody gets who asks for anything. */
async function unlessRefused(deed: Deed): Promise<void> {
  try {
    await deed()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
  }
}

for (const seed of SEEDS) {
  test(`whatever users and hosts do, a group is whole and recovers (${seed})`, async (t) => {
    const random = randomOf(seed)
    let store: Store | null = null
    const openStore = async (file: string): Promise<Store> => {
      store = await openSqlite({ file, log: silentLog })
      return store
    }
    const scaling = await openScaling(t, { vcpus: 6, openStore })
    const { state } = scaling.cloud
    const gateways: State[] = []
    while (gateways.length < GATEWAYS) {
      assert.ok(store)
      const gateway = await openState({ store, clock: systemClock, log: silentLog })
      t.after(() => gateway.close())
      gateways.push(gateway)
    }
    const arn = await makeGroup(scaling.cloud)
    await createGroup(scaling, { MaxSize: MAX, DesiredCapacity: 3 })
    const deeds = deedsOf(scaling, random, arn)
    for (let round = 0; round < ROUNDS; round += 1) {
      const chosen = Array.from({ length: 1 + random(3) }, () => deeds[random(deeds.length)])
      await Promise.all([
        ...chosen.map((deed) => (deed === undefined ? undefined : unlessRefused(deed))),
        ...gateways.map((gateway) => scaling.tend(gateway)),
      ])
      checkWhole(await state.fresh())
    }

    await setHost(state, 'b', 'b0', { connected: true })
    for (const { instance, state: now } of state.view().all('scaling-member')) {
      if (now === 'Terminating') continue
      const InstanceIds = [instance]
      await scaling.call('SetInstanceProtection', {
        ...{ ...web, InstanceIds, ProtectedFromScaleIn: false },
      })
      const end = { InstanceId: instance, ShouldDecrementDesiredCapacity: false }
      if (now === 'Standby') await scaling.call('TerminateInstanceInAutoScalingGroup', end)
    }
    await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: LAST })
    for (let round = 0; round < 2 * MAX; round += 1) {
      scaling.clock.nowMs += 700_000
      await scaling.settle()
    }
    const group = await scaling.group()
    assert.equal(idsIn(group, 'InService').length, LAST)
    assert.equal(idsIn(group).length, LAST)
  })
}
