// CreateVpc and DeleteVpc: whole VPCs, blocks that nobody else has, refusals that say what is free.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { mustCidr, overlaps } from '../../../topology/cidr.ts'
import { PREFIX_QUARANTINE_MS } from '../../../topology/ranges.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  refused,
  START_MS,
} from './support.ts'

async function createVpc(cloud: Cloud, input: Ec2Inputs['CreateVpc']): Promise<string> {
  return (await cloud.call('CreateVpc', input)).Vpc?.VpcId ?? ''
}

test('CreateVpc makes a VPC whole: main table, ACL and group', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { Vpc } = await cloud.call('CreateVpc', {
    CidrBlock: '172.16.0.0/16',
    AmazonProvidedIpv6CidrBlock: true,
    TagSpecifications: [{ ResourceType: 'vpc', Tags: [{ Key: 'Name', Value: 'web' }] }],
  })
  assert.equal(Vpc?.CidrBlock, '172.16.0.0/16')
  assert.equal(Vpc?.IsDefault, false)
  const [ipv6] = Vpc?.Ipv6CidrBlockAssociationSet ?? []
  assert.match(ipv6?.Ipv6CidrBlock ?? '', /\/56$/)
  assert.equal(ipv6?.Ipv6Pool, 'Amazon')
  assert.deepEqual(Vpc?.Tags, [{ Key: 'Name', Value: 'web' }])
  const view = await cloud.state.fresh()
  const vpc = view.get('vpc', Vpc?.VpcId ?? '')
  assert.ok(vpc)
  assert.deepEqual(view.get('route-table', vpc.mainRouteTable)?.routes, [])
  assert.match(vpc.mainAssociation, /^rtbassoc-[0-9a-f]{17}$/)
  const entries = view.get('network-acl', vpc.defaultAcl)?.entries ?? []
  assert.deepEqual(
    entries.map((one) => `${one.number} ${one.egress} ${one.action} ${one.cidr}`),
    ['100 false allow 0.0.0.0/0', '101 false allow ::/0'].concat([
      '100 true allow 0.0.0.0/0',
      '101 true allow ::/0',
    ]),
  )
  const [group] = view.by('security-group', 'vpc', vpc.id)
  assert.deepEqual(
    group?.rules.map((rule) => [rule.egress, rule.group || rule.ipv4 || rule.ipv6]),
    [
      [false, group?.id],
      [true, '0.0.0.0/0'],
      [true, '::/0'],
    ],
  )
})

