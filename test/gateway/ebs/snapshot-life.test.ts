// The life of a snapshot by what its SC says, what a new one is compared with, and what SCs let go.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  baseAmong,
  isBaseOfPending,
  mayRelease,
  nextSnapshot,
} from '../../../gateway/ebs/snapshot-life.ts'
import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'
import {
  SnapshotState,
  type SnapshotStatus,
  SnapshotStatusSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { snapshot } from './snapshot-support.ts'

const MANIFEST = 'ab'.repeat(32)
const NOW = 5_000

test('nextSnapshot goes from pending over progress to completed', () => {
  const taken = after(snapshot('snap-1'), { progressPercent: 37, takenAtMs: 4_000n })
  assert.deepEqual([taken.state, taken.progressPercent, taken.takenAtMs], ['pending', 37, 4_000])
  const full = after(taken, { progressPercent: 100 })
  assert.equal(full.progressPercent, 99, 'only what is complete has 100%')
  const sizes = { readBytes: 3n, sentBytes: 2n, dataBytes: 7n }
  const done = after(full, {
    ...{ state: SnapshotState.COMPLETED, manifestSha256: MANIFEST, ...sizes },
  })
  assert.deepEqual(
    [done.state, done.progressPercent, done.manifest, done.dataBytes, done.completedAtMs],
    ['completed', 100, MANIFEST, 7, NOW],
  )
  for (const state of [SnapshotState.TAKEN, SnapshotState.ERROR, SnapshotState.COMPLETED]) {
    assert.equal(after(done, { state }), done, 'what is final stays')
  }
})

for (const [what, status, want] of [
  ['an error', { state: SnapshotState.ERROR, reason: 'no room' }, 'no room'],
  ['an error without a word', { state: SnapshotState.ERROR }, 'its storage controller could not'],
  ['no manifest', { state: SnapshotState.COMPLETED }, 'named no manifest'],
  ['that it has nothing', { state: SnapshotState.RELEASED }, 'let go of it before'],
] as const) {
  test(`nextSnapshot ends a pending one with ${what}`, () => {
    const next = after(snapshot('snap-1'), status)
    assert.equal(next.state, 'error')
    assert.match(next.stateReason ?? '', new RegExp(want))
  })
}

test('nextSnapshot hears only the host that takes it, and the same again is no news', () => {
  const record = snapshot('snap-1')
  assert.equal(after(record, { host: 'b1', progressPercent: 5 }), record)
  const none = snapshot('snap-1', { host: '' })
  assert.equal(after(none, { host: '', progressPercent: 5 }), none)
  const status = { progressPercent: 5, takenAtMs: 3n }
  const once = after(record, status)
  assert.equal(after(once, status), once)
})

test('baseAmong is the newest completed one that the host still keeps', () => {
  const done = (id: string, more: Partial<SnapshotRecord> = {}) =>
    snapshot(id, { state: 'completed', manifest: MANIFEST, ...more })
  const siblings = [
    done('snap-1', { startedAtMs: 1 }),
    done('snap-2', { startedAtMs: 2 }),
    done('snap-3', { startedAtMs: 3, released: true }),
    done('snap-4', { startedAtMs: 4, deletedAtMs: 9 }),
    done('snap-5', { startedAtMs: 5, host: 'a2' }),
    snapshot('snap-6', { startedAtMs: 6 }),
  ]
  assert.equal(baseAmong(siblings, 'a1')?.id, 'snap-2')
  assert.equal(baseAmong(siblings, 'a3'), null)
})

const someSibling = fc.record({
  state: fc.constantFrom('pending', 'completed', 'error'),
  base: fc.constantFrom('', 'snap-0', 'snap-1', 'snap-2'),
  released: fc.boolean(),
  deletedAtMs: fc.constantFrom(null, 7),
  startedAtMs: fc.integer({ min: 1, max: 3 }),
  manifest: fc.constant(MANIFEST),
})

test('mayRelease never lets go of what is being compared with, nor of what the next one needs', () => {
  const some = fc.array(someSibling, { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(some, (fields) => {
      const siblings = fields.map((one, i) => snapshot(`snap-${i}`, one))
      for (const one of siblings) {
        if (isBaseOfPending(one, siblings)) assert.equal(mayRelease(one, siblings, true), false)
      }
      const base = baseAmong(siblings, 'a1')
      if (base !== null) assert.equal(mayRelease(base, siblings, true), false)
    }),
  )
})

test('mayRelease lets go of older ones, of deleted ones, and of all when the volume is gone', () => {
  const old = snapshot('snap-1', { state: 'completed', manifest: MANIFEST, startedAtMs: 1 })
  const newer = snapshot('snap-2', { state: 'completed', manifest: MANIFEST, startedAtMs: 2 })
  const pending = snapshot('snap-3', { startedAtMs: 3, base: 'snap-1' })
  assert.equal(mayRelease(old, [old, newer], true), true)
  assert.equal(mayRelease(old, [old, newer, pending], true), false)
  assert.equal(mayRelease(newer, [old, newer], true), false)
  assert.equal(mayRelease(newer, [old, newer], false), true)
  assert.equal(mayRelease({ ...newer, deletedAtMs: 9 }, [newer], true), true)
  assert.equal(mayRelease(pending, [pending], false), false)
})

function after(
  record: SnapshotRecord,
  fields: Partial<Omit<SnapshotStatus, '$typeName' | '$unknown'>>,
): SnapshotRecord {
  const usual = { id: record.id, host: 'a1', state: SnapshotState.TAKEN }
  return nextSnapshot(record, create(SnapshotStatusSchema, { ...usual, ...fields }), NOW)
}
