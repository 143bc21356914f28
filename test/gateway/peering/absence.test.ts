// Silence for a day and for weeks, over real TLS: what was agreed stays, and is gone on with by new
// certificates and CAs that were announced before. Clocks that differ a little, and too much.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { createCa } from '../../../common/pki.ts'
import { filesOf } from '../../../gateway/files.ts'
import { tendPeers } from '../../../gateway/peering/acts.ts'
import { isOpen } from '../../../gateway/peering/agreed.ts'
import { checkAudit } from '../../../gateway/peering/audit-check.ts'
import type { Op } from '../../../gateway/store/store.ts'
import { until as conditionMet } from '../../../sandbox/until.ts'
import { MovedClock } from '../../support/moved-clock.ts'
import {
  acquainted,
  type CloudOptions,
  gatewayIdentity,
  type PeerCloud,
  startPeerCloud,
} from './clouds.ts'
import { putLink, told } from './links.ts'
import { mortal } from './memory-store.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const STEP_MS = 500
/** As createCa makes them. */
const CA_MS = 3_650 * DAY_MS

type Until = (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>

async function pair(
  t: TestContext,
  ofEast: CloudOptions = {},
  ofWest: CloudOptions = {},
): Promise<readonly [east: PeerCloud, west: PeerCloud, until: Until]> {
  const clock = new MovedClock()
  const [east, west] = await Promise.all([
    startPeerCloud(t, 'east', { clock, ...ofEast }),
    startPeerCloud(t, 'west', { clock, ...ofWest }),
  ])
  const clocks = new Set([east.clock, west.clock])
  const until: Until = (what, holds) =>
    conditionMet(what, () => {
      for (const one of clocks) one.move(STEP_MS)
      return holds()
    })
  await west.accept(await east.invite({ name: 'west' }))
  await acquainted(east, west)
  return [east, west, until]
}

describe('a peer', { concurrency: 3 }, () => {
  for (const [what, days] of [
    ['a day', 1],
    ['three weeks', 21],
  ] as const) {
    test(`that is silent for ${what} keeps what was agreed, and goes on`, async (t) => {
      const [east, west, until] = await pair(t)
      await Promise.all([putLink(east, 'cc-1'), putLink(west, 'cc-2')])
      await until('both know', () => [east, west].every((one) => told(one).length === 2))
      const epochs = [east, west].map((one) => one.peer().heard.epoch)
      await west.stop()
      for (let day = 0; day < days; day++) {
        east.clock.move(DAY_MS)
        await tendPeers(east.peering.inviting)
        assert.ok(isOpen(east.peer()), `day ${day}`)
        assert.deepEqual(told(east), ['border/a/cc-2', 'cloud'])
      }
      await putLink(east, 'cc-3')
      await until('east says what is wrong', () => east.peering.trouble(east.peer().uid) !== null)
      // The one that each had has ended meanwhile; both have renewed it, as gateways do.
      for (const one of [east, west]) one.identity = await gatewayIdentity(one.ca, one.name, 60)
      await west.start()
      await putLink(west, 'cc-4')
      await until('both know all', () => [east, west].every((one) => told(one).length === 3))
      await until('nothing is in the way', () =>
        [east, west].every((one) => one.peering.trouble(one.peer().uid) === null),
      )
      assert.deepEqual(
        [east, west].map((one) => one.peer().heard.epoch),
        epochs,
      )
      assert.ok(isOpen(east.peer()) && isOpen(west.peer()))
    })
  }

  test('whose CA ended while it was away goes on with the one that it had announced', async (t) => {
    const nowMs = systemClock.nowMs()
    const ending = await createCa({ cloud: 'west', nowMs: nowMs - CA_MS + 7 * DAY_MS })
    const next = await createCa({ cloud: 'west', nowMs })
    let isKilled = false
    // It takes what it is told, and nobody hears that it did.
    let isSet = false
    const fateOf = (ops: readonly Op[]) => (isSet && isRecorded(ops) ? 'killed before' : 'done')
    const hold: CloudOptions['hold'] = (store) => {
      isKilled = false
      return mortal(store, fateOf, () => {
        isKilled = true
      })
    }
    const [east, west, until] = await pair(t, { hold }, { ca: ending })
    await west.stop()
    await writeFile(filesOf(west.dir).nextCaCertificate, next.certificatePem)
    await west.start()
    await until('east has pinned both', () => east.peer().ca.certificates.length === 2)
    isSet = true
    await putLink(east, 'cc-1').catch(() => undefined)
    await until('west knows, and east does not', () => told(west).length === 2 && isKilled)
    await Promise.all([east.stop(), west.stop()])
    isSet = false
    for (const one of [east, west]) one.clock.move(one === east ? 21 * DAY_MS : 0)
    west.ca = next
    for (const one of [east, west]) one.identity = await gatewayIdentity(one.ca, one.name, 60)
    // Elsewhere: it is heard with its new CA alone before it is asked for the old receipt.
    await west.moveElsewhere()
    await east.start()
    await west.start()
    await until('east has the new one alone', () => {
      return east.peer().ca.certificates.join() === next.certificatePem
    })
    await putLink(east, 'cc-2')
    await putLink(west, 'cc-3')
    await until('both know all', () => told(west).length === 3 && told(east).length === 2)
    const peer = east.peer()
    const ask = (epoch: string, after: number) => east.peering.receipts(peer.uid, epoch, after)
    const { fault, difference } = await checkAudit(east.state.view(), peer, ask)
    assert.deepEqual([fault, difference], [null, null])
  })

  test('whose clock is four minutes off is heard; ten minutes are said, and end', async (t) => {
    const [east, west, until] = await pair(t, { clock: new MovedClock() })
    const trouble = (one: PeerCloud) => one.peering.trouble(one.peer().uid) ?? ''
    east.clock.move(4 * MINUTE_MS)
    await Promise.all([putLink(east, 'cc-1'), putLink(west, 'cc-2')])
    await until('both know', () => [east, west].every((one) => told(one).length === 2))
    west.clock.move(8 * MINUTE_MS)
    await Promise.all([putLink(east, 'cc-3'), putLink(west, 'cc-4')])
    await until('both know', () => [east, west].every((one) => told(one).length === 3))
    west.clock.move(6 * MINUTE_MS)
    await Promise.all([putLink(east, 'cc-5'), putLink(west, 'cc-6')])
    const said =
      /^the clock of cloud (?:east is \d+ s behind that of cloud west|west is \d+ s ahead)/
    await until('both say it', () => [east, west].every((one) => said.test(trouble(one))))
    assert.ok(isOpen(east.peer()) && isOpen(west.peer()))
    assert.deepEqual(
      [east, west].map((one) => told(one).length),
      [3, 3],
      'what holds goes on',
    )
    east.clock.move(10 * MINUTE_MS)
    await until('both know', () => [east, west].every((one) => told(one).length === 4))
    await until('nothing is in the way', () => trouble(east) === '' && trouble(west) === '')
  })
})

function isRecorded(ops: readonly Op[]): boolean {
  return ops.some((op) => 'put' in op && op.put.startsWith('stated/'))
}
