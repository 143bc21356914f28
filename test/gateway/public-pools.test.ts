// Public pools: what an operator may give, and that nothing goes that is in use.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import { changePublicPool, createPublicPool, deletePublicPool } from '../../gateway/public-pools.ts'
import { openRaceCloud } from './ec2/race-support.ts'
import { ACCOUNT, type Call, type Cloud, openCloud, START_MS } from './ec2/support.ts'

const create = (cloud: Cloud, cidr: string, exclude: string[] = [], racks: string[] = []) =>
  createPublicPool({ state: cloud.state, randomHex, nowMs: START_MS }, { cidr, exclude, racks })

async function codeFrom(call: Promise<unknown>): Promise<string | null> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  )
  return error === null ? null : codeOf(error)
}

for (const [cidr, exclude, racks, code] of [
  ['203.0.113.0/24', ['203.0.113.1'], ['a'], null],
  ['203.0.113.7/32', [], [], null],
  ['203.0.113.1/24', [], [], 'BadArgument'],
  ['12.0.0.0/7', [], [], 'BadArgument'],
  ['2001:db8::/64', [], [], 'BadArgument'],
  ['224.0.0.0/24', [], [], 'BadArgument'],
  ['203.0.113.0/24', ['198.51.100.1'], [], 'BadArgument'],
  ['203.0.113.0/24', [], ['nowhere'], 'RackNotFound'],
  ['10.3.0.0/16', [], [], 'Conflict'],
  ['172.31.8.0/24', [], [], 'Conflict'],
  ['198.51.100.0/28', [], [], 'Conflict'],
  ['192.0.2.0/24', [], [], 'Conflict'],
  ['192.0.2.0/24', ['192.0.2.9'], [], null],
] as const) {
  test(`createPublicPool of ${cidr} without [${exclude}] in [${racks}]: ${code}`, async (t) => {
    const cloud = await openCloud(t)
    await create(cloud, '198.51.100.0/24')
    await cloud.call('CreateVpc', { CidrBlock: '172.31.0.0/16' })
    await cloud.state.update(async (tx) => {
      const host = await tx.get('host', 'a', 'a0')
      assert.ok(host?.status)
      const status = { ...host.status, wireguardEndpoints: ['192.0.2.9:51820'] }
      await tx.put('host', ['a', 'a0'], { ...host, status })
    })
    assert.equal(await codeFrom(create(cloud, cidr, [...exclude], [...racks])), code)
  })
}

test('createPublicPool does not make two pools that overlap at once', async (t) => {
  const cloud = await openCloud(t)
  const made = await Promise.allSettled([
    create(cloud, '203.0.113.0/24'),
    create(cloud, '203.0.113.128/25'),
  ])
  assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1)
})

for (const [name, take] of [
  ['CreateVpc', (call: Call) => call('CreateVpc', { CidrBlock: '203.0.113.0/24' })],
  [
    'AssociateVpcCidrBlock',
    async (call: Call) => {
      const { Vpcs = [] } = await call('DescribeVpcs', {})
      return await call('AssociateVpcCidrBlock', {
        ...{ VpcId: Vpcs[0]?.VpcId, CidrBlock: '203.0.113.0/24' },
      })
    },
  ],
] as const) {
  test(`createPublicPool and ${name} at once do not take the same block`, async (t) => {
    for (const poolFirst of [true, false]) {
      const { cloud, other, race } = await openRaceCloud(t, { racks: ['a'] })
      const pool = (): Promise<unknown> => create(cloud, '203.0.113.128/25')
      const vpc = (): Promise<unknown> => take(other)
      const codes = await (poolFirst ? race(pool, vpc) : race(vpc, pool))
      const refusal = poolFirst ? 'Conflict' : 'InvalidVpc.Range'
      assert.deepEqual(codes, [refusal, 'accepted'])
    }
  })
}

