// What a volume's record becomes when its SC reports, and how far its modification is: pure.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { GIB, storedBytes } from '../../../common/volume-sizes.ts'
import {
  afterRefusal,
  presentShape,
  settled,
  withGuestSizes,
  withModification,
} from '../../../gateway/ebs/modification-life.ts'
import { afterLostHost, afterStatus } from '../../../gateway/ebs/volume-life.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../../../gateway/store/volume-records.ts'
import { VolumeState, VolumeStatusSchema } from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { volume } from '../control/volume-changes.ts'

const ID = 'vol-1'

function heard(
  record: VolumeRecord,
  status: MessageInitShape<typeof VolumeStatusSchema>,
): VolumeRecord | null {
  const whole = { id: ID, host: 'a1', state: VolumeState.READY, ...status }
  return afterStatus(record, create(VolumeStatusSchema, whole), () => false)
}

const attachment = (change: Partial<VolumeAttachmentRecord> = {}): VolumeAttachmentRecord => ({
  ...{ id: 'att-1', generation: 1, instance: 'i-1', host: 'a2', device: '/dev/sdf' },
  ...{ deleteOnTermination: false, state: 'attached', granted: true, attachedAtMs: 0 },
  ...{ chapUser: 'u', sealedChapSecret: 's', ...change },
})

test('a volume is ready when its host says so, and the same report again is no news', () => {
  const made = volume(ID, { state: 'creating' })
  const status = { sizeBytes: 8n * 2n ** 30n, usedBytes: 4_096n }
  const ready = heard(made, status)
  assert.deepEqual(ready, { ...made, state: 'ready', storedBytes: 8 * GIB, usedBytes: 4_096 })
  assert.equal(heard(ready, status), ready)
})

test('an attachment has the target where its host has it, for good', () => {
  const begun = volume(ID, {
    attachments: [attachment({ state: 'attaching', granted: false, hasTarget: true })],
  })
  const grant = { attachment: 'att-1', generation: 1n }
  const targetsOf = (record: VolumeRecord | null) =>
    record?.attachments.map(({ granted, hasTarget }) => [granted, hasTarget])
  const own = heard(begun, { grants: [{ ...grant, ownTarget: true }] })
  assert.deepEqual(targetsOf(own), [[true, true]])
  // An older host knows the volume's alone; its guest is there, also when it is upgraded.
  const old = heard(begun, { grants: [grant] })
  assert.deepEqual(targetsOf(old), [[true, undefined]])
  assert.ok(old)
  assert.deepEqual(targetsOf(heard(old, { grants: [{ ...grant, ownTarget: true }] })), [
    [true, undefined],
  ])
})

test('another host says nothing of a volume', () => {
  const made = volume(ID, { state: 'creating' })
  assert.equal(heard(made, { host: 'a9' }), made)
})

test('a volume in error says why, keeps what it knew, and may come back', () => {
  const ready = volume(ID, { storedBytes: 8 * GIB, usedBytes: 1 })
  const wrong = heard({ ...ready, state: 'creating' }, { state: VolumeState.ERROR, reason: 'full' })
  assert.equal(wrong?.state, 'error')
  assert.equal(wrong.stateReason, 'full')
  assert.equal(wrong.storedBytes, 8 * GIB)
  assert.deepEqual(heard(wrong, { sizeBytes: 8n * 2n ** 30n, usedBytes: 1n }), ready)
})

test('the bytes of a volume that was not deleted are never gone', () => {
  const gone = { state: VolumeState.DELETED }
  const ready = volume(ID)
  assert.equal(heard(ready, gone), ready)
  const held = volume(ID, { state: 'deleting', attachments: [attachment()] })
  assert.equal(heard(held, gone), held)
  assert.equal(heard(volume(ID, { state: 'deleting' }), gone), null)
})

test('what was lost with its host is in error, and attached to nothing', () => {
  const lost = afterLostHost(volume(ID, { attachments: [attachment()], instances: ['i-1'] }), 1)
  assert.ok(lost)
  assert.deepEqual([lost.state, lost.host, lost.attachments], ['error', '', []])
  assert.match(lost.stateReason ?? '', /host a1 was lost/)
  assert.equal(afterLostHost(volume(ID, { state: 'deleting' }), 1), null)
  // A host of that name that comes later is another one.
  assert.equal(heard(lost, {}), lost)
})

const runs = new Map([['i-1', 'runs']] as const)
const stopped = new Map([['i-1', 'stopped']] as const)
const shape = { sizeGib: 9, type: 'gp3', iops: 3_000, throughputMibps: 125, multiAttach: false }
const target = shape as Parameters<typeof withModification>[1]
const stateOf = (record: VolumeRecord) => record.modification?.state

