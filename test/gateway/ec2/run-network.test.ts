// What RunInstances makes of network interfaces, addresses, key pairs and metadata options.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import {
  createInterface,
  instanceRecord,
  interfaceRecord,
  launch,
  type Net,
  ONE,
  openNet,
} from './interface-support.ts'
import { addPublicPool } from './network-support.ts'
import { REGION, refusal, report } from './support.ts'

type Asked = Partial<Ec2Inputs['RunInstances']>

test('RunInstances gives several interfaces, new ones and one that is there', async (t) => {
  const net = await openNet(t)
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.any })
  const instance = await launch(net, {
    NetworkInterfaces: [
      { DeviceIndex: 2, NetworkInterfaceId },
      {
        DeviceIndex: 0,
        SubnetId: net.a,
        PrivateIpAddress: '172.16.1.50',
        Description: 'front',
        DeleteOnTermination: false,
      },
      { DeviceIndex: 1, SubnetId: net.any, SecondaryPrivateIpAddressCount: 1 },
    ],
  })
  assert.equal(instance.PrivateIpAddress, '172.16.1.50')
  assert.equal(instance.PrivateDnsName, `ip-172-16-1-50.${REGION}-a.internal`)
  assert.equal(instance.SubnetId, net.a)
  assert.deepEqual(
    instance.NetworkInterfaces?.map((one) => [
      one.Attachment?.DeviceIndex,
      one.SubnetId,
      one.Description,
      one.PrivateIpAddresses?.length,
      one.Attachment?.DeleteOnTermination,
    ]),
    [
      [0, net.a, 'front', 1, false],
      [1, net.any, '', 2, true],
      [2, net.any, '', 1, false],
    ],
  )
  const { rack, host, interfaces } = instanceRecord(net, instance.InstanceId)
  for (const id of interfaces) {
    const one = interfaceRecord(net, id)
    assert.deepEqual([one.rack, one.host, one.instance], [rack, host, instance.InstanceId])
  }
  await report(net.cloud.state, instance.InstanceId, 'terminated')
  const left = net.cloud.state.view().all('interface')
  assert.deepEqual(left.map(({ id }) => id).sort(), [interfaces[0], NetworkInterfaceId].sort())
  assert.ok(left.every((one) => one.instance === '' && one.attachment === ''))
})

const IN_A = { SubnetId: 'a' }

for (const [what, cards, code, more] of [
  ['no index 0', [{ ...IN_A, DeviceIndex: 1 }], 'InvalidParameterValue'],
  [
    'an index twice',
    [0, 0].map((DeviceIndex) => ({ ...IN_A, DeviceIndex })),
    'InvalidParameterValue',
  ],
  ['no index', [{ ...IN_A, DeviceIndex: 0 }, IN_A], 'MissingParameter'],
  [
    'too many interfaces',
    [0, 1, 2, 3].map((DeviceIndex) => ({ ...IN_A, DeviceIndex })),
    'AttachmentLimitExceeded',
  ],
  [
    'subnets of two zones',
    [
      { ...IN_A, DeviceIndex: 0 },
      { SubnetId: 'b', DeviceIndex: 1 },
    ],
    'InvalidParameterCombination',
  ],
  [
    'subnets of two VPCs',
    [{ ...IN_A, DeviceIndex: 0 }, { DeviceIndex: 1 }],
    'InvalidParameterCombination',
  ],
  [
    'a public address and two interfaces',
    [
      { ...IN_A, DeviceIndex: 0, AssociatePublicIpAddress: true },
      { ...IN_A, DeviceIndex: 1 },
    ],
    'InvalidParameterCombination',
  ],
  [
    'an unknown interface',
    [{ NetworkInterfaceId: 'eni-01234567' }],
    'InvalidNetworkInterfaceID.NotFound',
  ],
  [
    'an existing interface and a subnet',
    [{ ...IN_A, NetworkInterfaceId: 'eni-01234567' }],
    'InvalidParameterCombination',
  ],
  [
    'an address at the top as well',
    [IN_A],
    'InvalidParameterCombination',
    { PrivateIpAddress: '172.16.1.9' },
  ],
  [
    'an address for two instances',
    [{ ...IN_A, PrivateIpAddress: '172.16.1.9' }],
    'InvalidParameterCombination',
    { MaxCount: 2 },
  ],
  [
    'an address in a native subnet',
    [{ SubnetId: 'native', PrivateIpAddress: '172.16.1.9' }],
    'InvalidParameterCombination',
  ],
  ['IPv6 in an IPv4 subnet', [{ SubnetId: 'b', Ipv6AddressCount: 1 }], 'InvalidParameterValue'],
  [
    'a public address without a pool',
    [{ ...IN_A, AssociatePublicIpAddress: true }],
    'InsufficientAddressCapacity',
  ],
  ['another kind', [{ ...IN_A, InterfaceType: 'efa' }], 'UnsupportedOperation'],
] as const satisfies readonly (readonly [string, readonly object[], string, Asked?])[]) {
  test(`RunInstances with ${what} says ${code} and writes nothing`, async (t) => {
    const net = await openNet(t)
    const { revision } = await net.cloud.state.fresh()
    const NetworkInterfaces = cards.map((card) => withSubnet(net, card))
    const ask = { ...ONE, ImageId: net.ImageId, NetworkInterfaces, ...more }
    assert.equal(await refusal(net.cloud.call('RunInstances', ask)), code)
    assert.equal((await net.cloud.state.fresh()).revision, revision)
  })
}

