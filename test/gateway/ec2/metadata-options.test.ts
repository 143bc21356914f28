// Metadata options of launches, instances and accounts, and attributes of instances.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { launch, type Net, openNet } from './interface-support.ts'
import { OTHER_ACCOUNT, refusal } from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'

type Options = NonNullable<Ec2Inputs['RunInstances']['MetadataOptions']>

for (const [options, outcome] of [
  [{ HttpTokens: 'optional' }, 'accepted'],
  [{ HttpPutResponseHopLimit: 64, InstanceMetadataTags: 'enabled' }, 'accepted'],
  [{ HttpEndpoint: 'disabled' }, 'accepted'],
  [{ HttpTokens: 'sometimes' as 'optional' }, 'InvalidParameterValue'],
  [{ HttpTokens: 'no-preference' as 'optional' }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: 0 }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: -1 }, 'InvalidParameterValue'],
  [{ HttpPutResponseHopLimit: 65 }, 'InvalidParameterValue'],
  [{ HttpEndpoint: 'yes' as 'enabled' }, 'InvalidParameterValue'],
] as const satisfies readonly (readonly [Options, string])[]) {
  test(`metadata options ${JSON.stringify(options)} are ${outcome} in a launch and later`, async (t) => {
    const net = await openNet(t)
    const atLaunch = launch(net, { SubnetId: net.a, MetadataOptions: options })
    assert.equal(await refusal(atLaunch), outcome)
    const { InstanceId } = await launch(net, { SubnetId: net.a })
    const ask = { InstanceId, ...options }
    const later = net.cloud.call('ModifyInstanceMetadataOptions', ask)
    assert.equal(await refusal(later), outcome)
    if (outcome !== 'accepted') return
    const { MetadataOptions } = await described(net, InstanceId)
    assert.deepEqual({ ...MetadataOptions, ...options }, MetadataOptions)
  })
}

test('ModifyInstanceMetadataOptions answers what the instance has then', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const ask = { InstanceId, HttpTokens: 'optional' as const, HttpProtocolIpv6: 'enabled' as const }
  const answer = await net.cloud.call('ModifyInstanceMetadataOptions', ask)
  assert.deepEqual(answer.InstanceMetadataOptions, {
    State: 'pending',
    HttpTokens: 'optional',
    HttpPutResponseHopLimit: 2,
    HttpEndpoint: 'enabled',
    HttpProtocolIpv6: 'enabled',
    InstanceMetadataTags: 'disabled',
  })
  const modify = (input: object, account?: string): Promise<string> =>
    refusal(
      net.cloud.call(
        'ModifyInstanceMetadataOptions',
        { InstanceId, ...input },
        account === undefined ? {} : { account },
      ),
    )
  assert.equal(await modify({ InstanceId: UNKNOWN }), 'InvalidInstanceID.NotFound')
  assert.equal(await modify({}, OTHER_ACCOUNT), 'InvalidInstanceID.NotFound')
  assert.equal(await modify({ DryRun: true }), 'DryRunOperation')
})

test('an account’s defaults hold for launches that say nothing', async (t) => {
  const net = await openNet(t)
  const modify = (input: Ec2Inputs['ModifyInstanceMetadataDefaults']): Promise<string> =>
    refusal(net.cloud.call('ModifyInstanceMetadataDefaults', input))
  assert.equal(await modify({ HttpTokens: 'optional', HttpPutResponseHopLimit: 5 }), 'accepted')
  assert.equal(await modify({ HttpTokensEnforced: 'enabled' }), 'UnsupportedOperation')
  const get = async (account?: string): Promise<unknown> =>
    (
      await net.cloud.call(
        'GetInstanceMetadataDefaults',
        {},
        account === undefined ? {} : { account },
      )
    ).AccountLevel?.HttpTokens
  assert.deepEqual([await get(), await get(OTHER_ACCOUNT)], ['optional', undefined])
  const one = await launch(net, { SubnetId: net.a, MetadataOptions: { HttpTokens: 'required' } })
  assert.equal(one.MetadataOptions?.HttpTokens, 'required')
  assert.equal(one.MetadataOptions?.HttpPutResponseHopLimit, 5)
  assert.equal(await modify({ HttpPutResponseHopLimit: -1 }), 'accepted')
  const two = await launch(net, { SubnetId: net.a })
  assert.equal(two.MetadataOptions?.HttpTokens, 'optional')
  assert.equal(two.MetadataOptions?.HttpPutResponseHopLimit, 2)
  assert.equal(await modify({ HttpTokens: 'no-preference' }), 'accepted')
  assert.equal(await get(), undefined)
})

