// Pages of Describe calls: nothing twice, nothing missed, no token that fits elsewhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, OTHER_ACCOUNT, openCloud, refusal, registerImage, run } from './support.ts'

/** All instances, page by page; `between` runs after the first page. */
async function walk(
  cloud: Cloud,
  MaxResults: number,
  between: () => Promise<void> = async () => undefined,
): Promise<{ ids: string[]; sizes: number[] }> {
  const ids: string[] = []
  const sizes: number[] = []
  let NextToken: string | undefined
  do {
    const page = await cloud.call('DescribeInstances', { MaxResults, NextToken })
    const shown = (page.Reservations ?? []).flatMap((one) => one.Instances ?? [])
    ids.push(...shown.map((one) => one.InstanceId ?? ''))
    sizes.push(shown.length)
    if (sizes.length === 1) await between()
    NextToken = page.NextToken
  } while (NextToken !== undefined && sizes.length < 100)
  return { ids, sizes }
}

test('DescribeInstances pages count instances, and every one comes once, over a restart', async (t) => {
  const cloud = await openCloud(t, { vcpus: 100 })
  const ImageId = await registerImage(cloud)
  const first = await run(cloud, { ImageId, count: 7 })
  const second = await run(cloud, { ImageId, count: 6 })
  const { ids, sizes } = await walk(cloud, 5, () => cloud.restart())
  assert.deepEqual(sizes, [5, 5, 3])
  assert.deepEqual(ids.toSorted(), [...first, ...second].toSorted())
  const exact = await walk(cloud, 13)
  assert.deepEqual(exact.sizes, [13], 'no token on the last page')
})

test('DescribeInstances pages skip and repeat nothing when instances come meanwhile', async (t) => {
  const cloud = await openCloud(t, { vcpus: 100 })
  const ImageId = await registerImage(cloud)
  const before = await run(cloud, { ImageId, count: 12 })
  const { ids } = await walk(cloud, 5, async () => {
    await run(cloud, { ImageId, count: 3 })
  })
  assert.equal(new Set(ids).size, ids.length)
  for (const id of before) assert.ok(ids.includes(id))
})

test('DescribeInstances refuses sizes out of 5..1000 and sizes together with ids', async (t) => {
  const cloud = await openCloud(t)
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud) })
  const ask = (MaxResults: number, InstanceIds?: string[]): Promise<string> =>
    refusal(cloud.call('DescribeInstances', { MaxResults, InstanceIds }))
  for (const size of [0, -1, 4, 1_001]) assert.equal(await ask(size), 'InvalidParameterValue')
  for (const size of [5, 1_000]) assert.equal(await ask(size), 'accepted')
  assert.equal(await ask(5, [id]), 'InvalidParameterCombination')
})

test('DescribeInstances refuses a token that is false or belongs to another request', async (t) => {
  const cloud = await openCloud(t, { vcpus: 100 })
  const ImageId = await registerImage(cloud)
  await run(cloud, { ImageId, count: 6 })
  await run(cloud, { ImageId, count: 6 })
  const { NextToken = '' } = await cloud.call('DescribeInstances', { MaxResults: 5 })
  const ask = (token: string, more: object = {}, account?: string): Promise<string> => {
    const input = { MaxResults: 5, NextToken: token, ...more }
    return refusal(cloud.call('DescribeInstances', input, account ? { account } : {}))
  }
  assert.equal(await ask(NextToken), 'accepted')
  assert.equal(await ask(NextToken, { MaxResults: 6 }), 'accepted')
  const Filters = [{ Name: 'instance-type', Values: ['t3.nano'] }]
  for (const bad of ['', 'x', '!!!', `${NextToken}A`, NextToken.slice(4), 'A'.repeat(2_000)]) {
    assert.equal(await ask(bad), 'InvalidParameterValue', bad)
  }
  assert.equal(await ask(NextToken, { Filters }), 'InvalidParameterValue')
  assert.equal(await ask(NextToken, {}, OTHER_ACCOUNT), 'InvalidParameterValue')
  const tags = cloud.call('DescribeTags', { MaxResults: 5, NextToken })
  assert.equal(await refusal(tags), 'InvalidParameterValue')
})

test('DescribeInstances filters before it pages', async (t) => {
  const cloud = await openCloud(t, { vcpus: 100 })
  const ImageId = await registerImage(cloud)
  await run(cloud, { ImageId, count: 10 })
  const wanted = await run(cloud, { ImageId, count: 5, InstanceType: 't3.micro' })
  const page = await cloud.call('DescribeInstances', {
    MaxResults: 5,
    Filters: [{ Name: 'instance-type', Values: ['t3.micro'] }],
  })
  const ids = page.Reservations?.flatMap((one) => one.Instances ?? []).map((one) => one.InstanceId)
  assert.deepEqual(ids, wanted)
  assert.equal(page.NextToken, undefined)
})
