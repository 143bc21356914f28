// Large updates and reports in parts, and together again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { type Resource, ResourceSchema } from '../../proto/gen/mallee/v1/desired_pb.js'
import { SessionResponseSchema } from '../../proto/gen/mallee/v1/session_pb.js'
import {
  MAX_PART_BYTES,
  MAX_PART_ITEMS,
  ReportParts,
  reportParts,
  UpdateParts,
  updateParts,
} from '../../proto/parts.ts'
import type { DesiredUpdate } from '../../proto/session.ts'
import { hostStatus, vpc } from './ends.ts'

function throughTheWire(update: DesiredUpdate): { whole: DesiredUpdate[]; sizes: number[] } {
  const parts = new UpdateParts()
  const whole: DesiredUpdate[] = []
  const sizes: number[] = []
  for (const body of updateParts(update)) {
    const bytes = toBinary(SessionResponseSchema, create(SessionResponseSchema, { body }))
    sizes.push(bytes.length)
    const read = fromBinary(SessionResponseSchema, bytes).body
    assert.ok(read.case === 'snapshot' || read.case === 'delta')
    const { value } = read
    const items = 'resources' in value ? value.resources.length : value.upserts.length
    assert.ok(items <= MAX_PART_ITEMS)
    const done = parts.take(read)
    if (done !== null) whole.push(done)
  }
  return { whole, sizes }
}

test('UpdateParts puts together what updateParts took apart, whatever the numbers', () => {
  const count = fc.integer({ min: 0, max: 1300 })
  fc.assert(
    fc.property(fc.boolean(), count, count, (whole, upserts, removals) => {
      const resources = Array.from({ length: upserts }, (_, i) => vpc(`v${i}`))
      const update: DesiredUpdate = whole
        ? { kind: 'snapshot', generation: 9, resources }
        : {
            kind: 'delta',
            fromGeneration: 3,
            generation: 9,
            upserts: resources,
            removals: Array.from({ length: removals }, (_, i) => `vpc/gone-${i}`),
          }
      assert.deepEqual(throughTheWire(update).whole, [update])
    }),
    { numRuns: 40 },
  )
})

test('updateParts keeps frames of big resources near 1 MiB', () => {
  const resources = Array.from({ length: 30 }, (_, i) => vpc(`v${i}`, 'x'.repeat(200_000)))
  const { whole, sizes } = throughTheWire({ kind: 'snapshot', generation: 1, resources })
  assert.equal(whole.length, 1)
  assert.equal(sizes.length, 6)
  for (const size of sizes) assert.ok(size <= MAX_PART_BYTES + 10_000, `${size}`)
})

test('UpdateParts refuses a part of another update in between', () => {
  const many = Array.from({ length: 600 }, (_, i) => vpc(`v${i}`))
  const [first] = updateParts({ kind: 'snapshot', generation: 1, resources: many })
  const [other] = updateParts({ kind: 'snapshot', generation: 2, resources: many })
  assert.ok(first !== undefined && other !== undefined)
  const parts = new UpdateParts()
  parts.take(first)
  assert.throws(() => parts.take(other), { code: 'BadMessage' })
})

test('ReportParts refuses a report without end', () => {
  const [part] = reportParts(
    1n,
    true,
    Array.from({ length: 600 }, (_, i) => hostStatus(`h${i}`)),
  )
  assert.ok(part?.value.more)
  const parts = new ReportParts()
  assert.throws(() => {
    for (let i = 0; i < 1000; i += 1) parts.take(part.value)
  }, /more than 128 parts/)
})

test('a resource with a field of a later version goes through an older reader unharmed', () => {
  const known = toBinary(ResourceSchema, vpc('a'))
  // Field 1000 as a string, and as an unknown kind of body: what this version has never heard of.
  const later = Buffer.of(0xc2, 0x3e, 3, 0x6e, 0x65, 0x77)
  for (const bytes of [Buffer.concat([known, later]), Buffer.concat([key('x/1'), later])]) {
    const resource: Resource = fromBinary(ResourceSchema, bytes)
    const { whole } = throughTheWire({ kind: 'snapshot', generation: 1, resources: [resource] })
    assert.ok(whole[0]?.kind === 'snapshot')
    const again = toBinary(ResourceSchema, whole[0].resources[0] as Resource)
    assert.ok(Buffer.from(again).includes(later), Buffer.from(again).toString('hex'))
  }
})

function key(text: string): Uint8Array {
  return toBinary(ResourceSchema, create(ResourceSchema, { key: text }))
}
