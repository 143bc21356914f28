// A peer cloud that asks for more than it may, offers prefixes that it may not, or says that was
// accepted what was not: nothing of it passes, and of what it asks for there is no end of records.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { create, type MessageInitShape, toJson } from '@bufbuild/protobuf'
import { agreedWith } from '../../../gateway/peering/agreed.ts'
import { isRemote } from '../../../gateway/peering/negotiation.ts'
import { trafficOf } from '../../../gateway/peering/traffic.ts'
import {
  ConnectionSchema,
  ConnectionState,
  StatementSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { ACCOUNT, OTHER_ACCOUNT } from '../ec2/support.ts'
import { act, LIMITS, openTwoClouds, peerRecord, type Side } from './two-clouds.ts'

const FAR_VPC = `vpc-${'f'.repeat(17)}`
const FAR_ACCOUNT = '999988887777'

interface Ground {
  readonly a: Side
  readonly vpc: string
  readonly id: string
}

/** Of which the other cloud, whose gateway is not asked, says what it likes. */
async function openGround(t: TestContext): Promise<Ground> {
  const { a } = await openTwoClouds(t)
  const input = { CidrBlock: '10.200.0.0/16', AmazonProvidedIpv6CidrBlock: true }
  const vpc = (await a.cloud.call('CreateVpc', input)).Vpc?.VpcId ?? ''
  return { a, vpc, id: '' }
}

async function asking(t: TestContext): Promise<Ground> {
  const ground = await openGround(t)
  const { a, vpc } = ground
  const { VpcPeeringConnection: made } = await a.cloud.call('CreateVpcPeeringConnection', {
    ...{ VpcId: vpc, PeerVpcId: FAR_VPC, PeerOwnerId: FAR_ACCOUNT, PeerRegion: 'other-1' },
  })
  return { ...ground, id: made?.VpcPeeringConnectionId ?? '' }
}

type Said = MessageInitShape<typeof ConnectionSchema>

async function say({ a, vpc }: Ground, ...all: readonly Said[]): Promise<void> {
  await a.cloud.state.update(async (tx) => {
    for (const one of all) {
      const value = create(ConnectionSchema, {
        ...{ requester: false, account: FAR_ACCOUNT, vpcId: FAR_VPC },
        ...{ otherAccount: ACCOUNT, otherVpcId: vpc, expiresAtMs: BigInt(Number.MAX_SAFE_INTEGER) },
        ...one,
      })
      const key = `connection/${value.id}`
      const said = create(StatementSchema, { key, body: { case: 'connection', value } })
      const statement = toJson(StatementSchema, said)
      await tx.put('peer-statement', [a.other, ...key.split('/')], {
        ...{ uid: a.other, key, epoch: '', statement },
      })
    }
  })
  await act(a)
}

async function remotes({ a }: Ground) {
  return (await a.cloud.state.fresh()).all('peering').filter(isRemote)
}

async function assertClosed({ a }: Ground): Promise<void> {
  const view = await a.cloud.state.fresh()
  assert.deepEqual(agreedWith(view, a.other), [])
  assert.equal(trafficOf(view).byPeering.size, 0)
}

test('a peer that floods requests gets twice the peerings that it may have, and no more', async (t) => {
  const ground = await openGround(t)
  const many = Array.from(
    { length: 1_000 },
    (_, i): Said => ({
      id: `pcx-${String(i).padStart(17, '0')}`,
      ...{ requester: true, state: ConnectionState.REQUESTED, otherAccount: OTHER_ACCOUNT },
    }),
  )
  await say(ground, ...many)
  const found = await remotes(ground)
  assert.equal(found.length, 2 * LIMITS.maxConnections)
  assert.deepEqual(new Set(found.map(({ state }) => state)), new Set(['failed']))
  await act(ground.a)
  assert.equal((await remotes(ground)).length, found.length)
  // Their records are nobody's to see, and in nobody's way.
  const seen = await ground.a.cloud.call('DescribeVpcPeeringConnections', {})
  assert.deepEqual(seen.VpcPeeringConnections, [])
  const own = { VpcId: ground.vpc, PeerVpcId: FAR_VPC, PeerOwnerId: FAR_ACCOUNT }
  await ground.a.cloud.call('CreateVpcPeeringConnection', { ...own, PeerRegion: 'other-1' })
})

for (const [what, candidates] of [
  ['the VPC that it peers with', ['10.200.0.0/16']],
  ['a part of this cloud s pool', ['10.64.0.0/16', '10.65.0.0/16']],
  ['this cloud s own prefix', ['fd12:3456:789a::/56']],
  ['this cloud s IPv6 pool', ['fdab:cdef:100:2300::/56']],
] as const) {
  test(`a peer that offers ${what} as its own gets nothing through`, async (t) => {
    const ground = await asking(t)
    const { id } = ground
    const offers = [{ candidates: [...candidates] }]
    await say(ground, { id, offers, state: ConnectionState.ACCEPTED })
    const [record] = await remotes(ground)
    assert.equal(record?.state, 'failed')
    assert.deepEqual(record?.remote.theirs, [])
    await assertClosed(ground)
  })
}

test('a peer that announces more prefixes than it may gets nothing through', async (t) => {
  const ground = await asking(t)
  const { a, id } = ground
  const { terms } = peerRecord(a.other)
  const next = { ...terms, limits: { ...LIMITS, maxPrefixes: 2 } }
  await a.cloud.state.update((tx) =>
    tx.put('peer', [a.other], peerRecord(a.other, { terms: next })),
  )
  const offers = [1, 2, 3].map((n) => ({ candidates: [`192.168.${n}.0/24`] }))
  await say(ground, { id, offers, state: ConnectionState.ACCEPTED })
  const [record] = await remotes(ground)
  assert.equal(record?.state, 'failed')
  await assertClosed(ground)
})

test('a peer that says that its own request was accepted here opens nothing', async (t) => {
  const ground = await openGround(t)
  const id = `pcx-${'1'.repeat(17)}`
  const offers = [{ candidates: ['192.168.1.0/24'] }]
  const request = { id, requester: true, offers }
  await say(ground, { ...request, state: ConnectionState.REQUESTED })
  for (const state of [ConnectionState.ACCEPTED, ConnectionState.ACTIVE]) {
    const chosen = ['10.200.0.0/16', 'fdab:cdef:100:2300::/56']
    await say(ground, { ...request, state, chosen, terms: 'a'.repeat(64) })
    const [record] = await remotes(ground)
    assert.equal(record?.state, 'pending-acceptance')
    await assertClosed(ground)
  }
})

test('a peer that accepts other terms than were offered to it opens nothing', async (t) => {
  const ground = await asking(t)
  const { id } = ground
  const offers = [{ candidates: ['192.168.1.0/24'] }]
  for (const chosen of [[], ['10.0.0.0/16', '::/0'], ['10.200.0.0/16', 'fd00::/56']]) {
    const said = { id, offers, chosen, terms: 'b'.repeat(64), state: ConnectionState.ACTIVE }
    await say(ground, said)
    const [record] = await remotes(ground)
    assert.notEqual(record?.state, 'active')
    for (const [index, cidr] of (record?.remote.seenAs ?? []).entries()) {
      assert.ok(record?.remote.offers[index]?.includes(cidr), cidr)
    }
    await assertClosed(ground)
  }
})
