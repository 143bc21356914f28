// What hosts say of volumes: a rack of its own, a host of what it has, and nothing twice.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { tendAttachments } from '../../../gateway/control/attachment-housekeeping.ts'
import { attachmentsOf } from '../../../gateway/control/desired-volumes.ts'
import { declareLost, finishLost } from '../../../gateway/control/lost.ts'
import {
  HostStatusSchema,
  InstanceState,
  InstanceStatusSchema,
  type Status,
  StatusSchema,
} from '../../../proto/gen/mallee/v1/observed_pb.js'
import { VolumeState, VolumeStatusSchema } from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { testSealer } from '../../support/sealer.ts'
import { report, setHost } from '../ec2/support.ts'
import { Device, openGround } from './attachment-ground.ts'
import { setVolume } from './support.ts'

function volumeSays(id: string, fields: object): Status {
  const value = create(VolumeStatusSchema, { id, host: 'a0', state: VolumeState.READY, ...fields })
  return create(StatusSchema, { key: `volume/${id}`, body: { case: 'volume', value } })
}

function instanceSays(id: string, host: string, fields: object = {}): Status {
  const value = create(InstanceStatusSchema, { id, host, state: InstanceState.RUNNING, ...fields })
  return create(StatusSchema, { key: `instance/${id}`, body: { case: 'instance', value } })
}

