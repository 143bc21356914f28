// VPC peerings between two clouds with the same addresses, by the official API of each.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { agreedWith } from '../../../gateway/peering/agreed.ts'
import { StatementSchema } from '../../../proto/gen/mallee/v1/peering_pb.js'
import { contains, mustAddress, mustCidr, overlaps } from '../../../topology/cidr.ts'
import { ACCOUNT, OTHER_ACCOUNT, refusal, registerImage } from '../ec2/support.ts'
import {
  act,
  carry,
  LIMITS,
  openTwoClouds,
  peerRecord,
  type Side,
  type TwoClouds,
} from './two-clouds.ts'

interface Ground extends TwoClouds {
  readonly vpcs: { readonly a: string; readonly b: string }
}

async function openGround(t: TestContext): Promise<Ground> {
  const two = await openTwoClouds(t)
  const vpcOf = async ({ cloud }: Side): Promise<string> => {
    const input = { CidrBlock: '10.200.0.0/16', AmazonProvidedIpv6CidrBlock: true }
    return (await cloud.call('CreateVpc', input)).Vpc?.VpcId ?? ''
  }
  return { ...two, vpcs: { a: await vpcOf(two.a), b: await vpcOf(two.b) } }
}

function wish({ vpcs }: Ground): { VpcId: string; PeerVpcId: string } {
  return { VpcId: vpcs.a, PeerVpcId: vpcs.b }
}

async function request(ground: Ground): Promise<string> {
  const remote = { PeerOwnerId: ACCOUNT, PeerRegion: 'other-1' }
  const { VpcPeeringConnection: made } = await ground.a.cloud.call('CreateVpcPeeringConnection', {
    ...wish(ground),
    ...remote,
  })
  assert.equal(made?.Status?.Code, 'initiating-request')
  return made?.VpcPeeringConnectionId ?? ''
}

async function shown({ cloud }: Side, id: string, as = {}): Promise<Peering | undefined> {
  const answer = await cloud.call('DescribeVpcPeeringConnections', {}, as)
  return answer.VpcPeeringConnections?.find((one) => one.VpcPeeringConnectionId === id)
}

type Peering = NonNullable<Awaited<ReturnType<typeof describe>>['VpcPeeringConnections']>[number]
const describe = (side: Side) => side.cloud.call('DescribeVpcPeeringConnections', {})

async function codeOf(side: Side, id: string): Promise<string | undefined> {
  return (await shown(side, id))?.Status?.Code
}

async function agreed({ cloud, other }: Side): Promise<string[]> {
  return agreedWith(await cloud.state.fresh(), other).map(({ peering }) => peering.id)
}

async function accepted(t: TestContext): Promise<{ ground: Ground; id: string }> {
  const ground = await openGround(t)
  const id = await request(ground)
  await ground.settle()
  await ground.b.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: id })
  await ground.settle()
  return { ground, id }
}

test('asked for here, accepted there, and active on both sides with prefixes that fit', async (t) => {
  const ground = await openGround(t)
  const { a, b, settle, vpcs } = ground
  const id = await request(ground)
  await settle()
  assert.equal(await codeOf(a, id), 'pending-acceptance')
  assert.equal(await codeOf(b, id), 'pending-acceptance')
  assert.deepEqual([await agreed(a), await agreed(b)], [[], []])
  await b.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: id })
  await settle()
  assert.deepEqual([await agreed(a), await agreed(b)], [[id], [id]])

  const [atA, atB] = [await shown(a, id), await shown(b, id)]
  assert.equal(atA?.AccepterVpcInfo?.Region, 'other-1')
  assert.equal(atA?.AccepterVpcInfo?.VpcId, vpcs.b)
  assert.equal(atB?.RequesterVpcInfo?.VpcId, vpcs.a)
  assert.equal(atA?.RequesterVpcInfo?.CidrBlock, '10.200.0.0/16')
  const seen = [atA?.AccepterVpcInfo, atB?.RequesterVpcInfo]
  for (const info of seen) {
    const cidr = mustCidr(info?.CidrBlock ?? '')
    assert.equal(cidr.length, 16)
    assert.ok(!overlaps(cidr, mustCidr('10.0.0.0/8')), info?.CidrBlock)
    assert.equal(info?.Ipv6CidrBlockSet?.length, 1)
  }
  // Both test clouds have the same pool of IPv6 as well.
  const pool = mustCidr((await a.cloud.state.fresh()).get('cloud', 'self')?.ipv6Pool ?? '')
  for (const info of seen) {
    const six = info?.Ipv6CidrBlockSet?.[0]?.Ipv6CidrBlock ?? ''
    assert.ok(!overlaps(mustCidr(six), pool), six)
  }
})

