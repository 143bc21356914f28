// DeleteVpc, DeleteSubnet and DetachInternetGateway at once with what adds something there: exactly
// one of the two is done, and nothing is left in a VPC that is gone.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import type { View } from '../../../gateway/store/state.ts'
import { addPublicPool } from './network-support.ts'
import { openRaceCloud, type RaceCloud } from './race-support.ts'
import { ACCOUNT, type Call, OTHER_ACCOUNT, registerImage, START_MS } from './support.ts'

interface Ground extends RaceCloud {
  /** An empty VPC of the account, and gateways that are attached to nothing. */
  readonly VpcId: string
  readonly InternetGatewayId: string
  readonly VpnGatewayId: string
  /** Other ones, to be peered with it. */
  readonly otherVpc: string
  readonly foreignVpc: string
}

async function openGround(t: TestContext): Promise<Ground> {
  const race = await openRaceCloud(t, { racks: ['a'] })
  const { call } = race.cloud
  const vpc = async (CidrBlock: string, account = ACCOUNT): Promise<string> =>
    (await call('CreateVpc', { CidrBlock }, { account })).Vpc?.VpcId ?? ''
  const { InternetGateway } = await call('CreateInternetGateway', {})
  const { VpnGateway } = await call('CreateVpnGateway', { Type: 'ipsec.1' })
  return {
    ...race,
    VpnGatewayId: VpnGateway?.VpnGatewayId ?? '',
    VpcId: await vpc('172.16.0.0/16'),
    otherVpc: await vpc('172.17.0.0/16'),
    foreignVpc: await vpc('172.18.0.0/16', OTHER_ACCOUNT),
    InternetGatewayId: InternetGateway?.InternetGatewayId ?? '',
  }
}

/** What adds something to a VPC, and what it says when the VPC is gone. */
const ADDITIONS: Readonly<Record<string, (call: Call, ground: Ground) => Promise<unknown>>> = {
  CreateSubnet: (call, { VpcId }) =>
    call('CreateSubnet', { VpcId, CidrBlock: '172.16.1.0/24', AvailabilityZone: 'mallee-1-a' }),
  'CreateSubnet, stretched': (call, { VpcId }) =>
    call('CreateSubnet', { VpcId, CidrBlock: '172.16.1.0/24', AvailabilityZone: 'mallee-1-any' }),
  CreateRouteTable: (call, { VpcId }) => call('CreateRouteTable', { VpcId }),
  CreateNetworkAcl: (call, { VpcId }) => call('CreateNetworkAcl', { VpcId }),
  CreateSecurityGroup: (call, { VpcId }) =>
    call('CreateSecurityGroup', { VpcId, GroupName: 'web', Description: 'web' }),
  AttachInternetGateway: (call, { VpcId, InternetGatewayId }) =>
    call('AttachInternetGateway', { VpcId, InternetGatewayId }),
  AttachVpnGateway: (call, { VpcId, VpnGatewayId }) =>
    call('AttachVpnGateway', { VpcId, VpnGatewayId }),
  CreateEgressOnlyInternetGateway: (call, { VpcId }) =>
    call('CreateEgressOnlyInternetGateway', { VpcId }),
  'CreateVpcPeeringConnection from it': (call, { VpcId, otherVpc }) =>
    call('CreateVpcPeeringConnection', { VpcId, PeerVpcId: otherVpc }),
}

for (const [name, add] of Object.entries(ADDITIONS)) {
  test(`${name} that comes first is seen by DeleteVpc`, async (t) => {
    const ground = await openGround(t)
    const { cloud, other, race, VpcId } = ground
    const remove = (): Promise<unknown> => cloud.call('DeleteVpc', { VpcId })
    assert.deepEqual(await race(remove, () => add(other, ground)), [
      'DependencyViolation',
      'accepted',
    ])
    assert.ok((await cloud.state.fresh()).get('vpc', VpcId))
  })

  test(`${name} that comes second finds no VPC`, async (t) => {
    const ground = await openGround(t)
    const { cloud, other, race, VpcId } = ground
    const remove = (): Promise<unknown> => other('DeleteVpc', { VpcId })
    assert.deepEqual(await race(() => add(cloud.call, ground), remove), [
      'InvalidVpcID.NotFound',
      'accepted',
    ])
    assert.deepEqual(orphans(await cloud.state.fresh()), [])
  })
}