test('a report that is no news writes nothing, of volumes and of who has them', async (t) => {
  const { cloud, call, racks, first, VolumeId, hostOf } = await openGround(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  await racks.settle()
  const { revision } = await cloud.state.fresh()
  for (const host of ['a0', hostOf(first)]) await racks.hear('a', await racks.work('a', host))
  assert.equal((await cloud.state.fresh()).revision, revision)
})

test('nobody but its SC speaks for a volume, nor but its host for an instance', async (t) => {
  const { cloud, call, racks, first, VolumeId, volume, hostOf } = await openGround(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  const { attachments = [] } = (await volume()) ?? {}
  const grants = attachments.map(({ id }) => ({ attachment: id, generation: 1n }))
  const { revision } = await cloud.state.fresh()
  await racks.hear('b', [volumeSays(VolumeId, { grants })])
  await racks.hear('a', [
    volumeSays(VolumeId, { grants, host: 'a1' }),
    volumeSays(VolumeId, { state: VolumeState.DELETED }),
    volumeSays(VolumeId, { state: VolumeState.UNSPECIFIED, grants }),
    volumeSays('vol-0123456789abcdef0', { grants }),
  ])
  assert.equal((await cloud.state.fresh()).revision, revision)
  await racks.hear('a', [volumeSays(VolumeId, { grants, sizeBytes: 2n ** 30n })])
  const volumes = [{ volumeId: VolumeId, attachment: attachments[0]?.id ?? '', generation: 1n }]
  await racks.hear('b', [instanceSays(first, hostOf(first), { volumes })])
  await racks.hear('a', [instanceSays(first, 'a0', { volumes })])
  assert.equal((await volume())?.attachments[0]?.state, 'attaching')
  await racks.hear('a', [instanceSays(first, hostOf(first), { volumes })])
  assert.equal((await volume())?.attachments[0]?.state, 'attached')
})

test('a word about an earlier start takes no volume away', async (t) => {
  const { call, racks, first, VolumeId, states, hostOf } = await openGround(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  await racks.settle()
  await call('StopInstances', { InstanceIds: [first] })
  await racks.settle()
  await call('StartInstances', { InstanceIds: [first] })
  await call('DetachVolume', { VolumeId })
  const [host, old] = [hostOf(first), { startCount: 0 }]
  await racks.hear('a', [instanceSays(first, host, { ...old, state: InstanceState.STOPPED })])
  await racks.hear('a', [instanceSays(first, host, old)])
  assert.deepEqual(await states(), ['detaching+'])
  await racks.hear('a', [instanceSays(first, host, { startCount: 1 })])
  assert.deepEqual(await states(), ['released+'])
})

test('what keeps a guest from its start is told of its volume, whatever start it was before', async (t) => {
  const { call, racks, first, VolumeId, volume, hostOf } = await openGround(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  await racks.settle()
  await call('StopInstances', { InstanceIds: [first] })
  await racks.settle()
  await call('StartInstances', { InstanceIds: [first] })
  const [one] = (await volume())?.attachments ?? []
  const plugged = {
    volumeId: VolumeId,
    attachment: one?.id ?? '',
    generation: 1n,
    sizeBytes: 2n ** 30n,
  }
  const says = (state: InstanceState, startCount: number, trouble: string) => {
    const volumes = [{ ...plugged, trouble }]
    return racks.hear('a', [instanceSays(first, hostOf(first), { state, startCount, volumes })])
  }
  await says(InstanceState.PENDING, 0, 'no answer')
  assert.equal((await volume())?.attachments[0]?.trouble, 'no answer')
  await says(InstanceState.RUNNING, 1, '')
  assert.deepEqual((await volume())?.attachments, [one])
})

test('an SC that is about to serve has no room and stays where it was', async (t) => {
  const { cloud, racks } = await openGround(t)
  const says = (fields: object): Status => {
    const value = create(HostStatusSchema, { rack: 'a', host: 'a0', connected: true, ...fields })
    return create(StatusSchema, { key: 'host/a0', body: { case: 'host', value } })
  }
  const store = () => cloud.state.view().get('host', 'a', 'a0')?.status?.volumes
  const sizes = { sizeBytes: 8n << 30n, roomBytes: 4n << 30n }
  const serves = { portal: '[fd12::1]:3260', backend: 'files', snapshots: true, ...sizes }
  await racks.hear('a', [says({ volumes: serves })])
  assert.deepEqual(store(), {
    ...{ portal: '[fd12::1]:3260', backend: 'files', snapshots: true },
    ...{ sizeBytes: 8 * 2 ** 30, roomBytes: 4 * 2 ** 30 },
  })
  for (const volumes of [undefined, { ...serves, portal: '' }]) {
    await racks.hear('a', [says({ volumes })])
    const { portal, sizeBytes, roomBytes } = store() ?? {}
    assert.deepEqual([portal, sizeBytes, roomBytes], ['[fd12::1]:3260', 0, 0])
  }
})

test('hosts of instances hear of the pool of Ceph that their volumes are in', async (t) => {
  const { cloud, racks, attach, first } = await openGround(t)
  await attach()
  await racks.settle()
  const host = (await cloud.state.fresh()).by('volume', 'instances', first)[0]?.host ?? ''
  const rbd = { fsid: 'f51d', monitors: ['[fd12::9]:3300', '192.0.2.9:3300'], pool: 'volumes' }
  const known = cloud.state.view().get('host', 'a', host)?.status?.volumes
  const store = {
    ...{ portal: '192.0.2.9:3300', backend: 'rbd', snapshots: true },
    ...{ sizeBytes: BigInt(known?.sizeBytes ?? 0), roomBytes: BigInt(known?.roomBytes ?? 0) },
    rbd: { ...rbd, namespace: 'cloud' },
  }
  const status = { rack: 'a', host, connected: true, volumes: store }
  const value = create(HostStatusSchema, status)
  await racks.hear('a', [
    create(StatusSchema, { key: `host/${host}`, body: { case: 'host', value } }),
  ])
  const view = await cloud.state.fresh()
  const [told] = attachmentsOf(view, view.get('instance', first) ?? assert.fail(), {
    openChap: () => '',
    openVolumeKey: () => '',
  })
  const monitors = ['192.0.2.9:3300', '[fd12::9]:3300']
  assert.deepEqual(told?.rbd, { ...rbd, monitors, namespace: 'cloud' })
})

test('a lost host loses its right to write, and its instances no volume', async (t) => {
  const { cloud, call, racks, first, second, VolumeId, volume, hostOf } = await openGround(t)
  await call('AttachVolume', { VolumeId, InstanceId: first, Device })
  await racks.settle()
  const had = (await volume())?.attachments ?? []
  const attachments = had.map((one) => ({ ...one, deleteOnTermination: true }))
  await setVolume(cloud.state, VolumeId, { attachments })
  const [lost, safe] = [hostOf(first), hostOf(second)]
  await setHost(cloud.state, 'a', lost, { connected: false })
  const sealer = await testSealer(t)
  const parts = { state: cloud.state, clock: systemClock, log: silentLog, randomHex, sealer }
  await declareLost(parts, 'a', [lost])
  const ended = await finishLost(parts, { rack: 'a', host: lost })
  assert.deepEqual(new Set(ended), new Set(lost === safe ? [first, second] : [first]))
  const after = await volume()
  assert.deepEqual(
    [after?.state, after?.attachments.map(({ state }) => state)],
    ['ready', ['released']],
  )
  await racks.hear('a', await racks.work('a', 'a0'))
  assert.deepEqual((await volume())?.attachments, [])
})

test('what no report ends, housekeeping does', async (t) => {
  const { cloud, call, racks, first, second, VolumeId, create: more, volume } = await openGround(t)
  const other = await more()
  await racks.settle()
  for (const [id, InstanceId] of [
    [VolumeId, first],
    [other, second],
  ] as const) {
    await call('AttachVolume', { VolumeId: id, InstanceId, Device })
  }
  await racks.settle()
  const { revision } = await cloud.state.fresh()
  const parts = { state: cloud.state, log: silentLog }
  await tendAttachments(parts)
  assert.equal((await cloud.state.fresh()).revision, revision)
  await call('DetachVolume', { VolumeId: other })
  // As when the gateway dies between the record of an instance and those of its volumes.
  await report(cloud.state, first, 'terminated')
  await report(cloud.state, second, 'stopped')
  await tendAttachments(parts)
  const states = async (id: string) => (await volume(id))?.attachments.map(({ state }) => state)
  assert.deepEqual([await states(VolumeId), await states(other)], [['released'], ['released']])
  await cloud.state.update((tx) => tx.delete('host', 'a', 'a0'))
  await tendAttachments(parts)
  assert.deepEqual([await states(VolumeId), await states(other)], [[], []])
})