test('a modification is over when the SC and every guest have the new size', () => {
  const held = { attachments: [attachment()], instances: ['i-1'], storedBytes: 8 * GIB }
  const begun = withModification(volume(ID, held), target, runs, 1)
  assert.equal(stateOf(begun), 'modifying')
  assert.deepEqual([begun.sizeGib, presentShape(begun).sizeGib], [9, 8])
  const grown = settled({ ...begun, storedBytes: 9 * GIB }, runs, 2)
  assert.equal(stateOf(grown), 'optimizing')
  assert.equal(presentShape(grown).sizeGib, 9)
  const word = (sizeBytes: number, host = 'a2') => ({
    ...{ instance: 'i-1', host, guest: 'runs' as const },
    plugged: [{ attachment: 'att-1', generation: 1, trouble: '', sizeBytes }],
  })
  assert.equal(withGuestSizes(grown, word(9 * GIB, 'a3')), grown)
  assert.equal(stateOf(settled(withGuestSizes(grown, word(8 * GIB)), runs, 3)), 'optimizing')
  const done = settled(withGuestSizes(grown, word(9 * GIB)), runs, 4)
  assert.equal(stateOf(done), 'completed')
  assert.equal(done.modification?.endedAtMs, 4)
  assert.equal(settled(done, runs, 5), done)
  // Nobody is waited for who has no guest.
  assert.equal(stateOf(settled(grown, stopped, 3)), 'completed')
})

test('a modification fails with the host of the volume', () => {
  const begun = withModification(volume(ID, { storedBytes: 8 * GIB }), target, runs, 1)
  const lost = afterLostHost(begun, 7)
  assert.deepEqual([lost?.sizeGib, lost?.state], [8, 'error'])
  assert.deepEqual([lost?.modification?.state, lost?.modification?.endedAtMs], ['failed', 7])
  assert.match(lost?.modification?.reason ?? '', /host a1 was lost/)
})

test('a modification fails for want of room, and the volume is what it was', () => {
  const held = { attachments: [attachment()], instances: ['i-1'], storedBytes: 8 * GIB }
  const begun = withModification(volume(ID, held), target, runs, 1)
  const says = (record: VolumeRecord, refusedBytes: number, host = 'a1') =>
    afterRefusal(record, { host, refusedBytes: BigInt(refusedBytes), reason: 'no room' }, 7)
  assert.equal(says(begun, 0), begun)
  assert.equal(says(begun, 10 * GIB), begun, 'word of an earlier one')
  assert.equal(says(begun, 9 * GIB, 'a9'), begun)
  const failed = says(begun, 9 * GIB)
  const { state, reason, endedAtMs } = failed.modification ?? {}
  assert.deepEqual([failed.sizeGib, state, reason, endedAtMs], [8, 'failed', 'no room', 7])
  assert.equal(says(failed, 9 * GIB), failed)
  const grown = settled({ ...begun, storedBytes: 9 * GIB }, runs, 2)
  assert.equal(says(grown, 9 * GIB), grown)
})

test('a class changes at once where the size stays', () => {
  const ready = volume(ID, { storedBytes: 8 * GIB })
  const changed = withModification(ready, { ...target, sizeGib: 8, type: 'gp2' }, runs, 1)
  assert.equal(stateOf(changed), 'completed')
  assert.equal(presentShape(changed).type, 'gp2')
})

test('a modification never goes back, and is over only with all sizes there', () => {
  const ORDER = ['modifying', 'optimizing', 'completed']
  const step = fc.oneof(
    fc.record({ sc: fc.integer({ min: 8, max: 10 }) }),
    fc.record({ guest: fc.integer({ min: 8, max: 10 }) }),
    fc.record({ power: fc.constantFrom(runs, stopped) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), (steps, encrypted) => {
      const held = { attachments: [attachment()], instances: ['i-1'], encrypted }
      const bytes = storedBytes(8, encrypted)
      let power: typeof runs | typeof stopped = runs
      let record = withModification(volume(ID, { ...held, storedBytes: bytes }), target, runs, 1)
      for (const one of steps) {
        const before = stateOf(record) ?? ''
        if ('power' in one) power = one.power
        else if ('sc' in one) record = { ...record, storedBytes: storedBytes(one.sc, encrypted) }
        else {
          const plug = { attachment: 'att-1', generation: 1, trouble: '' }
          const word = { instance: 'i-1', host: 'a2', guest: 'runs' as const }
          const plugged = [{ ...plug, sizeBytes: one.guest * GIB }]
          record = withGuestSizes(record, { ...word, plugged })
        }
        record = settled(record, power, 2)
        const now = stateOf(record) ?? ''
        assert.ok(ORDER.indexOf(now) >= ORDER.indexOf(before), `${before} ${now}`)
        if (before !== 'completed' && now === 'completed') {
          assert.ok((record.storedBytes ?? 0) >= storedBytes(9, encrypted))
          const seen = record.attachments[0]?.sizeBytes ?? 0
          assert.ok(power === stopped || seen >= 9 * GIB)
        }
      }
    }),
  )
})
