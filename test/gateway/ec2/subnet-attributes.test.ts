// Attributes of subnets, and their IPv6 blocks.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusal, registerImage, run } from './support.ts'
import { openVpc } from './vpc-support.ts'

for (const [change, shown] of [
  [{ MapPublicIpOnLaunch: { Value: true } }, { MapPublicIpOnLaunch: true }],
  [{ AssignIpv6AddressOnCreation: { Value: true } }, { AssignIpv6AddressOnCreation: true }],
  [{ EnableDns64: { Value: false } }, { EnableDns64: false }],
  [{ EnableDns64: { Value: true } }, 'UnsupportedOperation'],
  [{ MapCustomerOwnedIpOnLaunch: { Value: true } }, 'UnsupportedOperation'],
  [{}, 'MissingParameter'],
  [
    { MapPublicIpOnLaunch: { Value: true }, AssignIpv6AddressOnCreation: { Value: true } },
    'InvalidParameterCombination',
  ],
] as const) {
  const outcome = typeof shown === 'string' ? shown : JSON.stringify(shown)
  test(`ModifySubnetAttribute ${JSON.stringify(change)} gives ${outcome}`, async (t) => {
    const { cloud, VpcId, ipv6 } = await openVpc(t, ['a'])
    const make = { VpcId, CidrBlock: '172.16.0.0/24', Ipv6CidrBlock: ipv6 }
    const SubnetId = (await cloud.call('CreateSubnet', make)).Subnet?.SubnetId ?? ''
    const call = cloud.call('ModifySubnetAttribute', { SubnetId, ...structuredClone(change) })
    assert.equal(await refusal(call), typeof shown === 'string' ? shown : 'accepted')
    const { Subnets } = await cloud.call('DescribeSubnets', { SubnetIds: [SubnetId] })
    for (const [name, value] of Object.entries(typeof shown === 'string' ? {} : shown)) {
      assert.equal(Subnets?.[0]?.[name as keyof (typeof Subnets)[0]], value)
    }
  })
}

test('ModifySubnetAttribute changes how launches are named', async (t) => {
  const { cloud, VpcId } = await openVpc(t, ['a'])
  const make = { VpcId, CidrBlock: '172.16.0.0/24' }
  const SubnetId = (await cloud.call('CreateSubnet', make)).Subnet?.SubnetId ?? ''
  for (const change of [
    { PrivateDnsHostnameTypeOnLaunch: 'resource-name' },
    { EnableResourceNameDnsARecordOnLaunch: { Value: true } },
    { EnableResourceNameDnsAAAARecordOnLaunch: { Value: true } },
  ] as const) {
    await cloud.call('ModifySubnetAttribute', { SubnetId, ...change })
  }
  const { Subnets } = await cloud.call('DescribeSubnets', { SubnetIds: [SubnetId] })
  assert.deepEqual(Subnets?.[0]?.PrivateDnsNameOptionsOnLaunch, {
    HostnameType: 'resource-name',
    EnableResourceNameDnsARecord: true,
    EnableResourceNameDnsAAAARecord: true,
  })
  const ipv6 = { SubnetId, AssignIpv6AddressOnCreation: { Value: true } }
  assert.equal(await refusal(cloud.call('ModifySubnetAttribute', ipv6)), 'InvalidParameterValue')
})

test('AssociateSubnetCidrBlock gives a subnet IPv6, and Disassociate takes it when unused', async (t) => {
  const { cloud, VpcId, ipv6 } = await openVpc(t, ['a'])
  const make = { VpcId, CidrBlock: '172.16.0.0/24' }
  const SubnetId = (await cloud.call('CreateSubnet', make)).Subnet?.SubnetId ?? ''
  const give = { SubnetId, Ipv6CidrBlock: ipv6 }
  const answer = await cloud.call('AssociateSubnetCidrBlock', give)
  assert.equal(answer.Ipv6CidrBlockAssociation?.Ipv6CidrBlock, ipv6)
  assert.equal(await refusal(cloud.call('AssociateSubnetCidrBlock', give)), 'CidrLimitExceeded')
  await cloud.call('ModifySubnetAttribute', {
    SubnetId,
    AssignIpv6AddressOnCreation: { Value: true },
  })
  await run(cloud, { ImageId: await registerImage(cloud), SubnetId })
  const AssociationId = answer.Ipv6CidrBlockAssociation?.AssociationId ?? ''
  const used = cloud.call('DisassociateSubnetCidrBlock', { AssociationId })
  assert.equal(await refusal(used), 'DependencyViolation')
  await cloud.state.update(async (tx) => {
    for (const one of cloud.state.view().interfacesOf('subnet', SubnetId)) {
      await tx.put('interface', [one.id], { ...one, ipv6: '' })
    }
  })
  await cloud.call('DisassociateSubnetCidrBlock', { AssociationId })
  const { Subnets } = await cloud.call('DescribeSubnets', { SubnetIds: [SubnetId] })
  assert.deepEqual(Subnets?.[0]?.Ipv6CidrBlockAssociationSet, [])
  const gone = cloud.call('DisassociateSubnetCidrBlock', { AssociationId })
  assert.equal(await refusal(gone), 'InvalidSubnetCidrBlockAssociationID.NotFound')
})
