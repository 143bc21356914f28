// NAT gateways: what they need, what they hold, and that they give it back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { tendNetworks } from '../../../gateway/control/network-housekeeping.ts'
import type { SubnetRecord } from '../../../gateway/store/network-records.ts'
import { natParts } from './fake-cc.ts'
import { addPublicPool } from './network-support.ts'
import { ACCOUNT, type Cloud, openCloud, refusal, START_MS } from './support.ts'

interface Ground {
  readonly cloud: Cloud
  readonly subnet: SubnetRecord
  readonly AllocationId: string
}

async function openGround(t: TestContext, racks: readonly string[] = []): Promise<Ground> {
  const cloud = await openCloud(t)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/24', racks })
  const subnets = (await cloud.state.fresh()).by('subnet', 'account', ACCOUNT)
  const subnet = subnets.find((one) => one.rack === 'a')
  assert.ok(subnet)
  const { AllocationId = '' } = await cloud.call('AllocateAddress', {})
  return { cloud, subnet, AllocationId }
}

test('a NAT gateway holds what it has until it is deleted, and fades', async (t) => {
  const { cloud, subnet, AllocationId } = await openGround(t)
  const asked = { SubnetId: subnet.id, AllocationId, ClientToken: 'once' }
  const { NatGateway } = await cloud.call('CreateNatGateway', asked)
  const again = await cloud.call('CreateNatGateway', asked)
  const id = NatGateway?.NatGatewayId ?? ''
  assert.equal(again.NatGateway?.NatGatewayId, id)
  assert.equal(NatGateway?.State, 'pending')
  const [address] = NatGateway?.NatGatewayAddresses ?? []
  assert.equal(address?.AllocationId, AllocationId)
  assert.match(address?.PublicIp ?? '', /^203\.0\.113\./)
  const stateOf = async (): Promise<string | undefined> => {
    const { NatGateways } = await cloud.call('DescribeNatGateways', {
      Filter: [{ Name: 'vpc-id', Values: [subnet.vpc] }],
    })
    return NatGateways?.[0]?.State
  }

  const release = cloud.call('ReleaseAddress', { AllocationId })
  assert.equal(await refusal(release), 'InvalidIPAddress.InUse')
  const take = cloud.call('DisassociateAddress', { AssociationId: address?.AssociationId })
  assert.equal(await refusal(take), 'OperationNotPermitted')
  const subnetGoes = cloud.call('DeleteSubnet', { SubnetId: subnet.id })
  assert.equal(await refusal(subnetGoes), 'DependencyViolation')

  await cloud.call('DeleteNatGateway', { NatGatewayId: id })
  assert.equal(await stateOf(), 'deleting')
  await tendNetworks(natParts(cloud.state), START_MS)
  assert.equal(await stateOf(), 'deleted')
  await cloud.call('ReleaseAddress', { AllocationId })
  await cloud.call('DeleteSubnet', { SubnetId: subnet.id })
  await tendNetworks(natParts(cloud.state), START_MS + 3_600_001)
  assert.equal(await stateOf(), undefined)
})

test('a private NAT gateway has the private address that was wished for, and no other', async (t) => {
  const { cloud, subnet } = await openGround(t)
  const wished = subnet.ipv4Cidr.replace(/0\/24$/, '77')
  const { NatGateway } = await cloud.call('CreateNatGateway', {
    SubnetId: subnet.id,
    ConnectivityType: 'private',
    PrivateIpAddress: wished,
  })
  const [address] = NatGateway?.NatGatewayAddresses ?? []
  assert.equal(address?.PrivateIp, wished)
  assert.equal(address?.PublicIp, undefined)
})

for (const [what, change, code] of [
  ['no elastic IP', { AllocationId: undefined }, 'MissingParameter'],
  [
    'a private one with an elastic IP',
    { ConnectivityType: 'private' },
    'InvalidParameterCombination',
  ],
  [
    'a second elastic IP',
    { SecondaryAllocationIds: ['eipalloc-12345678'] },
    'UnsupportedOperation',
  ],
  ['an address elsewhere', { PrivateIpAddress: '192.0.2.1' }, 'InvalidParameterValue'],
  ['an unknown elastic IP', { AllocationId: 'eipalloc-12345678' }, 'InvalidAllocationID.NotFound'],
  ['an unknown subnet', { SubnetId: 'subnet-12345678' }, 'InvalidSubnetID.NotFound'],
  ['a dry run', { DryRun: true }, 'DryRunOperation'],
] as const) {
  test(`CreateNatGateway with ${what} says ${code}, and keeps nothing`, async (t) => {
    const { cloud, subnet, AllocationId } = await openGround(t)
    const { revision } = await cloud.state.fresh()
    const asked = { SubnetId: subnet.id, AllocationId, ...change } as object
    const call = cloud.call('CreateNatGateway', asked as { SubnetId: string })
    assert.equal(await refusal(call), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('CreateNatGateway refuses an address that its rack cannot announce', async (t) => {
  const { cloud, subnet, AllocationId } = await openGround(t, ['b'])
  const call = cloud.call('CreateNatGateway', { SubnetId: subnet.id, AllocationId })
  assert.equal(await refusal(call), 'InvalidParameterCombination')
})

test('a public NAT gateway needs an internet gateway, which then stays', async (t) => {
  const { cloud, subnet, AllocationId } = await openGround(t)
  const [gateway] = (await cloud.state.fresh()).by('internet-gateway', 'vpc', subnet.vpc)
  const attachment = { InternetGatewayId: gateway?.id, VpcId: subnet.vpc }
  await cloud.call('DetachInternetGateway', attachment)
  const asked = { SubnetId: subnet.id, AllocationId }
  assert.equal(await refusal(cloud.call('CreateNatGateway', asked)), 'Gateway.NotAttached')
  await cloud.call('AttachInternetGateway', attachment)
  await cloud.call('CreateNatGateway', asked)
  const detach = cloud.call('DetachInternetGateway', attachment)
  assert.equal(await refusal(detach), 'DependencyViolation')
})
