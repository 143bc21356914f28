// An instance that boots from a volume starts where there is room: on its own host, else on another
// of its rack; and the host that had it can write no more.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { writersOf } from '../../../gateway/ebs/attachment-life.ts'
import type { InstanceRecord } from '../../../gateway/store/records.ts'
import type { VolumeRecord } from '../../../gateway/store/volume-records.ts'
import {
  type Cloud,
  openCloud,
  refusal,
  refused,
  report,
  run,
  START_MS,
  setHost,
} from '../ec2/support.ts'
import { putSnapshot, setVolume } from './support.ts'

/** One that boots from a volume and has a second one, stopped. */
async function stopped(t: TestContext, more: object = {}) {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  const { ImageId = '' } = await cloud.call('RegisterImage', {
    Name: 'of a snapshot',
    BlockDeviceMappings: [
      { DeviceName: '/dev/sda1', Ebs: { SnapshotId } },
      { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1 } },
    ],
  })
  const [id = ''] = await run(cloud, { ImageId, ...more })
  for (const volume of volumesOf(cloud, id)) {
    const attachments = volume.attachments.map((one) => ({
      ...one,
      ...({ state: 'attached', granted: true } as const),
    }))
    await setVolume(cloud.state, volume.id, { state: 'ready', attachments })
  }
  await report(cloud.state, id, 'running')
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  const start = () => cloud.call('StartInstances', { InstanceIds: [id] }, { nowMs: START_MS + 1 })
  const own = record(cloud, id).host
  return { cloud, id, own, other: own === 'a1' ? 'a2' : 'a1', start }
}

function record(cloud: Cloud, id: string): InstanceRecord {
  const found = cloud.state.view().get('instance', id)
  assert.ok(found)
  return found
}

function volumesOf(cloud: Cloud, id: string): VolumeRecord[] {
  return [...cloud.state.view().by('volume', 'instances', id)]
}

test('StartInstances keeps an instance and its attachments on its host while that takes it', async (t) => {
  const { cloud, id, own, start } = await stopped(t)
  const before = volumesOf(cloud, id)
  await start()
  assert.equal(record(cloud, id).host, own)
  assert.deepEqual(volumesOf(cloud, id), before)
})

const AWAY = {
  away: (cloud: Cloud, own: string) => setHost(cloud.state, 'a', own, { connected: false }),
  'drained by its agent': (cloud: Cloud, own: string) =>
    setHost(cloud.state, 'a', own, { draining: true }),
  'without room': (cloud: Cloud, own: string) => setHost(cloud.state, 'a', own, { memoryMib: 1 }),
  cordoned: (cloud: Cloud, own: string) =>
    cloud.state.update(async (tx) => {
      const host = await tx.get('host', 'a', own)
      assert.ok(host)
      await tx.put('host', ['a', own], { ...host, cordoned: true })
    }),
  gone: (cloud: Cloud, own: string) => cloud.state.update((tx) => tx.delete('host', 'a', own)),
}

for (const [what, happen] of Object.entries(AWAY)) {
  test(`StartInstances moves an instance whose host is ${what}, with new attachments`, async (t) => {
    const { cloud, id, own, other, start } = await stopped(t)
    const before = volumesOf(cloud, id)
    await happen(cloud, own)
    await start()
    const next = record(cloud, id)
    assert.deepEqual([next.host, next.state, next.startCount], [other, 'pending', 1])
    for (const card of next.interfaces) {
      assert.equal(cloud.state.view().get('interface', card)?.host, other)
    }
    for (const [i, volume] of volumesOf(cloud, id).entries()) {
      const [old] = before[i]?.attachments ?? []
      assert.equal(volume.attachments.length, 2)
      assert.equal(volume.attachments.find((one) => one.id === old?.id)?.state, 'released')
      const [fresh] = writersOf(volume)
      assert.notEqual(fresh?.id, old?.id)
      assert.notEqual(fresh?.chapUser, old?.chapUser)
      assert.deepEqual(
        [fresh?.host, fresh?.generation, fresh?.granted, fresh?.state, fresh?.device],
        [other, 2, false, 'attaching', old?.device],
      )
      assert.equal(fresh?.deleteOnTermination, old?.deleteOnTermination)
    }
  })
}

test('StartInstances moves nothing that boots from its host, and says why', async (t) => {
  const { cloud, other, own } = await stopped(t)
  const { ImageId = '' } = await cloud.call('RegisterImage', {
    Name: 'file',
    ImageLocation: 'debian.qcow2',
  })
  const [id = ''] = await run(cloud, { ImageId })
  await report(cloud.state, id, 'running')
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  for (const host of [own, other]) await setHost(cloud.state, 'a', host, { connected: false })
  const { code, message } = await refused(cloud.call('StartInstances', { InstanceIds: [id] }))
  assert.equal(code, 'InsufficientInstanceCapacity')
  assert.match(message, /is not connected/)
})

test('StartInstances says InsufficientInstanceCapacity when no host of the rack has room', async (t) => {
  const { cloud, id, own, other, start } = await stopped(t)
  for (const host of [own, other]) await setHost(cloud.state, 'a', host, { connected: false })
  const before = volumesOf(cloud, id)
  assert.equal(await refusal(start()), 'InsufficientInstanceCapacity')
  assert.equal(record(cloud, id).state, 'stopped')
  assert.deepEqual(volumesOf(cloud, id), before)
})

test('StartInstances refuses an instance whose root is not there', async (t) => {
  const { cloud, id, start } = await stopped(t)
  const root = volumesOf(cloud, id).find(({ snapshot }) => snapshot !== '')
  await setVolume(cloud.state, root?.id ?? '', { attachments: [], instances: [] })
  const { code, message } = await refused(start())
  assert.equal(code, 'IncorrectInstanceState')
  assert.match(message, /does not have a volume attached at root \(\/dev\/sda1\)/)
})

test('StartInstances moves an instance of a spread group past the hosts of the others', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.call('CreatePlacementGroup', {
    GroupName: 'apart',
    Strategy: 'spread',
    SpreadLevel: 'host',
  })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  const { ImageId = '' } = await cloud.call('RegisterImage', {
    Name: 'of a snapshot',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }],
  })
  const ids = await run(cloud, { ImageId, count: 2, Placement: { GroupName: 'apart' } })
  const [id = '', second = ''] = ids
  for (const one of ids) await report(cloud.state, one, 'running')
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  const { host } = record(cloud, id)
  await setHost(cloud.state, 'a', host, { connected: false })
  const start = () => refusal(cloud.call('StartInstances', { InstanceIds: [id] }))
  assert.equal(await start(), 'InsufficientInstanceCapacity')
  await report(cloud.state, second, 'terminated')
  assert.equal(await start(), 'accepted')
  assert.notEqual(record(cloud, id).host, host)
})
