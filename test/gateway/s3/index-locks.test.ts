// Locked versions, over both stores: nothing of the index removes one, whoever is faster.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type { ObjectLock, Retention } from '../../../gateway/s3/index/objects.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, type IndexGround, indexOver, plain, small } from './index-support.ts'

const HOUR_MS = 60 * 60_000
const RACES = 30
const KEY = 'k'

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`locks of an index over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<IndexGround> => indexOver(await maker.make({ keep: 1 }))

    test('a version goes when its time is over, sooner only in governance, never on hold', async () => {
      const { index, clock, pass } = await fresh()
      const untilMs = clock.nowMs() + HOUR_MS
      const locks: [ObjectLock, own: boolean, bypassed: boolean, later: boolean][] = [
        [{}, true, true, true],
        [{ legalHold: false }, true, true, true],
        [{ retention: { mode: 'GOVERNANCE', untilMs } }, false, true, true],
        [{ retention: { mode: 'COMPLIANCE', untilMs } }, false, false, true],
        [{ legalHold: true }, false, false, false],
        [{ retention: { mode: 'GOVERNANCE', untilMs }, legalHold: true }, false, false, false],
      ]
      const made: string[] = []
      for (const [lock] of locks) {
        const object = small(KEY, 'x', lock)
        made.push((await index.put(object, { versioning: 'enabled' })).version.versionId)
      }
      const goes = (versionId: string, bypassesGovernance: boolean): Promise<boolean> =>
        index.remove(BUCKET, KEY, { ...plain('enabled'), versionId, bypassesGovernance }).then(
          ({ removed }) => removed !== null,
          (error) => {
            assert.equal(error.code, 'NotAllowed')
            return false
          },
        )
      for (const round of ['own', 'bypassed', 'later'] as const) {
        if (round === 'later') pass(HOUR_MS)
        for (const [i, [, own, bypassed, later]] of locks.entries()) {
          const wasGone = { own: false, bypassed: own, later: bypassed }[round]
          if (wasGone) continue
          const want = { own, bypassed, later }[round]
          assert.equal(await goes(made[i] ?? '', round === 'bypassed'), want, `${i} ${round}`)
        }
      }
    })

    test('no put and no delete without a version id takes a locked null version along', async () => {
      const { index, clock } = await fresh()
      const retention: Retention = { mode: 'GOVERNANCE', untilMs: clock.nowMs() + HOUR_MS }
      await index.put(small(KEY, 'old', { retention }), { versioning: 'off' })
      for (const versioning of ['off', 'suspended'] as const) {
        const put = index.put(small(KEY, 'new'), { versioning })
        await assert.rejects(put, { code: 'NotAllowed' })
        await assert.rejects(index.remove(BUCKET, KEY, plain(versioning)), { code: 'NotAllowed' })
      }
      const { marker } = await index.remove(BUCKET, KEY, plain('enabled'))
      assert.ok(marker)
      assert.equal((await index.version(BUCKET, KEY, 'null'))?.etag, 'old')
      assert.equal(await index.retire(BUCKET), false)
    })

    test('of a lock and a delete by two gateways at once one comes too late', async () => {
      const ground = await fresh()
      const { index, clock, store } = ground
      const other = createObjectIndex({ store, clock, randomHex })
      const retention: Retention = { mode: 'COMPLIANCE', untilMs: clock.nowMs() + HOUR_MS }
      for (let i = 0; i < RACES; i++) {
        const key = `${KEY}${i}`
        const put = await index.put(small(key, 'x'), { versioning: 'enabled' })
        const { versionId } = put.version
        const lock = () => index.amend(BUCKET, key, versionId, (one) => ({ ...one, retention }))
        const remove = () => other.remove(BUCKET, key, { ...plain('enabled'), versionId })
        const acts = i % 2 === 0 ? [lock(), remove()] : [remove(), lock()]
        const [locked, removed] = await Promise.allSettled(i % 2 === 0 ? acts : acts.reverse())
        const isLocked = locked?.status === 'fulfilled' && locked.value !== null
        assert.equal(removed?.status === 'rejected', isLocked)
        assert.equal((await index.version(BUCKET, key, versionId)) !== null, isLocked)
      }
    })
  })
}
