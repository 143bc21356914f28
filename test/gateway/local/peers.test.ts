// Peer clouds by the operators' API of two real gateways, which even have the same name: agreed,
// changed, looked at, ended; each answer as the document says.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { AuditCheck } from '../../../gateway/local/peer-audit.ts'
import type { NewInvitation, PreviewShown } from '../../../gateway/local/peer-invitations.ts'
import type { InvitationShown, PeerShown } from '../../../gateway/local/peer-schemas.ts'
import { until } from '../../../sandbox/until.ts'
import { lastFirst, startCloud } from '../../support/cloud.ts'

const end = lastFirst({ after })
const [east, west] = await Promise.all([startCloud(end), startCloud(end)])
const [atEast, atWest] = ['/v1/peers/west', '/v1/peers/test'] as const

const peerAt = (cloud: typeof east, path: string): Promise<PeerShown> =>
  cloud.local<PeerShown>({ method: 'GET', path })

test('an invitation is made, looked at, and accepted', async () => {
  const invite = { method: 'POST', path: '/v1/peer-invitations' } as const
  const body = { name: 'west', minutes: 5, mbps: 100, acceptedPrefixes: ['10.0.0.0/8'] }
  const { invitation, id } = await east.local<NewInvitation>({ ...invite, body })
  const inspect = { method: 'POST', path: '/v1/peers/inspect', body: { invitation } } as const
  const preview = await west.local<PreviewShown>(inspect)
  assert.notEqual(preview.own.uid, preview.other.uid)
  assert.equal(preview.regionHere, 'test', 'its own name is taken')
  assert.equal(preview.granted.mbps, 100)
  assert.ok(preview.conflicts.some(({ own }) => own === '10.0.0.0/8'))
  const accepted = await west.local<PeerShown>({
    method: 'POST',
    path: '/v1/peers',
    body: { invitation },
  })
  assert.deepEqual([accepted.name, accepted.state], ['test', 'active'])
  const list = { method: 'GET', path: '/v1/peer-invitations' } as const
  const { invitations } = await east.local<{ invitations: InvitationShown[] }>(list)
  assert.deepEqual(
    invitations.map((one) => [one.id, one.usedBy]),
    [[id, preview.own.uid]],
  )
  await assert.rejects(east.local({ method: 'DELETE', path: `/v1/peer-invitations/${id}` }), {
    code: 'Conflict',
    message: /mallee peer remove west/,
  })
  await assert.rejects(east.local({ method: 'POST', path: '/v1/peers', body: { invitation } }), {
    code: 'Conflict',
    message: /your own cloud/,
  })
  const { peers } = await east.local<{ peers: PeerShown[] }>({ method: 'GET', path: '/v1/peers' })
  assert.deepEqual(
    peers.map(({ name }) => name),
    ['west'],
  )
})

test('terms are changed on one side and known on the other', async () => {
  const body = { mbps: 5, maxConnections: 2, accounts: [east.init.account] }
  const changed = await east.local<PeerShown>({ method: 'PUT', path: atEast, body })
  assert.deepEqual(changed.given, { ...changed.given, mbps: 5, maxConnections: 2 })
  assert.deepEqual(changed.given.acceptedPrefixes, ['10.0.0.0/8'], 'what is not said stays')
  await until('west knows', async () => (await peerAt(west, atWest)).granted.mbps === 5)
  for (const bad of [{ accounts: ['000000000000'] }, { expiresAtMs: 1 }, {}]) {
    const call = { method: 'PUT', path: atEast, body: bad } as const
    await assert.rejects(east.local(call), { code: 'BadArgument' })
  }
})

test('either side suspends and resumes its own half', async () => {
  const post = (what: string) =>
    east.local<PeerShown>({ method: 'POST', path: `${atEast}/${what}` })
  assert.equal((await post('suspend')).state, 'suspended')
  await until('west knows', async () => (await peerAt(west, atWest)).state === 'suspended-there')
  assert.equal((await post('resume')).state, 'active')
  await until('west knows', async () => (await peerAt(west, atWest)).state === 'active')
})

test('the log of each side is whole, and what the other has', async () => {
  for (const [cloud, path] of [
    [east, atEast],
    [west, atWest],
  ] as const) {
    const check = { method: 'POST', path: `${path}/audit/check` } as const
    const found = await cloud.local<AuditCheck>(check)
    assert.deepEqual([found.fault, found.difference], [null, null])
    assert.ok(found.compared > 0)
    const { entries } = await cloud.local<{ entries: object[] }>({
      method: 'GET',
      path: `${path}/audit`,
    })
    assert.ok(entries.length >= found.entries)
  }
})

test('removing ends it on both sides', async () => {
  const removed = await east.local({ method: 'DELETE', path: atEast })
  assert.deepEqual(removed, { removed: 'west', isTold: true })
  await assert.rejects(peerAt(east, atEast), { code: 'NotFound' })
  assert.equal((await peerAt(west, atWest)).state, 'ended-there')
  const gone = await west.local({ method: 'DELETE', path: atWest })
  assert.equal((gone as { removed: string }).removed, 'test')
})
