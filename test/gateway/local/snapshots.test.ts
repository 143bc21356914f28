// What operators hear of snapshots' bytes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

test('damage is told with the snapshots that have it', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const snapshots = [{ id: 'snap-0123456789abcdef0', block: 3 }]
  const what = { sha256: 'ab'.repeat(32), what: 'it is gone', foundAtMs: 5, snapshots }
  const damage = [{ ...what, kind: 'block' }] as const
  const round = { startedAtMs: 1, endedAtMs: 2, items: 3, bytes: 4, skipped: 0 }
  const scrub = { ...round, after: 'ebs/root/' }
  const { call } = localApi(t, cloud, { snapshotReport: async () => ({ scrub, damage }) })
  const { body } = await call('GET', '/v1/snapshot-storage')
  assert.deepEqual(body, { scrub: round, damage })
})

test('before the first round there is none', async (t) => {
  const { call } = localApi(t, await openCloud(t, { racks: ['a'] }))
  assert.deepEqual((await call('GET', '/v1/snapshot-storage')).body, { scrub: null, damage: [] })
})
