// Imports that make a snapshot of a disk: its blocks, what stays when it fails or is cancelled, and
// that whoever goes on after a gateway that died makes one snapshot.

import assert from 'node:assert/strict'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Clock, randomHex, systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES, sha256Of } from '../../../common/snapshot-manifest.ts'
import type { TakenBlob } from '../../../gateway/blobs.ts'
import { IMPORT_LEASE_MS, startImports } from '../../../gateway/control/imports.ts'
import type { ImportedBytes } from '../../../gateway/ebs/imported-snapshot.ts'
import type { ImportTaskRecord } from '../../../gateway/store/image-records.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { until } from '../../../sandbox/until.ts'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import { type Death, mortalBytes, mortalStore } from '../ebs/mortal.ts'
import {
  type CloudOptions,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  run,
  START_MS,
} from '../ec2/support.ts'

const SOURCE = {
  ...{ bucket: 'images', bucketId: 'b1', key: 'disk.raw', versionId: 'v1', etag: 'e' },
  sizeBytes: 3 * SNAPSHOT_BLOCK_BYTES,
}

const MOST_STEPS = 20

/** A disk of three blocks, of which the second is zeroes. */
function disk(): Buffer {
  const bytes = Buffer.alloc(3 * SNAPSHOT_BLOCK_BYTES)
  bytes.write('first', 0)
  bytes.write('third', 2 * SNAPSHOT_BLOCK_BYTES)
  return bytes
}

async function opened(
  t: TestContext,
  format: 'raw' | 'qcow2' = 'raw',
  options: Pick<CloudOptions, 'openStore'> = {},
) {
  const findObject = async () => SOURCE
  const cloud = await openCloud(t, { racks: ['a'], findObject, ...options })
  const blobsDir = await mkdtemp(join(tmpdir(), 'mallee-blobs-'))
  t.after(() => rm(blobsDir, { recursive: true, force: true }))
  const snapshots = memorySnapshots()
  const sha256 = sha256Of(disk())
  const takeSource = async (): Promise<TakenBlob> => {
    await writeFile(join(blobsDir, sha256), disk())
    return {
      ...{ sha256, names: [], sizeBytes: disk().length, virtualSizeBytes: disk().length, format },
      ...{ chunkListSha256: 'cd'.repeat(32), createdAtMs: START_MS },
    }
  }
  let nowMs = START_MS
  const clock: Clock = {
    nowMs: () => nowMs,
    sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 10), signal),
  }
  const gateway = (snapshotBytes: ImportedBytes = snapshots) => {
    const loop = startImports({
      ...{ state: cloud.state, randomHex, clock, chance: () => 0, log: silentLog },
      ...{ takeSource, blobsDir, snapshotBytes },
    })
    t.after(() => loop.stop())
    return loop
  }
  const { ImportTaskId = '' } = await cloud.call('ImportSnapshot', {
    Description: 'mine',
    TagSpecifications: [
      { ResourceType: 'import-snapshot-task', Tags: [{ Key: 'of', Value: 'me' }] },
    ],
    DiskContainer: { UserBucket: { S3Bucket: 'images', S3Key: 'disk.raw' } },
  })
  const task = (): ImportTaskRecord => {
    const found = cloud.state.view().get('import-task', ImportTaskId)
    assert.ok(found)
    return found
  }
  const over = () => until('the task is over', () => task().endedAtMs !== undefined)
  const isKept = () =>
    access(join(blobsDir, sha256)).then(
      () => true,
      () => false,
    )
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { cloud, snapshots, gateway, task, over, isKept, pass, ImportTaskId }
}

