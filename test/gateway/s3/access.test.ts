// Leave that hangs on an object is leave for what the object was: whoever comes to another one in
// its place asks again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGuard, type Guard } from '../../../gateway/s3/buckets/access.ts'
import type { ObjectEntry, ObjectIndex } from '../../../gateway/s3/index/objects.ts'
import { findObject } from '../../../gateway/s3/objects/find.ts'
import type { BucketRecord } from '../../../gateway/store/bucket-records.ts'
import type { State, View } from '../../../gateway/store/state.ts'

const OWNER = '111111111111'
const BUCKET = {
  name: 'photos',
  id: 'b1',
  account: OWNER,
  ownership: 'ObjectWriter',
} as BucketRecord
const OPEN = {
  ...{ bucket: 'b1', key: 'a', owner: OWNER, isDeleteMarker: false },
  acl: [{ to: 'AllUsers', permission: 'READ' }],
} as unknown as ObjectEntry
const { acl: _, ...SHUT } = OPEN

/** One object, which changes. */
function groundWith(bucket: BucketRecord, first: ObjectEntry) {
  let now = first
  const get = (kind: string) => (kind === 'bucket' ? bucket : null)
  const view = { get, all: () => [], by: () => [] } as unknown as View
  const state = { view: () => view, fresh: async () => view } as unknown as State
  const index = {
    current: async () => now,
    read: async () => ({ version: now, inline: null }),
  } as unknown as ObjectIndex
  const guard = createGuard(state, index)
  const replace = (object: ObjectEntry) => {
    now = object
  }
  return { guard, index, replace }
}

function askedBy(guard: Guard, operation: string) {
  const arrival = { sourceIp: '192.0.2.1', userAgent: '', secure: false, region: 'x', nowMs: 0 }
  return guard({ operation, bucket: 'photos', key: 'a', input: {}, caller: null, arrival })
}

test('an object that came in place of an open one is not read by who may not', async () => {
  const { guard, index, replace } = groundWith(BUCKET, OPEN)
  const leave = await askedBy(guard, 'GetObject')
  const asked = { bucket: BUCKET, key: 'a' }
  assert.equal((await findObject({ index }, asked, undefined, leave)).version, OPEN)
  replace(SHUT as ObjectEntry)
  await assert.rejects(findObject({ index }, asked, undefined, leave), { code: 'AccessDenied' })
  await assert.rejects(askedBy(guard, 'GetObject'), { code: 'AccessDenied' })
})

test('leave that hangs on no object is not asked for again', async () => {
  const { guard } = groundWith({ ...BUCKET, acl: [{ to: 'AllUsers', permission: 'READ' }] }, OPEN)
  const { mayStill } = await askedBy(guard, 'ListObjectsV2')
  assert.equal(mayStill, undefined)
})
