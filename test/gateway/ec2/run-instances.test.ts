// RunInstances: what is refused, where instances go, and what parallel calls never share.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Subnet } from '@aws-sdk/client-ec2'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import {
  addRack,
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  report,
  run,
  setHost,
} from './support.ts'

type RunInput = Partial<Ec2Inputs['RunInstances']>

const ONE = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const

test('RunInstances answers pending instances that Describe shows at once', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const answer = await cloud.call('RunInstances', { ...ONE, ImageId, MaxCount: 3 })
  assert.match(answer.ReservationId ?? '', /^r-[0-9a-f]{17}$/)
  assert.deepEqual(
    answer.Instances?.map((one) => [one.AmiLaunchIndex, one.State?.Name, one.State?.Code]),
    [
      [0, 'pending', 0],
      [1, 'pending', 0],
      [2, 'pending', 0],
    ],
  )
  const described = await cloud.call('DescribeInstances', {})
  assert.deepEqual(described.Reservations?.[0]?.Instances, answer.Instances)
})

test('RunInstances gives the first address after the five of EC2, in both families', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id] = await run(cloud, { ImageId: await registerImage(cloud) })
  const record = cloud.state.view().get('instance', id ?? '')
  const card = cloud.state.view().get('interface', record?.interfaces[0] ?? '')
  assert.equal(card?.ipv4, '10.0.0.4')
  assert.equal(card?.ipv6, 'fdab:cdef:100::4')
  assert.equal(card?.hostname, 'ip-10-0-0-4')
  assert.match(card?.mac ?? '', /^02(:[0-9a-f]{2}){5}$/)
  const shown = (await cloud.call('DescribeInstances', {})).Reservations?.[0]?.Instances?.[0]
  assert.equal(shown?.PrivateDnsName, `ip-10-0-0-4.${REGION}-a.internal`)
  assert.equal(shown?.NetworkInterfaces?.[0]?.Ipv6Addresses?.[0]?.Ipv6Address, card?.ipv6)
})

test('RunInstances spreads over the racks with room', async (t) => {
  const cloud = await openCloud(t)
  const ids = await run(cloud, { ImageId: await registerImage(cloud), count: 4 })
  const racks = ids.map((id) => cloud.state.view().get('instance', id)?.rack)
  assert.deepEqual(racks.sort(), ['a', 'a', 'b', 'b'])
})

