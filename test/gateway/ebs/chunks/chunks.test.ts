// Bytes of snapshots: kept once, shared, counted, given back with the last one, never given wrong.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { buildManifest, inOrder } from '../../../../common/snapshot-build.ts'
import { encodePage, encodeRoot, sha256Of } from '../../../../common/snapshot-manifest.ts'
import type { Item } from '../../../../gateway/ebs/chunks/items.ts'
import { idleKey, itemKey } from '../../../../gateway/ebs/chunks/keys.ts'
import { sweepIdle, sweepSnapshots } from '../../../../gateway/ebs/chunks/sweep.ts'
import { filesIn } from '../../s3/storage-support.ts'
import { redisMaker, sqliteMaker } from '../../store/stores.ts'
import {
  A,
  audit,
  B,
  BELOW,
  block,
  bring,
  C,
  contentOf,
  groundsOver,
  SIZE_BYTES,
  sealed,
  sweepAll,
} from './support.ts'

const never = new AbortController().signal
const DAY_MS = 24 * 60 * 60_000

for (const [name, makerOf] of [
  ['SQLite', () => sqliteMaker(BELOW)],
  ['Redis', redisMaker],
] as const) {
  describe(`snapshots' bytes over ${name}`, () => {
    const ground = groundsOver(makerOf)

    test('a snapshot shares with its base what did not change, until the last one goes', async (t) => {
      const g = await ground(t)
      const first = await bring(g, A, { 0: 1, 5: 2, 2000: 3 })
      // Three blocks, two leaves, a branch, a root.
      assert.equal((await filesIn([g.dir])).length, 7)
      const second = await bring(g, B, { 5: 4, 0: 0 }, first)
      assert.equal((await filesIn([g.dir])).length, 11, 'a block, a leaf, a branch and a root more')
      await audit(g)
      assert.deepEqual(await contentOf(g, second), { 5: 4, 2000: 3 })

      await g.snapshots.dropManifest(A)
      await sweepAll(g)
      await audit(g)
      assert.deepEqual(await contentOf(g, second), { 5: 4, 2000: 3 })
      assert.equal((await filesIn([g.dir])).length, 6, 'two blocks, two leaves, a branch, a root')
      await assert.rejects(g.snapshots.holdManifest(first, C), { code: 'NotFound' })

      await g.snapshots.dropManifest(B)
      await sweepAll(g)
      assert.deepEqual((await g.parts.store.list('')).entries, [])
      assert.deepEqual(await filesIn([g.dir]), [])
    })

    test('what was put is kept as long as its snapshot is pending', async (t) => {
      const g = await ground(t)
      await g.snapshots.putBlock(A, sealed(1))
      await g.snapshots.putBlock(B, sealed(2))
      g.standings.set(B, 'settled')
      g.pass(DAY_MS + 1)
      assert.equal((await sweepIdle(g.parts, never)).items, 1)
      const both = [sealed(1).sha256, sealed(2).sha256]
      assert.deepEqual(await g.snapshots.missing(A, both), [both[1]])
      await audit(g)
    })

    test('a full page is taken, leased and given back', async (t) => {
      const g = await ground(t)
      const { store, clock } = g.parts
      const idle = { untilMs: clock.nowMs() + 1, lessee: B }
      const names = Array.from({ length: 1024 }, (_, n) => sha256Of(Buffer.from(`${n}`)))
      const blob = { store: 'local', id: '0'.repeat(32), sizeBytes: 1 }
      const item: Item = { blob, blocks: 1, count: 0, idle }
      const rows = names.flatMap((sha256) => [
        { put: itemKey('block', sha256), value: JSON.stringify(item) },
        { put: idleKey(idle.untilMs, 'block', sha256), value: '{}' },
      ])
      await store.txn([], rows)
      assert.deepEqual(await g.snapshots.missing(A, names), [])
      const entries = names.map((sha256, number) => ({ number, sha256, blocks: 1 }))
      const leaf = encodePage({ kind: 'leaf', entries })
      assert.deepEqual(await g.snapshots.putPage(A, leaf.bytes), [])
      const row = await store.get(itemKey('block', names[1023] ?? ''))
      assert.deepEqual(JSON.parse(row?.value ?? ''), { blob, blocks: 1, count: 1 })
      g.standings.set(A, 'settled')
      g.pass(DAY_MS + 1)
      assert.deepEqual(await sweepIdle(g.parts, never), { items: 1, trouble: null })
      assert.deepEqual((await store.list('ebs/')).entries, [])
    })

    test('two gateways that bring the same count it right', async (t) => {
      const g = await ground(t)
      const all = [A, B, C].map((id) => bring(g, id, { 0: 1, 1: 1, 2: 2, 1024: 1 }))
      const manifests = new Set(await Promise.all(all))
      assert.equal(manifests.size, 1)
      await audit(g)
      await Promise.all([A, B].map((id) => g.snapshots.dropManifest(id)))
      await sweepAll(g)
      await audit(g)
      assert.deepEqual(await contentOf(g, [...manifests][0] ?? ''), { 0: 1, 1: 1, 2: 2, 1024: 1 })
      assert.equal((await filesIn([g.dir])).length, 6)
    })
  })
}

