// Network interfaces: how they are made, shown and deleted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { createInterface, instanceRecord, launch, openNet } from './interface-support.ts'
import { OTHER_ACCOUNT, REGION, refusal } from './support.ts'

const UNKNOWN = 'eni-0123456789abcdef0'

test('CreateNetworkInterface gives addresses of the families that the subnet has', async (t) => {
  const net = await openNet(t)
  const a = await createInterface(net, { SubnetId: net.a, Description: 'spare' })
  assert.equal(a.PrivateIpAddress, '172.16.1.4')
  assert.match(a.Ipv6Addresses?.[0]?.Ipv6Address ?? '', /::4$/)
  assert.equal(a.Status, 'available')
  assert.equal(a.Attachment, undefined)
  assert.equal(a.PrivateDnsName, `ip-172-16-1-4.${REGION}-a.internal`)
  assert.deepEqual(
    a.Groups?.map((group) => group.GroupName),
    ['default'],
  )
  const b = await createInterface(net, { SubnetId: net.b })
  assert.deepEqual([b.PrivateIpAddress, b.Ipv6Addresses], ['172.16.2.4', []])
  const native = await createInterface(net, { SubnetId: net.native })
  assert.equal(native.PrivateIpAddress, undefined)
  assert.equal(native.Ipv6Addresses?.length, 1)
  const any = await createInterface(net, { SubnetId: net.any })
  assert.equal(any.AvailabilityZone, `${REGION}-any`)
  const { NetworkInterfaces } = await net.cloud.call('DescribeNetworkInterfaces', {})
  assert.equal(NetworkInterfaces?.length, 4)
  assert.deepEqual(
    NetworkInterfaces?.find((one) => one.NetworkInterfaceId === a.NetworkInterfaceId),
    a,
  )
})

test('CreateNetworkInterface gives the addresses that it is asked for', async (t) => {
  const net = await openNet(t)
  const one = await createInterface(net, {
    SubnetId: net.a,
    PrivateIpAddresses: [
      { PrivateIpAddress: '172.16.1.10' },
      { PrivateIpAddress: '172.16.1.20', Primary: true },
    ],
    Ipv6AddressCount: 2,
  })
  assert.equal(one.PrivateIpAddress, '172.16.1.20')
  assert.deepEqual(
    one.PrivateIpAddresses?.map((ip) => [ip.PrivateIpAddress, ip.Primary]),
    [
      ['172.16.1.20', true],
      ['172.16.1.10', false],
    ],
  )
  assert.equal(one.Ipv6Addresses?.length, 2)
  const more = await createInterface(net, { SubnetId: net.b, SecondaryPrivateIpAddressCount: 2 })
  assert.equal(more.PrivateIpAddresses?.length, 3)
})

type Asked = Partial<Ec2Inputs['CreateNetworkInterface']>

for (const [what, input, code] of [
  ['no subnet', { SubnetId: undefined }, 'MissingParameter'],
  ['an unknown subnet', { SubnetId: 'subnet-0123456789abcdef0' }, 'InvalidSubnetID.NotFound'],
  ['an address in use', { PrivateIpAddress: '172.16.1.4' }, 'InvalidIPAddress.InUse'],
  ['an address of elsewhere', { PrivateIpAddress: '172.16.2.9' }, 'InvalidParameterValue'],
  ['a reserved address', { PrivateIpAddress: '172.16.1.1' }, 'InvalidParameterValue'],
  ['no address', { PrivateIpAddress: 'ten' }, 'InvalidParameterValue'],
  [
    'two primary addresses',
    {
      PrivateIpAddress: '172.16.1.8',
      PrivateIpAddresses: [{ PrivateIpAddress: '172.16.1.9', Primary: true }],
    },
    'InvalidParameterCombination',
  ],
  [
    'one address twice',
    {
      PrivateIpAddresses: ['172.16.1.9', '172.16.1.9'].map((PrivateIpAddress) => ({
        PrivateIpAddress,
      })),
    },
    'InvalidParameterValue',
  ],
  ['too many addresses', { SecondaryPrivateIpAddressCount: 51 }, 'InvalidParameterValue'],
  [
    'IPv6 addresses and their count',
    { Ipv6AddressCount: 1, Ipv6Addresses: [{ Ipv6Address: 'fd00::9' }] },
    'InvalidParameterCombination',
  ],
  [
    'an IPv6 address of elsewhere',
    { Ipv6Addresses: [{ Ipv6Address: 'fd00::9' }] },
    'InvalidParameterValue',
  ],
  ['a malformed group', { Groups: ['web'] }, 'InvalidGroupId.Malformed'],
  ['an unknown group', { Groups: ['sg-01234567'] }, 'InvalidGroup.NotFound'],
  ['a prefix', { Ipv4PrefixCount: 1 }, 'UnsupportedOperation'],
  ['a kind of its own', { InterfaceType: 'efa' }, 'UnsupportedOperation'],
  ['a long description', { Description: 'x'.repeat(256) }, 'InvalidParameterValue'],
  ['a bad client token', { ClientToken: 'é' }, 'InvalidClientToken'],
  ['a dry run', { DryRun: true }, 'DryRunOperation'],
] as const satisfies readonly (readonly [string, unknown, string])[]) {
  test(`CreateNetworkInterface with ${what} says ${code} and takes nothing`, async (t) => {
    const net = await openNet(t)
    await createInterface(net, { SubnetId: net.a })
    const { revision } = await net.cloud.state.fresh()
    const asked = { SubnetId: net.a, ...(structuredClone(input) as Asked) }
    const call = net.cloud.call('CreateNetworkInterface', {
      ...asked,
      SubnetId: asked.SubnetId,
    })
    assert.equal(await refusal(call), code)
    assert.equal((await net.cloud.state.fresh()).revision, revision)
  })
}

