// Attributes and further blocks of VPCs, and the IPAM calls that show the pools.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OTHER_ACCOUNT, openCloud, refusal, refused } from './support.ts'

test('ModifyVpcAttribute changes one attribute, and DescribeVpcAttribute shows it', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const VpcId = (await cloud.call('CreateVpc', { CidrBlock: '172.16.0.0/16' })).Vpc?.VpcId ?? ''
  const show = async (): Promise<unknown[]> => [
    (await cloud.call('DescribeVpcAttribute', { VpcId, Attribute: 'enableDnsSupport' }))
      .EnableDnsSupport?.Value,
    (await cloud.call('DescribeVpcAttribute', { VpcId, Attribute: 'enableDnsHostnames' }))
      .EnableDnsHostnames?.Value,
  ]
  assert.deepEqual(await show(), [true, false])
  await cloud.call('ModifyVpcAttribute', { VpcId, EnableDnsHostnames: { Value: true } })
  assert.deepEqual(await show(), [true, true])
  await cloud.call('ModifyVpcAttribute', { VpcId, EnableDnsSupport: { Value: false } })
  assert.deepEqual(await show(), [false, true])
  const both = {
    VpcId,
    EnableDnsSupport: { Value: true },
    EnableDnsHostnames: { Value: true },
  }
  assert.equal(await refusal(cloud.call('ModifyVpcAttribute', both)), 'InvalidParameterCombination')
  assert.equal(await refusal(cloud.call('ModifyVpcAttribute', { VpcId })), 'MissingParameter')
  const unknown = cloud.call('DescribeVpcAttribute', { VpcId, Attribute: 'x' as never })
  assert.equal(await refusal(unknown), 'InvalidParameterValue')
  const foreign = { VpcId, EnableDnsSupport: { Value: true } }
  assert.equal(
    await refusal(cloud.call('ModifyVpcAttribute', foreign, { account: OTHER_ACCOUNT })),
    'InvalidVpcID.NotFound',
  )
  const tenancy = cloud.call('ModifyVpcTenancy', { VpcId, InstanceTenancy: 'default' })
  assert.equal((await tenancy).ReturnValue, true)
})

test('AssociateVpcCidrBlock adds up to five blocks, and Disassociate takes unused ones', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const VpcId = (await cloud.call('CreateVpc', { CidrBlock: '172.16.0.0/16' })).Vpc?.VpcId ?? ''
  const overlap = cloud.call('AssociateVpcCidrBlock', { VpcId, CidrBlock: '172.16.1.0/24' })
  assert.equal(await refusal(overlap), 'InvalidVpc.Range')
  for (const n of [17, 18, 19, 20]) {
    const CidrBlock = `172.${n}.0.0/16`
    const answer = await cloud.call('AssociateVpcCidrBlock', { VpcId, CidrBlock })
    assert.equal(answer.CidrBlockAssociation?.CidrBlock, CidrBlock)
  }
  const sixth = cloud.call('AssociateVpcCidrBlock', { VpcId, CidrBlock: '172.21.0.0/16' })
  assert.equal(await refusal(sixth), 'CidrLimitExceeded')
  const { Subnet } = await cloud.call('CreateSubnet', { VpcId, CidrBlock: '172.18.4.0/24' })
  const { Vpcs } = await cloud.call('DescribeVpcs', { VpcIds: [VpcId] })
  const [first, , third, fourth] = (Vpcs?.[0]?.CidrBlockAssociationSet ?? []).map(
    (one) => one.AssociationId ?? '',
  )
  const leave = (AssociationId = ''): Promise<{ code: string; message: string }> =>
    refused(cloud.call('DisassociateVpcCidrBlock', { AssociationId }))
  assert.equal((await leave(first)).code, 'OperationNotPermitted')
  const used = await leave(third)
  assert.equal(used.code, 'DependencyViolation')
  assert.match(used.message, new RegExp(Subnet?.SubnetId ?? '-'))
  const done = await cloud.call('DisassociateVpcCidrBlock', { AssociationId: fourth ?? '' })
  assert.equal(done.CidrBlockAssociation?.CidrBlockState?.State, 'disassociated')
  assert.equal((await leave(fourth)).code, 'InvalidVpcCidrBlockAssociationIdError.NotFound')
})

