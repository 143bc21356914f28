// Addresses that an interface gets and loses, and what can be changed of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import {
  createInterface,
  instanceRecord,
  interfaceRecord,
  launch,
  type Net,
  openNet,
} from './interface-support.ts'
import { addPublicPool } from './network-support.ts'
import { refusal } from './support.ts'

test('AssignPrivateIpAddresses gives more addresses, UnassignPrivateIpAddresses takes them', async (t) => {
  const net = await openNet(t)
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.a })
  const assign = (input: object): ReturnType<typeof net.cloud.call<'AssignPrivateIpAddresses'>> =>
    net.cloud.call('AssignPrivateIpAddresses', { NetworkInterfaceId, ...input })
  const unassign = (PrivateIpAddresses: string[]): Promise<string> =>
    refusal(
      net.cloud.call('UnassignPrivateIpAddresses', { NetworkInterfaceId, PrivateIpAddresses }),
    )
  const one = await assign({ SecondaryPrivateIpAddressCount: 1 })
  assert.deepEqual(one.AssignedPrivateIpAddresses, [{ PrivateIpAddress: '172.16.1.5' }])
  await assign({ PrivateIpAddresses: ['172.16.1.9'] })
  assert.deepEqual(interfaceRecord(net, NetworkInterfaceId).ipv4More, ['172.16.1.5', '172.16.1.9'])
  await assign({ PrivateIpAddresses: ['172.16.1.9'] })
  assert.equal(interfaceRecord(net, NetworkInterfaceId).ipv4More.length, 2, 'it has it already')
  assert.equal(await refusal(assign({})), 'MissingParameter')
  const both = { PrivateIpAddresses: ['172.16.1.8'], SecondaryPrivateIpAddressCount: 1 }
  assert.equal(await refusal(assign(both)), 'InvalidParameterCombination')
  const primary = { PrivateIpAddresses: ['172.16.1.4'] }
  assert.equal(await refusal(assign(primary)), 'InvalidParameterValue')
  const many = { SecondaryPrivateIpAddressCount: 48 }
  assert.equal(await refusal(assign(many)), 'PrivateIpAddressLimitExceeded')
  assert.equal(await unassign(['172.16.1.4']), 'InvalidParameterValue', 'the primary one stays')
  assert.equal(await unassign(['172.16.1.77']), 'InvalidParameterValue')
  assert.equal(await unassign(['172.16.1.5']), 'accepted')
  assert.deepEqual(interfaceRecord(net, NetworkInterfaceId).ipv4More, ['172.16.1.9'])
})

test('AssignPrivateIpAddresses moves a secondary address only when it may', async (t) => {
  const net = await openNet(t)
  const from = await createInterface(net, { SubnetId: net.a, SecondaryPrivateIpAddressCount: 1 })
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.a })
  const take = (address: string, AllowReassignment: boolean): Promise<string> =>
    refusal(
      net.cloud.call('AssignPrivateIpAddresses', {
        NetworkInterfaceId,
        PrivateIpAddresses: [address],
        AllowReassignment,
      }),
    )
  assert.equal(await take('172.16.1.5', false), 'InvalidIPAddress.InUse')
  assert.equal(await take('172.16.1.4', true), 'InvalidIPAddress.InUse', 'a primary one stays')
  assert.equal(await take('172.16.1.5', true), 'accepted')
  assert.deepEqual(interfaceRecord(net, NetworkInterfaceId).ipv4More, ['172.16.1.5'])
  assert.deepEqual(interfaceRecord(net, from.NetworkInterfaceId).ipv4More, [])
  const record = net.cloud.state.view().get('private-address', '172.16.1.5')
  assert.equal(record?.interface, NetworkInterfaceId)
})

test('addresses of an interface on an instance are limited by its type', async (t) => {
  const net = await openNet(t)
  const { NetworkInterfaces } = await launch(net, { SubnetId: net.a, InstanceType: 't3.nano' })
  const NetworkInterfaceId = NetworkInterfaces?.[0]?.NetworkInterfaceId ?? ''
  const more = (SecondaryPrivateIpAddressCount: number): Promise<string> =>
    refusal(
      net.cloud.call('AssignPrivateIpAddresses', {
        NetworkInterfaceId,
        SecondaryPrivateIpAddressCount,
      }),
    )
  assert.equal(await more(2), 'PrivateIpAddressLimitExceeded')
  assert.equal(await more(1), 'accepted')
})

