// Blocks of snapshots, and what differs between two, page by page.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SNAPSHOT_BLOCK_BYTES } from '../../../../common/snapshot-manifest.ts'
import { memorySnapshots } from '../../../support/snapshot-bytes.ts'

const SIZE = 2 ** 30

test('blocks are listed and compared in pieces, and read', async () => {
  const snapshots = memorySnapshots()
  const data = randomBytes(SNAPSHOT_BLOCK_BYTES)
  const digests = new Map<number, string>()
  for (const index of [2, 5, 1030]) {
    digests.set(index, await snapshots.stageBlock('snap-a', index, data))
  }
  const { manifest: first, dataBytes } = await snapshots.completeStaged('snap-a', null, SIZE)
  assert.equal(dataBytes, 3 * SNAPSHOT_BLOCK_BYTES)
  await snapshots.stageBlock('snap-b', 5, Buffer.alloc(SNAPSHOT_BLOCK_BYTES))
  const more = await snapshots.stageBlock('snap-b', 7, randomBytes(SNAPSHOT_BLOCK_BYTES))
  const { manifest: second } = await snapshots.completeStaged('snap-b', first, SIZE)

  const block = (index: number) => ({ index, sha256: digests.get(index) ?? '' })
  const page = await snapshots.listBlocks(first, 0, 2)
  assert.deepEqual(page, { blocks: [block(2), block(5)], next: 1030 })
  assert.deepEqual(await snapshots.listBlocks(first, 1030, 2), {
    blocks: [block(1030)],
    next: null,
  })
  assert.deepEqual((await snapshots.listChanged(first, second, 0, 10)).blocks, [
    { index: 5, before: digests.get(5), after: null },
    { index: 7, before: null, after: more },
  ])
  assert.equal((await snapshots.listChanged(null, first, 0, 10)).blocks.length, 3)
  assert.deepEqual(await snapshots.readBlock(second, 2), Uint8Array.from(data))
  assert.equal(await snapshots.readBlock(second, 5), null)
  await assert.rejects(snapshots.readBlock('ab'.repeat(32), 5), { code: 'NotFound' })
})
