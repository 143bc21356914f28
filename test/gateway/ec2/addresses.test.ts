// Elastic IPs as users see them: allocated, associated, moved, given back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { QUOTAS } from '../../../gateway/ec2/quotas.ts'
import type { InterfaceRecord, SubnetRecord } from '../../../gateway/store/network-records.ts'
import { addInterface, addPublicPool } from './network-support.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, REGION, refusal } from './support.ts'

interface Ground {
  readonly cloud: Cloud
  /** One interface in each of the racks a and b. */
  readonly a: InterfaceRecord
  readonly b: InterfaceRecord
}

async function openGround(t: TestContext, racks: readonly string[] = []): Promise<Ground> {
  const cloud = await openCloud(t)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/24', racks })
  const subnets = (await cloud.state.fresh()).by('subnet', 'account', ACCOUNT)
  const inRack = (rack: string): SubnetRecord => {
    const found = subnets.find((one) => one.rack === rack)
    assert.ok(found)
    return found
  }
  const a = await addInterface(cloud.state, inRack('a'))
  const b = await addInterface(cloud.state, inRack('b'))
  return { cloud, a, b }
}

async function allocate(cloud: Cloud): Promise<string> {
  return (await cloud.call('AllocateAddress', {})).AllocationId ?? ''
}

test('AllocateAddress gives what DescribeAddresses shows, to its account alone', async (t) => {
  const { cloud } = await openGround(t)
  const made = await cloud.call('AllocateAddress', {
    Address: '203.0.113.77',
    TagSpecifications: [{ ResourceType: 'elastic-ip', Tags: [{ Key: 'Name', Value: 'web' }] }],
  })
  assert.equal(made.PublicIp, '203.0.113.77')
  assert.equal(made.Domain, 'vpc')
  assert.equal(made.NetworkBorderGroup, REGION)
  const { Addresses } = await cloud.call('DescribeAddresses', {
    Filters: [{ Name: 'tag:Name', Values: ['web'] }],
  })
  assert.equal(Addresses?.length, 1)
  assert.equal(Addresses?.[0]?.AllocationId, made.AllocationId)
  const other = { account: OTHER_ACCOUNT }
  assert.deepEqual((await cloud.call('DescribeAddresses', {}, other)).Addresses, [])
  const stolen = cloud.call('ReleaseAddress', { AllocationId: made.AllocationId }, other)
  assert.equal(await refusal(stolen), 'InvalidAllocationID.NotFound')
})

for (const [input, code] of [
  [{ Address: '203.0.113.255' }, 'InvalidParameterValue'],
  [{ Address: '198.51.100.1' }, 'InvalidParameterValue'],
  [{ Domain: 'standard' }, 'InvalidParameterValue'],
  [{ PublicIpv4Pool: 'ipv4pool-ec2-0' }, 'InvalidPublicIpv4PoolID.NotFound'],
  [{ NetworkBorderGroup: 'elsewhere' }, 'InvalidParameterValue'],
  [{ CustomerOwnedIpv4Pool: 'x' }, 'UnsupportedOperation'],
  [{ DryRun: true }, 'DryRunOperation'],
] as const) {
  test(`AllocateAddress of ${JSON.stringify(input)} says ${code}, and takes nothing`, async (t) => {
    const { cloud } = await openGround(t)
    const { revision } = await cloud.state.fresh()
    assert.equal(await refusal(cloud.call('AllocateAddress', { ...input } as object)), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('AllocateAddress ends at the limit of the account', async (t) => {
  const { cloud } = await openGround(t)
  for (let i = 0; i < QUOTAS['elastic-ips'].value; i += 1) await allocate(cloud)
  assert.equal(await refusal(cloud.call('AllocateAddress', {})), 'AddressLimitExceeded')
})

test('AssociateAddress moves an address only when it is allowed to', async (t) => {
  const { cloud, a, b } = await openGround(t)
  const AllocationId = await allocate(cloud)
  const first = await cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: a.id })
  const again = await cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: a.id })
  assert.equal(again.AssociationId, first.AssociationId)
  const move = { AllocationId, NetworkInterfaceId: b.id }
  assert.equal(await refusal(cloud.call('AssociateAddress', move)), 'Resource.AlreadyAssociated')
  await cloud.call('AssociateAddress', { ...move, AllowReassociation: true })
  const { Addresses } = await cloud.call('DescribeAddresses', {})
  assert.deepEqual(
    Addresses?.map((one) => [one.NetworkInterfaceId, one.PrivateIpAddress]),
    [[b.id, b.ipv4]],
  )
  const view = await cloud.state.fresh()
  assert.equal(view.get('private-address', a.ipv4)?.publicAddress, '')
  assert.equal(view.get('private-address', b.ipv4)?.publicAddress, AllocationId)
  const old = { AssociationId: first.AssociationId }
  assert.equal(
    await refusal(cloud.call('DisassociateAddress', old)),
    'InvalidAssociationID.NotFound',
  )
})

test('AssociateAddress leaves an address that it displaces with its owner', async (t) => {
  const { cloud, a } = await openGround(t)
  const one = await allocate(cloud)
  const two = await allocate(cloud)
  for (const AllocationId of [one, two]) {
    await cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: a.id })
  }
  const view = await cloud.state.fresh()
  assert.equal(view.get('address', one)?.association, '')
  assert.equal(view.get('address', two)?.interface, a.id)
})

test('AssociateAddress refuses an interface whose rack cannot announce the address', async (t) => {
  const { cloud, a, b } = await openGround(t, ['a'])
  const AllocationId = await allocate(cloud)
  const wrong = cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: b.id })
  assert.equal(await refusal(wrong), 'InvalidParameterCombination')
  await cloud.call('AssociateAddress', { AllocationId, NetworkInterfaceId: a.id })
})

test('ReleaseAddress waits for the end of the association', async (t) => {
  const { cloud, a } = await openGround(t)
  const AllocationId = await allocate(cloud)
  const { AssociationId } = await cloud.call('AssociateAddress', {
    AllocationId,
    NetworkInterfaceId: a.id,
  })
  const release = { AllocationId }
  assert.equal(await refusal(cloud.call('ReleaseAddress', release)), 'InvalidIPAddress.InUse')
  await cloud.call('DisassociateAddress', { AssociationId })
  await cloud.call('ReleaseAddress', release)
  assert.equal(await refusal(cloud.call('ReleaseAddress', release)), 'InvalidAllocationID.NotFound')
  const { PublicIpv4Pools } = await cloud.call('DescribePublicIpv4Pools', {})
  const pool = PublicIpv4Pools?.[0]
  assert.deepEqual([pool?.TotalAddressCount, pool?.TotalAvailableAddressCount], [254, 253])
})

test('two moves of one address at once leave it in one place', async (t) => {
  const { cloud, a, b } = await openGround(t)
  const other = await cloud.otherGateway()
  const AllocationId = await allocate(cloud)
  const to = (id: string) => ({ AllocationId, NetworkInterfaceId: id, AllowReassociation: true })
  await Promise.all([cloud.call('AssociateAddress', to(a.id)), other('AssociateAddress', to(b.id))])
  const view = await cloud.state.fresh()
  const record = view.get('address', AllocationId)
  const names = [a, b].filter(
    (one) => view.get('private-address', one.ipv4)?.publicAddress === AllocationId,
  )
  assert.deepEqual(
    names.map((one) => one.id),
    [record?.interface],
  )
})
