// Instance types of the operator's making: by the local API, and as users see them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, openCloud, refusal, registerImage, report, run } from './ec2/support.ts'
import { localApi } from './local/support.ts'

const GOOD = {
  name: 'lab.small',
  vcpus: 1,
  memoryMib: 768,
  diskGib: 10,
  interfaces: 3,
  addresses: 5,
}
const TYPE = 'lab.small' as 't3.nano'

test('a type that the operator made is described, offered, started and sized as asked', async (t) => {
  const { cloud, post } = await served(t)
  assert.deepEqual(await post(GOOD), [200, undefined])
  const { InstanceTypes } = await cloud.call('DescribeInstanceTypes', { InstanceTypes: [TYPE] })
  const [info] = InstanceTypes ?? []
  assert.equal(info?.VCpuInfo?.DefaultVCpus, 1)
  assert.equal(info?.MemoryInfo?.SizeInMiB, 768)
  assert.equal(info?.NetworkInfo?.MaximumNetworkInterfaces, 3)
  assert.equal(info?.BurstablePerformanceSupported, false)
  const offers = await cloud.call('DescribeInstanceTypeOfferings', {
    LocationType: 'availability-zone-id',
    Filters: [{ Name: 'instance-type', Values: ['lab.*'] }],
  })
  assert.deepEqual(offers.InstanceTypeOfferings, [
    { InstanceType: TYPE, LocationType: 'availability-zone-id', Location: 'mallee-1-az1' },
  ])
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud), InstanceType: TYPE })
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  assert.equal(Reservations?.[0]?.Instances?.[0]?.CpuOptions?.CoreCount, 1)
})

test('a type goes when no instance has it, and a default one can come back otherwise', async (t) => {
  const { cloud, del } = await served(t)
  const ImageId = await registerImage(cloud)
  const start = (): Promise<string[]> => run(cloud, { ImageId, InstanceType: 'm1.small' })
  const [id = ''] = await start()
  assert.deepEqual(await del('m1.small'), [409, 'Conflict'])
  await cloud.call('TerminateInstances', { InstanceIds: [id] })
  assert.deepEqual(await del('m1.small'), [409, 'Conflict'], 'until its host says that it is gone')
  await report(cloud.state, id, 'terminated')
  assert.deepEqual(await del('m1.small'), [200, undefined])
  assert.deepEqual(await del('m1.small'), [404, 'NotFound'])
  assert.equal(await refusal(start()), 'InvalidParameterValue')
  const InstanceTypes = ['m1.small' as const]
  const described = cloud.call('DescribeInstanceTypes', { InstanceTypes })
  assert.equal(await refusal(described), 'InvalidInstanceType')
  await cloud.restart()
  const again = await served(t, cloud)
  assert.deepEqual(await again.post({ ...GOOD, name: 'm1.small' }), [200, undefined])
  const { InstanceTypes: shown } = await cloud.call('DescribeInstanceTypes', { InstanceTypes })
  assert.equal(shown?.[0]?.MemoryInfo?.SizeInMiB, 768)
  assert.deepEqual(await again.post({ ...GOOD, name: 't3.nano' }), [409, 'NameTaken'])
})

test('POST /v1/types refuses bad names and sizes, and says what was expected', async (t) => {
  const { post, list } = await served(t)
  for (const [change, code] of [
    [{ name: 'small' }, 'BadArgument'],
    [{ name: 'Lab.small' }, 'BadArgument'],
    [{ name: 'lab/small.x' }, 'BadArgument'],
    [{ vcpus: 0 }, 'BadArgument'],
    [{ vcpus: 256 }, 'BadArgument'],
    [{ vcpus: 1.5 }, 'BadArgument'],
    [{ memoryMib: 63 }, 'BadArgument'],
    [{ diskGib: -1 }, 'BadArgument'],
    [{ interfaces: 16 }, 'BadArgument'],
    [{ addresses: 51 }, 'BadArgument'],
    [{ more: true }, 'BadArgument'],
    [{ name: undefined }, 'BadArgument'],
    [{ name: 't3.nano' }, 'NameTaken'],
  ] as const) {
    const [, found] = await post({ ...GOOD, ...change })
    assert.equal(found, code, JSON.stringify(change))
  }
  const types = await list()
  assert.ok(types.length > 20)
  assert.ok(types.every((type) => type.isDefault && type.instances === 0))
})

interface Served {
  readonly cloud: Cloud
  readonly post: (payload: object) => Promise<[status: number, code: unknown]>
  readonly del: (name: string) => Promise<[status: number, code: unknown]>
  readonly list: () => Promise<{ name: string; isDefault: boolean; instances: number }[]>
}

async function served(t: Parameters<typeof openCloud>[0], opened?: Cloud): Promise<Served> {
  const cloud = opened ?? (await openCloud(t, { racks: ['a'] }))
  const { app } = localApi(t, cloud)
  const url = '/v1/types'
  return {
    cloud,
    post: async (payload) => {
      const answer = await app.inject({ method: 'POST', url, payload })
      return [answer.statusCode, answer.json().code]
    },
    del: async (name) => {
      const answer = await app.inject({ method: 'DELETE', url: `${url}/${name}` })
      return [answer.statusCode, answer.json().code]
    },
    list: async () => (await app.inject({ method: 'GET', url })).json().types,
  }
}
