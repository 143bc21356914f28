// Client tokens of RunInstances: one token, one answer, for a day.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { openCloud, refusal, registerImage, report, START_MS } from './support.ts'

const ONE = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ClientToken: 'once' } as const
const HOUR_MS = 3_600_000

test('RunInstances with the same token and parameters answers the same, after a restart too', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const first = await cloud.call('RunInstances', { ...ONE, ImageId })
  assert.deepEqual(await cloud.call('RunInstances', { ...ONE, ImageId }), first)
  await cloud.restart()
  assert.deepEqual(await cloud.call('RunInstances', { ...ONE, ImageId }), first)
  assert.equal(cloud.state.view().all('instance').length, 1)
})

test('RunInstances with a used token and other parameters says IdempotentParameterMismatch', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  await cloud.call('RunInstances', { ...ONE, ImageId })
  const other = cloud.call('RunInstances', { ...ONE, ImageId, MaxCount: 2 })
  assert.equal(await refusal(other), 'IdempotentParameterMismatch')
  assert.equal(cloud.state.view().all('instance').length, 1)
})

test('RunInstances four times at once with one token starts one instance', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const calls = Array.from({ length: 4 }, () => cloud.call('RunInstances', { ...ONE, ImageId }))
  const reservations = (await Promise.all(calls)).map((answer) => answer.ReservationId)
  assert.equal(new Set(reservations).size, 1)
  assert.equal(cloud.state.view().all('instance').length, 1)
})

test('RunInstances keeps tokens of accounts apart, and forgets a dry run', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const dry = cloud.call('RunInstances', { ...ONE, ImageId, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  const { Instances } = await cloud.call('RunInstances', { ...ONE, ImageId })
  assert.equal(Instances?.length, 1)
  const foreign = cloud.call('RunInstances', { ...ONE, ImageId }, { account: '444455556666' })
  assert.equal(await refusal(foreign), 'InvalidAMIID.NotFound')
})

test('RunInstances repeated when its instances are terminated says IdempotentInstanceTerminated', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const { Instances } = await cloud.call('RunInstances', { ...ONE, ImageId })
  await report(cloud.state, Instances?.[0]?.InstanceId ?? '', 'terminated')
  const again = (): Promise<string> => refusal(cloud.call('RunInstances', { ...ONE, ImageId }))
  assert.equal(await again(), 'IdempotentInstanceTerminated')
  await purgeTerminated(cloud.state, START_MS + 2 * HOUR_MS)
  assert.equal(cloud.state.view().all('instance').length, 0)
  assert.equal(await again(), 'IdempotentInstanceTerminated')
  await purgeTerminated(cloud.state, START_MS + 25 * HOUR_MS)
  assert.equal(await again(), 'accepted', 'a token lives for a day')
})
