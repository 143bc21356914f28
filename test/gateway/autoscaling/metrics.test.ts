// What operators see of groups.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { Sessions } from '../../../gateway/federation/sessions.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { watchGauges } from '../../../gateway/observe.ts'
import { createGroup, openScaling } from './support.ts'

test('metrics count groups, what they desire and have in service, and those that cannot launch', async (t) => {
  const scaling = await openScaling(t, { vcpus: 2 })
  await createGroup(scaling, { DesiredCapacity: 6 })
  await createGroup(scaling, { AutoScalingGroupName: 'none' })
  await scaling.settle()
  const metrics = createMetrics()
  watchGauges({
    ...{ state: scaling.cloud.state, sessions: new Sessions(), metrics, clock: systemClock },
    certificateEnds: () => ({ ca: 1_000, gateway: 2_000 }),
  })()
  const { text } = await metrics.scrape()
  const lines = text.split('\n').filter((line) => line.startsWith('mallee_scaling_'))
  assert.deepEqual(lines.sort(), [
    'mallee_scaling_groups 2',
    'mallee_scaling_groups_failing 1',
    'mallee_scaling_instances{state="desired"} 6',
    'mallee_scaling_instances{state="in-service"} 4',
  ])
})
