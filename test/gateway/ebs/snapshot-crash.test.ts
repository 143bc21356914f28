// The gateway dies before or after each of its steps while a snapshot is copied, another is put
// together by EBS direct APIs, and both sources are deleted: the next one goes on, what is complete
// has its bytes, and what is gone leaves none.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { keepSnapshots } from '../../../gateway/control/snapshot-keeping.ts'
import { directHandlers } from '../../../gateway/ebs/direct/index.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { testSealer } from '../../support/sealer.ts'
import { type MemorySnapshots, memorySnapshots } from '../../support/snapshot-bytes.ts'
import { ACCOUNT, type Cloud, openCloud, REGION } from '../ec2/support.ts'
import { DEAD, type Death, mortalBytes, mortalStore } from './mortal.ts'
import { putSnapshot } from './support.ts'

const FEWEST_STEPS = 10
const MOST_STEPS = 60
/** Later than whoever waits for another gateway, or for blocks that nobody puts. */
const LATER_MS = 4 * 86_400_000

for (const isDone of [false, true]) {
  test(`snapshots survive a gateway that dies at any step, ${isDone ? 'done' : 'not done'}`, async (t) => {
    let steps = 0
    for (let left = 1; left <= MOST_STEPS; left++) {
      const death: Death = { left, isDone }
      await live(t, death)
      if (death.left > 0) break
      steps += 1
    }
    assert.ok(steps >= FEWEST_STEPS && steps < MOST_STEPS, `${steps} steps`)
  })
}

async function live(t: TestContext, death: Death): Promise<void> {
  let now: Death | null = null
  const memory = memorySnapshots()
  const bytes = mortalBytes(memory, () => now)
  const cloud = await openCloud(t, {
    ...{ racks: ['a'], snapshotHolds: bytes },
    openStore: async (file) => mortalStore(await openSqlite({ file, log: silentLog }), () => now),
  })
  const sources = [await source(cloud, memory), await source(cloud, memory)] as const
  now = death
  await life(t, cloud, bytes, sources).catch((error: unknown) => assert.equal(error, DEAD))
  now = null
  await cloud.restart()
  for (const SnapshotId of sources) {
    await cloud.call('DeleteSnapshot', { SnapshotId }).catch(() => undefined)
  }
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + LATER_MS }
  for (let pass = 0; pass < 3; pass++) {
    await keepSnapshots({ state: cloud.state, bytes, clock, log: silentLog })
  }
  const records = cloud.state.view().all('volume-snapshot')
  const completed = records.filter(({ state }) => state === 'completed')
  const held = [...memory.memory.manifests]
  for (const { id, manifest, deletedAtMs } of completed) {
    assert.equal(deletedAtMs, null, 'nothing keeps it')
    assert.equal(memory.memory.manifests.get(id), manifest, `${id} has its bytes`)
    await memory.root(manifest)
  }
  const ids = new Set(records.map(({ id }) => id))
  assert.deepEqual(
    held.filter(([id]) => !ids.has(id)),
    [],
    'what is gone has no bytes',
  )
  for (const id of sources) assert.ok(!ids.has(id), 'the sources are gone')
}

async function life(
  t: TestContext,
  cloud: Cloud,
  bytes: MemorySnapshots,
  [first, second]: readonly [string, string],
): Promise<void> {
  const sealer = await testSealer(t)
  const direct = directHandlers({ state: cloud.state, randomHex, sealer, bytes })
  const userArn = `arn:aws:iam::${ACCOUNT}:root`
  const caller = { account: ACCOUNT, userArn, userId: ACCOUNT, accessKeyId: 'AKIA' }
  const nowMs = systemClock.nowMs()
  const context = { caller, requestId: 'x', nowMs, log: silentLog, parameters: new Map() }
  const BlockData = Buffer.alloc(512 << 10, 'x')
  const Checksum = createHash('sha256').update(BlockData).digest('base64')
  await cloud.call('CopySnapshot', { SourceRegion: REGION, SourceSnapshotId: first })
  const asked = { VolumeSize: 8, ParentSnapshotId: second, Timeout: 4_320 }
  const { SnapshotId = '' } = await direct.StartSnapshot(context, asked)
  await direct.PutSnapshotBlock(context, {
    ...{ SnapshotId, BlockIndex: 1, BlockData, DataLength: BlockData.length },
    ...{ Checksum, ChecksumAlgorithm: 'SHA256' },
  })
  await cloud.call('DeleteSnapshot', { SnapshotId: second })
  const keep = { state: cloud.state, bytes, clock: systemClock, log: silentLog }
  await keepSnapshots(keep)
  await direct.CompleteSnapshot(context, { SnapshotId, ChangedBlocksCount: 1 })
  await cloud.call('DeleteSnapshot', { SnapshotId: first })
  await keepSnapshots(keep)
}

async function source({ state }: Cloud, memory: MemorySnapshots): Promise<string> {
  const { id, ...record } = await putSnapshot(state, {})
  const { manifest } = await memory.completeStaged(id, null, 8 * 2 ** 30)
  await state.update((tx) => tx.put('volume-snapshot', [id], { id, ...record, manifest }))
  return id
}