test('DescribeInstanceAttribute says what is true of every instance', async (t) => {
  const net = await openNet(t)
  const UserData = Buffer.from('#!/bin/sh\n').toString('base64')
  const { InstanceId } = await launch(net, { SubnetId: net.a, UserData })
  for (const [Attribute, want] of [
    ['disableApiStop', { DisableApiStop: { Value: false } }],
    ['disableApiTermination', { DisableApiTermination: { Value: false } }],
    ['ebsOptimized', { EbsOptimized: { Value: false } }],
    ['instanceInitiatedShutdownBehavior', { InstanceInitiatedShutdownBehavior: { Value: 'stop' } }],
    ['instanceType', { InstanceType: { Value: 't3.medium' } }],
    ['rootDeviceName', { RootDeviceName: { Value: '/dev/vda' } }],
    ['sourceDestCheck', { SourceDestCheck: { Value: true } }],
    ['userData', { UserData: { Value: UserData } }],
  ] as const) {
    const answer = await net.cloud.call('DescribeInstanceAttribute', { InstanceId, Attribute })
    assert.deepEqual(answer, { InstanceId, ...want })
  }
  const kernel = net.cloud.call('DescribeInstanceAttribute', { InstanceId, Attribute: 'kernel' })
  assert.equal(await refusal(kernel), 'UnsupportedOperation')
})

test('ModifyInstanceAttribute changes groups and the source check, and nothing else', async (t) => {
  const net = await openNet(t)
  const { InstanceId } = await launch(net, { SubnetId: net.a })
  const { GroupId = '' } = await net.cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description: 'web',
    VpcId: net.VpcId,
  })
  const modify = (input: object): Promise<string> =>
    refusal(net.cloud.call('ModifyInstanceAttribute', { InstanceId, ...input }))
  assert.equal(await modify({ Groups: [GroupId] }), 'accepted')
  assert.equal(await modify({ SourceDestCheck: { Value: false } }), 'accepted')
  const instance = await described(net, InstanceId)
  assert.equal(instance.SourceDestCheck, false)
  assert.deepEqual(instance.SecurityGroups, [{ GroupId, GroupName: 'web' }])
  assert.deepEqual(instance.NetworkInterfaces?.[0]?.Groups, [{ GroupId, GroupName: 'web' }])
  assert.equal(await modify({ DisableApiTermination: { Value: false } }), 'accepted')
  for (const input of [
    { InstanceType: { Value: 't3.large' } },
    { DisableApiTermination: { Value: true } },
    { UserData: { Value: new Uint8Array([1]) } },
    { InstanceInitiatedShutdownBehavior: { Value: 'stop' } },
  ]) {
    assert.equal(await modify(input), 'UnsupportedOperation', JSON.stringify(input))
  }
  const both = { Groups: [GroupId], SourceDestCheck: { Value: true } }
  assert.equal(await modify(both), 'InvalidParameterCombination')
  const cards = [0, 1].map((DeviceIndex) => ({ DeviceIndex, SubnetId: net.a }))
  const two = await launch(net, { NetworkInterfaces: cards })
  assert.equal(await modify({ InstanceId: two.InstanceId, Groups: [GroupId] }), 'InvalidInstanceID')
})

async function described(net: Net, id: string) {
  const { Reservations } = await net.cloud.call('DescribeInstances', { InstanceIds: [id] })
  const [instance] = Reservations?.[0]?.Instances ?? []
  if (instance === undefined) throw new RangeError(`${id} is not shown`)
  return instance
}