for (const [what, account] of [
  ['one', ACCOUNT],
  ["another account's", OTHER_ACCOUNT],
] as const) {
  const peer = (call: Call, { VpcId, otherVpc, foreignVpc }: Ground): Promise<unknown> => {
    const from = account === ACCOUNT ? otherVpc : foreignVpc
    const asked = { VpcId: from, PeerVpcId: VpcId, PeerOwnerId: ACCOUNT }
    return call('CreateVpcPeeringConnection', asked, { account })
  }

  test(`a peering with ${what} VPC is seen by DeleteVpc of the accepter`, async (t) => {
    const ground = await openGround(t)
    const { cloud, other, race, VpcId } = ground
    const remove = (): Promise<unknown> => cloud.call('DeleteVpc', { VpcId })
    assert.deepEqual(await race(remove, () => peer(other, ground)), [
      'DependencyViolation',
      'accepted',
    ])
  })

  // EC2 answers a request with a peer that is not there, and the peering has failed.
  test(`a peering with ${what} VPC fails when the accepter is gone first`, async (t) => {
    const ground = await openGround(t)
    const { cloud, other, race, VpcId } = ground
    const remove = (): Promise<unknown> => other('DeleteVpc', { VpcId })
    assert.deepEqual(await race(() => peer(cloud.call, ground), remove), ['accepted', 'accepted'])
    const states = (await cloud.state.fresh()).all('peering').map((one) => one.state)
    assert.deepEqual(states, ['failed'])
  })
}

test('housekeeping makes no default subnet in a VPC that is deleted at the same time', async (t) => {
  const { cloud, other, race } = await openRaceCloud(t, { racks: ['a'] })
  const { call, state } = cloud
  const vpc = (await state.fresh()).by('vpc', 'account', ACCOUNT)[0]
  assert.ok(vpc)
  const view = await state.fresh()
  for (const { id } of view.subnetsOf('vpc', vpc.id)) await call('DeleteSubnet', { SubnetId: id })
  for (const { id } of view.by('internet-gateway', 'vpc', vpc.id)) {
    await call('DetachInternetGateway', { InternetGatewayId: id, VpcId: vpc.id })
  }
  await state.update((tx) => tx.delete('name', 'default-subnet', vpc.id, 'a'))
  const options = { nowMs: START_MS, randomHex }
  const codes = await race(
    () => ensureDefaultSubnets(state, options),
    () => other('DeleteVpc', { VpcId: vpc.id }),
  )
  assert.deepEqual(codes, ['accepted', 'accepted'])
  const after = await state.fresh()
  assert.equal(after.get('vpc', vpc.id), null)
  assert.deepEqual(orphans(after), [])
})

for (const [name, add] of [
  [
    'CreateNetworkInterface',
    (call: Call, SubnetId: string) => call('CreateNetworkInterface', { SubnetId }),
  ],
  [
    'CreateNatGateway',
    (call: Call, SubnetId: string) =>
      call('CreateNatGateway', { SubnetId, ConnectivityType: 'private' }),
  ],
] as const) {
  test(`${name} and DeleteSubnet at once: one of them is done`, async (t) => {
    const ground = await openGround(t)
    const { cloud, other, race, VpcId } = ground
    const asked = { VpcId, AvailabilityZone: 'mallee-1-a' }
    const subnet = async (CidrBlock: string): Promise<string> =>
      (await cloud.call('CreateSubnet', { ...asked, CidrBlock })).Subnet?.SubnetId ?? ''
    const first = await subnet('172.16.1.0/24')
    const codes = await race(
      () => cloud.call('DeleteSubnet', { SubnetId: first }),
      () => add(other, first),
    )
    assert.deepEqual(codes, ['DependencyViolation', 'accepted'])
    const second = await subnet('172.16.2.0/24')
    const others = await race(
      () => add(cloud.call, second),
      () => other('DeleteSubnet', { SubnetId: second }),
    )
    assert.deepEqual(others, ['InvalidSubnetID.NotFound', 'accepted'])
    assert.deepEqual(orphans(await cloud.state.fresh()), [])
  })
}