test('AssociateVpcCidrBlock with IPv6 opens the default group as for IPv4', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const VpcId = (await cloud.call('CreateVpc', { CidrBlock: '172.16.0.0/16' })).Vpc?.VpcId ?? ''
  const both = { VpcId, CidrBlock: '172.17.0.0/16', AmazonProvidedIpv6CidrBlock: true }
  assert.equal(
    await refusal(cloud.call('AssociateVpcCidrBlock', both)),
    'InvalidParameterCombination',
  )
  const answer = await cloud.call('AssociateVpcCidrBlock', {
    VpcId,
    AmazonProvidedIpv6CidrBlock: true,
  })
  assert.match(answer.Ipv6CidrBlockAssociation?.Ipv6CidrBlock ?? '', /\/56$/)
  const [group] = cloud.state.view().by('security-group', 'vpc', VpcId)
  assert.equal(group?.rules.filter((rule) => rule.ipv6 === '::/0').length, 1)
  const AssociationId = answer.Ipv6CidrBlockAssociation?.AssociationId ?? ''
  await cloud.call('DisassociateVpcCidrBlock', { AssociationId })
  assert.deepEqual(cloud.state.view().get('vpc', VpcId)?.ipv6Cidrs, [])
})

test('the IPAM calls show the pools of the cloud and what the caller has of them', async (t) => {
  const cloud = await openCloud(t, { racks: [], pools: ['10.0.0.0/8', '192.168.0.0/16'] })
  await cloud.state.update(async (tx) => {
    const pool = {
      id: 'p',
      cidr: '203.0.113.0/24',
      racks: [],
      excluded: [],
      closing: false,
      createdAtMs: 0,
    }
    await tx.put('public-pool', ['p'], pool)
  })
  const { Ipams } = await cloud.call('DescribeIpams', {})
  assert.equal(Ipams?.length, 1)
  const { IpamScopes } = await cloud.call('DescribeIpamScopes', {})
  assert.deepEqual(IpamScopes?.map((one) => `${one.IpamScopeType} ${one.PoolCount}`).sort(), [
    'private 2',
    'public 1',
  ])
  const { IpamPools } = await cloud.call('DescribeIpamPools', {
    Filters: [
      { Name: 'address-family', Values: ['ipv4'] },
      { Name: 'ipam-scope-type', Values: ['private'] },
    ],
  })
  const IpamPoolId = IpamPools?.[0]?.IpamPoolId ?? ''
  assert.equal(IpamPools?.[0]?.AllocationMinNetmaskLength, 16)
  const { IpamPoolCidrs } = await cloud.call('GetIpamPoolCidrs', { IpamPoolId })
  assert.deepEqual(
    IpamPoolCidrs?.map((one) => one.Cidr),
    ['10.0.0.0/8', '192.168.0.0/16'],
  )
  const { IpamPoolAllocations } = await cloud.call('GetIpamPoolAllocations', { IpamPoolId })
  const { Vpcs } = await cloud.call('DescribeVpcs', {})
  assert.deepEqual(
    IpamPoolAllocations?.map((one) => [one.ResourceId, one.Cidr]),
    Vpcs?.map((one) => [one.VpcId, one.CidrBlock]),
  )
  const other = await cloud.otherGateway()
  assert.deepEqual((await other('DescribeIpamPools', {})).IpamPools?.length, 3)
  for (const call of [
    () => cloud.call('DescribeIpamPools', { IpamPoolIds: ['ipam-pool-0'] }),
    () => cloud.call('GetIpamPoolCidrs', { IpamPoolId: 'ipam-pool-0' }),
  ]) {
    assert.equal(await refusal(call()), 'InvalidIpamPoolId.NotFound')
  }
})
