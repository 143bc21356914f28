// Attributes of instances: shown, changed, and what they keep users from.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  attributeOf,
  instanceRecord,
  launch,
  openNet,
  shownInstance,
  stoppedInstance,
} from './interface-support.ts'
import { OTHER_ACCOUNT, refusal, report } from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'
const SCRIPT = Buffer.from('#!/bin/sh\n').toString('base64')

test('DescribeInstanceAttribute has an answer for every name, also where the value is none', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a, UserData: SCRIPT })
  const bare = await launch(net, { SubnetId: net.a })
  for (const [name, want] of [
    ['blockDeviceMapping', { BlockDeviceMappings: [] }],
    ['disableApiStop', { DisableApiStop: { Value: false } }],
    ['disableApiTermination', { DisableApiTermination: { Value: false } }],
    ['ebsOptimized', { EbsOptimized: { Value: false } }],
    ['enaSupport', { EnaSupport: { Value: false } }],
    ['enclaveOptions', { EnclaveOptions: { Enabled: false } }],
    ['instanceInitiatedShutdownBehavior', { InstanceInitiatedShutdownBehavior: { Value: 'stop' } }],
    ['instanceType', { InstanceType: { Value: 't3.medium' } }],
    ['kernel', { KernelId: {} }],
    ['productCodes', { ProductCodes: [] }],
    ['ramdisk', { RamdiskId: {} }],
    ['rootDeviceName', { RootDeviceName: { Value: '/dev/vda' } }],
    ['sourceDestCheck', { SourceDestCheck: { Value: true } }],
    ['sriovNetSupport', { SriovNetSupport: {} }],
    ['userData', { UserData: { Value: SCRIPT } }],
  ] as const) {
    assert.deepEqual(await attributeOf(net, InstanceId, name), want)
  }
  assert.deepEqual(await attributeOf(net, bare.InstanceId, 'userData'), { UserData: {} })
  assert.equal(await refusal(attributeOf(net, InstanceId, 'colour')), 'InvalidParameterValue')
  assert.equal(await refusal(attributeOf(net, UNKNOWN, 'kernel')), 'InvalidInstanceID.NotFound')
})

test('protected instances are not terminated or stopped until ModifyInstanceAttribute lets them', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const { InstanceId: other } = await launch(net, { SubnetId: net.a })
  await report(net.cloud.state, InstanceId, 'running')
  const { call } = net.cloud
  const modify = (input: object) => call('ModifyInstanceAttribute', { InstanceId, ...input })
  const stop = () => refusal(call('StopInstances', { InstanceIds: [InstanceId], DryRun: true }))
  const end = () => refusal(call('TerminateInstances', { InstanceIds: [other, InstanceId] }))
  await modify({ DisableApiTermination: { Value: true } })
  assert.deepEqual([await stop(), await end()], ['DryRunOperation', 'OperationNotPermitted'])
  assert.equal(instanceRecord(net, other).desired, 'running', 'all or none')
  await modify({ DisableApiTermination: { Value: false } })
  await modify({ DisableApiStop: { Value: true } })
  assert.deepEqual([await stop(), await end()], ['OperationNotPermitted', 'OperationNotPermitted'])
  await modify({ DisableApiStop: { Value: false } })
  assert.equal(await end(), 'accepted')
  assert.equal(
    await refusal(modify({ DisableApiStop: { Value: true } })),
    'IncorrectInstanceState',
    'it is ending',
  )
})

test('ModifyInstanceAttribute changes type and user data of what is stopped, and keeps the disk', async (t) => {
  const net = await openNet(t)
  const { call } = net.cloud
  const { InstanceId: pending } = await launch(net, { SubnetId: net.a })
  const InstanceId = await stoppedInstance(net, { InstanceType: 't3.nano' })
  const modify = (input: object) =>
    refusal(call('ModifyInstanceAttribute', { InstanceId, ...input }))
  const large = { InstanceType: { Value: 't3.large' } }
  const data = { UserData: { Value: Buffer.from(SCRIPT, 'base64') } }
  for (const [input, code] of [
    [{ InstanceType: { Value: 't3.huge' } }, 'InvalidInstanceAttributeValue'],
    [{ UserData: { Value: Buffer.alloc(16_385) } }, 'InvalidParameterValue'],
    [{ ...large, InstanceId: pending }, 'IncorrectInstanceState'],
    [{ ...data, InstanceId: pending }, 'IncorrectInstanceState'],
    [{ ...large, DryRun: true }, 'DryRunOperation'],
    [{ ...large, ...data }, 'InvalidParameterCombination'],
    [{}, 'InvalidParameterCombination'],
    [{ EbsOptimized: { Value: true } }, 'UnsupportedOperation'],
    [{ EnaSupport: { Value: true } }, 'UnsupportedOperation'],
    [{ SriovNetSupport: { Value: 'simple' } }, 'UnsupportedOperation'],
    [{ Kernel: { Value: 'aki-1' } }, 'InvalidAMIID.Malformed'],
    [{ InstanceInitiatedShutdownBehavior: { Value: 'reboot' } }, 'InvalidParameterValue'],
    [{ InstanceId: 'i-x' }, 'InvalidParameterCombination'],
    [{ ...large, InstanceId: 'i-x' }, 'InvalidInstanceID.Malformed'],
    [{ ...large, InstanceId: UNKNOWN }, 'InvalidInstanceID.NotFound'],
    [{ EbsOptimized: { Value: false } }, 'accepted'],
    [{ InstanceInitiatedShutdownBehavior: { Value: 'terminate' } }, 'accepted'],
    [large, 'accepted'],
    [data, 'accepted'],
  ] as const) {
    assert.equal(await modify(input), code, JSON.stringify(input))
  }
  const others = call(
    'ModifyInstanceAttribute',
    { InstanceId, ...large },
    { account: OTHER_ACCOUNT },
  )
  assert.equal(await refusal(others), 'InvalidInstanceID.NotFound')
  const { type, diskGib, userData, settings } = instanceRecord(net, InstanceId)
  assert.deepEqual([type, diskGib, userData], ['t3.large', 4, SCRIPT])
  assert.equal(settings?.shutdownBehavior, 'terminate')
  assert.equal((await shownInstance(net, InstanceId)).InstanceType, 't3.large')
})

