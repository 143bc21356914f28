// The door through which snapshots come to a storage host.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { parseWantedSnapshot } from '../../../cluster-agent/sc/snapshots/wanted.ts'
import { VolumeSnapshotSchema } from '../../../proto/gen/mallee/v1/volumes_pb.js'

describe('parseWantedSnapshot', () => {
  const good = {
    id: 'snap-00000000000000001',
    volumeId: 'vol-00000000000000001',
    baseSnapshotId: 'snap-00000000000000002',
    baseManifestSha256: 'ab'.repeat(32),
    group: 'g',
    groupSize: 2,
  }
  test('takes what is right', () => {
    const parsed = parseWantedSnapshot(create(VolumeSnapshotSchema, good))
    assert.ok(parsed.ok)
    assert.deepEqual(parsed.value.base, { id: 'snap-00000000000000002', manifest: 'ab'.repeat(32) })
    const alone = { ...good, baseSnapshotId: '', group: '', groupSize: 0 }
    const other = parseWantedSnapshot(create(VolumeSnapshotSchema, alone))
    assert.ok(other.ok)
    assert.deepEqual([other.value.base, other.value.group, other.value.groupSize], [null, null, 1])
  })
  for (const [what, wrong, why] of [
    ['a wrong id', { id: 'snap-1' }, /no snapshot id/],
    ['a wrong volume', { volumeId: '../x' }, /the volume \.\.\/x/],
    ['a base without a manifest', { baseManifestSha256: '' }, /has the base/],
    ['a wrong base', { baseSnapshotId: 'snap-x' }, /has the base/],
    ['a group of none', { groupSize: 0 }, /a group of 0/],
    ['a group of too many', { groupSize: 129 }, /a group of 129/],
    ['a long name of a group', { group: 'g'.repeat(65) }, /long name/],
  ] as const) {
    test(`refuses ${what}`, () => {
      const parsed = parseWantedSnapshot(create(VolumeSnapshotSchema, { ...good, ...wrong }))
      assert.ok(!parsed.ok)
      assert.match(parsed.why, why)
    })
  }
})
