// Snapshots of a host that is a model.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { SimulatedSnapshots } from '../../cluster-agent/simulated/snapshots.ts'
import { systemClock } from '../../common/clock.ts'
import { decodeRoot, sha256Of } from '../../common/snapshot-manifest.ts'
import {
  SnapshotState,
  VolumeSchema,
  VolumeSnapshotSchema,
} from '../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../proto/resources.ts'

const SIZE = 2 ** 30

test('SimulatedSnapshots completes with an empty manifest that it put into the store', async () => {
  const put: Uint8Array[] = []
  const model = new SimulatedSnapshots({
    ...{ host: 'n1', clock: systemClock },
    putRoot: async (_id, root) => void put.push(root),
  })
  await model.follow(desired('n1'))
  const [root] = put
  assert.ok(root)
  assert.deepEqual(decodeRoot(root), { sizeBytes: SIZE, entries: [] })
  const { state, manifestSha256 } = said(model)
  assert.deepEqual([state, manifestSha256], [SnapshotState.COMPLETED, sha256Of(root)])
  await model.follow(desired('n1'))
  assert.equal(put.length, 1)
  await model.follow(desired('n1', true))
  assert.equal(said(model).state, SnapshotState.RELEASED)
  await model.follow(new Map())
  assert.deepEqual(model.statuses(), [])
})

test('SimulatedSnapshots has taken the moment while the store is away, and goes on later', async () => {
  let isAway = true
  const model = new SimulatedSnapshots({
    ...{ host: 'n1', clock: systemClock },
    putRoot: async () => {
      if (isAway) throw new Error('away')
    },
  })
  await assert.rejects(model.follow(desired('n1')), /away/)
  assert.equal(said(model).state, SnapshotState.TAKEN)
  isAway = false
  await model.follow(desired('n1'))
  assert.equal(said(model).state, SnapshotState.COMPLETED)
})

test('SimulatedSnapshots leaves other hosts’ alone, and says when there is no such volume', async () => {
  const model = new SimulatedSnapshots({ host: 'n1', clock: systemClock })
  await model.follow(desired('n2'))
  assert.deepEqual(model.statuses(), [])
  await model.follow(new Map([...desired('n1')].filter(([key]) => key.startsWith('snapshot/'))))
  assert.equal(said(model).state, SnapshotState.ERROR)
})

function desired(host: string, released = false): Desired {
  const volume = create(VolumeSchema, { id: 'vol-1', host, sizeBytes: BigInt(SIZE) })
  const value = create(VolumeSnapshotSchema, { id: 'snap-1', host, volumeId: 'vol-1', released })
  return new Map([
    ['volume/vol-1', resource('volume/vol-1', { case: 'volume', value: volume })],
    ['snapshot/snap-1', resource('snapshot/snap-1', { case: 'volumeSnapshot', value })],
  ])
}

function said(model: SimulatedSnapshots) {
  const [{ body } = {}] = model.statuses()
  assert.ok(body?.case === 'volumeSnapshot')
  return body.value
}