describe("snapshots' bytes", () => {
  const ground = groundsOver(() => sqliteMaker(BELOW))

  test('a page whose blocks went meanwhile names them and is not kept', async (t) => {
    const g = await ground(t)
    const making = buildManifest(
      null,
      SIZE_BYTES,
      inOrder([{ index: 0, sha256: sealed(1).sha256 }]),
      g.snapshots.loadPage,
    )
    const pages: Uint8Array[] = []
    for (let step = await making.next(); ; step = await making.next()) {
      pages.push(step.value.bytes)
      if (step.done) break
    }
    const [leaf = block(0), branch = block(0), root = block(0)] = pages
    assert.deepEqual(await g.snapshots.putPage(A, leaf), [sealed(1).sha256])
    assert.deepEqual(await g.snapshots.putPage(A, branch), [sha256Of(leaf)])
    assert.deepEqual(await g.snapshots.putRoot(A, root), [sha256Of(branch)])
    assert.deepEqual((await g.parts.store.list('')).entries, [])
    await g.snapshots.putBlock(A, sealed(1))
    assert.deepEqual(await g.snapshots.putPage(A, leaf), [])
    await audit(g)
  })

  test('what does not add up is refused', async (t) => {
    const g = await ground(t)
    await g.snapshots.putBlock(A, sealed(1))
    const { sha256 } = sealed(1)
    const leaf = encodePage({ kind: 'leaf', entries: [{ number: 0, sha256, blocks: 1 }] })
    await g.snapshots.putPage(A, leaf.bytes)
    const entry = { number: 0, sha256: leaf.sha256, blocks: 7 }
    const branch = encodePage({ kind: 'branch', entries: [entry] })
    await assert.rejects(g.snapshots.putPage(A, branch.bytes), { code: 'BadMessage' })
    // A leaf is no branch.
    const root = encodeRoot({ sizeBytes: SIZE_BYTES, entries: [{ ...entry, blocks: 1 }] })
    assert.deepEqual(await g.snapshots.putRoot(A, root.bytes), [leaf.sha256])
    const whole = encodePage({ kind: 'branch', entries: [{ ...entry, number: 1, blocks: 1 }] })
    assert.deepEqual(await g.snapshots.putPage(A, whole.bytes), [])
    // Its block has the index 1,024.
    const small = { number: 0, sha256: whole.sha256, blocks: 1 }
    const behind = encodeRoot({ sizeBytes: 1024 * block(0).length, entries: [small] })
    await assert.rejects(g.snapshots.putRoot(A, behind.bytes), { code: 'BadMessage' })
    const put = (bytes: Uint8Array) => g.snapshots.putBlock(A, { sha256, bytes })
    await assert.rejects(put(block(2)), { code: 'DataCorrupt' })
    await assert.rejects(put(block(0)), { code: 'BadArgument' })
    await assert.rejects(put(block(1).subarray(1)), { code: 'BadArgument' })
    await bring(g, B, { 0: 1 })
    await assert.rejects(bring(g, B, { 0: 2 }), { code: 'Conflict' })
    await audit(g)
  })

  test('a base stays until the new snapshot has its own bytes, or is dropped', async (t) => {
    const g = await ground(t)
    const first = await bring(g, A, { 0: 1, 3000: 2 })
    for (const id of [B, C]) await g.snapshots.holdBase(first, id)
    await g.snapshots.dropManifest(A)
    await sweepAll(g)
    const second = await bring(g, B, { 0: 3 }, first)
    assert.deepEqual(await contentOf(g, second), { 0: 3, 3000: 2 })
    // The same as its base: it has that.
    assert.equal(await bring(g, C, {}, first), first)
    await sweepAll(g)
    assert.deepEqual(await contentOf(g, first), { 0: 1, 3000: 2 })
    await g.snapshots.dropManifest(C)
    await sweepAll(g)
    await audit(g)
    assert.deepEqual(await contentOf(g, second), { 0: 3, 3000: 2 })
  })

  test('a snapshot is put together from blocks in any order; the last one of each wins', async (t) => {
    const g = await ground(t)
    const base = await bring(g, A, { 0: 1, 1: 2, 904: 3 })
    await g.snapshots.holdBase(base, B)
    for (const [index, byte] of [
      [900, 9],
      [1, 0],
      [2, 5],
      [2, 6],
      [3, 6],
      [2, 6],
    ] as const) {
      assert.equal(await g.snapshots.stageBlock(B, index, block(byte)), sha256Of(block(byte)))
    }
    assert.equal((await g.snapshots.stagedBlocks(B)).count, 4)
    await audit(g)
    const { manifest, dataBytes } = await g.snapshots.completeStaged(B, base, SIZE_BYTES)
    assert.equal(dataBytes, 5 * block(0).length)
    assert.deepEqual(await contentOf(g, manifest), { 0: 1, 2: 6, 3: 6, 900: 9, 904: 3 })
    const again = await g.snapshots.completeStaged(B, base, SIZE_BYTES)
    assert.deepEqual(again, { manifest, dataBytes })
    await g.snapshots.stageBlock(C, 0, block(77))
    await g.snapshots.dropManifest(C)
    await sweepAll(g)
    await audit(g)
    // A's blocks 1, 2 and 3; B's 6 and 9; two leaves, branches and roots.
    assert.equal((await filesIn([g.dir])).length, 11)
  })

  test('a staged block behind the end is refused when the snapshot is completed', async (t) => {
    const g = await ground(t)
    await g.snapshots.stageBlock(A, SIZE_BYTES / block(0).length, block(1))
    const done = g.snapshots.completeStaged(A, null, SIZE_BYTES)
    await assert.rejects(done, { code: 'BadArgument' })
  })

  test('bytes of snapshots without a record go after a day, and of no others', async (t) => {
    const g = await ground(t)
    const manifest = await bring(g, A, { 0: 1 })
    for (const id of [B, C]) await g.snapshots.holdManifest(manifest, id)
    for (const id of [A, C]) await g.snapshots.stageBlock(id, 3, block(8))
    g.standings.set(A, 'unknown').set(B, 'settled')
    const left = async () => {
      await sweepSnapshots(g.parts, never)
      const { entries } = await g.parts.store.list('ebs/held/')
      const count = async (id: string) => (await g.snapshots.stagedBlocks(id)).count
      const staged = [await count(A), await count(C)]
      return [...entries.map(({ key }) => key.slice('ebs/held/'.length)), ...staged]
    }
    assert.deepEqual(await left(), [A, B, C, 1, 1])
    g.pass(DAY_MS + 1)
    assert.deepEqual(await left(), [B, C, 0, 1])
    await audit(g)
  })
})
