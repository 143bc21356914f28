// Default networks: made once for every account and rack, and no number twice.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import {
  ensureDefaultNetworks,
  ensureDefaultSubnets,
  forgetDefaultSubnets,
} from '../../../gateway/ec2/networks.ts'
import { removeSubnet } from '../../../gateway/ec2/subnet-records.ts'
import type { SubnetRecord } from '../../../gateway/store/records.ts'
import { covers, mustCidr, overlaps } from '../../../topology/cidr.ts'
import {
  ACCOUNT,
  addRack,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  run,
  START_MS,
} from './support.ts'

const OPTIONS = { nowMs: START_MS, randomHex }
const UNKNOWN_VPC = 'vpc-0123456789abcdef0'

test('ensureDefaultSubnets makes one subnet for every default VPC and rack, and no second', async (t) => {
  const cloud = await openCloud(t, { racks: ['a', 'b', 'c'] })
  const subnets = cloud.state.view().all('subnet')
  assert.equal(subnets.length, 6)
  const { revision } = await cloud.state.fresh()
  await ensureDefaultSubnets(cloud.state, OPTIONS)
  await cloud.state.update((tx) => ensureDefaultNetworks(tx, cloud.state, ACCOUNT, OPTIONS))
  assert.equal((await cloud.state.fresh()).revision, revision)
  assertDistinct(subnets)
})

test('ensureDefaultSubnets by several gateways at once makes each subnet once', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  await cloud.state.update((tx) =>
    tx.put('rack', ['a'], { name: 'a', index: 1, state: 'joined', createdAtMs: START_MS }),
  )
  await Promise.all([1, 2, 3, 4].map(() => ensureDefaultSubnets(cloud.state, OPTIONS)))
  assert.equal((await cloud.state.fresh()).all('subnet').length, 2)
})

test('ensureDefaultSubnets gives a VPC another block when the first is full', async (t) => {
  const racks = Array.from({ length: 18 }, (_, i) => `rack${i}`)
  const cloud = await openCloud(t, { racks })
  const view = cloud.state.view()
  const vpc = view.all('vpc').find((one) => one.account === ACCOUNT)
  assert.equal(vpc?.ipv4Cidrs.length, 2)
  assertDistinct(view.all('subnet'))
  for (const subnet of view.all('subnet').filter((one) => one.vpc === vpc?.id)) {
    const block = mustCidr(subnet.ipv4Cidr)
    assert.ok(vpc?.ipv4Cidrs.some((cidr) => covers(mustCidr(cidr), block)))
  }
  const { Vpcs } = await cloud.call('DescribeVpcs', {})
  assert.deepEqual(
    Vpcs?.[0]?.CidrBlockAssociationSet?.map((one) => one.CidrBlock),
    vpc?.ipv4Cidrs,
  )
})

test('ensureDefaultSubnets leaves out what there are no numbers for and makes the others', async (t) => {
  // Two blocks of /20: one for each account, none to grow.
  const racks = Array.from({ length: 17 }, (_, i) => `rack${i}`)
  const cloud = await openCloud(t, { racks, pools: ['10.0.0.0/19'] })
  assert.equal(cloud.state.view().all('subnet').length, 32)
  const third = cloud.state.update((tx) =>
    ensureDefaultNetworks(tx, cloud.state, '777788889999', OPTIONS),
  )
  await assert.rejects(third, /every IPv4 block of the cloud is taken/)
})

test('removeSubnet lets a rack of the same name have subnets again, with other numbers', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const before = [...cloud.state.view().all('subnet')]
  await cloud.state.update(async (tx) => {
    for (const subnet of before) await removeSubnet(tx, subnet)
    await forgetDefaultSubnets(tx, cloud.state.view(), 'a')
  })
  assert.deepEqual((await cloud.state.fresh()).all('subnet'), [])
  await ensureDefaultSubnets(cloud.state, OPTIONS)
  const after = cloud.state.view().all('subnet')
  assert.equal(after.length, 2)
  assertDistinct([...before, ...after])
})

