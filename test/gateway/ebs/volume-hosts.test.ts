// Hosts and racks with volumes stay; what is lost with a host is in error.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { withoutHost, withoutRack } from '../../../gateway/control/departure.ts'
import { declareLost, finishLost } from '../../../gateway/control/lost.ts'
import { testSealer } from '../../support/sealer.ts'
import { openCloud, REGION, refusal, setHost } from '../ec2/support.ts'
import { localApi } from '../local/support.ts'
import { attach, setVolume } from './support.ts'

const ZONE = `${REGION}-a`
const CONFLICT = (words: RegExp) => (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  error.code === 'Conflict' &&
  words.test(error.message)

test('neither a host with volumes nor its rack is taken out, until they are deleted', async (t) => {
  const { call, state } = await openCloud(t)
  const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  const host = () => state.update((tx) => withoutHost(tx, state, 'a', 'a0'))
  const rack = () => state.update((tx) => withoutRack(tx, state, 'a'))
  const words = new RegExp(`host a0 has 1 volumes: ${VolumeId}; snapshot and delete`)
  await assert.rejects(host, CONFLICT(words))
  await assert.rejects(rack, CONFLICT(words))
  // Its bytes are there until its host says otherwise.
  await call('DeleteVolume', { VolumeId })
  await assert.rejects(host, CONFLICT(words))
  await state.update((tx) => tx.delete('volume', VolumeId))
  await host()
  assert.equal(state.view().get('volume-placed', 'a', 'a0'), null)
})

test('a volume that is made while its host is taken out is not there, or the host stays', async (t) => {
  const { call, state } = await openCloud(t)
  const outcomes = await Promise.allSettled([
    call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 }),
    state.update((tx) => withoutHost(tx, state, 'a', 'a0')),
    call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 }),
  ])
  const volumes = state.view().all('volume')
  const isThere = state.view().get('host', 'a', 'a0') !== null
  assert.equal(volumes.length > 0, isThere, JSON.stringify(outcomes))
})

test('a drain says how many volumes are there, and does not wait for them', async (t) => {
  const cloud = await openCloud(t)
  const { call } = localApi(t, cloud)
  const ask = { AvailabilityZone: ZONE, Size: 1 }
  await cloud.call('CreateVolume', ask)
  for (const path of ['/v1/racks/a/hosts/a0/drain', '/v1/racks/a/drain']) {
    const { body } = await call('POST', path)
    assert.deepEqual([body['isDone'], body['volumes']], [true, 1])
  }
  assert.equal(await refusal(cloud.call('CreateVolume', ask)), 'InsufficientVolumeCapacity')
})

test('a lost host takes its volumes along: they are in error, and deleted at once', async (t) => {
  const { call, state } = await openCloud(t)
  const ask = { AvailabilityZone: ZONE, Size: 1 }
  const [one, two] = [await call('CreateVolume', ask), await call('CreateVolume', ask)]
  const [kept = '', going = ''] = [one.VolumeId, two.VolumeId]
  const far = await call('CreateVolume', { ...ask, AvailabilityZone: `${REGION}-b` })
  await setVolume(state, kept, { state: 'ready' })
  await attach(state, kept, {})
  await call('DeleteVolume', { VolumeId: going })
  const sealer = await testSealer(t)
  const parts = { state, clock: systemClock, log: silentLog, randomHex, sealer }
  const lose = () => declareLost(parts, 'a', ['a0'])
  await assert.rejects(lose, CONFLICT(/is connected and has vol-/))
  await setHost(state, 'a', 'a0', { connected: false })
  await lose()
  await finishLost(parts, { rack: 'a', host: 'a0' })
  assert.equal(state.view().get('host', 'a', 'a0'), null)
  const { Volumes = [] } = await call('DescribeVolumes', {})
  const states = new Map(Volumes.map(({ VolumeId, State }) => [VolumeId, State]))
  assert.deepEqual(
    states,
    new Map([
      [kept, 'error'],
      [far.VolumeId, 'creating'],
    ]),
  )
  assert.deepEqual(state.view().get('volume', kept)?.attachments, [])
  await call('DeleteVolume', { VolumeId: kept })
  assert.equal(state.view().get('volume', kept), null)
})
