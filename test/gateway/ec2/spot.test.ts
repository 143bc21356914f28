// Spot instances on usual capacity: their requests, their price, and the policy that refuses them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpotInstanceRequest } from '@aws-sdk/client-ec2'
import { metadataOf } from '../../../gateway/control/desired-metadata.ts'
import { SECRETS } from '../control/records.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  report,
  run,
} from './support.ts'

const SPOT = { InstanceMarketOptions: { MarketType: 'spot' } } as const

test('a spot instance is started, shown as one, and has a request to cancel', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const [id = ''] = await run(cloud, { ImageId, ...SPOT })
  await run(cloud, { ImageId })
  const Filters = [{ Name: 'instance-lifecycle', Values: ['spot'] }]
  const { Reservations } = await cloud.call('DescribeInstances', { Filters })
  const shown = Reservations?.flatMap((one) => one.Instances ?? []) ?? []
  assert.deepEqual(
    shown.map((one) => one.InstanceId),
    [id],
  )
  const [request] = await requests(cloud)
  assert.match(request?.SpotInstanceRequestId ?? '', /^sir-[0-9a-f]{17}$/)
  assert.equal(request?.SpotInstanceRequestId, shown[0]?.SpotInstanceRequestId)
  assert.deepEqual([request?.State, request?.Status?.Code], ['active', 'fulfilled'])
  const record = cloud.state.view().get('instance', id)
  assert.ok(record)
  const told = metadataOf(cloud.state.view(), record, SECRETS)
  assert.equal(told.lifeCycle, 'spot')
  const SpotInstanceRequestIds = [request?.SpotInstanceRequestId ?? '']
  const theirs = { account: OTHER_ACCOUNT }
  const call = cloud.call('CancelSpotInstanceRequests', { SpotInstanceRequestIds }, theirs)
  assert.equal(await refusal(call), 'InvalidSpotInstanceRequestID.NotFound')
  await cloud.call('CancelSpotInstanceRequests', { SpotInstanceRequestIds })
  const [after] = await requests(cloud)
  assert.equal(after?.Status?.Code, 'request-canceled-and-instance-running')
  assert.equal(cloud.state.view().get('instance', id)?.desired, 'running')
  const [second = ''] = await run(cloud, { ImageId, ...SPOT })
  await cloud.call('TerminateInstances', { InstanceIds: [second] })
  await report(cloud.state, second, 'terminated')
  const closed = await requests(cloud, [{ Name: 'state', Values: ['closed'] }])
  assert.deepEqual(
    closed.map((one) => [one.InstanceId, one.Status?.Code]),
    [[second, 'instance-terminated-by-user']],
  )
})

test('DescribeSpotPriceHistory has one price of nothing for each type and zone', async (t) => {
  const cloud = await openCloud(t)
  const InstanceTypes = ['t3.nano', 't3.micro'] as const
  const ask = { InstanceTypes: [...InstanceTypes], ProductDescriptions: ['Linux/UNIX'] }
  const { SpotPriceHistory } = await cloud.call('DescribeSpotPriceHistory', ask)
  assert.deepEqual(
    SpotPriceHistory?.map((one) => [one.InstanceType, one.AvailabilityZone, one.SpotPrice]),
    [
      ['t3.micro', `${REGION}-a`, '0.000000'],
      ['t3.micro', `${REGION}-b`, '0.000000'],
      ['t3.nano', `${REGION}-a`, '0.000000'],
      ['t3.nano', `${REGION}-b`, '0.000000'],
    ],
  )
  const windows = { ...ask, ProductDescriptions: ['Windows'] }
  assert.deepEqual((await cloud.call('DescribeSpotPriceHistory', windows)).SpotPriceHistory, [])
  const unknown = { InstanceTypes: ['z9.huge' as 't3.nano'] }
  const call = cloud.call('DescribeSpotPriceHistory', unknown)
  assert.equal(await refusal(call), 'InvalidParameterValue')
})

test('spot instances are refused by policy, and for what this cloud has not got', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  for (const [InstanceMarketOptions, code] of [
    [{ MarketType: 'capacity-block' }, 'UnsupportedOperation'],
    [{ SpotOptions: { MaxPrice: '1' } }, 'MissingParameter'],
    [{ MarketType: 'spot', SpotOptions: { MaxPrice: 'much' } }, 'InvalidParameterValue'],
    [
      { MarketType: 'spot', SpotOptions: { SpotInstanceType: 'persistent' } },
      'UnsupportedOperation',
    ],
    [{ MarketType: 'spot', SpotOptions: { BlockDurationMinutes: 60 } }, 'UnsupportedOperation'],
    [{ MarketType: 'spot', SpotOptions: { MaxPrice: '0.01' } }, 'accepted'],
  ] as const) {
    const call = run(cloud, { ImageId, InstanceMarketOptions })
    assert.equal(await refusal(call), code, JSON.stringify(InstanceMarketOptions))
  }
  for (const [id, code] of [
    ['sir-0123456789abcdef0', 'InvalidSpotInstanceRequestID.NotFound'],
    ['i-0123456789abcdef0', 'InvalidSpotInstanceRequestID.Malformed'],
  ] as const) {
    const input = { SpotInstanceRequestIds: [id] }
    assert.equal(await refusal(cloud.call('DescribeSpotInstanceRequests', input)), code)
  }
  await cloud.state.update(async (tx) => {
    const self = await tx.get('cloud', 'self')
    assert.ok(self)
    await tx.put('cloud', ['self'], { ...self, spot: 'refused' })
  })
  assert.equal(await refusal(run(cloud, { ImageId, ...SPOT })), 'UnsupportedOperation')
  assert.deepEqual((await cloud.call('DescribeSpotPriceHistory', {})).SpotPriceHistory, [])
})

async function requests(
  cloud: Cloud,
  Filters: { Name: string; Values: string[] }[] = [],
): Promise<SpotInstanceRequest[]> {
  const answer = await cloud.call('DescribeSpotInstanceRequests', { Filters })
  return answer.SpotInstanceRequests ?? []
}