test('DescribeVpcs and DescribeSubnets show the default network of the caller only', async (t) => {
  const cloud = await openCloud(t)
  const { Vpcs } = await cloud.call('DescribeVpcs', {
    Filters: [{ Name: 'is-default', Values: ['true'] }],
  })
  assert.equal(Vpcs?.length, 1)
  assert.equal(Vpcs?.[0]?.CidrBlock, '10.0.0.0/20')
  assert.equal(Vpcs?.[0]?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock, 'fdab:cdef:100::/56')
  const { Subnets } = await cloud.call('DescribeSubnets', {
    Filters: [
      { Name: 'vpc-id', Values: [Vpcs?.[0]?.VpcId ?? ''] },
      { Name: 'default-for-az', Values: ['true'] },
    ],
  })
  const zones = Subnets?.map((one) => one.AvailabilityZone).sort()
  assert.deepEqual(zones, [`${REGION}-a`, `${REGION}-b`])
  const foreign = cloud.state
    .view()
    .all('vpc')
    .find((one) => one.account === OTHER_ACCOUNT)
  for (const id of [foreign?.id ?? '', UNKNOWN_VPC]) {
    const call = cloud.call('DescribeVpcs', { VpcIds: [id] })
    assert.equal(await refusal(call), 'InvalidVpcID.NotFound', id)
  }
  for (const id of ['x', 'a/b']) {
    const call = cloud.call('DescribeVpcs', { VpcIds: [id] })
    assert.equal(await refusal(call), 'InvalidVpcID.Malformed', id)
  }
  const subnet = cloud.call('DescribeSubnets', { SubnetIds: ['subnet-01234567'] })
  assert.equal(await refusal(subnet), 'InvalidSubnetID.NotFound')
})

test('DescribeSubnets counts the addresses that nobody has', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const free = async (): Promise<number | undefined> =>
    (await cloud.call('DescribeSubnets', {})).Subnets?.[0]?.AvailableIpAddressCount
  assert.equal(await free(), 251)
  await run(cloud, { ImageId: await registerImage(cloud), count: 3 })
  assert.equal(await free(), 248)
})

test('DescribeSecurityGroups shows the default group with its rules', async (t) => {
  const cloud = await openCloud(t)
  const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', {})
  assert.equal(SecurityGroups?.length, 1)
  const group = SecurityGroups?.[0]
  assert.equal(group?.GroupName, 'default')
  assert.equal(group?.IpPermissions?.[0]?.UserIdGroupPairs?.[0]?.GroupId, group?.GroupId)
  assert.equal(group?.IpPermissionsEgress?.[0]?.IpRanges?.[0]?.CidrIp, '0.0.0.0/0')
  const found = await cloud.call('DescribeSecurityGroups', {
    GroupNames: ['default'],
    Filters: [{ Name: 'egress.ip-permission.ipv6-cidr', Values: ['::/0'] }],
  })
  assert.equal(found.SecurityGroups?.length, 1)
  for (const [input, code] of [
    [{ GroupIds: ['x'] }, 'InvalidGroupId.Malformed'],
    [{ GroupIds: ['sg-01234567'] }, 'InvalidGroup.NotFound'],
    [{ GroupNames: ['web'] }, 'InvalidGroup.NotFound'],
  ] as const) {
    const call = cloud.call('DescribeSecurityGroups', structuredClone(input) as object)
    assert.equal(await refusal(call), code)
  }
})

test('a rack that joins later gets its default subnets and can be used', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addRack(cloud.state, 'late', 7)
  const zone = `${REGION}-late`
  const ImageId = await registerImage(cloud)
  const [id = ''] = await run(cloud, { ImageId, Placement: { AvailabilityZone: zone } })
  assert.equal(cloud.state.view().get('instance', id)?.rack, 'late')
})

test('RunInstances in a rack without a default subnet yet says MissingInput', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update((tx) =>
    tx.put('rack', ['new'], { name: 'new', index: 2, state: 'joined', createdAtMs: START_MS }),
  )
  const Placement = { AvailabilityZone: `${REGION}-new` }
  const call = run(cloud, { ImageId: await registerImage(cloud), Placement })
  assert.equal(await refusal(call), 'MissingInput')
})

function assertDistinct(subnets: readonly SubnetRecord[]): void {
  for (const field of ['id', 'ipv4Cidr', 'ipv6Cidr', 'vlanTag', 'vni'] as const) {
    assert.equal(new Set(subnets.map((one) => one[field])).size, subnets.length, field)
  }
  const blocks = subnets.map((one) => mustCidr(one.ipv4Cidr))
  for (const [i, block] of blocks.entries()) {
    assert.ok(!blocks.slice(i + 1).some((other) => overlaps(block, other)))
  }
}
