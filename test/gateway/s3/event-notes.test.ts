// Which rules want to hear of a change, and what they are told of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notedExpiry } from '../../../gateway/s3/events/notes.ts'
import type { Done } from '../../../gateway/s3/index/objects.ts'
import type { BucketRecord } from '../../../gateway/store/bucket-records.ts'

const NOW_MS = Date.UTC(2026, 10, 26)
const CAUSE = { passId: 'pass-1', region: 'mallee-1' }
const BUCKET: BucketRecord = {
  ...{ name: 'logs', id: 'b1', account: '111111111111', rack: '', createdAtMs: NOW_MS },
  versioning: 'enabled',
  notifications: [
    rule('all', 's3:LifecycleExpiration:*'),
    rule('markers', 's3:LifecycleExpiration:DeleteMarkerCreated', { prefix: 'old/' }),
    rule('made', 's3:ObjectCreated:*'),
  ],
}

function rule(id: string, event: string, keys: { prefix?: string; suffix?: string } = {}) {
  const arn = `arn:aws:sns:mallee-1:111111111111:${id}`
  return { id, arn, target: id, events: [event], prefix: '', suffix: '', ...keys }
}

function done(key: string, isMarked: boolean): Done {
  const entry = {
    ...{ bucket: 'b1', key, sizeBytes: 9, etag: 'e', owner: '111111111111', headers: {} },
    ...{ metadata: {}, versionId: 'v1', isDeleteMarker: isMarked, modifiedAtMs: 0, order: '0' },
  }
  return { entry, isMarked, sequencer: '00A1', nowMs: NOW_MS }
}

function toldOf(key: string, isMarked: boolean): string[] {
  const { note } = notedExpiry(BUCKET, key, CAUSE)
  return (note?.(done(key, isMarked)) ?? []).map(({ target }) => target)
}

test('what a lifecycle rule takes away is told to those who want to hear of it', () => {
  assert.deepEqual(toldOf('old/a', true), ['all', 'markers'])
  assert.deepEqual(toldOf('old/a', false), ['all'])
  assert.deepEqual(toldOf('new/a', true), ['all'])
  assert.deepEqual(notedExpiry({ ...BUCKET, notifications: [] }, 'a', CAUSE), {})
  const [first] = notedExpiry(BUCKET, 'a b/ü', CAUSE).note?.(done('a b/ü', false)) ?? []
  assert.ok(first !== undefined)
  const { s3, ...rest } = first.event as { s3: { object: object } }
  assert.deepEqual(rest, {
    ...{ eventVersion: '2.3', eventSource: 'aws:s3', awsRegion: 'mallee-1' },
    ...{ eventTime: '2026-11-26T00:00:00.000Z', eventName: 'LifecycleExpiration:Delete' },
    userIdentity: { principalId: 's3.amazonaws.com' },
    requestParameters: { sourceIPAddress: 's3.amazonaws.com' },
    responseElements: { 'x-amz-request-id': 'pass-1', 'x-amz-id-2': 'cGFzcy0x' },
  })
  const object = { key: 'a+b/%C3%BC', versionId: 'v1', sequencer: '00A1' }
  assert.deepEqual(s3.object, object)
})
