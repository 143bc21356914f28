// Many at once at one key or bucket, over both stores: conditions hold when the write is made.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, type IndexGround, indexOver, small, versionsOf } from './index-support.ts'

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`rivals at an index over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<IndexGround> => indexOver(await maker.make({ keep: 1 }))

    test('of 16 that create the same key if there is none, one does', async () => {
      const { index } = await fresh()
      const check = (current: unknown): void => {
        if (current !== null) throw new Error('it is there')
      }
      for (const key of ['a', 'b', 'c']) {
        const tries = Array.from({ length: 16 }, (_, i) =>
          index.put(small(key, `${i}`), { versioning: 'off', check }),
        )
        const done = await Promise.allSettled(tries)
        const won = done.flatMap((one, i) => (one.status === 'fulfilled' ? [i] : []))
        assert.equal(won.length, 1)
        assert.equal((await index.current(BUCKET, key))?.etag, `${won[0]}`)
        for (const one of done)
          if (one.status === 'rejected') assert.match(`${one.reason}`, /there/)
      }
    })

    test('16 counters that replace what they read lose no step', async () => {
      const { index } = await fresh()
      await index.put(small('n', '0'), { versioning: 'enabled' })
      const count = async (): Promise<void> => {
        for (;;) {
          const seen = await index.current(BUCKET, 'n')
          const check = (current: { versionId: string } | null): void => {
            if (current?.versionId !== seen?.versionId) throw new Error('another one')
          }
          const next = small('n', String(Number(seen?.etag) + 1))
          const step = index.put(next, { versioning: 'enabled', check })
          if (
            await step.then(
              () => true,
              () => false,
            )
          )
            return
        }
      }
      await Promise.all(Array.from({ length: 16 }, count))
      assert.equal((await index.current(BUCKET, 'n'))?.etag, '16')
      assert.equal((await versionsOf(index, 100)).length, 17)
    })

    test('a put and a retirement never both succeed', async () => {
      const { index } = await fresh()
      for (let i = 0; i < 20; i++) {
        const bucket = `b${i}`
        const put = index.put({ ...small('a', 'x'), bucket }, { versioning: 'off' })
        const [retired, done] = await Promise.allSettled([index.retire(bucket), put])
        const isRetired = retired.status === 'fulfilled' && retired.value
        assert.equal(done.status === 'fulfilled', !isRetired)
      }
    })
  })
}
