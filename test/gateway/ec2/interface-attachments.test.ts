// Interfaces on instances: attached, detached, and left behind.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createInterface,
  instanceRecord,
  interfaceRecord,
  launch,
  type Net,
  openNet,
} from './interface-support.ts'
import { refusal, report } from './support.ts'

test('AttachNetworkInterface puts an interface onto a running instance and takes it off', async (t) => {
  const net = await openNet(t)
  const { InstanceId, NetworkInterfaces } = await launch(net, { SubnetId: net.a })
  await report(net.cloud.state, InstanceId, 'running')
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.any })
  const ask = { NetworkInterfaceId, InstanceId, DeviceIndex: 1 }
  const dry = net.cloud.call('AttachNetworkInterface', { ...ask, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  const { AttachmentId = '' } = await net.cloud.call('AttachNetworkInterface', ask)
  const first = NetworkInterfaces?.[0]?.NetworkInterfaceId
  assert.deepEqual(instanceRecord(net, InstanceId).interfaces, [first, NetworkInterfaceId])
  const record = interfaceRecord(net, NetworkInterfaceId)
  const { rack, host } = instanceRecord(net, InstanceId)
  assert.deepEqual([record.rack, record.host, record.deviceIndex], [rack, host, 1])
  assert.equal(
    await refusal(net.cloud.call('AttachNetworkInterface', ask)),
    'InvalidNetworkInterface.InUse',
  )
  const shown = await described(net, InstanceId)
  assert.deepEqual(
    shown?.NetworkInterfaces?.map((one) => [one.Attachment?.DeviceIndex, one.Attachment?.Status]),
    [
      [0, 'attached'],
      [1, 'attached'],
    ],
  )
  await net.cloud.call('DetachNetworkInterface', { AttachmentId })
  const left = interfaceRecord(net, NetworkInterfaceId)
  assert.deepEqual([left.rack, left.host, left.instance, left.attachment], ['any', '', '', ''])
  assert.deepEqual(instanceRecord(net, InstanceId).interfaces, [first])
  const again = net.cloud.call('DetachNetworkInterface', { AttachmentId })
  assert.equal(await refusal(again), 'InvalidAttachmentID.NotFound')
})

test('AttachNetworkInterface says what does not fit', async (t) => {
  const net = await openNet(t)
  const { InstanceId, NetworkInterfaces } = await launch(net, {
    SubnetId: net.a,
    InstanceType: 't3.nano',
  })
  const attach = async (
    subnet: string,
    DeviceIndex: number,
    more: object = {},
  ): Promise<string> => {
    const { NetworkInterfaceId } = await createInterface(net, { SubnetId: subnet, ...more })
    const ask = { NetworkInterfaceId, InstanceId, DeviceIndex }
    return await refusal(net.cloud.call('AttachNetworkInterface', ask))
  }
  const { Subnets } = await net.cloud.call('DescribeSubnets', {})
  const otherVpc = Subnets?.find((one) => one.VpcId !== net.VpcId)?.SubnetId ?? ''
  assert.equal(await attach(net.b, 1), 'InvalidParameterCombination', 'another zone')
  assert.equal(await attach(otherVpc, 1), 'InvalidParameterCombination', 'another VPC')
  assert.equal(await attach(net.a, 0), 'InvalidParameterValue', 'the index is taken')
  assert.equal(await attach(net.a, 15), 'InvalidParameterValue', 'no such index')
  const many = { SecondaryPrivateIpAddressCount: 2 }
  assert.equal(await attach(net.a, 1, many), 'PrivateIpAddressLimitExceeded')
  assert.equal(await attach(net.a, 1), 'accepted')
  assert.equal(await attach(net.a, 2), 'AttachmentLimitExceeded')
  const AttachmentId = NetworkInterfaces?.[0]?.Attachment?.AttachmentId ?? ''
  const first = net.cloud.call('DetachNetworkInterface', { AttachmentId })
  assert.equal(await refusal(first), 'OperationNotPermitted')
  await net.cloud.call('TerminateInstances', { InstanceIds: [InstanceId] })
  assert.equal(await attach(net.a, 2), 'IncorrectInstanceState')
})

test('an instance’s end takes its own interfaces along and leaves the attached ones', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.a })
  await net.cloud.call('AttachNetworkInterface', { NetworkInterfaceId, InstanceId, DeviceIndex: 1 })
  await report(net.cloud.state, InstanceId, 'terminated')
  const left = net.cloud.state.view().all('interface')
  assert.deepEqual(
    left.map((one) => [one.id, one.instance, one.host]),
    [[NetworkInterfaceId, '', '']],
  )
})

test('two gateways that attach to one index let one interface on', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const other = await net.cloud.otherGateway()
  const outcomes = await Promise.all(
    [net.cloud.call, other].map(async (call) => {
      const { NetworkInterfaceId } = await createInterface(net, { SubnetId: net.a })
      const ask = { NetworkInterfaceId, InstanceId, DeviceIndex: 1 }
      return await refusal(call('AttachNetworkInterface', ask))
    }),
  )
  assert.deepEqual(outcomes.sort(), ['InvalidParameterValue', 'accepted'])
  assert.equal(instanceRecord(net, InstanceId).interfaces.length, 2)
})

async function described(net: Net, id: string) {
  const { Reservations } = await net.cloud.call('DescribeInstances', { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0]
}