test('ModifyInstanceAttribute does not give a type that is too small for the interfaces', async (t) => {
  const net = await openNet(t)
  const cards = [0, 1, 2].map((DeviceIndex) => ({ DeviceIndex, SubnetId: net.a }))
  const { InstanceId } = await launch(net, { NetworkInterfaces: cards, InstanceType: 't3.medium' })
  await report(net.cloud.state, InstanceId, 'stopped')
  const nano = { InstanceId, InstanceType: { Value: 't3.nano' } }
  const call = net.cloud.call('ModifyInstanceAttribute', nano)
  assert.equal(await refusal(call), 'AttachmentLimitExceeded')
})

test('ModifyInstanceAttribute understands Attribute and Value, as old clients send them', async (t) => {
  const net = await openNet(t)
  const InstanceId = await stoppedInstance(net)
  const modify = (Attribute: string | undefined, Value: string | undefined) =>
    refusal(
      net.cloud.call('ModifyInstanceAttribute', {
        ...{ InstanceId, Value },
        Attribute: Attribute as 'instanceType' | undefined,
      }),
    )
  for (const [name, value, code] of [
    ['instanceType', 't3.small', 'accepted'],
    ['userData', SCRIPT, 'accepted'],
    ['userData', '{}', 'InvalidUserData.Malformed'],
    ['disableApiTermination', 'true', 'accepted'],
    ['disableApiStop', 'maybe', 'InvalidParameterValue'],
    ['sourceDestCheck', 'false', 'accepted'],
    ['instanceInitiatedShutdownBehavior', 'terminate', 'accepted'],
    ['kernel', 'aki-1', 'InvalidAMIID.Malformed'],
    ['ramdisk', 'ari-01234567', 'InvalidAMIID.NotFound'],
    ['instanceType', undefined, 'MissingParameter'],
    [undefined, 't3.small', 'MissingParameter'],
  ] as const) {
    assert.equal(await modify(name, value), code, `${name}=${value}`)
  }
  const { type, userData, settings } = instanceRecord(net, InstanceId)
  assert.deepEqual([type, userData, settings?.disableApiTermination], ['t3.small', SCRIPT, true])
})

test('ModifyInstanceAttribute and ResetInstanceAttribute change the only interface', async (t) => {
  const net = await openNet(t)
  const { call } = net.cloud
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const group = { GroupName: 'web', Description: 'web', VpcId: net.VpcId }
  const { GroupId = '' } = await call('CreateSecurityGroup', group)
  await call('ModifyInstanceAttribute', { InstanceId, Groups: [GroupId] })
  await call('ModifyInstanceAttribute', { InstanceId, SourceDestCheck: { Value: false } })
  const instance = await shownInstance(net, InstanceId)
  assert.equal(instance.SourceDestCheck, false)
  assert.deepEqual(instance.SecurityGroups, [{ GroupId, GroupName: 'web' }])
  assert.deepEqual(instance.NetworkInterfaces?.[0]?.Groups, [{ GroupId, GroupName: 'web' }])
  const reset = (name: string, more: object = {}) =>
    refusal(
      call('ResetInstanceAttribute', {
        ...{ InstanceId, Attribute: name as 'kernel' },
        ...more,
      }),
    )
  assert.equal(await reset('sourceDestCheck', { DryRun: true }), 'DryRunOperation')
  assert.equal((await shownInstance(net, InstanceId)).SourceDestCheck, false)
  assert.equal(await reset('sourceDestCheck'), 'accepted')
  assert.equal((await shownInstance(net, InstanceId)).SourceDestCheck, true)
  assert.equal(await reset('kernel'), 'IncorrectInstanceState')
  assert.equal(await reset('userData'), 'InvalidParameterValue')
  assert.equal(
    await reset('sourceDestCheck', { InstanceId: UNKNOWN }),
    'InvalidInstanceID.NotFound',
  )
  const cards = [0, 1].map((DeviceIndex) => ({ DeviceIndex, SubnetId: net.a }))
  const two = await launch(net, { NetworkInterfaces: cards })
  const both = { InstanceId: two.InstanceId, Groups: [GroupId] }
  assert.equal(await refusal(call('ModifyInstanceAttribute', both)), 'InvalidInstanceID')
})
