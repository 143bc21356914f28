// What two clouds tell each other over real TLS: through absences, restored backups, new
// certificates and CAs, suspensions and ends; and what each keeps then.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, type TestContext, test } from 'node:test'
import { createCa } from '../../../common/pki.ts'
import { filesOf } from '../../../gateway/files.ts'
import {
  changePeer,
  removePeer,
  resumePeer,
  suspendPeer,
  tendPeers,
} from '../../../gateway/peering/acts.ts'
import { isOpen } from '../../../gateway/peering/agreed.ts'
import { until as conditionMet } from '../../../sandbox/until.ts'
import { MovedClock } from '../../support/moved-clock.ts'
import {
  acquainted,
  gatewayIdentity,
  OPEN_TERMS,
  type PeerCloud,
  startPeerCloud,
} from './clouds.ts'
import { putLink, told } from './links.ts'

/** Also on a busy machine it is still to come when it is looked at. */
const SOON_MS = 60_000
const STEP_MS = 500

/** Waits, and at each look it is later: for what comes every so often, or after a failure. */
type Until = (what: string, holds: () => boolean | Promise<boolean>) => Promise<void>
type Pair = readonly [east: PeerCloud, west: PeerCloud, until: Until]

async function pair(t: TestContext): Promise<Pair> {
  const clock = new MovedClock()
  const [east, west] = await Promise.all([
    startPeerCloud(t, 'east', { clock }),
    startPeerCloud(t, 'west', { clock }),
  ])
  const until: Until = (what, holds) =>
    conditionMet(what, () => {
      clock.move(STEP_MS)
      return holds()
    })
  return [east, west, until]
}

async function agreedPair(t: TestContext): Promise<Pair> {
  const all = await pair(t)
  const [east, west] = all
  await west.accept(await east.invite({ name: 'west' }))
  await acquainted(east, west)
  return all
}

