// Racks that leave with things of tenants in them: refused with what is in the way, or taken out
// whole.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { withoutHost, withoutRack } from '../../../gateway/control/departure.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { useRackTags } from '../../../gateway/ec2/vlan-tags.ts'
import type { State } from '../../../gateway/store/state.ts'
import { addPublicPool } from '../ec2/network-support.ts'
import { openRaceCloud } from '../ec2/race-support.ts'
import {
  ACCOUNT,
  type Call,
  type Cloud,
  openCloud,
  registerImage,
  START_MS,
} from '../ec2/support.ts'
import { balancingOf } from '../elb/support.ts'

const leave = (state: State, rack: string): Promise<void> =>
  state.update((tx) => withoutRack(tx, state, rack))

async function sentenceOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  )
  return error === null ? 'done' : `${codeOf(error)}: ${messageOf(error)}`
}

async function subnetIn({ state }: Pick<Cloud, 'state'>, rack: string): Promise<string> {
  const all = (await state.fresh()).subnetsOf('account', ACCOUNT)
  return all.find((one) => one.rack === rack)?.id ?? ''
}

test('a rack with a NAT gateway stays until that is deleted, and takes its subnets along', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  await addPublicPool(state, { cidr: '203.0.113.0/29' })
  const { AllocationId } = await call('AllocateAddress', {})
  const SubnetId = await subnetIn(cloud, 'b')
  const { NatGateway } = await call('CreateNatGateway', { SubnetId, AllocationId })
  const id = NatGateway?.NatGatewayId ?? ''
  const want = `Conflict: rack b has 1 NAT gateways, delete them first: ${id}`
  assert.equal(await sentenceOf(leave(state, 'b')), want)
  await call('DeleteNatGateway', { NatGatewayId: id })
  assert.equal(await sentenceOf(leave(state, 'b')), 'done')
  const view = await state.fresh()
  assert.deepEqual(view.subnetsOf('rack', 'b'), [])
  assert.equal(view.get('address', AllocationId ?? '')?.association, '', "it stays its owner's")
})

test('a rack with a node of a load balancer names that', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const Subnets = [await subnetIn(cloud, 'a'), await subnetIn(cloud, 'b')]
  const wish = { Name: 'web', Type: 'network', Scheme: 'internal', Subnets } as const
  const { LoadBalancers } = await elb('CreateLoadBalancer', wish)
  const LoadBalancerArn = LoadBalancers?.[0]?.LoadBalancerArn ?? ''
  const name = LoadBalancerArn.split(':loadbalancer/')[1]
  assert.equal(
    await sentenceOf(leave(cloud.state, 'b')),
    `Conflict: rack b has 1 nodes of load balancers, take their subnets there from them first: ${name}`,
  )
  await elb('SetSubnets', { LoadBalancerArn, Subnets: Subnets.slice(0, 1) })
  assert.equal(await sentenceOf(leave(cloud.state, 'b')), 'done')
})

test('a rack with an elastic IP on an interface names the interface', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  await addPublicPool(state, { cidr: '203.0.113.0/29' })
  const { AllocationId } = await call('AllocateAddress', {})
  const SubnetId = await subnetIn(cloud, 'b')
  const { NetworkInterface } = await call('CreateNetworkInterface', { SubnetId })
  const NetworkInterfaceId = NetworkInterface?.NetworkInterfaceId ?? ''
  await call('AssociateAddress', { AllocationId, NetworkInterfaceId })
  const want = `Conflict: rack b has 1 network interfaces, delete them first: ${NetworkInterfaceId}`
  assert.equal(await sentenceOf(leave(state, 'b')), want)
  await call('DeleteNetworkInterface', { NetworkInterfaceId })
  assert.equal(await sentenceOf(leave(state, 'b')), 'done')
})

test('a public pool forgets a rack that leaves, and holds its last one', async (t) => {
  const { state } = await openCloud(t)
  const both = await addPublicPool(state, { cidr: '203.0.113.0/29', racks: ['a', 'b'] })
  const one = await addPublicPool(state, { cidr: '198.51.100.0/29', racks: ['b'] })
  const want = `Conflict: the public pool ${one.id} (198.51.100.0/29) is announced in rack b alone, delete it first`
  assert.equal(await sentenceOf(leave(state, 'b')), want)
  await state.update((tx) => tx.delete('public-pool', one.id))
  assert.equal(await sentenceOf(leave(state, 'b')), 'done')
  assert.deepEqual((await state.fresh()).get('public-pool', both.id)?.racks, ['a'])
})

