// Blocks that a VPC gets or gives back while it has peerings with another cloud: they come into
// these, or go at once, and nothing else stops meanwhile.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { trafficOf } from '../../../gateway/peering/traffic.ts'
import { mustCidr, overlaps } from '../../../topology/cidr.ts'
import { ACCOUNT } from '../ec2/support.ts'
import { act, carry, LIMITS, openTwoClouds, peerRecord, type Side } from './two-clouds.ts'

interface Ground {
  readonly a: Side
  readonly b: Side
  readonly vpc: string
  readonly id: string
  readonly settle: () => Promise<void>
}

/** Connected, and a's VPC is the one that changes. */
async function connected(t: TestContext): Promise<Ground> {
  const { a, b, settle } = await openTwoClouds(t)
  const vpcOf = async ({ cloud }: Side): Promise<string> => {
    const input = { CidrBlock: '10.200.0.0/16', AmazonProvidedIpv6CidrBlock: true }
    return (await cloud.call('CreateVpc', input)).Vpc?.VpcId ?? ''
  }
  const [vpc, other] = [await vpcOf(a), await vpcOf(b)]
  const { VpcPeeringConnection: made } = await a.cloud.call('CreateVpcPeeringConnection', {
    ...{ VpcId: vpc, PeerVpcId: other, PeerOwnerId: ACCOUNT, PeerRegion: 'other-1' },
  })
  const id = made?.VpcPeeringConnectionId ?? ''
  await settle()
  await b.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: id })
  await settle()
  return { a, b, vpc, id, settle }
}

async function passing({ cloud }: Side, id: string) {
  const found = trafficOf(await cloud.state.fresh()).byPeering.get(id)
  return { own: (found?.blocks ?? []).map(({ own }) => own), theirs: found?.theirs ?? [] }
}

/** Until nothing is new, one message after the other; what passed before never stops. */
async function settledWithoutStop({ a, b, id }: Ground): Promise<void> {
  const [before, other] = [await passing(a, id), await passing(b, id)]
  for (let round = 0; round < 6; round += 1) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await act(from)
      await carry(from, to)
      await act(to)
      const [here, there] = [await passing(a, id), await passing(b, id)]
      for (const own of before.own) assert.ok(here.own.includes(own), own)
      for (const far of other.theirs) assert.ok(there.theirs.includes(far), far)
      assert.deepEqual(here.theirs, before.theirs)
      assert.deepEqual(there.own, other.own)
    }
  }
}

test('a block that comes later is seen there by a prefix of its own, and goes at once', async (t) => {
  const ground = await connected(t)
  const { a, b, vpc, id, settle } = ground
  const { CidrBlockAssociation: four } = await a.cloud.call('AssociateVpcCidrBlock', {
    ...{ VpcId: vpc, CidrBlock: '10.201.0.0/16' },
  })
  await settledWithoutStop(ground)
  assert.equal((await passing(a, id)).own.length, 3)
  const { theirs } = await passing(b, id)
  assert.equal(theirs.length, 3)
  const news = theirs.at(-1) ?? ''
  assert.ok(!overlaps(mustCidr(news), mustCidr('10.0.0.0/8')), news)

  const { Ipv6CidrBlockAssociation: six } = await a.cloud.call('AssociateVpcCidrBlock', {
    ...{ VpcId: vpc, AmazonProvidedIpv6CidrBlock: true },
  })
  await settledWithoutStop(ground)
  assert.equal((await passing(b, id)).theirs.length, 4)
  const shown = await b.cloud.call('DescribeVpcPeeringConnections', {})
  const info = shown.VpcPeeringConnections?.[0]?.RequesterVpcInfo
  assert.deepEqual(
    [info?.CidrBlockSet?.length, info?.Ipv6CidrBlockSet?.length],
    [2, 2],
    JSON.stringify(info),
  )

  // The first of the two goes: the one behind it stays as it is.
  await a.cloud.call('DisassociateVpcCidrBlock', { AssociationId: four?.AssociationId })
  assert.ok(!(await passing(a, id)).own.includes('10.201.0.0/16'))
  await settle()
  assert.deepEqual((await passing(b, id)).theirs, [
    ...theirs.slice(0, 2),
    (info?.Ipv6CidrBlockSet ?? []).at(-1)?.Ipv6CidrBlock,
  ])
  for (const { cloud } of [a, b]) {
    const held = (await cloud.state.fresh()).all('block').find(({ cidr }) => cidr === news)
    assert.equal(held?.holder ?? '', '', 'it is held for nothing')
  }
  await a.cloud.call('DisassociateVpcCidrBlock', { AssociationId: six?.AssociationId })
  await settle()
  assert.deepEqual((await passing(b, id)).theirs, theirs.slice(0, 2))
})

test('a block that may not be seen there stops nothing, and is told in the message', async (t) => {
  const ground = await connected(t)
  const { a, b, vpc, id } = ground
  const limits = { ...LIMITS, maxPrefixes: 2 }
  const { terms } = peerRecord(b.other)
  const record = peerRecord(b.other, { terms: { ...terms, limits } })
  await b.cloud.state.update((tx) => tx.put('peer', [b.other], record))
  const { CidrBlockAssociation: four } = await a.cloud.call('AssociateVpcCidrBlock', {
    ...{ VpcId: vpc, CidrBlock: '10.201.0.0/16' },
  })
  await settledWithoutStop(ground)
  assert.equal((await passing(b, id)).theirs.length, 2)
  const told = async (): Promise<string | undefined> => {
    const { VpcPeeringConnections: all } = await b.cloud.call('DescribeVpcPeeringConnections', {})
    assert.equal(all?.[0]?.Status?.Code, 'active')
    return all?.[0]?.Status?.Message
  }
  assert.match((await told()) ?? '', /^Active\. None of the prefixes .* is free here$/)
  await a.cloud.call('DisassociateVpcCidrBlock', { AssociationId: four?.AssociationId })
  await settledWithoutStop(ground)
  assert.equal(await told(), 'Active')
})
