// What the operator's API says of buckets and their storage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectReport } from '../../../gateway/s3/keeping/keeper.ts'
import { BEGIN } from '../../../gateway/s3/keeping/lifecycle-walk.ts'
import { storeWishes } from '../../../gateway/s3/storage.ts'
import { openCloud } from '../ec2/support.ts'
import { localApi } from './support.ts'

const NOW_MS = 1_785_000_000_000
const usage = { objects: 3, olderVersions: 1, bytes: 9_000, inlineObjects: 1, inlineBytes: 40 }
const damage = { store: 'local', blob: 'ab', what: 'blob ab is damaged', foundAtMs: NOW_MS }
const round = { startedAtMs: NOW_MS, endedAtMs: null, after: 'aa', blobs: 7, skipped: 2 }
const expired = { objects: 4, versions: 3, markers: 2, uploads: 1, locked: 5 }
const lifecycle = { startedAtMs: NOW_MS, endedAtMs: NOW_MS + 1, looked: 30, ...expired }
const REPORT: ObjectReport = {
  disks: { '/srv/disk1': 'ok', '/srv/disk2': 'away' },
  scrubs: { local: round },
  damage: [
    { ...damage, bucket: 'b1', key: 'a' },
    { ...damage, bucket: 'deleted', key: 'b' },
  ],
  garbage: 4,
  lifecycles: new Map([['b1', { ...lifecycle, day: 1, rules: 'ab', stretch: 1, after: BEGIN }]]),
  usage: new Map([['b1', usage]]),
}

test('buckets are shown with what they hold, and damaged objects with their buckets', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    for (const [name, id] of [
      ['photos', 'b1'],
      ['texts', 'b2'],
    ] as const) {
      const bucket = { name, id, account: '111111111111', rack: '', createdAtMs: NOW_MS }
      await tx.put('bucket', [name], { ...bucket, versioning: 'off' })
    }
  })
  const { call } = localApi(t, cloud, { objectReport: async () => REPORT })
  const { body } = await call('GET', '/v1/buckets')
  const shown = {
    account: '111111111111',
    versioning: 'off',
    createdAtMs: NOW_MS,
    store: null,
    quota: null,
  }
  const none = { objects: 0, olderVersions: 0, bytes: 0, inlineObjects: 0, inlineBytes: 0 }
  assert.deepEqual(body['buckets'], [
    { ...shown, name: 'photos', usage },
    { ...shown, name: 'texts', usage: none },
  ])
  const report = (await call('GET', '/v1/object-storage')).body
  const { after: _, ...told } = round
  assert.deepEqual(report, {
    ...{ disks: REPORT.disks, rackDisks: [], garbage: 4, scrubs: { local: told } },
    lifecycles: [{ bucket: 'photos', ...lifecycle }],
    damage: [
      { ...damage, bucket: 'photos', key: 'a' },
      { ...damage, bucket: 'deleted', key: 'b' },
    ],
  })
})

test('what was never counted is not shown as nothing', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    const bucket = { name: 'photos', id: 'b1', account: '111111111111', rack: '' }
    await tx.put('bucket', ['photos'], { ...bucket, createdAtMs: NOW_MS, versioning: 'enabled' })
  })
  const report = { ...REPORT, usage: null, scrubs: { local: null } }
  const { call } = localApi(t, cloud, { objectReport: async () => report })
  const [bucket] = (await call('GET', '/v1/buckets')).body['buckets'] as { usage: unknown }[]
  assert.equal(bucket?.usage, null)
  assert.deepEqual((await call('GET', '/v1/object-storage')).body['scrubs'], { local: null })
})

test('a bucket is told where its bytes are to be, and only of stores that there are', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    const bucket = { name: 'photos', id: 'b1', account: '111111111111', rack: '' }
    await tx.put('bucket', ['photos'], { ...bucket, createdAtMs: NOW_MS, versioning: 'off' })
  })
  const { call } = localApi(t, cloud, { objectReport: async () => REPORT })
  const moved = await call('PUT', '/v1/buckets/photos', { store: 'engine' })
  assert.deepEqual([moved.status, moved.body['store']], [200, 'engine'])
  assert.deepEqual([...storeWishes(await cloud.state.fresh())], [['b1', 'engine']])
  assert.equal((await call('PUT', '/v1/buckets/photos', { store: 'moon' })).status, 400)
  assert.equal((await call('PUT', '/v1/buckets/texts', { store: 'local' })).status, 404)
})

test('a bucket gets a quota, and loses it', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    const bucket = { name: 'photos', id: 'b1', account: '111111111111', rack: '' }
    await tx.put('bucket', ['photos'], { ...bucket, createdAtMs: NOW_MS, versioning: 'off' })
  })
  const { call } = localApi(t, cloud, { objectReport: async () => REPORT })
  const path = '/v1/buckets/photos/quota'
  for (const quota of [
    { bytes: 5, objects: null },
    { bytes: null, objects: 0 },
    { bytes: 5, objects: 6 },
  ]) {
    assert.deepEqual((await call('PUT', path, quota)).body['quota'], quota)
  }
  const taken = await call('PUT', path, { bytes: null, objects: null })
  assert.deepEqual([taken.status, taken.body['quota']], [200, null])
  assert.equal((await call('PUT', path, { bytes: -1, objects: null })).status, 400)
  assert.equal((await call('PUT', path, { bytes: 1 })).status, 400)
  const nobodys = '/v1/buckets/texts/quota'
  assert.equal((await call('PUT', nobodys, { bytes: 1, objects: null })).status, 404)
})