function withSubnet(net: Net, card: object): NonNullable<Asked['NetworkInterfaces']>[number] {
  if (!('SubnetId' in card)) return card
  return { ...card, SubnetId: net[card.SubnetId as 'a' | 'b' | 'native'] }
}

test('RunInstances refuses an interface that is in use', async (t) => {
  const net = await openNet(t)
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.a })
  const NetworkInterfaces = [{ DeviceIndex: 0, NetworkInterfaceId }]
  await launch(net, { NetworkInterfaces })
  assert.equal(await refusal(launch(net, { NetworkInterfaces })), 'InvalidNetworkInterface.InUse')
})

test('RunInstances in a stretched subnet goes to any rack, or to the one asked for', async (t) => {
  const net = await openNet(t)
  const ids = []
  for (let n = 0; n < 4; n += 1) ids.push((await launch(net, { SubnetId: net.any })).InstanceId)
  const racks = ids.map((id) => instanceRecord(net, id).rack)
  assert.deepEqual([...new Set(racks)].sort(), ['a', 'b'])
  const there = await launch(net, {
    SubnetId: net.any,
    Placement: { AvailabilityZone: `${REGION}-b` },
  })
  assert.equal(there.Placement?.AvailabilityZone, `${REGION}-b`)
  assert.equal(there.PrivateDnsName?.endsWith(`.${REGION}-b.internal`), true)
  const any = { SubnetId: net.any, Placement: { AvailabilityZone: `${REGION}-any` } }
  await launch(net, any)
})

test('RunInstances in subnets of one family gives addresses of that one', async (t) => {
  const net = await openNet(t)
  const plain = await launch(net, { SubnetId: net.b })
  assert.deepEqual([plain.PrivateIpAddress, plain.Ipv6Address], ['172.16.2.4', undefined])
  const native = await launch(net, { SubnetId: net.native })
  assert.equal(native.PrivateIpAddress, undefined)
  assert.match(native.Ipv6Address ?? '', /::4$/)
  assert.equal(native.PrivateDnsName, `${native.InstanceId}.${REGION}-a.internal`)
  const none = await launch(net, { SubnetId: net.a, Ipv6AddressCount: 0 })
  assert.equal(none.Ipv6Address, undefined)
  const named = await launch(net, { SubnetId: net.a, PrivateIpAddress: '172.16.1.99' })
  assert.equal(named.PrivateIpAddress, '172.16.1.99')
  const again = launch(net, { SubnetId: net.a, PrivateIpAddress: '172.16.1.99' })
  assert.equal(await refusal(again), 'InvalidIPAddress.InUse')
})

test('RunInstances gives public addresses as the subnet or the request says', async (t) => {
  const net = await openNet(t)
  await net.cloud.call('ModifySubnetAttribute', {
    SubnetId: net.a,
    MapPublicIpOnLaunch: { Value: true },
  })
  const before = await launch(net, { SubnetId: net.a })
  assert.equal(before.PublicIpAddress, undefined, 'there is no pool yet')
  await addPublicPool(net.cloud.state, { cidr: '203.0.113.0/28', racks: ['a'] })
  const mapped = await launch(net, { SubnetId: net.a })
  assert.match(mapped.PublicIpAddress ?? '', /^203\.0\.113\./)
  const card = (SubnetId: string, is: boolean): Asked => ({
    NetworkInterfaces: [{ DeviceIndex: 0, SubnetId, AssociatePublicIpAddress: is }],
  })
  assert.equal((await launch(net, card(net.a, false))).PublicIpAddress, undefined)
  assert.match((await launch(net, card(net.a, true))).PublicIpAddress ?? '', /^203/)
  const elsewhere = launch(net, card(net.b, true))
  assert.equal(await refusal(elsewhere), 'InsufficientAddressCapacity', 'no pool of that rack')
  for (const Name of ['ip-address', 'network-interface.association.public-ip']) {
    const { Reservations } = await net.cloud.call('DescribeInstances', {
      Filters: [{ Name, Values: [mapped.PublicIpAddress ?? ''] }],
    })
    assert.equal(Reservations?.[0]?.Instances?.[0]?.InstanceId, mapped.InstanceId)
  }
  assert.equal(net.cloud.state.view().all('address').length, 2)
  await report(net.cloud.state, mapped.InstanceId, 'terminated')
  assert.equal(net.cloud.state.view().all('address').length, 1)
})

test('RunInstances keeps the public key as it was', async (t) => {
  const net = await openNet(t)
  await net.cloud.call('CreateKeyPair', { KeyName: 'mine', KeyType: 'ed25519' })
  const { InstanceId, KeyName } = await launch(net, { SubnetId: net.a, KeyName: 'mine' })
  assert.equal(KeyName, 'mine')
  await net.cloud.call('DeleteKeyPair', { KeyName: 'mine' })
  assert.match(instanceRecord(net, InstanceId).publicKey, /^ssh-ed25519 /)
  const { Reservations } = await net.cloud.call('DescribeInstances', {
    Filters: [{ Name: 'key-name', Values: ['mine'] }],
  })
  assert.equal(Reservations?.length, 1)
  assert.equal(await refusal(launch(net, { KeyName: 'mine' })), 'InvalidKeyPair.NotFound')
})