for (const [input, code] of [
  [{}, 'MissingParameter'],
  [{ CidrBlock: '10.0.0.0' }, 'InvalidParameterValue'],
  [{ CidrBlock: '172.16.0.1/16' }, 'InvalidParameterValue'],
  [{ CidrBlock: 'fd00::/56' }, 'InvalidParameterValue'],
  [{ CidrBlock: '0.0.0.0/0' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '172.16.0.0/15' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '172.16.0.0/29' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '169.254.0.0/16' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '127.1.0.0/16' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '239.1.0.0/16' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '0.4.0.0/16' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '203.0.113.0/28' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '198.51.100.0/24' }, 'InvalidVpc.Range'],
  [{ CidrBlock: '172.16.0.0/16', Ipv4NetmaskLength: 20 }, 'InvalidParameterCombination'],
  [{ CidrBlock: '172.16.0.0/16', InstanceTenancy: 'dedicated' }, 'UnsupportedOperation'],
  [{ CidrBlock: '172.16.0.0/16', Ipv6Pool: 'mine' }, 'UnsupportedOperation'],
  [{ CidrBlock: '172.16.0.0/16', Ipv6CidrBlock: 'fd00::/56' }, 'MissingParameter'],
  [{ Ipv4IpamPoolId: 'ipam-pool-0' }, 'InvalidIpamPoolId.NotFound'],
  [{ Ipv4NetmaskLength: 20 }, 'MissingParameter'],
  [{ CidrBlock: '172.16.0.0/16', DryRun: true }, 'DryRunOperation'],
] as const) {
  test(`CreateVpc of ${JSON.stringify(input)} says ${code}`, async (t) => {
    const cloud = await openCloud(t, { racks: ['a'] })
    await cloud.state.update(async (tx) => {
      const cidr = '203.0.113.0/24'
      const pool = { id: 'p', cidr, racks: [], excluded: [], closing: false, createdAtMs: 0 }
      await tx.put('public-pool', ['p'], pool)
      const host = await tx.get('host', 'a', 'a0')
      assert.ok(host?.status)
      const status = { ...host.status, wireguardEndpoints: ['198.51.100.7:51820'] }
      await tx.put('host', ['a', 'a0'], { ...host, status })
    })
    const { revision } = await cloud.state.fresh()
    const call = cloud.call('CreateVpc', structuredClone(input) as Ec2Inputs['CreateVpc'])
    assert.equal(await refusal(call), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('CreateVpc refuses what overlaps any account and names a free block of the size', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.call('CreateVpc', { CidrBlock: '10.5.0.0/16' }, { account: OTHER_ACCOUNT })
  for (const CidrBlock of ['10.5.0.0/16', '10.5.7.0/24', '10.0.0.0/16']) {
    const { code, message } = await refused(cloud.call('CreateVpc', { CidrBlock }))
    assert.equal(code, 'InvalidVpc.Range')
    const free = / ([0-9./]+) is free/.exec(message)?.[1] ?? ''
    assert.equal(free.split('/')[1], CidrBlock.split('/')[1])
    await createVpc(cloud, { CidrBlock: free })
  }
})

test('CreateVpc takes a block of the wished size from the cloud pool', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { IpamPools } = await cloud.call('DescribeIpamPools', {})
  const pool = IpamPools?.find((one) => one.AddressFamily === 'ipv4')?.IpamPoolId ?? ''
  const pool6 = IpamPools?.find((one) => one.AddressFamily === 'ipv6')?.IpamPoolId ?? ''
  const taken: string[] = []
  for (const length of [20, 28, 16, 28, undefined]) {
    const { Vpc } = await cloud.call('CreateVpc', {
      Ipv4IpamPoolId: pool,
      ...(length === undefined ? {} : { Ipv4NetmaskLength: length }),
      Ipv6IpamPoolId: pool6,
      Ipv6NetmaskLength: 60,
    })
    assert.equal(Vpc?.CidrBlock?.split('/')[1], String(length ?? 20))
    taken.push(Vpc?.CidrBlock ?? '')
  }
  assert.deepEqual(taken.slice(0, 2), ['10.0.32.0/20', '10.0.48.0/28'])
  const outside = { CidrBlock: '172.16.0.0/16', Ipv4IpamPoolId: pool }
  assert.equal(await refusal(cloud.call('CreateVpc', outside)), 'InvalidParameterValue')
  const tooLong = { Ipv4IpamPoolId: pool, Ipv4NetmaskLength: 29 }
  assert.equal(await refusal(cloud.call('CreateVpc', tooLong)), 'InvalidParameterValue')
})

test('CreateVpc from an exhausted pool says InsufficientCidrBlocks', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'], pools: ['10.0.0.0/19'] })
  const { IpamPools } = await cloud.call('DescribeIpamPools', {})
  const pool = IpamPools?.find((one) => one.AddressFamily === 'ipv4')?.IpamPoolId ?? ''
  const call = cloud.call('CreateVpc', { Ipv4IpamPoolId: pool, Ipv4NetmaskLength: 28 })
  assert.equal(await refusal(call), 'InsufficientCidrBlocks')
})

test('CreateVpc by two gateways at once never gives overlapping blocks', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const other = await cloud.otherGateway()
  const cidrs = ['10.9.0.0/16', '10.9.128.0/17', '10.9.0.0/20', '10.9.240.0/28']
  const outcomes = await Promise.all(
    [cloud.call, other].flatMap((call) =>
      cidrs.map((CidrBlock) => refusal(call('CreateVpc', { CidrBlock }))),
    ),
  )
  assert.ok(outcomes.includes('accepted'))
  const blocks = (await cloud.state.fresh())
    .all('vpc')
    .flatMap((vpc) => vpc.ipv4Cidrs.map(mustCidr))
  for (const [i, one] of blocks.entries()) {
    assert.ok(!blocks.slice(i + 1).some((two) => overlaps(one, two)))
  }
})

test('two gateways that take from the pool at once get different blocks', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const other = await cloud.otherGateway()
  const { IpamPools } = await cloud.call('DescribeIpamPools', {})
  const pool = IpamPools?.find((one) => one.AddressFamily === 'ipv4')?.IpamPoolId ?? ''
  const made = await Promise.all(
    [cloud.call, other, cloud.call, other, cloud.call, other].map((call, i) =>
      call('CreateVpc', {
        Ipv4IpamPoolId: pool,
        Ipv4NetmaskLength: 20 + i,
        AmazonProvidedIpv6CidrBlock: true,
      }),
    ),
  )
  const cidrs = made.flatMap(({ Vpc }) => [
    mustCidr(Vpc?.CidrBlock ?? ''),
    mustCidr(Vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? ''),
  ])
  for (const [i, one] of cidrs.entries()) {
    assert.ok(!cidrs.slice(i + 1).some((two) => overlaps(one, two)))
  }
})