test('a block that is in nobody s way is seen as itself', async (t) => {
  const two = await openTwoClouds(t)
  const vpcOf = async ({ cloud }: Side, CidrBlock: string): Promise<string> =>
    (await cloud.call('CreateVpc', { CidrBlock })).Vpc?.VpcId ?? ''
  const vpcs = { a: await vpcOf(two.a, '172.20.0.0/16'), b: await vpcOf(two.b, '172.21.0.0/16') }
  const id = await request({ ...two, vpcs })
  await two.settle()
  await two.b.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: id })
  await two.settle()
  assert.equal((await shown(two.a, id))?.AccepterVpcInfo?.CidrBlock, '172.21.0.0/16')
  assert.equal((await shown(two.b, id))?.RequesterVpcInfo?.CidrBlock, '172.20.0.0/16')
})

test('a prefix by which another is seen is nobody else s here', async (t) => {
  const { ground, id } = await accepted(t)
  const theirs = (await shown(ground.a, id))?.AccepterVpcInfo?.CidrBlock
  const taken = ground.a.cloud.call('CreateVpc', { CidrBlock: theirs })
  assert.equal(await refusal(taken), 'InvalidVpc.Range')
})

test('what one side deletes ends at once there, and then at the other', async (t) => {
  for (const first of ['a', 'b'] as const) {
    const { ground, id } = await accepted(t)
    const second = ground[first === 'a' ? 'b' : 'a']
    await ground[first].cloud.call('DeleteVpcPeeringConnection', { VpcPeeringConnectionId: id })
    assert.deepEqual(await agreed(ground[first]), [])
    await carry(ground[first], second)
    assert.deepEqual(await agreed(second), [])
    await ground.settle()
    assert.equal(await codeOf(second, id), 'deleted')
    const view = await second.cloud.state.fresh()
    assert.deepEqual(
      view.all('block').filter((one) => one.holder === id),
      [],
    )
  }
})

test('both delete at the same moment', async (t) => {
  const { ground, id } = await accepted(t)
  for (const side of [ground.a, ground.b]) {
    await side.cloud.call('DeleteVpcPeeringConnection', { VpcPeeringConnectionId: id })
  }
  await ground.settle()
  assert.deepEqual([await codeOf(ground.a, id), await codeOf(ground.b, id)], ['deleted', 'deleted'])
})

test('rejected there is rejected here', async (t) => {
  const ground = await openGround(t)
  const id = await request(ground)
  await ground.settle()
  const named = { VpcPeeringConnectionId: id }
  const ofRequester = ground.a.cloud.call('RejectVpcPeeringConnection', named)
  assert.equal(await refusal(ofRequester), 'OperationNotPermitted')
  await ground.b.cloud.call('RejectVpcPeeringConnection', named)
  await ground.settle()
  assert.deepEqual(
    [await codeOf(ground.a, id), await codeOf(ground.b, id)],
    ['rejected', 'rejected'],
  )
})

test('of a VPC that is not there, or another account s, the requester learns the same', async (t) => {
  const ground = await openGround(t)
  const { a, b, settle, vpcs } = ground
  const messages: (string | undefined)[] = []
  for (const peer of [
    { PeerVpcId: `vpc-${'0'.repeat(17)}`, PeerOwnerId: ACCOUNT },
    { PeerVpcId: vpcs.b, PeerOwnerId: OTHER_ACCOUNT },
    { PeerVpcId: vpcs.b, PeerOwnerId: '999999999999' },
  ]) {
    const input = { VpcId: vpcs.a, PeerRegion: 'other-1', ...peer }
    const { VpcPeeringConnection: made } = await a.cloud.call('CreateVpcPeeringConnection', input)
    await settle()
    const told = await shown(a, made?.VpcPeeringConnectionId ?? '')
    assert.equal(told?.Status?.Code, 'failed')
    messages.push(told?.Status?.Message)
  }
  assert.equal(new Set(messages).size, 1)
  for (const account of [ACCOUNT, OTHER_ACCOUNT]) {
    const answer = await b.cloud.call('DescribeVpcPeeringConnections', {}, { account })
    assert.deepEqual(answer.VpcPeeringConnections, [])
  }
})

test('the operator says which accounts, how many peerings and which prefixes', async (t) => {
  const ground = await openGround(t)
  const { a, b } = ground
  const limit = async (side: Side, limits: object, accounts: string[] | null): Promise<void> => {
    const { terms } = peerRecord(side.other)
    const next = { ...terms, accounts, limits: { ...LIMITS, ...limits } }
    const record = peerRecord(side.other, { terms: next })
    await side.cloud.state.update((tx) => tx.put('peer', [side.other], record))
  }
  const ask = () =>
    a.cloud.call('CreateVpcPeeringConnection', {
      ...wish(ground),
      ...{ PeerOwnerId: ACCOUNT, PeerRegion: 'other-1' },
    })
  await limit(a, {}, [OTHER_ACCOUNT])
  assert.equal(await refusal(ask()), 'OperationNotPermitted')
  await limit(a, { maxConnections: 0 }, null)
  assert.equal(await refusal(ask()), 'VpcPeeringConnectionsPerVpcLimitExceeded')

  await limit(a, {}, null)
  await limit(b, { acceptedPrefixes: ['192.168.0.0/24'] }, null)
  const id = await request(ground)
  await ground.settle()
  await b.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId: id })
  await ground.settle()
  assert.deepEqual([await codeOf(a, id), await codeOf(b, id)], ['failed', 'failed'])
})