test('deletePublicPool refuses while an address is out, and goes on giving them', async (t) => {
  const cloud = await openCloud(t)
  const { id } = await create(cloud, '203.0.113.0/24')
  const { AllocationId } = await cloud.call('AllocateAddress', {})
  assert.equal(await codeFrom(deletePublicPool(cloud.state, id)), 'Conflict')
  const other = await cloud.call('AllocateAddress', {})
  for (const one of [AllocationId, other.AllocationId]) {
    await cloud.call('ReleaseAddress', { AllocationId: one })
  }
  await deletePublicPool(cloud.state, id)
  assert.deepEqual((await cloud.call('DescribePublicIpv4Pools', {})).PublicIpv4Pools, [])
  assert.equal(await codeFrom(deletePublicPool(cloud.state, id)), 'NotFound')
})

test('changePublicPool replaces what it is given, and nothing that is in use', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  const { id } = await create(cloud, '203.0.113.0/29', ['203.0.113.1'])
  const change = async (how: Parameters<typeof changePublicPool>[2]): Promise<string> => {
    const code = await codeFrom(changePublicPool(state, id, how))
    const pool = (await state.fresh()).get('public-pool', id)
    return [code, pool?.racks.join(), pool?.excluded.join()].join(' ')
  }
  assert.equal(await change({ racks: ['a', 'b', 'a'] }), ' a,b 203.0.113.1')
  const { AllocationId = '', PublicIp = '' } = await call('AllocateAddress', {})
  assert.equal(await change({ exclude: [PublicIp] }), 'Conflict a,b 203.0.113.1')
  assert.equal(await change({ exclude: ['198.51.100.1'] }), 'BadArgument a,b 203.0.113.1')
  assert.equal(await change({ racks: ['nowhere'] }), 'RackNotFound a,b 203.0.113.1')
  const subnet = state
    .view()
    .subnetsOf('account', ACCOUNT)
    .find((one) => one.rack === 'b')
  assert.ok(subnet)
  const { NetworkInterface } = await call('CreateNetworkInterface', { SubnetId: subnet.id })
  const NetworkInterfaceId = NetworkInterface?.NetworkInterfaceId ?? ''
  await call('AssociateAddress', { AllocationId, NetworkInterfaceId })
  assert.equal(await change({ racks: ['a'] }), 'Conflict a,b 203.0.113.1', 'it is out in b')
  assert.equal(await change({ racks: ['b'], exclude: [] }), ' b ')
  assert.equal(await change({ racks: [] }), '  ')
  const nobody = changePublicPool(state, 'ipv4pool-ec2-0', { racks: [] })
  assert.equal(await codeFrom(nobody), 'NotFound')
})

test('changePublicPool and AssociateAddress at once leave no address that no rack announces', async (t) => {
  for (const poolFirst of [true, false]) {
    const { cloud, other, race } = await openRaceCloud(t)
    const { id } = await create(cloud, '203.0.113.0/29')
    const { AllocationId = '' } = await cloud.call('AllocateAddress', {})
    const subnets = (await cloud.state.fresh()).subnetsOf('account', ACCOUNT)
    const SubnetId = subnets.find((one) => one.rack === 'b')?.id ?? ''
    const { NetworkInterface } = await cloud.call('CreateNetworkInterface', { SubnetId })
    const NetworkInterfaceId = NetworkInterface?.NetworkInterfaceId ?? ''
    const narrow = (): Promise<unknown> => changePublicPool(cloud.state, id, { racks: ['a'] })
    const associate = (call: Call) => (): Promise<unknown> =>
      call('AssociateAddress', { AllocationId, NetworkInterfaceId })
    const codes = await (poolFirst
      ? race(narrow, associate(other))
      : race(associate(cloud.call), narrow))
    const view = await cloud.state.fresh()
    const isOut = view.get('address', AllocationId)?.association !== ''
    assert.equal(view.get('public-pool', id)?.racks.includes('a'), !isOut, codes.join())
  }
})