test('ImportSnapshot makes a snapshot of a disk, which instances boot from', async (t) => {
  const { cloud, snapshots, gateway, task, over, isKept, ImportTaskId } = await opened(t)
  const { ImportSnapshotTasks: before } = await cloud.call('DescribeImportSnapshotTasks', {
    ImportTaskIds: [ImportTaskId],
  })
  assert.equal(before?.[0]?.SnapshotTaskDetail?.Status, 'active')
  assert.deepEqual(before?.[0]?.Tags, [{ Key: 'of', Value: 'me' }])
  const { Tags } = await cloud.call('DescribeTags', {})
  const [tag] = (Tags ?? []).filter(({ ResourceId }) => ResourceId === ImportTaskId)
  assert.equal(tag?.ResourceType, 'import-snapshot-task')
  gateway()
  await over()
  const id = task().snapshot ?? ''
  const snapshot = cloud.state.view().get('volume-snapshot', id)
  assert.deepEqual(
    [snapshot?.state, snapshot?.volumeSizeGib, snapshot?.description],
    ['completed', 1, 'mine'],
  )
  const block = async (n: number) => await snapshots.readBlock(snapshot?.manifest ?? '', n)
  assert.equal(await block(1), null)
  for (const n of [0, 2]) {
    const from = n * SNAPSHOT_BLOCK_BYTES
    const want = disk().subarray(from, from + SNAPSHOT_BLOCK_BYTES)
    assert.ok(want.equals((await block(n)) ?? Buffer.alloc(0)))
  }
  assert.equal(await isKept(), false, 'its file goes')
  const { ImportSnapshotTasks } = await cloud.call('DescribeImportSnapshotTasks', {})
  assert.equal(ImportSnapshotTasks?.[0]?.SnapshotTaskDetail?.SnapshotId, id)
  assert.deepEqual((await cloud.call('DescribeImportImageTasks', {})).ImportImageTasks, [])
  const { ImageId = '' } = await cloud.call('RegisterImage', {
    Name: 'imported',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: id } }],
  })
  assert.equal((await run(cloud, { ImageId })).length, 1)
  const theirs = { ImportTaskIds: [ImportTaskId] }
  const asked = cloud.call('DescribeImportSnapshotTasks', theirs, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(asked), 'InvalidConversionTaskId')
})

test('an import of what is no disk leaves no snapshot', async (t) => {
  const { cloud, gateway, task, over, isKept } = await opened(t, 'qcow2')
  gateway()
  await over()
  assert.equal(task().state, 'deleted')
  assert.match(task().message, /Disk validation failed/)
  const snapshot = cloud.state.view().get('volume-snapshot', task().snapshot ?? '')
  assert.notEqual(snapshot?.deletedAtMs, null)
  assert.equal(await isKept(), false)
})

test('an import that its gateway did not finish is finished by the next, with one snapshot', async (t) => {
  const { cloud, snapshots, gateway, task, over } = await opened(t)
  const first = gateway({
    ...snapshots,
    completeStaged: async () => {
      throw new MalleeError('Unavailable', 'the disk is away')
    },
  })
  await until('it failed once', () => task().failures === 1)
  await first.stop()
  await cloud.state.update(async (tx) => {
    const { worker: _, ...free } = task()
    await tx.put('import-task', [free.id], free)
  })
  gateway()
  await over()
  assert.equal(task().state, 'completed')
  assert.equal(cloud.state.view().all('volume-snapshot').length, 1)
})

test('a cancelled import leaves no snapshot', async (t) => {
  const { cloud, ImportTaskId } = await opened(t)
  await cloud.call('CancelImportTask', { ImportTaskId })
  const { ImportSnapshotTasks } = await cloud.call('DescribeImportSnapshotTasks', {})
  assert.equal(ImportSnapshotTasks?.[0]?.SnapshotTaskDetail?.Status, 'deleted')
  assert.deepEqual(cloud.state.view().all('volume-snapshot'), [])
})

for (const isDone of [false, true]) {
  test(`a gateway that dies at any step of an import, ${isDone ? 'done' : 'not done'}`, async (t) => {
    let steps = 0
    for (let isOver = false; !isOver; steps += 1) {
      assert.ok(steps < MOST_STEPS)
      let death: Death | null = null
      const now = () => death
      const openStore = async (file: string) =>
        mortalStore(await openSqlite({ file, log: silentLog }), now)
      const { cloud, snapshots, gateway, task, over, isKept, pass } = await opened(t, 'raw', {
        openStore,
      })
      const mine: Death = { left: steps + 1, isDone }
      death = mine
      const first = gateway(mortalBytes(snapshots, now))
      await until('it is dead or done', () => mine.left <= 0 || task().endedAtMs !== undefined)
      await first.stop()
      death = null
      isOver = mine.left > 0
      pass(IMPORT_LEASE_MS + 1)
      gateway()
      await over()
      assert.equal(task().state, 'completed')
      const [snapshot, ...more] = cloud.state.view().all('volume-snapshot')
      assert.deepEqual([snapshot?.id, snapshot?.state, more], [task().snapshot, 'completed', []])
      const { blocks } = await snapshots.listBlocks(snapshot?.manifest ?? '', 0, 10)
      const indices = blocks.map(({ index }) => index)
      assert.deepEqual(indices, [0, 2])
      assert.equal(await isKept(), false)
    }
    // Taken, its snapshot, two blocks, their manifest, the end; and one that did not die.
    assert.ok(steps >= 6 + 1, `${steps}`)
  })
}