test('a region that is nobody s, and an owner that is not said', async (t) => {
  const ground = await openGround(t)
  const ask = (more: object) =>
    ground.a.cloud.call('CreateVpcPeeringConnection', { ...wish(ground), ...more })
  assert.equal(await refusal(ask({ PeerRegion: 'nowhere-1' })), 'InvalidParameterValue')
  assert.equal(await refusal(ask({ PeerRegion: 'other-1' })), 'MissingParameter')
  const odd = { PeerRegion: 'other-1', PeerOwnerId: 'me' }
  assert.equal(await refusal(ask(odd)), 'InvalidParameterValue')
})

test('a second peering of the same two waits for the end of the first', async (t) => {
  const { ground } = await accepted(t)
  const again = ground.a.cloud.call('CreateVpcPeeringConnection', {
    ...wish(ground),
    ...{ PeerOwnerId: ACCOUNT, PeerRegion: 'other-1' },
  })
  assert.equal(await refusal(again), 'VpcPeeringConnectionAlreadyExists')
})

test('a peer that forgets the peering, as one that was restored from a backup, ends it', async (t) => {
  const { ground, id } = await accepted(t)
  await ground.b.cloud.state.update((tx) => tx.delete('peering', id))
  await carry(ground.b, ground.a)
  assert.deepEqual(await agreed(ground.a), [])
  await ground.settle()
  assert.equal(await codeOf(ground.a, id), 'deleted')
  // What the other still states brings it back nowhere.
  assert.equal(await shown(ground.b, id), undefined)
})

test('the end of the agreement ends its peerings', async (t) => {
  const { ground, id } = await accepted(t)
  await ground.a.cloud.state.update((tx) => tx.delete('peer', ground.a.other))
  await act(ground.a)
  assert.equal(await codeOf(ground.a, id), 'deleted')
})

test('groups and names of the other side, by addresses as they are seen here', async (t) => {
  const { ground, id } = await accepted(t)
  const { a, b, vpcs } = ground
  const subnet = await b.cloud.call('CreateSubnet', {
    ...{ VpcId: vpcs.b, CidrBlock: '10.200.1.0/24', AvailabilityZone: 'mallee-1-a' },
  })
  const ImageId = await registerImage(b.cloud)
  await b.cloud.call('RunInstances', {
    ...{ ImageId, MinCount: 1, MaxCount: 1, InstanceType: 't3.nano' },
    SubnetId: subnet.Subnet?.SubnetId,
  })
  const side = { AccepterPeeringConnectionOptions: { AllowDnsResolutionFromRemoteVpc: true } }
  await b.cloud.call('ModifyVpcPeeringConnectionOptions', { VpcPeeringConnectionId: id, ...side })
  await ground.settle()
  const seenAs = mustCidr((await shown(a, id))?.AccepterVpcInfo?.CidrBlock ?? '')
  const heard = (await a.cloud.state.fresh()).all('peer-statement').map(({ key, statement }) => {
    const said = fromJson(StatementSchema, statement as JsonValue)
    return [key.split('/')[0] ?? '', said.body.value as { addresses?: string[]; zone?: string }]
  }) as [string, { addresses?: string[]; zone?: string }][]
  for (const kind of ['member', 'name']) {
    const [, { addresses = [] } = {}] = heard.find(([one]) => one === kind) ?? []
    assert.ok(contains(seenAs, mustAddress(addresses[0] ?? '')), `${kind} ${addresses}`)
  }
  assert.equal(heard.find(([kind]) => kind === 'name')?.[1].zone, 'a')

  const GroupId = (await b.cloud.state.fresh()).by('security-group', 'vpc', vpcs.b)[0]?.id
  const own = (await a.cloud.state.fresh()).by('security-group', 'vpc', vpcs.a)[0]?.id
  const rule = (group: string | undefined, UserId?: string) =>
    a.cloud.call('AuthorizeSecurityGroupIngress', {
      GroupId: own,
      IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: group, UserId }] }],
    })
  await rule(GroupId)
  assert.equal(await refusal(rule(`sg-${'1'.repeat(17)}`)), 'InvalidGroup.NotFound')
  assert.equal(await refusal(rule(GroupId, OTHER_ACCOUNT)), 'InvalidGroup.NotFound')
})
