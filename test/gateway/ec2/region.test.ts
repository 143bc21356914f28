// What a region says of itself: zones, limits, instance types, and who the caller is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { _InstanceType } from '@aws-sdk/client-ec2'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { instanceType, instanceTypes } from '../../../gateway/ec2/instance-types.ts'
import { stsHandlers } from '../../../gateway/sts/index.ts'
import { testSealer } from '../../support/sealer.ts'
import { ACCOUNT, openCloud, REGION, refusal, setHost } from './support.ts'

test('DescribeRegions shows the cloud’s region and refuses another', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const { Regions } = await cloud.call('DescribeRegions', { RegionNames: [REGION] })
  assert.deepEqual(
    Regions?.map((one) => one.RegionName),
    [REGION],
  )
  const other = cloud.call('DescribeRegions', { RegionNames: ['us-east-1'] })
  assert.equal(await refusal(other), 'InvalidParameterValue')
  const dry = cloud.call('DescribeRegions', { DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
})

test('DescribeAvailabilityZones shows every rack, and one that is away as impaired', async (t) => {
  const cloud = await openCloud(t)
  await setHost(cloud.state, 'b', 'b0', { connected: false })
  const { AvailabilityZones } = await cloud.call('DescribeAvailabilityZones', {})
  assert.deepEqual(
    AvailabilityZones?.map((zone) => [
      zone.ZoneName,
      zone.ZoneId,
      zone.State,
      zone.Messages?.length,
    ]),
    [
      [`${REGION}-a`, `${REGION}-az1`, 'available', 0],
      [`${REGION}-b`, `${REGION}-az2`, 'impaired', 1],
    ],
  )
  const found = await cloud.call('DescribeAvailabilityZones', {
    ZoneNames: [`${REGION}-a`, `${REGION}-b`],
    Filters: [{ Name: 'state', Values: ['available'] }],
  })
  assert.equal(found.AvailabilityZones?.length, 1)
  for (const input of [{ ZoneNames: [`${REGION}-z`] }, { ZoneIds: ['use1-az1'] }]) {
    const call = cloud.call('DescribeAvailabilityZones', input)
    assert.equal(await refusal(call), 'InvalidParameterValue')
  }
})

test('DescribeAccountAttributes says VPC only, and which is the default', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const vpc = cloud.state
    .view()
    .all('vpc')
    .find((one) => one.account === ACCOUNT)
  const { AccountAttributes } = await cloud.call('DescribeAccountAttributes', {
    AttributeNames: ['supported-platforms', 'default-vpc'],
  })
  assert.deepEqual(
    AccountAttributes?.map((one) => [one.AttributeName, one.AttributeValues?.[0]?.AttributeValue]),
    [
      ['supported-platforms', 'VPC'],
      ['default-vpc', vpc?.id],
    ],
  )
})

test('DescribeInstanceTypes shows types in pages and finds them by filter', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const names: (string | undefined)[] = []
  let NextToken: string | undefined
  do {
    const page = await cloud.call('DescribeInstanceTypes', { MaxResults: 10, NextToken })
    names.push(...(page.InstanceTypes ?? []).map((one) => one.InstanceType))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.equal(new Set(names).size, instanceTypes(cloud.state.view()).length)
  const { InstanceTypes } = await cloud.call('DescribeInstanceTypes', {
    Filters: [{ Name: 'vcpu-info.default-vcpus', Values: ['1'] }],
  })
  assert.deepEqual(
    InstanceTypes?.map((one) => [one.InstanceType, one.CurrentGeneration]),
    [
      ['m1.medium', false],
      ['m1.small', false],
    ],
  )
  for (const name of ['x9.huge', 'constructor'] as const) {
    const input = { InstanceTypes: [name as _InstanceType] }
    assert.equal(await refusal(cloud.call('DescribeInstanceTypes', input)), 'InvalidInstanceType')
  }
  const over = cloud.call('DescribeInstanceTypes', { MaxResults: 101 })
  assert.equal(await refusal(over), 'InvalidParameterValue')
})

test('DescribeInstanceTypeOfferings offers every type in every zone', async (t) => {
  const cloud = await openCloud(t)
  const { InstanceTypeOfferings } = await cloud.call('DescribeInstanceTypeOfferings', {
    LocationType: 'availability-zone',
    Filters: [{ Name: 'instance-type', Values: ['t3.nano'] }],
  })
  assert.deepEqual(
    InstanceTypeOfferings?.map((one) => one.Location),
    [`${REGION}-a`, `${REGION}-b`],
  )
})

test('instanceType knows the types that old and new scripts start', async (t) => {
  const view = (await openCloud(t, { racks: [] })).state.view()
  assert.deepEqual(instanceType(view, 't3.nano'), {
    name: 't3.nano',
    vcpus: 2,
    memoryMib: 512,
    diskGib: 4,
    interfaces: 2,
    addresses: 2,
    current: true,
  })
  assert.equal(instanceType(view, 'm1.small')?.vcpus, 1)
  assert.equal(instanceType(view, 'toString'), null)
})

test('GetCallerIdentity says whose key it was', async (t) => {
  const { state } = await openCloud(t)
  const sealer = await testSealer(t)
  const caller = {
    account: ACCOUNT,
    userArn: `arn:aws:iam::${ACCOUNT}:root`,
    userId: ACCOUNT,
    accessKeyId: 'AKIAAAAAAAAAAAAAAAAA',
  }
  const context = { caller, requestId: '1', nowMs: 0, log: silentLog, parameters: new Map() }
  assert.deepEqual(
    await stsHandlers({ state, sealer, randomHex }).GetCallerIdentity?.(context, {}),
    {
      Account: ACCOUNT,
      Arn: caller.userArn,
      UserId: ACCOUNT,
    },
  )
})
