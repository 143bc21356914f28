// Peerings: whose they are, who may do what in which state, and how they end.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { tendNetworks } from '../../../gateway/control/network-housekeeping.ts'
import { natParts } from './fake-cc.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, refusal, START_MS } from './support.ts'

const OTHER = { account: OTHER_ACCOUNT }
const DAY_MS = 86_400_000

interface Ground {
  readonly cloud: Cloud
  readonly mine: string
  readonly theirs: string
}

async function openGround(t: TestContext): Promise<Ground> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const vpcOf = async (cidr: string, account: string): Promise<string> =>
    (await cloud.call('CreateVpc', { CidrBlock: cidr }, { account })).Vpc?.VpcId ?? ''
  const mine = await vpcOf('172.16.0.0/16', ACCOUNT)
  return { cloud, mine, theirs: await vpcOf('172.17.0.0/16', OTHER_ACCOUNT) }
}

async function request({ cloud, mine, theirs }: Ground): Promise<string> {
  const { VpcPeeringConnection: made } = await cloud.call('CreateVpcPeeringConnection', {
    VpcId: mine,
    PeerVpcId: theirs,
    PeerOwnerId: OTHER_ACCOUNT,
  })
  assert.equal(made?.Status?.Code, 'pending-acceptance')
  return made?.VpcPeeringConnectionId ?? ''
}

async function stateOf(cloud: Cloud, as = {}): Promise<string | undefined> {
  const { VpcPeeringConnections: all } = await cloud.call('DescribeVpcPeeringConnections', {}, as)
  return all?.[0]?.Status?.Code
}

test('the accepter alone accepts, both see it, and a deleted one leaves black holes', async (t) => {
  const ground = await openGround(t)
  const { cloud, mine } = ground
  const VpcPeeringConnectionId = await request(ground)
  const named = { VpcPeeringConnectionId }
  const early = cloud.call('AcceptVpcPeeringConnection', named)
  assert.equal(await refusal(early), 'OperationNotPermitted')
  const unasked = cloud.call('DeleteVpcPeeringConnection', named, OTHER)
  assert.equal(await refusal(unasked), 'InvalidStateTransition')
  await cloud.call('AcceptVpcPeeringConnection', named, OTHER)
  assert.equal(await stateOf(cloud), 'active')
  assert.equal(await stateOf(cloud, OTHER), 'active')
  const strange = { account: '999900001111' }
  assert.equal(await stateOf(cloud, strange), undefined)
  const guessed = cloud.call('DeleteVpcPeeringConnection', named, strange)
  assert.equal(await refusal(guessed), 'InvalidVpcPeeringConnectionID.NotFound')

  const RouteTableId = (await cloud.state.fresh()).get('vpc', mine)?.mainRouteTable
  const route = { RouteTableId, DestinationCidrBlock: '172.17.0.0/16', ...named }
  await cloud.call('CreateRoute', route)
  const routeState = async (): Promise<string | undefined> => {
    const asked = { RouteTableIds: [RouteTableId ?? ''] }
    const { RouteTables } = await cloud.call('DescribeRouteTables', asked)
    return RouteTables?.[0]?.Routes?.at(-1)?.State
  }
  assert.equal(await routeState(), 'active')
  await cloud.call('DeleteVpcPeeringConnection', named, OTHER)
  assert.equal(await routeState(), 'blackhole')
  await tendNetworks(natParts(cloud.state), START_MS + 3 * 3_600_000)
  assert.equal(await stateOf(cloud), undefined)
})

test('each side changes its own options, of an active peering', async (t) => {
  const ground = await openGround(t)
  const { cloud } = ground
  const VpcPeeringConnectionId = await request(ground)
  const asked = {
    VpcPeeringConnectionId,
    RequesterPeeringConnectionOptions: { AllowDnsResolutionFromRemoteVpc: true },
  }
  const modify = (as = {}) => cloud.call('ModifyVpcPeeringConnectionOptions', asked, as)
  assert.equal(await refusal(modify()), 'InvalidStateTransition')
  await cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId }, OTHER)
  assert.equal(await refusal(modify(OTHER)), 'OperationNotPermitted')
  const { RequesterPeeringConnectionOptions: options } = await modify()
  assert.equal(options?.AllowDnsResolutionFromRemoteVpc, true)
  const record = (await cloud.state.fresh()).get('peering', VpcPeeringConnectionId)
  assert.deepEqual([record?.requesterDnsResolution, record?.accepterDnsResolution], [true, false])
})

test('a peering that nobody accepts expires', async (t) => {
  const ground = await openGround(t)
  const VpcPeeringConnectionId = await request(ground)
  await tendNetworks(natParts(ground.cloud.state), START_MS + 7 * DAY_MS)
  assert.equal(await stateOf(ground.cloud), 'expired')
  const late = ground.cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId }, OTHER)
  assert.equal(await refusal(late), 'InvalidStateTransition')
})

test('a rejected peering is over', async (t) => {
  const ground = await openGround(t)
  const named = { VpcPeeringConnectionId: await request(ground) }
  await ground.cloud.call('RejectVpcPeeringConnection', named, OTHER)
  assert.equal(await stateOf(ground.cloud), 'rejected')
  const gone = ground.cloud.call('DeleteVpcPeeringConnection', named)
  assert.equal(await refusal(gone), 'InvalidStateTransition')
})

test('what cannot be a peering is answered, and has failed', async (t) => {
  const { cloud, mine, theirs } = await openGround(t)
  for (const [PeerVpcId, PeerOwnerId] of [
    [mine, ACCOUNT],
    ['vpc-12345678', ACCOUNT],
    [theirs, ACCOUNT],
  ]) {
    const asked = { VpcId: mine, PeerVpcId, PeerOwnerId }
    const { VpcPeeringConnection: made } = await cloud.call('CreateVpcPeeringConnection', asked)
    assert.equal(made?.Status?.Code, 'failed', PeerVpcId)
  }
})

for (const [change, code] of [
  [{ PeerVpcId: undefined }, 'MissingParameter'],
  [{ PeerRegion: 'elsewhere' }, 'InvalidParameterValue'],
  [{ VpcId: 'vpc-12345678' }, 'InvalidVpcID.NotFound'],
  [{ DryRun: true }, 'DryRunOperation'],
] as const) {
  test(`CreateVpcPeeringConnection with ${JSON.stringify(change)} says ${code}`, async (t) => {
    const { cloud, mine, theirs } = await openGround(t)
    const base = { VpcId: mine, PeerVpcId: theirs, PeerOwnerId: OTHER_ACCOUNT }
    const call = cloud.call('CreateVpcPeeringConnection', { ...base, ...change } as typeof base)
    assert.equal(await refusal(call), code)
  })
}
