// A gateway dies before and after every commit, and between any two writes of the store, while a
// group grows, heals, shrinks and goes: nothing is ever launched twice, and nothing is left over.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { GROUP_TAG } from '../../../gateway/autoscaling/group-launch.ts'
import { targetGroupArn } from '../../../gateway/elb/arns.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { startRedis } from '../../support/redis.ts'
import { REGION } from '../ec2/support.ts'
import { makeGroup } from '../elb/support.ts'
import { fileImages, inImage } from '../store/file-images.ts'
import { storeWith } from '../store/store-with.ts'
import { createGroup, idsIn, obey, openScaling, type ScalingCloud } from './support.ts'

const MOST = 3
/** Rounds of passes and hosts: more is a group that never comes to rest. */
const MAX_ROUNDS = 60
/** Launches, changes of state and terminations alone are more commits than this. */
const FEWEST_COMMITS = 15

interface Deed {
  readonly name: string
  readonly run: (scaling: ScalingCloud) => Promise<unknown>
  /** Instances in service when all is done. */
  readonly want: number
}

const web = { AutoScalingGroupName: 'web' }
const first = async (scaling: ScalingCloud): Promise<string> =>
  idsIn(await scaling.group(), 'InService').sort()[0] ?? ''

const DEEDS: readonly Deed[] = [
  {
    name: 'made',
    run: (scaling) => {
      const [targets] = scaling.cloud.state.view().all('target-group')
      assert.ok(targets)
      const TargetGroupARNs = [targetGroupArn(REGION, targets)]
      return createGroup(scaling, { DesiredCapacity: MOST, TargetGroupARNs })
    },
    want: MOST,
  },
  {
    name: 'healed',
    run: async (scaling) => {
      const InstanceIds = [await first(scaling)]
      await scaling.cloud.call('TerminateInstances', { InstanceIds })
    },
    want: MOST,
  },
  {
    name: 'shrunk',
    run: ({ call }) => call('SetDesiredCapacity', { ...web, DesiredCapacity: 2 }),
    want: 2,
  },
  {
    name: 'deleted',
    run: ({ call }) => call('DeleteAutoScalingGroup', { ...web, ForceDelete: true }),
    want: 0,
  },
]

/** Whatever a gateway left: no instance without a member, none too many, nothing half done. */
function checkWhole(view: View): void {
  const members = new Map(view.all('scaling-member').map((one) => [one.instance, one]))
  const groups = new Set(view.all('scaling-group').map(({ id }) => id))
  const own = view
    .all('instance')
    .filter(({ id }) => view.get('tags', id)?.tags[GROUP_TAG] !== undefined)
  const alive = own.filter((one) => one.desired === 'running')
  assert.ok(alive.length <= MOST, `${alive.length} instances are to run`)
  for (const { id, state } of own) {
    assert.ok(state === 'terminated' || members.has(id), `${id} is ${state} and in no group`)
  }
  const going = view.all('scaling-activity').filter((one) => one.status === 'InProgress')
  for (const { instance, group, state, activity } of members.values()) {
    assert.ok(groups.has(group), `the group of ${instance} is there`)
    assert.notEqual(view.get('instance', instance), null)
    const isTarget = view.by('target', 'instance', instance).length > 0
    assert.equal(isTarget, state === 'InService', `${instance} is ${state}`)
    const isGoing = state === 'Pending' || state === 'Terminating'
    assert.equal(
      going.some((one) => one.id === activity),
      isGoing,
      `${instance} is ${state}`,
    )
  }
  assert.deepEqual(
    going.filter((one) => ![...members.values()].some(({ activity }) => activity === one.id)),
    [],
  )
}

const redis = await startRedis()
after(() => redis.stop())

for (const [kind, open] of [
  ['SQLite', (file: string) => openSqlite({ file, log: silentLog })],
  ['Redis', () => openRedis({ url: redis.url, namespace: 'scaling', log: silentLog })],
] as const) {
  test(`a gateway over ${kind} that dies before and after each commit loses and doubles nothing`, async (t) => {
    const dead = new Error('the gateway is dead')
    const plan = { isArmed: false, when: 'before' as 'before' | 'after', deaths: 0 }
    const openStore = async (file: string): Promise<Store> => {
      const store = await open(file)
      return storeWith(store, {
        txn: async (when, then) => {
          if (!plan.isArmed || then.length === 0) return await store.txn(when, then)
          plan.deaths += 1
          // First before a commit; then after the same one, when it is made once more.
          const isBefore = plan.when === 'before'
          plan.when = isBefore ? 'after' : 'before'
          if (!isBefore) await store.txn(when, then)
          throw dead
        },
      })
    }
    const scaling = await openScaling(t, { openStore })
    await makeGroup(scaling.cloud)
    /** By one gateway after the other: a call until it is committed, a pass until it is done. */
    const insist = async (what: 'call' | 'pass', deed: () => Promise<unknown>): Promise<void> => {
      for (let tries = 0; tries < MAX_ROUNDS; tries += 1) {
        plan.isArmed = true
        try {
          await deed()
          return
        } catch (error) {
          if (error !== dead) throw error
          plan.isArmed = false
          await scaling.cloud.restart()
          checkWhole(scaling.cloud.state.view())
          if (what === 'call' && plan.when === 'before') return
        } finally {
          plan.isArmed = false
        }
      }
      assert.fail('it is never done')
    }
    for (const { name, run, want } of DEEDS) {
      await insist('call', () => run(scaling))
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const { revision } = await scaling.cloud.state.fresh()
        await insist('pass', () => scaling.tend())
        await obey(scaling.cloud.state, scaling.clock.nowMs)
        checkWhole(await scaling.cloud.state.fresh())
        if ((await scaling.cloud.state.fresh()).revision === revision) break
      }
      const members = scaling.cloud.state.view().all('scaling-member')
      assert.equal(members.filter((one) => one.state === 'InService').length, want, name)
      assert.equal(members.length, want, name)
    }
    assert.equal(scaling.cloud.state.view().all('scaling-group').length, 0)
    assert.ok(plan.deaths > 2 * FEWEST_COMMITS, `${plan.deaths} deaths`)
  })
}

test('a kill at any write of SQLite leaves groups and instances whole', async (t) => {
  const scaling = await openScaling(t)
  await makeGroup(scaling.cloud)
  const { file } = scaling.cloud
  const images = await fileImages(t, file)
  const [made] = DEEDS
  await made?.run(scaling)
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 1 })
  await scaling.settle()
  await scaling.call('DeleteAutoScalingGroup', { ...web, ForceDelete: true })
  await scaling.settle()
  images.end()
  assert.ok(images.taken.length > FEWEST_COMMITS, `${images.taken.length} images`)
  let seen = 0
  for (const image of images.taken) {
    const members = await inImage(image, (view) => {
      checkWhole(view)
      return view.all('scaling-member').length
    })
    seen = Math.max(seen, members)
  }
  assert.equal(seen, 1)
})
