// The gateway dies at any step of bringing, putting together, dropping and sweeping snapshots: no
// count is wrong for a moment, every snapshot that was there can be read, the next process goes on,
// and in the end all space comes back.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sweepIdle } from '../../../../gateway/ebs/chunks/sweep.ts'
import { workOffGarbage } from '../../../../gateway/s3/keeping/garbage.ts'
import { mortalProcess } from '../../s3/mortal.ts'
import { filesIn } from '../../s3/storage-support.ts'
import { type StoreMaker, sqliteMaker } from '../../store/stores.ts'
import {
  A,
  audit,
  B,
  BELOW,
  block,
  bring,
  C,
  type ChunkGround,
  chunksOver,
  contentOf,
  reopened,
  SIZE_BYTES,
  sweepAll,
} from './support.ts'

const never = new AbortController().signal
/** A life has not many more. */
const MAX_STEPS = 400
/** How many steps apart the next process lives the whole life, too. */
const EVERY = 7

/** Each resolves to what a snapshot has then, by its manifest. */
async function* life(g: ChunkGround): AsyncGenerator<Record<string, Record<number, number>>> {
  const { snapshots, parts, blobs } = g
  const first = await bring(g, A, { 0: 1, 1500: 2 })
  const ofFirst = { [first]: { 0: 1, 1500: 2 } }
  yield ofFirst
  const second = await bring(g, B, { 0: 3 }, first)
  const ofSecond = { [second]: { 0: 3, 1500: 2 } }
  yield { ...ofFirst, ...ofSecond }
  await snapshots.holdBase(first, C)
  await snapshots.holdBase(second, C)
  await snapshots.stageBlock(C, 1500, block(4))
  await snapshots.stageBlock(C, 0, block(1))
  await snapshots.stageBlock(C, 0, block(0))
  await snapshots.dropManifest(B)
  yield { ...ofFirst, ...ofSecond }
  const { manifest: third } = await snapshots.completeStaged(C, second, SIZE_BYTES)
  const ofThird = { [third]: { 1500: 4 } }
  yield { ...ofFirst, ...ofThird }
  await sweepIdle(parts, never)
  g.pass(2 * 60 * 60_000)
  await workOffGarbage({ ...parts, blobs: new Map([['local', blobs]]) })
  yield { ...ofFirst, ...ofThird }
  await snapshots.dropManifest(A)
  yield ofThird
  await sweepIdle(parts, never)
  yield ofThird
}

describe('a power cut', () => {
  let maker: StoreMaker
  before(async () => {
    maker = await sqliteMaker(BELOW)
  })
  after(() => maker.stop())

  test('at any step of the life of snapshots loses none and no count, nor space', async (t) => {
    const store = await maker.make({ keep: 1 })
    const spare = await mkdtemp(join(BELOW, 'mallee-spare-'))
    t.after(() => rm(spare, { recursive: true, force: true }))
    const process = await mortalProcess(t, spare)
    const ground = await chunksOver(t, store)
    let [step, isDone] = [0, false]
    for (; !isDone && step < MAX_STEPS; step++) {
      const where = `dead at step ${step}`
      const mortal = await reopened(ground, process.store(store))
      let there: Record<string, Record<number, number>> = {}
      process.dieAt(step)
      try {
        for await (const now of life(mortal)) there = now
        isDone = true
      } catch (error) {
        assert.match(String(error), /dead/, where)
      }
      process.revive()
      process.cutPower(ground.dir)

      const next = await reopened(ground, store)
      await audit(next)
      // Of those that were there, one may be gone by what was under way.
      const gone: string[] = []
      for (const [manifest, blocks] of Object.entries(there)) {
        const root = await next.snapshots.root(manifest).catch(() => null)
        if (root === null) gone.push(manifest)
        else assert.deepEqual(await contentOf(next, manifest), blocks, where)
      }
      assert.ok(gone.length <= 1, `${where}: ${gone} are gone`)
      // The same again by the next process, to its end; what is there already is no trouble.
      if (step % EVERY === 0) {
        for await (const now of life(next)) there = now
        await audit(next)
        for (const [manifest, blocks] of Object.entries(there)) {
          assert.deepEqual(await contentOf(next, manifest), blocks, where)
        }
      }
      for (const id of [A, B, C]) {
        ground.standings.set(id, 'settled')
        await next.snapshots.dropManifest(id)
      }
      await sweepAll(next)
      ground.standings.clear()
      assert.deepEqual(await filesIn([ground.dir]), [], where)
      const left = (await store.list('')).entries.map(({ key }) => key)
      assert.deepEqual(
        left.filter((key) => key !== 'ebs/scrub'),
        [],
        where,
      )
    }
    assert.ok(isDone && step > 60, `${step} steps`)
  })
})