test('AssignIpv6Addresses and UnassignIpv6Addresses change what an interface has', async (t) => {
  const net = await openNet(t)
  const made = await createInterface(net, { SubnetId: net.a, Ipv6AddressCount: 0 })
  const { NetworkInterfaceId } = made
  assert.deepEqual(made.Ipv6Addresses, [])
  const assign = (input: object): ReturnType<typeof net.cloud.call<'AssignIpv6Addresses'>> =>
    net.cloud.call('AssignIpv6Addresses', { NetworkInterfaceId, ...input })
  const { AssignedIpv6Addresses: two = [] } = await assign({ Ipv6AddressCount: 2 })
  assert.match(two[0] ?? '', /::4$/, 'the first one has the offset of the IPv4 address')
  assert.match(two[1] ?? '', /::1:0$/)
  const wished = (two[0] ?? '').replace(/::4$/, '::beef')
  assert.deepEqual((await assign({ Ipv6Addresses: [wished] })).AssignedIpv6Addresses, [wished])
  const unassign = (id: string, Ipv6Addresses: string[]): Promise<string> =>
    refusal(net.cloud.call('UnassignIpv6Addresses', { NetworkInterfaceId: id, Ipv6Addresses }))
  assert.equal(await unassign(NetworkInterfaceId, [two[0] ?? '']), 'accepted')
  const record = interfaceRecord(net, NetworkInterfaceId)
  assert.deepEqual([record.ipv6, record.ipv6More], [two[1], [wished]])
  assert.equal(await unassign(NetworkInterfaceId, [two[0] ?? '']), 'InvalidParameterValue')
  const plain = await createInterface(net, { SubnetId: net.b })
  const none = { NetworkInterfaceId: plain.NetworkInterfaceId, Ipv6AddressCount: 1 }
  assert.equal(await refusal(net.cloud.call('AssignIpv6Addresses', none)), 'InvalidParameterValue')
  const native = await createInterface(net, { SubnetId: net.native })
  const only = native.Ipv6Addresses?.[0]?.Ipv6Address ?? ''
  assert.equal(await unassign(native.NetworkInterfaceId, [only]), 'InvalidParameterValue')
})

test('the public address of a launch stands at its interface as nobody’s own', async (t) => {
  const net = await openNet(t)
  await addPublicPool(net.cloud.state, { cidr: '203.0.113.0/28' })
  const SubnetId = net.a
  const card = { DeviceIndex: 0, SubnetId, AssociatePublicIpAddress: true }
  const { NetworkInterfaces } = await launch(net, { NetworkInterfaces: [card] })
  const NetworkInterfaceId = NetworkInterfaces?.[0]?.NetworkInterfaceId ?? ''
  const describe = async (): Promise<(string | undefined)[]> => {
    const filters = [{ Name: 'association.public-ip', Values: ['203.0.113.*'] }]
    const answer = await net.cloud.call('DescribeNetworkInterfaces', { Filters: filters })
    return (answer.NetworkInterfaces ?? []).map((one) => one.Association?.IpOwnerId)
  }
  assert.deepEqual(await describe(), ['amazon'])
  const shown = await net.cloud.call('DescribeNetworkInterfaceAttribute', {
    NetworkInterfaceId,
    Attribute: 'associatePublicIpAddress',
  })
  assert.equal(shown.AssociatePublicIpAddress, true)
})

type Changes = Omit<Ec2Inputs['ModifyNetworkInterfaceAttribute'], 'NetworkInterfaceId'>