for (const [what, input, code] of [
  ['a malformed image', { ImageId: 'debian' }, 'InvalidAMIID.Malformed'],
  ['an unknown image', { ImageId: 'ami-0123456789abcdef0' }, 'InvalidAMIID.NotFound'],
  ['no image', { ImageId: undefined }, 'MissingParameter'],
  ['an unknown type', { InstanceType: 'z9.huge' as 't3.nano' }, 'InvalidParameterValue'],
  ['count 0', { MinCount: 0, MaxCount: 0 }, 'InvalidParameterValue'],
  ['a negative count', { MinCount: -1 }, 'InvalidParameterValue'],
  ['half an instance', { MaxCount: 1.5 }, 'InvalidParameterValue'],
  ['a minimum over the maximum', { MinCount: 3, MaxCount: 2 }, 'InvalidParameterValue'],
  ['too many instances', { MinCount: 101, MaxCount: 200 }, 'InstanceLimitExceeded'],
  ['no count', { MinCount: undefined }, 'MissingParameter'],
  ['an unknown subnet', { SubnetId: 'subnet-0123456789abcdef0' }, 'InvalidSubnetID.NotFound'],
  ['a malformed subnet', { SubnetId: 'net/1' }, 'InvalidSubnetID.Malformed'],
  [
    'a subnet in an interface and at the top',
    { SubnetId: 'subnet-1', NetworkInterfaces: [{ DeviceIndex: 0 }] },
    'InvalidParameterCombination',
  ],
  [
    'an unknown subnet in an interface',
    { NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: 'subnet-01234567' }] },
    'InvalidSubnetID.NotFound',
  ],
  ['an unknown zone', { Placement: { AvailabilityZone: 'mallee-1-z' } }, 'InvalidParameterValue'],
  [
    'an unknown zone ID',
    { Placement: { AvailabilityZoneId: 'mallee-1-az9' } },
    'InvalidParameterValue',
  ],
  ['a malformed group', { SecurityGroupIds: ['default'] }, 'InvalidGroupId.Malformed'],
  ['an unknown group', { SecurityGroupIds: ['sg-01234567'] }, 'InvalidGroup.NotFound'],
  ['an unknown group name', { SecurityGroups: ['web'] }, 'InvalidGroup.NotFound'],
  ['an unknown key pair', { KeyName: 'mine' }, 'InvalidKeyPair.NotFound'],
  [
    'user data over 16 KiB',
    { UserData: Buffer.alloc(16_385).toString('base64') },
    'InvalidParameterValue',
  ],
  ['user data that is not base64', { UserData: '{not base64}' }, 'InvalidUserData.Malformed'],
  ['a long client token', { ClientToken: 'x'.repeat(65) }, 'InvalidClientToken'],
  ['an unknown kernel', { KernelId: 'aki-01234567' }, 'InvalidAMIID.NotFound'],
  ['a private address of elsewhere', { PrivateIpAddress: '10.9.0.9' }, 'InvalidParameterValue'],
  ['a public address', publicAddress(), 'InsufficientAddressCapacity'],
  ['a dedicated host', { Placement: { Tenancy: 'dedicated' } }, 'UnsupportedOperation'],
  [
    'tags of a thing that is not made',
    { TagSpecifications: [{ ResourceType: 'vpc', Tags: [{ Key: 'a', Value: 'b' }] }] },
    'InvalidParameterValue',
  ],
  [
    'a reserved tag',
    { TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'aws:x', Value: 'b' }] }] },
    'InvalidParameterValue',
  ],
] as const satisfies readonly (readonly [string, RunInput, string])[]) {
  test(`RunInstances with ${what} says ${code} and allocates nothing`, async (t) => {
    const cloud = await openCloud(t, { racks: ['a'] })
    const ImageId = await registerImage(cloud)
    const { revision } = await cloud.state.fresh()
    assert.equal(await refusal(cloud.call('RunInstances', { ...ONE, ImageId, ...input })), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

function publicAddress(): RunInput {
  return { NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: true }] }
}

test('RunInstances refuses a subnet, a group and an image of another account', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const view = await cloud.state.fresh()
  const subnet = view.all('subnet').find((one) => one.account === OTHER_ACCOUNT)
  const group = view.all('security-group').find((one) => one.account === OTHER_ACCOUNT)
  const call = (more: RunInput): Promise<string> =>
    refusal(cloud.call('RunInstances', { ...ONE, ImageId, ...more }))
  assert.equal(await call({ SubnetId: subnet?.id }), 'InvalidSubnetID.NotFound')
  assert.equal(await call({ SecurityGroupIds: [group?.id ?? ''] }), 'InvalidGroup.NotFound')
  const foreign = cloud.call('RunInstances', { ...ONE, ImageId }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(foreign), 'InvalidAMIID.NotFound')
})

test('RunInstances refuses a subnet in another zone than the one asked for', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const subnet = (await subnetsOf(cloud)).find((one) => one.AvailabilityZone === `${REGION}-a`)
  const input = { ...ONE, ImageId, SubnetId: subnet?.SubnetId }
  const there = { ...input, Placement: { AvailabilityZone: `${REGION}-a` } }
  const elsewhere = { ...input, Placement: { AvailabilityZone: `${REGION}-b` } }
  assert.equal(await refusal(cloud.call('RunInstances', there)), 'accepted')
  assert.equal(await refusal(cloud.call('RunInstances', elsewhere)), 'InvalidParameterValue')
})

test('RunInstances refuses an image that does not fit on the disk of the type', async (t) => {
  const cloud = await openCloud(t)
  await cloud.state.update(async (tx) => {
    const blob = await tx.get('blob', 'ab'.repeat(32))
    assert.ok(blob)
    await tx.put('blob', [blob.sha256], { ...blob, virtualSizeBytes: 5 * 2 ** 30 })
  })
  const ImageId = await registerImage(cloud)
  const call = cloud.call('RunInstances', { ...ONE, ImageId })
  assert.equal(await refusal(call), 'InvalidParameterCombination')
})

test('RunInstances without room says InsufficientInstanceCapacity, 500, and why', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'], vcpus: 4 })
  const ImageId = await registerImage(cloud)
  const { revision } = await cloud.state.fresh()
  await assert.rejects(run(cloud, { ImageId, count: 5 }), (error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.code, 'InsufficientInstanceCapacity')
    assert.equal(error.status, 500)
    assert.match(error.message, /host a1 of rack a has room for 2/)
    return true
  })
  assert.equal((await cloud.state.fresh()).revision, revision)
  const { Instances } = await cloud.call('RunInstances', { ...ONE, ImageId, MaxCount: 9 })
  assert.equal(Instances?.length, 4, 'as many as fit, from MinCount on')
})