describe('an exchange', { concurrency: 4 }, () => {
  test('brings what one side states to the other, and takes it away again', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await putLink(east, 'cc-1')
    await until('west knows the border', () => told(west).includes('border/a/cc-1'))
    await east.state.update((tx) => tx.delete('peer-link', '1', 'a', 'cc-1'))
    await until('west has forgotten it', () => told(west).join() === 'cloud')
    // What no other cloud would take is not said at all.
    await putLink(east, 'NOT A NAME')
    await putLink(east, 'cc-2')
    await until('west knows the other border', () => told(west).includes('border/a/cc-2'))
    assert.deepEqual(told(west), ['border/a/cc-2', 'cloud'])
    await until('nothing is in the way', () => east.peering.trouble(east.peer().uid) === null)
  })

  test('goes on after one was away, with a new certificate of its own', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await west.stop()
    await putLink(east, 'cc-1')
    await until('east says what is wrong', () => east.peering.trouble(east.peer().uid) !== null)
    west.identity = await gatewayIdentity(west.ca, 'west')
    await west.start()
    await putLink(east, 'cc-2')
    await until('west knows both', () => told(west).length === 3)
    await putLink(west, 'cc-3')
    await until('east knows of the third', () => told(east).includes('border/a/cc-3'))
  })

  test('begins anew when either side comes back from a backup', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await putLink(east, 'cc-1')
    await until('west knows', () => told(west).length === 2)
    await east.backUp()
    await west.backUp()
    await putLink(east, 'cc-2')
    await east.state.update((tx) => tx.delete('peer-link', '1', 'a', 'cc-1'))
    await until('west knows', () => told(west).join() === 'border/a/cc-2,cloud')
    const { epoch } = west.peer().heard
    // The receiver has forgotten the last week: what it had heard does not come back for good.
    await west.restore()
    await until('west knows again', () => told(west).join() === 'border/a/cc-2,cloud')
    assert.ok(west.peer().heard.epoch > epoch)
    // The sender has forgotten it: what it states is what its store says.
    await east.restore()
    await until('west knows what is so', () => told(west).join() === 'border/a/cc-1,cloud')
    const records = () => west.state.view().all('peer-statement').length
    await putLink(east, 'cc-3')
    await until('only the newest chain is kept', () => records() === 3)
  })

  test('announces the next CA, and takes no gateway of a CA that was not announced', async (t) => {
    const [east, west, until] = await agreedPair(t)
    const next = await createCa({ cloud: 'east', nowMs: east.clock.nowMs() })
    // At once: nobody has heard of it.
    await east.stop()
    const before = east.identity
    east.identity = await gatewayIdentity(next, 'east')
    await east.start()
    await putLink(west, 'cc-1')
    await until('west says what is wrong', () => {
      return /shows a CA that cloud east has not announced/.test(
        west.peering.trouble(west.peer().uid) ?? '',
      )
    })
    assert.deepEqual(west.peer().ca, { sequence: 1, certificates: [east.ca.certificatePem] })
    // As it should be: it is told first.
    await east.stop()
    east.identity = before
    await writeFile(filesOf(east.dir).nextCaCertificate, next.certificatePem)
    await east.start()
    await until('west has pinned both', () => west.peer().ca.certificates.length === 2)
    assert.deepEqual(west.peer().ca, {
      sequence: 2,
      certificates: [east.ca.certificatePem, next.certificatePem],
    })
    await east.stop()
    east.identity = await gatewayIdentity(next, 'east')
    await east.start()
    await putLink(east, 'cc-2')
    await until('west takes it', () => told(west).includes('border/a/cc-2'))
  })

  test('of a suspended agreement tells of it; each side opens only its own half', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await suspendPeer(east.peering.inviting, 'west')
    assert.equal(isOpen(east.peer()), false, 'here at once')
    await until('west knows', () => !isOpen(west.peer()))
    assert.equal(west.peer().state, 'active')
    await suspendPeer(west.peering.inviting, 'east')
    await resumePeer(east.peering.inviting, 'west')
    await until('west knows', () => !west.peer().card.suspended)
    assert.equal(isOpen(west.peer()), false)
    await resumePeer(west.peering.inviting, 'east')
    await until('both are open', () => isOpen(west.peer()) && isOpen(east.peer()))
  })

  test('ends at its time, and with other terms goes on', async (t) => {
    const [east, west, until] = await agreedPair(t)
    const acting = east.peering.inviting
    const until2 = (expiresAtMs: number) =>
      changePeer(acting, 'west', (before) => ({
        ...before,
        limits: { ...before.limits, expiresAtMs },
      }))
    await assert.rejects(until2(1), { code: 'BadArgument' })
    await until2(acting.clock.nowMs() + SOON_MS)
    await until('its time is over', async () => {
      await tendPeers(acting)
      return east.peer().state === 'suspended'
    })
    await assert.rejects(resumePeer(acting, 'west'), { code: 'Conflict', message: /was until/ })
    await until2(0)
    await resumePeer(acting, 'west')
    await until('west knows', () => {
      const { card } = west.peer()
      return isOpen(west.peer()) && card.limits.expiresAtMs === 0
    })
    // A gateway that died while it removed a peer: another one goes on.
    const { uid } = east.peer()
    await east.state.update(async (tx) => {
      const peer = await tx.get('peer', uid)
      assert.ok(peer)
      await tx.put('peer', [uid], { ...peer, state: 'removing', endsAtMs: 1 })
    })
    await tendPeers(acting)
    assert.deepEqual(east.state.view().all('peer'), [])
  })

  test('leaves nothing of a peer that was removed, and the other knows', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await putLink(east, 'cc-1')
    await until('west knows', () => told(west).length === 2)
    const isTold = await removePeer(east.peering.inviting, 'west', east.peering.tell)
    assert.equal(isTold, true)
    const view = east.state.view()
    for (const kind of ['peer', 'peer-statement', 'stated', 'peer-audit', 'peer-chain'] as const) {
      assert.deepEqual(view.all(kind), [], kind)
    }
    assert.deepEqual(view.all('peer-invitation'), [], 'one that was used is not used again')
    assert.equal(west.peer().card.ended, true)
    assert.equal(isOpen(west.peer()), false)
    // Anew, by whichever side.
    await east.accept(await west.invite({ name: 'new' }), { name: 'again' })
    await until('both are open', () => isOpen(west.peer()) && isOpen(east.peer()))
    assert.deepEqual([west.peer().terms.name, east.peer().terms.name], ['new', 'again'])
  })

  test('that both end at the same moment leaves nothing on either side', async (t) => {
    const [east, west] = await agreedPair(t)
    await Promise.all([
      removePeer(east.peering.inviting, 'west', east.peering.tell),
      removePeer(west.peering.inviting, 'east', west.peering.tell),
    ])
    for (const cloud of [east, west]) assert.deepEqual(cloud.state.view().all('peer'), [])
  })

  test('with one that has lost the agreement itself goes on with another invitation', async (t) => {
    const [east, west, until] = await pair(t)
    await east.invite({ name: 'old' })
    await east.backUp()
    await west.accept(await east.invite({ name: 'west' }))
    await acquainted(east, west)
    await putLink(west, 'cc-1')
    await until('east knows', () => told(east).length === 2)
    const { number } = west.peer()
    await east.restore()
    assert.deepEqual(east.state.view().all('peer'), [])
    await west.accept(await east.invite({ name: 'again' }))
    await until('east knows again', () => told(east).length === 2)
    await putLink(east, 'cc-2')
    await until('and west', () => told(west).includes('border/a/cc-2'))
    assert.deepEqual([west.peer().number, west.peer().terms.name], [number, 'east'])
  })

  test('with a peer that was removed while it was away is refused', async (t) => {
    const [east, west, until] = await agreedPair(t)
    await west.stop()
    assert.equal(await removePeer(east.peering.inviting, 'west', east.peering.tell), false)
    assert.deepEqual(east.state.view().all('peer'), [])
    await west.start()
    await putLink(west, 'cc-1')
    await until('west says so', () => west.peering.trouble(west.peer().uid) !== null)
    assert.deepEqual(east.state.view().all('peer'), [])
  })

  test('of two gateways of one cloud is one chain, whoever sends', async (t) => {
    const [east, west, until] = await agreedPair(t)
    const { epoch } = west.peer().heard
    const { peering: second } = await east.another()
    for (let i = 0; i < 15; i++) await putLink(east, `cc-${i}`)
    await until('west knows all', () => told(west).length === 16)
    await until('nothing is under way', () => {
      return east.state.view().get('peer-chain', east.peer().uid)?.pending === null
    })
    const { heard, uid } = west.peer()
    assert.equal(heard.epoch, epoch, 'neither took the other for a restored backup')
    const log = west.state.view().withPrefix('peer-audit', `${uid}/`)
    assert.equal(log.filter(({ what }) => what === 'heard').length, heard.sequence)
    assert.deepEqual(east.peer().stated, heard)
    await until('nothing is in the way', () => second.trouble(east.peer().uid) === null)
  })

  test('carries limits that either side changes', async (t) => {
    const [east, west, until] = await agreedPair(t)
    const limits = { ...OPEN_TERMS.limits, bandwidth: 5_000_000 }
    await changePeer(east.peering.inviting, 'west', (before) => ({ ...before, limits }))
    await until('west knows', () => west.peer().card.limits.bandwidth === 5_000_000)
  })
})
