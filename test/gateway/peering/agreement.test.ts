// Two operators agree: an invitation is made, carried over, accepted once; and what stands in the
// way is said in words.

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { formatPeerInvitation, parsePeerInvitation } from '../../../common/peer-invitation.ts'
import { caDigest } from '../../../common/pki.ts'
import { newTokenSecret } from '../../../common/token.ts'
import { previewPeer } from '../../../gateway/peering/accepting.ts'
import { ownCard } from '../../../gateway/peering/cloud-card.ts'
import { acceptInvitation } from '../../../proto/invitation-client.ts'
import { acquainted, OPEN_TERMS, type PeerCloud, startPeerCloud } from './clouds.ts'

async function pair(t: TestContext): Promise<[PeerCloud, PeerCloud]> {
  return await Promise.all([startPeerCloud(t, 'east'), startPeerCloud(t, 'west')])
}

describe('an agreement', { concurrency: 3 }, () => {
  test('is made by one invitation, and both sides have the other as an active peer', async (t) => {
    const [east, west] = await pair(t)
    const text = await east.invite({ limits: { ...OPEN_TERMS.limits, maxConnections: 7 } })
    const preview = await previewPeer(west.peering.inviting, text, OPEN_TERMS)
    assert.deepEqual(preview.other.fingerprints, [caDigest(east.ca.certificatePem)])
    assert.equal(preview.other.region, 'au-east-1')
    assert.equal(preview.limits.maxConnections, 7)
    assert.deepEqual(preview.conflicts.at(-1), { own: '10.0.0.0/8', theirs: '10.0.0.0/8' })
    assert.deepEqual(west.state.view().all('peer'), [], 'looking changes nothing')
    await west.accept(text)
    assert.equal(west.peer().terms.name, 'east')
    assert.equal(east.peer().terms.name, 'other')
    assert.equal(east.peer().region, 'au-west-1')
    assert.deepEqual(east.peer().ca.certificates, [west.ca.certificatePem])
    assert.deepEqual(west.peer().ca.certificates, [east.ca.certificatePem])
    await acquainted(east, west)
    assert.equal(west.peer().card.limits.maxConnections, 7)
    assert.deepEqual(
      [east, west].map((one) => one.peer().state),
      ['active', 'active'],
    )
    // Repeated after a lost answer it is the same one.
    await west.accept(text)
    assert.equal(west.state.view().all('peer').length, 1)
    assert.equal(east.state.view().all('peer').length, 1)
  })

  test('whose answer was lost is made by doing it again', async (t) => {
    const [east, west] = await pair(t)
    const text = await east.invite()
    await previewPeer(west.peering.inviting, text, OPEN_TERMS)
    const { places, cloud, id, secret } = parsePeerInvitation(text)
    const [place = { host: '', port: 0 }] = places
    const at = { ...place, cloud, id, secret, caPem: east.ca.certificatePem, clock: west.clock }
    await acceptInvitation(at, ownCard(west.state.view()))
    assert.equal(east.peer().card.name, 'west')
    assert.deepEqual(west.state.view().all('peer'), [])
    await west.accept(text)
    await acquainted(east, west)
  })

  test('is refused with a reason', async (t) => {
    const [east, west, third] = await Promise.all([
      startPeerCloud(t, 'east'),
      startPeerCloud(t, 'west', { region: 'other' }),
      startPeerCloud(t, 'third', { region: 'other' }),
    ])
    const text = await east.invite()
    const refused = (of: PeerCloud, said: string, code: string, message = /./) =>
      assert.rejects(of.accept(said), { code, message }, code)
    await refused(east, text, 'Conflict', /your own cloud/)
    await refused(west, text.replace('.', '.x'), 'TokenGarbled')
    const secret = parsePeerInvitation(text).secret
    await refused(
      west,
      text.replace(
        secret,
        secret.replace(/^./, (c) => (c === 'a' ? 'b' : 'a')),
      ),
      'TokenGarbled',
    )
    // Changed by somebody who knows how the checksum is made.
    const parts = parsePeerInvitation(text)
    const forged = (other: Partial<typeof parts>) => formatPeerInvitation({ ...parts, ...other })
    await refused(west, forged({ secret: newTokenSecret() }), 'TokenUnknown')
    await refused(west, forged({ id: '0'.repeat(16) }), 'TokenUnknown')
    await refused(west, forged({ caDigest: 'f'.repeat(64) }), 'CaMismatch')
    await refused(west, forged({ cloud: 'third' }), 'Unavailable', /not who was meant/)
    // One that another cloud has made, brought to this one.
    const alien = await third.invite()
    const to = text.slice(text.indexOf('@'))
    await refused(west, alien.slice(0, alien.indexOf('@')) + to, 'CaMismatch')
    await refused(west, await east.invite({ name: 'short' }, 1), 'TokenExpired')
    await west.accept(text)
    await refused(third, text, 'TokenUsed')
    const named = await east.invite({ name: 'third' })
    await assert.rejects(third.accept(named, { region: 'other' }), { code: 'NameTaken' })
    await assert.rejects(east.invite({ name: 'other' }), { code: 'NameTaken' })
    await assert.rejects(east.invite({ name: 'new', region: 'au-east-1' }), { code: 'NameTaken' })
    // Its own name is taken there: the peer's is what it is called.
    await third.accept(named, { region: 'far-1' })
    const regions = east.state
      .view()
      .all('peer')
      .map(({ region }) => region)
    assert.deepEqual(regions.sort(), ['other', 'third'])
  })

  test('is refused between clocks more than five minutes apart', async (t) => {
    const [east, west] = await pair(t)
    const text = await east.invite()
    for (const [ms, message] of [
      [-330_000, /^the clock of cloud west is 3\d\d s ahead of that of cloud east/],
      [660_000, /^the clock of cloud west is 3\d\d s behind that of cloud east/],
    ] as const) {
      east.clock.move(ms)
      await assert.rejects(west.accept(text), { code: 'ClockSkew', message })
    }
    east.clock.move(-130_000)
    await west.accept(text)
  })

  test('of two that invite each other at the same moment is one', async (t) => {
    const [east, west] = await pair(t)
    const [fromEast, fromWest] = await Promise.all([east.invite(), west.invite()])
    await Promise.all([east.accept(fromWest), west.accept(fromEast)])
    await acquainted(east, west)
    assert.equal(east.peer().uid, west.state.view().get('cloud', 'self')?.uid)
    assert.equal(west.peer().uid, east.state.view().get('cloud', 'self')?.uid)
    assert.deepEqual([east.peer().number, west.peer().number], [1, 1])
  })
})
