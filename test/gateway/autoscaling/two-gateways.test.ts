// Several gateways look after one group at the same moment: one of them takes each step.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { startRedis } from '../../support/redis.ts'
import { byZone, createGroup, idsIn, obey, openScaling } from './support.ts'

const GATEWAYS = 4

const redis = await startRedis()
after(() => redis.stop())

for (const [kind, open] of [
  ['SQLite', (file: string) => openSqlite({ file, log: silentLog })],
  ['Redis', () => openRedis({ url: redis.url, namespace: 'rivals', log: silentLog })],
] as const) {
  test(`four gateways over ${kind} launch, replace and terminate no instance too many`, async (t) => {
    let store: Store | null = null
    const openStore = async (file: string): Promise<Store> => {
      store = await open(file)
      return store
    }
    const scaling = await openScaling(t, { openStore })
    const states: State[] = []
    for (let i = 0; i < GATEWAYS; i += 1) {
      assert.ok(store)
      const state = await openState({ store, clock: systemClock, log: silentLog })
      t.after(() => state.close())
      states.push(state)
    }
    const tendAll = async (): Promise<void> => {
      // Each has heard of what was done so far, and of nothing that the others do now.
      await Promise.all(states.map((state) => state.fresh()))
      await Promise.all(states.map((state) => scaling.tend(state)))
      await obey(scaling.cloud.state, scaling.clock.nowMs)
    }
    await createGroup(scaling, { DesiredCapacity: 6 })
    await tendAll()
    assert.deepEqual(byZone(await scaling.group()), { a: 3, b: 3 })
    assert.equal(scaling.cloud.state.view().all('instance').length, 6)
    await tendAll()
    const InstanceIds = idsIn(await scaling.group(), 'InService').slice(0, 2)
    await scaling.cloud.call('TerminateInstances', { InstanceIds })
    await tendAll()
    assert.equal(scaling.cloud.state.view().all('instance').length, 8)
    await tendAll()
    await scaling.call('SetDesiredCapacity', { AutoScalingGroupName: 'web', DesiredCapacity: 3 })
    for (let round = 0; round < 3; round += 1) await tendAll()
    assert.equal(idsIn(await scaling.group()).length, 3)
    const view = scaling.cloud.state.view()
    assert.equal(view.all('instance').filter((one) => one.desired === 'running').length, 3)
    // One for each launch and each termination.
    assert.equal(view.all('scaling-activity').length, 8 + 5)
  })
}
