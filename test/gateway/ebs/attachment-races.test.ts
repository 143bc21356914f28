// Several gateways attach, detach and delete at the same moment: one of them wins, and whoever lost
// hears why.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { startRedis } from '../../support/redis.ts'
import { openRaceCloud, outcome } from '../ec2/race-support.ts'
import { openCloud } from '../ec2/support.ts'
import { Device, openGround } from './attachment-ground.ts'

const ROUNDS = 6

const redis = await startRedis()
after(() => redis.stop())

for (const [kind, open] of [
  ['SQLite', (file: string) => openSqlite({ file, log: silentLog })],
  ['Redis', () => openRedis({ url: redis.url, namespace: 'attach', log: silentLog })],
] as const) {
  test(`two gateways over ${kind} that attach one volume to two instances: exactly one does`, async (t) => {
    const ground = await openGround(t, (of) => openCloud(of, { openStore: open }))
    const { cloud, call, first, second, VolumeId, volume, racks } = ground
    const other = await cloud.otherGateway()
    for (let round = 1; round <= ROUNDS; round += 1) {
      const codes = await Promise.all([
        outcome(call('AttachVolume', { VolumeId, InstanceId: first, Device })),
        outcome(other('AttachVolume', { VolumeId, InstanceId: second, Device })),
      ])
      assert.deepEqual(codes.sort(), ['VolumeInUse', 'accepted'])
      const { attachments = [], generation = 0 } = (await volume()) ?? {}
      assert.equal(attachments.length, 1)
      assert.equal(generation, round)
      await racks.settle()
      assert.equal((await volume())?.attachments[0]?.state, 'attached')
      await call('DetachVolume', { VolumeId })
      await racks.settle()
      assert.deepEqual((await volume())?.attachments, [])
    }
  })
}

async function openRace(t: Parameters<typeof openRaceCloud>[0]) {
  const { cloud, other, race } = await openRaceCloud(t)
  const ground = await openGround(t, async () => cloud)
  return { ...ground, other, race }
}

test('a volume that another gateway attaches or deletes at that moment is not attached', async (t) => {
  const { call, other, race, first, second, VolumeId, create, racks } = await openRace(t)
  const attach = (InstanceId: string) => () =>
    call('AttachVolume', { VolumeId, InstanceId, Device })
  const there = () => other('AttachVolume', { VolumeId, InstanceId: second, Device })
  assert.deepEqual(await race(attach(first), there), ['VolumeInUse', 'accepted'])
  const fresh = await create()
  await racks.settle()
  const wish = { VolumeId: fresh, InstanceId: first, Device }
  const end = () => other('DeleteVolume', { VolumeId: fresh })
  assert.deepEqual(await race(() => call('AttachVolume', wish), end), [
    'IncorrectState',
    'accepted',
  ])
})

test('one device of an instance gets one volume, and the last slot one device', async (t) => {
  const { cloud, call, other, race, first, VolumeId, create, racks } = await openRace(t)
  const more = [await create(), await create()]
  await racks.settle()
  const [second = '', third = ''] = more
  const at = (one: typeof call, id: string, device: string) => () =>
    one('AttachVolume', { VolumeId: id, InstanceId: first, Device: device })
  assert.deepEqual(await race(at(call, VolumeId, Device), at(other, second, Device)), [
    ...['InvalidParameterValue', 'accepted'],
  ])
  await cloud.state.update(async (tx) => {
    const instance = await tx.get('instance', first)
    assert.ok(instance)
    const ephemeral = Array.from({ length: 14 }, (_, n) => ({
      device: `/dev/sdb${n + 1}`,
      sizeGib: 1,
    }))
    await tx.put('instance', [first], { ...instance, ephemeral })
  })
  assert.deepEqual(await race(at(call, VolumeId, '/dev/sdh'), at(other, third, '/dev/sdi')), [
    ...['AttachmentLimitExceeded', 'accepted'],
  ])
})

test('an instance that is terminated at that moment gets nothing', async (t) => {
  const { call, other, race, first, VolumeId, volume } = await openRace(t)
  const attach = () => call('AttachVolume', { VolumeId, InstanceId: first, Device })
  const end = () => other('TerminateInstances', { InstanceIds: [first] })
  assert.deepEqual(await race(attach, end), ['IncorrectState', 'accepted'])
  assert.deepEqual((await volume())?.attachments, [])
})

test('a detachment and a report at the same moment are both done', async (t) => {
  const { call, race, first, VolumeId, racks, hostOf, states } = await openRace(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  await racks.hear('a', await racks.work('a', 'a0'))
  const plugged = await racks.work('a', hostOf(first))
  const codes = await race(
    () => call('DetachVolume', { VolumeId }),
    () => racks.hear('a', plugged),
  )
  assert.deepEqual(codes, ['accepted', 'accepted'])
  assert.deepEqual(await states(), ['detaching+'])
  await racks.settle()
  assert.deepEqual(await states(), [])
})