test('DeleteVpc takes what came with the VPC and lets its block rest', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const before = await cloud.state.fresh()
  const counts = () =>
    (['vpc', 'route-table', 'network-acl', 'security-group', 'tags', 'name'] as const).map(
      (kind) => cloud.state.view().all(kind).length,
    )
  const was = counts()
  assert.ok(before)
  const VpcId = await createVpc(cloud, { CidrBlock: '172.20.0.0/16' })
  assert.equal(await refusal(cloud.call('DeleteVpc', { VpcId, DryRun: true })), 'DryRunOperation')
  await cloud.call('DeleteVpc', { VpcId })
  assert.deepEqual(counts(), was)
  assert.equal(await refusal(cloud.call('DeleteVpc', { VpcId })), 'InvalidVpcID.NotFound')

  const again = { CidrBlock: '172.20.16.0/20' }
  const foreign = (): Promise<string> =>
    refusal(cloud.call('CreateVpc', again, { account: OTHER_ACCOUNT }))
  assert.equal(await foreign(), 'InvalidVpc.Range')
  const own = await createVpc(cloud, again)
  await cloud.call('DeleteVpc', { VpcId: own })
  // The rest of the larger block rests on as well.
  assert.equal(await foreign(), 'InvalidVpc.Range')
  await cloud.state.update(async (tx) => {
    for (const block of cloud.state.view().withPrefix('block', 'vpc-ipv4/172.')) {
      const freedAtMs = (block.freedAtMs ?? 0) - PREFIX_QUARANTINE_MS
      await tx.put('block', ['vpc-ipv4', block.cidr.replace('/', '_')], { ...block, freedAtMs })
    }
  })
  await cloud.state.fresh()
  assert.equal(await foreign(), 'accepted')
})

test('DeleteVpc names what is in the VPC', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const VpcId = await createVpc(cloud, { CidrBlock: '172.20.0.0/16' })
  const { Subnet } = await cloud.call('CreateSubnet', { VpcId, CidrBlock: '172.20.0.0/24' })
  const { code, message } = await refused(cloud.call('DeleteVpc', { VpcId, DryRun: true }))
  assert.equal(code, 'DependencyViolation')
  assert.match(message, new RegExp(Subnet?.SubnetId ?? ''))
  const foreign = cloud.call('DeleteVpc', { VpcId }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(foreign), 'InvalidVpcID.NotFound')
  await cloud.call('DeleteSubnet', { SubnetId: Subnet?.SubnetId ?? '' })
  await cloud.call('DeleteVpc', { VpcId })
  const space = `subnet-${VpcId}`
  assert.equal(cloud.state.view().withPrefix('block', `${space}/`).length, 1)
  await ensureDefaultSubnets(cloud.state, { nowMs: START_MS, randomHex })
  assert.equal(cloud.state.view().withPrefix('block', `${space}/`).length, 0)
  assert.equal(cloud.state.view().get('block-space', space), null)
})

test('DeleteVpc and CreateSubnet at once leave no subnet without its VPC', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const other = await cloud.otherGateway()
  for (let i = 0; i < 5; i += 1) {
    const VpcId = await createVpc(cloud, { CidrBlock: `172.2${i}.0.0/16` })
    await Promise.all([
      refusal(cloud.call('DeleteVpc', { VpcId })),
      refusal(other('CreateSubnet', { VpcId, CidrBlock: `172.2${i}.0.0/24` })),
    ])
    const view = await cloud.state.fresh()
    const isThere = view.get('vpc', VpcId) !== null
    assert.equal(view.subnetsOf('vpc', VpcId).length, isThere ? 1 : 0)
  }
})

test('CreateDefaultVpc gives back a default VPC that its owner deleted', async (t) => {
  const cloud = await openCloud(t, { racks: ['a', 'b'] })
  const already = cloud.call('CreateDefaultVpc', {})
  assert.equal(await refusal(already), 'DefaultVpcAlreadyExists')
  const { Vpcs, NextToken } = await cloud.call('DescribeVpcs', {})
  const VpcId = Vpcs?.[0]?.VpcId ?? ''
  assert.equal(NextToken, undefined)
  const { Subnets } = await cloud.call('DescribeSubnets', {})
  for (const { SubnetId = '' } of Subnets ?? []) await cloud.call('DeleteSubnet', { SubnetId })
  const { message } = await refused(cloud.call('DeleteVpc', { VpcId }))
  assert.match(message, /igw-/)
  await cloud.state.update(async (tx) => {
    for (const one of cloud.state.view().by('internet-gateway', 'vpc', VpcId)) {
      await tx.delete('internet-gateway', one.id)
    }
  })
  await cloud.call('DeleteVpc', { VpcId })
  assert.deepEqual((await cloud.call('DescribeVpcs', {})).Vpcs, [])
  const made = await cloud.call('CreateDefaultVpc', {})
  assert.equal(made.Vpc?.IsDefault, true)
  assert.notEqual(made.Vpc?.CidrBlock, Vpcs?.[0]?.CidrBlock)
  const { Subnets: fresh } = await cloud.call('DescribeSubnets', {})
  assert.deepEqual(fresh?.map((one) => one.AvailabilityZone).sort(), [`${REGION}-a`, `${REGION}-b`])
  const view = cloud.state.view()
  const vpc = view.get('vpc', made.Vpc?.VpcId ?? '')
  const table = view.get('route-table', vpc?.mainRouteTable ?? '')
  assert.deepEqual(
    table?.routes.map((one) => `${one.destination} ${one.target}`),
    ['0.0.0.0/0 internet-gateway', '::/0 internet-gateway'],
  )
})
