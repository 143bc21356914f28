// Hosts that are drained and hosts that are lost, with a real gateway and simulated hosts: also
// when the gateway ended right after it was told.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DescribeInstanceStatusCommand, StartInstancesCommand } from '@aws-sdk/client-ec2'
import { readProgress } from '../../cluster-agent/progress.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { declareLost } from '../../gateway/control/lost.ts'
import type { Drain } from '../../gateway/local/drains.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks, connected } from '../support/simulated-rack.ts'
import { describe, idsOf, makeImage, reach, refusal, run } from './support.ts'

const cloud = await startCloud({ after })
const { cc, node, other } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const ImageId = await makeImage(cloud, ec2)
await cloud.local({ method: 'POST', path: '/v1/racks/a/hosts/a-cc/cordon' })
const inA = { ImageId, Placement: { AvailabilityZone: 'mallee-1-a' } }
const DRAIN = '/v1/racks/a/hosts/a-nc/drain'
const ids = idsOf(await run(ec2, { ...inA, count: 3 }))
await reach(ec2, ids, 'running')

test('a drain with stop stops the guests, by name, and says when nothing is left', async () => {
  const body = { instances: 'stop' }
  const begun = await cloud.local<Drain>({ method: 'POST', path: DRAIN, body })
  assert.deepEqual(new Set(begun.left.map(({ id }) => id)), new Set(ids))
  const found = await reach(ec2, ids, 'stopped')
  assert.ok(found.every((one) => one.StateReason?.Code === 'Server.ScheduledStop'))
  const { isDone, left } = await cloud.local<Drain>({ method: 'GET', path: DRAIN })
  assert.deepEqual([isDone, left.length], [true, 3])
  const start = new StartInstancesCommand({ InstanceIds: ids })
  assert.equal(await refusal(ec2.send(start)), 'InsufficientInstanceCapacity')
  await cloud.local({ method: 'POST', path: '/v1/racks/a/hosts/a-nc/uncordon' })
  await ec2.send(start)
  await reach(ec2, ids, 'running')
})

test('mallee says what is left while it waits, and fails with it when nobody acts', async () => {
  const drain = ['bin/mallee', 'host', 'drain', 'a', 'a-nc', '--socket', cloud.config.socket]
  const { stdout, stderr } = await exec([...drain, '--wait', '1'], { okCodes: [1] })
  assert.equal(stdout, '')
  assert.match(stderr, /^3 instances left: i-\w+ is running and waits for users$/m)
  assert.match(stderr, /^CommandTimeout: after 1 s 3 instances left: .*; the drain goes on$/m)
  const looked = await exec(drain)
  assert.match(looked.stdout, /^INSTANCE +ACCOUNT +HOST +STATE +WAITS FOR$/m)
  assert.ok(ids.every((id) => looked.stdout.includes(id)))
  await cloud.local({ method: 'POST', path: '/v1/racks/a/hosts/a-nc/uncordon' })
})

test('a gateway that ended right after it was told to drain goes on when it is back', async () => {
  await cloud.stop()
  const nowMs = systemClock.nowMs()
  await cloud.withState((state) =>
    state.update(async (tx) => {
      const host = await tx.get('host', 'a', 'a-nc')
      assert.ok(host)
      const times = { startedAtMs: nowMs, notBeforeMs: nowMs }
      const drain = { id: randomHex(8), instances: 'stop' as const, ...times }
      await tx.put('host', ['a', 'a-nc'], { ...host, cordoned: true, drain })
    }),
  )
  await cloud.start()
  await reach(ec2, ids, 'stopped', 20_000)
  const { isDone } = await cloud.local<Drain>({ method: 'GET', path: DRAIN })
  assert.equal(isDone, true)
  await cloud.local({ method: 'POST', path: '/v1/racks/a/hosts/a-nc/uncordon' })
  await connected(cloud, [cc, node, other])
  await ec2.send(new StartInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'running')
})

test('a host that is lost takes its instances along, and is a stranger when it comes back', async () => {
  const path = '/v1/racks/a/hosts/a-nc?lost=true'
  await assert.rejects(cloud.local({ method: 'DELETE', path }), { code: 'Conflict' })
  await node.stop()
  await until('the host is away', async () => {
    const { racks } = await cloud.status()
    const hosts = racks.find(({ name }) => name === 'a')?.hosts
    return hosts?.find(({ host }) => host === 'a-nc')?.connected === false
  })
  await cloud.stop()
  await cloud.withState((state) => declareLost({ state, clock: systemClock }, 'a', ['a-nc']))
  await cloud.start()
  const ended = await reach(ec2, ids, 'terminated', 20_000)
  assert.ok(
    ended.every((one) => /host of the instance was lost/.test(one.StateReason?.Message ?? '')),
  )
  await until('the host is out of the cloud', async () => {
    const { racks } = await cloud.status()
    return racks.find(({ name }) => name === 'a')?.hosts.length === 1
  })
  await node.start()
  await until('it is refused', async () => {
    const progress = await readProgress(node.paths)
    return progress?.connected === false && /is not in rack a/.test(progress.connectTrouble)
  })
})

test('users of a rack that is drained are told, and a lost rack leaves nothing behind', async () => {
  const made = idsOf(
    await run(ec2, { ImageId, Placement: { AvailabilityZone: 'mallee-1-b' }, count: 2 }),
  )
  await reach(ec2, made, 'running')
  await cloud.local({ method: 'POST', path: '/v1/racks/b/drain', body: { minutes: 60 } })
  const asked = new DescribeInstanceStatusCommand({ InstanceIds: made })
  const { InstanceStatuses = [] } = await ec2.send(asked)
  const codes = InstanceStatuses.flatMap(({ Events = [] }) => Events.map(({ Code }) => Code))
  assert.deepEqual(codes, ['system-maintenance', 'system-maintenance'])
  await other.stop()
  await until('the rack is away', async () => {
    const { racks } = await cloud.status()
    return racks.find(({ name }) => name === 'b')?.hosts[0]?.connected === false
  })
  const call = { method: 'DELETE', path: '/v1/racks/b?lost=true' } as const
  const { terminated } = await cloud.local<{ terminated: string[] }>(call)
  assert.deepEqual(new Set(terminated), new Set(made))
  const found = await describe(ec2, made)
  assert.ok(found.every((one) => one.State?.Name === 'terminated'))
  assert.deepEqual(
    (await cloud.status()).racks.map(({ name }) => name),
    ['a'],
  )
})