test('CreateNetworkInterface refuses groups of another VPC and subnets of another account', async (t) => {
  const net = await openNet(t)
  const groups = (await net.cloud.state.fresh()).all('security-group')
  const elsewhere = groups.find((one) => one.vpc !== net.VpcId && one.account !== OTHER_ACCOUNT)
  const call = net.cloud.call('CreateNetworkInterface', {
    SubnetId: net.a,
    Groups: [elsewhere?.id ?? ''],
  })
  assert.equal(await refusal(call), 'InvalidParameter')
  const foreign = { SubnetId: net.a }
  const asked = net.cloud.call('CreateNetworkInterface', foreign, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(asked), 'InvalidSubnetID.NotFound')
})

test('CreateNetworkInterface with a client token makes one interface', async (t) => {
  const net = await openNet(t)
  const make = (Description: string): Promise<unknown> =>
    net.cloud.call('CreateNetworkInterface', { SubnetId: net.a, ClientToken: 'once', Description })
  assert.deepEqual(await make('x'), await make('x'))
  assert.equal(await refusal(make('y')), 'IdempotentParameterMismatch')
  assert.equal(net.cloud.state.view().all('interface').length, 1)
})

test('DeleteNetworkInterface gives everything back, and only what is not in use', async (t) => {
  const net = await openNet(t)
  const { InstanceId, NetworkInterfaces } = await launch(net, { SubnetId: net.a })
  const used = NetworkInterfaces?.[0]?.NetworkInterfaceId ?? ''
  const drop = (NetworkInterfaceId: string, account?: string): Promise<string> =>
    refusal(
      net.cloud.call(
        'DeleteNetworkInterface',
        { NetworkInterfaceId },
        account === undefined ? {} : { account },
      ),
    )
  assert.equal(await drop(used), 'InvalidNetworkInterface.InUse')
  assert.equal(await drop(UNKNOWN), 'InvalidNetworkInterfaceID.NotFound')
  assert.equal(await drop('eni-x'), 'InvalidNetworkInterfaceId.Malformed')
  const tags = [{ ResourceType: 'network-interface' as const, Tags: [{ Key: 'a', Value: 'b' }] }]
  const one = await createInterface(net, { SubnetId: net.a, TagSpecifications: tags })
  assert.equal(
    await drop(one.NetworkInterfaceId, OTHER_ACCOUNT),
    'InvalidNetworkInterfaceID.NotFound',
  )
  assert.equal(await drop(one.NetworkInterfaceId), 'accepted')
  const view = await net.cloud.state.fresh()
  assert.deepEqual(view.all('tags'), [])
  assert.equal(view.get('private-address', one.PrivateIpAddress ?? '')?.interface, '')
  assert.equal(instanceRecord(net, InstanceId).interfaces.length, 1)
})

test('a NAT gateway’s interface is shown and not its owner’s to change', async (t) => {
  const net = await openNet(t)
  const { NetworkInterfaceId: id } = await createInterface(net, { SubnetId: net.a })
  await net.cloud.state.update(async (tx) => {
    const one = await tx.get('interface', id)
    assert.ok(one)
    await tx.put('interface', [id], { ...one, type: 'nat-gateway' })
  })
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const NetworkInterfaceId = id
  for (const call of [
    net.cloud.call('DeleteNetworkInterface', { NetworkInterfaceId }),
    net.cloud.call('AttachNetworkInterface', { NetworkInterfaceId, InstanceId, DeviceIndex: 1 }),
    net.cloud.call('ModifyNetworkInterfaceAttribute', {
      NetworkInterfaceId,
      Description: { Value: 'x' },
    }),
    net.cloud.call('AssignPrivateIpAddresses', {
      NetworkInterfaceId,
      SecondaryPrivateIpAddressCount: 1,
    }),
  ]) {
    assert.equal(await refusal(call), 'OperationNotPermitted')
  }
  const { NetworkInterfaces } = await net.cloud.call('DescribeNetworkInterfaces', {
    Filters: [{ Name: 'requester-managed', Values: ['true'] }],
  })
  assert.deepEqual(
    NetworkInterfaces?.map((one) => [one.NetworkInterfaceId, one.InterfaceType]),
    [[id, 'natGateway']],
  )
})