test('RunInstances leaves out hosts and racks that are away or being drained', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  await setHost(cloud.state, 'a', 'a0', { connected: false })
  await setHost(cloud.state, 'b', 'b1', { connected: false })
  await setHost(cloud.state, 'b', 'b2', { draining: true })
  const call = cloud.call('RunInstances', { ...ONE, ImageId })
  assert.equal(await refusal(call), 'InsufficientInstanceCapacity')
  await setHost(cloud.state, 'b', 'b1', { connected: true })
  const [id = ''] = await run(cloud, { ImageId })
  assert.equal(cloud.state.view().get('instance', id)?.host, 'b1')
  await cloud.state.update(async (tx) => {
    const rack = await tx.get('rack', 'b')
    assert.ok(rack)
    await tx.put('rack', ['b'], { ...rack, state: 'draining' })
  })
  const zones = (await cloud.call('DescribeAvailabilityZones', {})).AvailabilityZones ?? []
  assert.deepEqual(
    zones.map((zone) => zone.State),
    ['impaired', 'constrained'],
  )
  const again = cloud.call('RunInstances', { ...ONE, ImageId })
  assert.equal(await refusal(again), 'InsufficientInstanceCapacity')
})

test('RunInstances in a dry run says that it would succeed, and starts nothing', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const { revision } = await cloud.state.fresh()
  const call = cloud.call('RunInstances', { ...ONE, ImageId, DryRun: true })
  assert.equal(await refusal(call), 'DryRunOperation')
  assert.equal((await cloud.state.fresh()).revision, revision)
  const bad = cloud.call('RunInstances', { ...ONE, ImageId, KeyName: 'x', DryRun: true })
  assert.equal(await refusal(bad), 'InvalidKeyPair.NotFound')
})

test('20 parallel RunInstances at two gateways share no address and exceed no host', async (t) => {
  const cloud = await openCloud(t, { vcpus: 6 })
  const ImageId = await registerImage(cloud)
  const gateways = [cloud.call, await cloud.otherGateway()] as const
  const calls = Array.from({ length: 20 }, (_, i) =>
    refusal(gateways[i % 2 === 0 ? 0 : 1]('RunInstances', { ...ONE, ImageId })),
  )
  const outcomes = await Promise.all(calls)
  // Four hosts of 6 vCPUs, 2 vCPUs an instance.
  assert.equal(outcomes.filter((one) => one === 'accepted').length, 12)
  assert.equal(outcomes.filter((one) => one === 'InsufficientInstanceCapacity').length, 8)
  const view = await cloud.state.fresh()
  const cards = view.all('interface')
  for (const field of ['ipv4', 'ipv6', 'mac'] as const) {
    assert.equal(new Set(cards.map((card) => card[field])).size, 12, field)
  }
  for (const host of ['a1', 'a2', 'b1', 'b2']) {
    assert.equal(view.instancesOf('host', host).length, 3, host)
  }
})

test('RunInstances never gives an address of a terminated instance before its time', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const addressOf = (id: string): string | undefined =>
    cloud.state.view().interfacesOf('instance', id)[0]?.ipv4
  const [first = ''] = await run(cloud, { ImageId })
  const before = addressOf(first)
  await cloud.call('TerminateInstances', { InstanceIds: [first] })
  assert.equal(addressOf(first), before, 'held until the host says that it is gone')
  await report(cloud.state, first, 'terminated')
  assert.equal(addressOf(first), undefined)
  const [second = ''] = await run(cloud, { ImageId })
  assert.notEqual(addressOf(second), before)
})

test('RunInstances starts as many as a subnet has addresses, and no more', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'], vcpus: 600 })
  const ImageId = await registerImage(cloud)
  const [subnet] = await subnetsOf(cloud)
  assert.equal(subnet?.AvailableIpAddressCount, 251)
  for (let n = 0; n < 2; n += 1) await run(cloud, { ImageId, count: 100 })
  const last = await cloud.call('RunInstances', { ...ONE, ImageId, MaxCount: 60 })
  assert.equal(last.Instances?.length, 51)
  assert.equal((await subnetsOf(cloud))[0]?.AvailableIpAddressCount, 0)
  const call = cloud.call('RunInstances', { ...ONE, ImageId })
  assert.equal(await refusal(call), 'InsufficientFreeAddressesInSubnet')
  await addRack(cloud.state, 'b', 2)
  assert.equal((await run(cloud, { ImageId })).length, 1, 'another rack has addresses')
})

async function subnetsOf(cloud: Cloud): Promise<Subnet[]> {
  return (await cloud.call('DescribeSubnets', {})).Subnets ?? []
}
