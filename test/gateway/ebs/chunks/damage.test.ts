// Bytes of snapshots that are damaged or gone: found, named, never given, and mended.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { damageOfSnapshots } from '../../../../gateway/ebs/chunks/damage.ts'
import type { Item } from '../../../../gateway/ebs/chunks/items.ts'
import { itemKey } from '../../../../gateway/ebs/chunks/keys.ts'
import { lastSnapshotScrub, scrubSnapshots } from '../../../../gateway/ebs/chunks/scrub.ts'
import { filesIn, flip } from '../../s3/storage-support.ts'
import { sqliteMaker } from '../../store/stores.ts'
import {
  A,
  audit,
  B,
  BELOW,
  bring,
  C,
  type ChunkGround,
  contentOf,
  groundsOver,
  sealed,
} from './support.ts'

describe("damage of snapshots' bytes", () => {
  const ground = groundsOver(() => sqliteMaker(BELOW))

  test('a damaged block is named with its snapshots, never given, and mended', async (t) => {
    const g = await ground(t)
    const first = await bring(g, A, { 7: 1, 9: 2 })
    const second = await bring(g, B, { 7: 3, 1500: 1 }, first)
    const third = await bring(g, C, { 7: 3 })
    const file = await fileOf(g, 'block', sealed(1).sha256)
    await flip(file, 300_000)
    await assert.rejects(g.snapshots.readBlock(first, 7), {
      code: 'DataCorrupt',
      message: new RegExp(`block 7 .*${first}.*${sealed(1).sha256}`),
    })
    assert.equal(g.told.refused, 1)
    assert.equal(g.told.damage, 1)
    const [damage] = await damageOfSnapshots(g.parts)
    assert.deepEqual(
      damage?.snapshots.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      [
        { id: A, block: 7 },
        { id: B, block: 1500 },
      ],
    )
    assert.deepEqual(await contentOf(g, third), { 7: 3 })
    // Whoever has the same block brings it again, and all snapshots have it back.
    assert.deepEqual(await g.snapshots.missing(C, [sealed(1).sha256]), [sealed(1).sha256])
    await g.snapshots.putBlock(C, sealed(1))
    assert.deepEqual(await contentOf(g, first), { 7: 1, 9: 2 })
    assert.deepEqual(await contentOf(g, second), { 7: 3, 9: 2, 1500: 1 })
    assert.deepEqual(await damageOfSnapshots(g.parts), [])
    await audit(g)
  })

  test('the scrubber finds what is damaged and what is gone, and goes on where it was', async (t) => {
    const g = await ground(t)
    await bring(g, A, { 7: 1, 9: 2 })
    const manifest = await bring(g, B, { 7: 3 })
    await flip(await fileOf(g, 'block', sealed(2).sha256), 1)
    await rm(await fileOf(g, 'root', manifest))
    const enough = new Error('enough')
    let left = 2
    const pace = async (): Promise<void> => {
      if (--left < 0) throw enough
    }
    await assert.rejects(scrubSnapshots(g.parts, pace), enough)
    const round = await scrubSnapshots(g.parts, async () => undefined)
    assert.equal(round.items, 9)
    assert.deepEqual(await lastSnapshotScrub(g.parts), round)
    assert.deepEqual(
      (await damageOfSnapshots(g.parts)).map(({ kind, snapshots }) => ({ kind, snapshots })),
      [
        { kind: 'block', snapshots: [{ id: A, block: 9 }] },
        { kind: 'root', snapshots: [{ id: B, block: 0 }] },
      ],
    )
    assert.equal(g.told.damage, 2)
  })
})

async function fileOf(g: ChunkGround, kind: 'block' | 'root', sha256: string): Promise<string> {
  const row = await g.parts.store.get(itemKey(kind, sha256))
  const { blob } = JSON.parse(row?.value ?? assert.fail(sha256)) as Item
  const file = (await filesIn([g.dir])).find((one) => one.endsWith(blob.id))
  return file ?? assert.fail(blob.id)
}