test('ModifyNetworkInterfaceAttribute changes one thing, which Describe then shows', async (t) => {
  const net = await openNet(t)
  const { InstanceId, NetworkInterfaces } = await launch(net, { SubnetId: net.a })
  const [first] = NetworkInterfaces ?? []
  const NetworkInterfaceId = first?.NetworkInterfaceId ?? ''
  const { GroupId = '' } = await net.cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description: 'web',
    VpcId: net.VpcId,
  })
  const change = (input: Changes): Promise<string> =>
    refusal(net.cloud.call('ModifyNetworkInterfaceAttribute', { NetworkInterfaceId, ...input }))
  assert.equal(await change({}), 'MissingParameter')
  const two = { Description: { Value: 'x' }, SourceDestCheck: { Value: false } }
  assert.equal(await change(two), 'InvalidParameterCombination')
  assert.equal(await change({ EnablePrimaryIpv6: true }), 'UnsupportedOperation')
  assert.equal(await change({ Groups: [GroupId], DryRun: true }), 'DryRunOperation')
  assert.equal(await change({ Groups: [GroupId] }), 'accepted')
  assert.equal(await change({ SourceDestCheck: { Value: false } }), 'accepted')
  assert.equal(await change({ Description: { Value: 'mine' } }), 'accepted')
  const wrong = { AttachmentId: 'eni-attach-01234567', DeleteOnTermination: false }
  assert.equal(await change({ Attachment: wrong }), 'InvalidAttachmentID.NotFound')
  const Attachment = { ...wrong, AttachmentId: first?.Attachment?.AttachmentId }
  assert.equal(await change({ Attachment }), 'accepted')
  assert.deepEqual(instanceRecord(net, InstanceId).securityGroups, [GroupId])
  const show = async (
    Attribute: NonNullable<Ec2Inputs['DescribeNetworkInterfaceAttribute']['Attribute']>,
  ): Promise<unknown> => {
    const ask = { NetworkInterfaceId, Attribute }
    const { NetworkInterfaceId: _id, ...rest } = await net.cloud.call(
      'DescribeNetworkInterfaceAttribute',
      ask,
    )
    return rest
  }
  assert.deepEqual(await show('groupSet'), { Groups: [{ GroupId, GroupName: 'web' }] })
  assert.deepEqual(await show('sourceDestCheck'), { SourceDestCheck: { Value: false } })
  assert.deepEqual(await show('description'), { Description: { Value: 'mine' } })
  const { Attachment: kept } = (await show('attachment')) as typeof first & object
  assert.equal(kept?.DeleteOnTermination, false)
  await net.cloud.call('ResetNetworkInterfaceAttribute', {
    NetworkInterfaceId,
    SourceDestCheck: 'true',
  })
  assert.equal(interfaceRecord(net, NetworkInterfaceId).sourceDestCheck, true)
})

test('DescribeNetworkInterfaces finds by what it shows', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const tags = [{ ResourceType: 'network-interface' as const, Tags: [{ Key: 'k', Value: 'v' }] }]
  const free = await createInterface(net, {
    SubnetId: net.b,
    Description: 'spare one',
    TagSpecifications: tags,
  })
  for (const [name, value, count] of [
    ['attachment.instance-id', InstanceId, 1],
    ['attachment.device-index', '0', 1],
    ['status', 'available', 1],
    ['status', 'in-use', 1],
    ['availability-zone', 'mallee-1-b', 1],
    ['subnet-id', net.a, 1],
    ['vpc-id', net.VpcId, 2],
    ['addresses.private-ip-address', '172.16.2.*', 1],
    ['addresses.primary', 'true', 2],
    ['ipv6-addresses.ipv6-address', '*::4', 1],
    ['description', 'spare*', 1],
    ['mac-address', free.MacAddress ?? '', 1],
    ['group-name', 'default', 2],
    ['tag:k', 'v', 1],
    ['interface-type', 'interface', 2],
    ['outpost-arn', '*', 0],
  ] as const) {
    assert.equal((await found(net, name, value)).length, count, `${name}=${value}`)
  }
  const unknown = found(net, 'colour', 'red')
  assert.equal(await refusal(unknown), 'InvalidParameterValue')
})

async function found(net: Net, Name: string, value: string): Promise<unknown[]> {
  const Filters = [{ Name, Values: [value] }]
  const { NetworkInterfaces } = await net.cloud.call('DescribeNetworkInterfaces', { Filters })
  return NetworkInterfaces ?? []
}