for (const [name, add] of [
  [
    'AssociateAddress',
    async (call: Call, { SubnetId, AllocationId }: Public) => {
      const { NetworkInterface: one } = await call('CreateNetworkInterface', { SubnetId })
      const NetworkInterfaceId = one?.NetworkInterfaceId
      return () => call('AssociateAddress', { NetworkInterfaceId, AllocationId })
    },
  ],
  [
    'CreateNatGateway',
    async (call: Call, { SubnetId, AllocationId }: Public) =>
      () =>
        call('CreateNatGateway', { SubnetId, AllocationId }),
  ],
] as const) {
  test(`${name} that comes first is seen by DetachInternetGateway`, async (t) => {
    const ground = await openPublic(t)
    const { cloud, other, race, gateway } = ground
    const codes = await race(
      () => cloud.call('DetachInternetGateway', gateway),
      await add(other, ground),
    )
    assert.deepEqual(codes, ['DependencyViolation', 'accepted'])
  })

  test(`${name} that comes second finds no internet gateway`, async (t) => {
    const ground = await openPublic(t)
    const { cloud, other, race, gateway } = ground
    const codes = await race(await add(cloud.call, ground), () =>
      other('DetachInternetGateway', gateway),
    )
    assert.deepEqual(codes, ['Gateway.NotAttached', 'accepted'])
    const view = await cloud.state.fresh()
    assert.deepEqual(
      view.all('address').filter((one) => one.association !== ''),
      [],
    )
  })
}

for (const [name, cards, subnetGives] of [
  ['AssociatePublicIpAddress', { AssociatePublicIpAddress: true }, false],
  ['MapPublicIpOnLaunch', {}, true],
] as const) {
  const launch = (call: Call, ImageId: string, SubnetId: string): Promise<unknown> =>
    call('RunInstances', {
      ...{ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId, ...cards }],
    })
  const open = async (t: TestContext) => {
    const ground = await openPublic(t)
    const { SubnetId, cloud } = ground
    const MapPublicIpOnLaunch = { Value: subnetGives }
    await cloud.call('ModifySubnetAttribute', { SubnetId, MapPublicIpOnLaunch })
    return { ...ground, ImageId: await registerImage(cloud) }
  }

  test(`a launch with ${name} that comes first is seen by DetachInternetGateway`, async (t) => {
    const { cloud, other, race, gateway, ImageId, SubnetId } = await open(t)
    const codes = await race(
      () => cloud.call('DetachInternetGateway', gateway),
      () => launch(other, ImageId, SubnetId),
    )
    assert.deepEqual(codes, ['DependencyViolation', 'accepted'])
  })

  // EC2 gives launches public addresses with and without an internet gateway.
  test(`a launch with ${name} that comes second gets its address all the same`, async (t) => {
    const { cloud, other, race, gateway, ImageId, SubnetId } = await open(t)
    const codes = await race(
      () => launch(cloud.call, ImageId, SubnetId),
      () => other('DetachInternetGateway', gateway),
    )
    assert.deepEqual(codes, ['accepted', 'accepted'])
    const view = await cloud.state.fresh()
    assert.equal(view.all('address').filter((one) => one.auto).length, 1)
  })
}

interface Public {
  readonly SubnetId: string
  readonly AllocationId: string
}

/** A subnet of a VPC with an internet gateway, and an elastic IP. */
async function openPublic(
  t: TestContext,
): Promise<Ground & Public & { gateway: { VpcId: string; InternetGatewayId: string } }> {
  const ground = await openGround(t)
  const { cloud, VpcId, InternetGatewayId } = ground
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  const gateway = { VpcId, InternetGatewayId }
  await cloud.call('AttachInternetGateway', gateway)
  const { Subnet } = await cloud.call('CreateSubnet', {
    ...{ VpcId, CidrBlock: '172.16.1.0/24', AvailabilityZone: 'mallee-1-a' },
  })
  const { AllocationId = '' } = await cloud.call('AllocateAddress', {})
  return { ...ground, gateway, SubnetId: Subnet?.SubnetId ?? '', AllocationId }
}

/** What is in a VPC or a subnet that is not there. */
function orphans(view: View): string[] {
  const ofVpc = [
    ...view.all('subnet'),
    ...view.all('route-table'),
    ...view.all('network-acl'),
    ...view.all('security-group'),
    ...view.all('egress-only-gateway'),
    ...view.all('nat-gateway'),
    ...view.all('interface'),
    ...view.all('internet-gateway').filter((one) => one.vpc !== ''),
    ...view.all('vpn-gateway').filter((one) => one.vpc !== ''),
  ].filter((one) => view.get('vpc', one.vpc) === null)
  const ofSubnet = [...view.all('nat-gateway'), ...view.all('interface')].filter(
    (one) => view.get('subnet', one.subnet) === null,
  )
  return [...ofVpc, ...ofSubnet].map(({ id }) => id)
}