test('a stretched subnet stays without the rack, whose tag rests', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  await state.update((tx) => useRackTags(tx))
  const { Vpc } = await call('CreateVpc', { CidrBlock: '172.16.0.0/16' })
  const { Subnet } = await call('CreateSubnet', {
    ...{ VpcId: Vpc?.VpcId, CidrBlock: '172.16.1.0/24', AvailabilityZone: 'mallee-1-any' },
  })
  const id = Subnet?.SubnetId ?? ''
  // As when no tag was free in both.
  await state.update(async (tx) => {
    const subnet = await tx.get('subnet', id)
    assert.ok(subnet)
    await tx.put('subnet', [id], { ...subnet, vlanTag: 0, rackTags: { a: 1_000, b: 1_001 } })
  })
  assert.equal(await sentenceOf(leave(state, 'b')), 'done')
  const after = await state.fresh()
  assert.deepEqual(after.get('subnet', id)?.rackTags, { a: 1_000 })
  assert.ok(after.get('resting-tag', 'b', '1001'))
})

test('the last host of a rack does not leave while the rack has something', async (t) => {
  const cloud = await openCloud(t)
  const SubnetId = await subnetIn(cloud, 'b')
  await cloud.call('CreateNetworkInterface', { SubnetId })
  const out = (host: string): Promise<string> =>
    sentenceOf(cloud.state.update((tx) => withoutHost(tx, cloud.state, 'b', host)))
  assert.equal(await out('b1'), 'done')
  assert.equal(await out('b2'), 'done')
  assert.match(await out('b0'), /^Conflict: rack b has 1 network interfaces/)
  assert.ok((await cloud.state.fresh()).get('host', 'b', 'b0'))
})

const ADDITIONS: Readonly<Record<string, (call: Call, subnet: string) => Promise<unknown>>> = {
  CreateNetworkInterface: (call, SubnetId) => call('CreateNetworkInterface', { SubnetId }),
  CreateNatGateway: (call, SubnetId) =>
    call('CreateNatGateway', { SubnetId, ConnectivityType: 'private' }),
  RunInstances: async (call, SubnetId) => {
    const { Images } = await call('DescribeImages', {})
    const one = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const
    return await call('RunInstances', { ...one, ImageId: Images?.[0]?.ImageId, SubnetId })
  },
}

for (const [name, add] of Object.entries(ADDITIONS)) {
  test(`${name} and the departure of its rack at once: one of them is done`, async (t) => {
    for (const departureFirst of [true, false]) {
      const { cloud, other, race } = await openRaceCloud(t)
      await registerImage(cloud)
      const subnet = await subnetIn(cloud, 'b')
      const go = (): Promise<unknown> => leave(cloud.state, 'b')
      const come = (): Promise<unknown> => add(other, subnet)
      const codes = await (departureFirst ? race(go, come) : race(come, go))
      assert.deepEqual(codes, [
        departureFirst ? 'Conflict' : 'InvalidSubnetID.NotFound',
        'accepted',
      ])
    }
  })
}

test('a subnet made as its rack leaves goes with it, or finds no rack', async (t) => {
  for (const departureFirst of [true, false]) {
    const { cloud, other, race } = await openRaceCloud(t)
    const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '172.16.0.0/16' })
    const go = (): Promise<unknown> => leave(cloud.state, 'b')
    const come = (): Promise<unknown> =>
      other('CreateSubnet', {
        ...{ VpcId: Vpc?.VpcId, CidrBlock: '172.16.1.0/24', AvailabilityZone: 'mallee-1-b' },
      })
    const codes = await (departureFirst ? race(go, come) : race(come, go))
    assert.deepEqual(codes, [departureFirst ? 'accepted' : 'InvalidParameterValue', 'accepted'])
    await ensureDefaultSubnets(cloud.state, { nowMs: START_MS, randomHex })
    assert.deepEqual((await cloud.state.fresh()).subnetsOf('rack', 'b'), [])
  }
})
