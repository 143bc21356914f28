// Public addresses: given out, associated, given back, at rest.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import {
  allocateAddress,
  associateAddress,
  isAnnouncedIn,
  publicAddressOf,
  releaseAddress,
  releasePublicAddresses,
  takePublicAddress,
} from '../../../gateway/ec2/public-addresses.ts'
import type { AddressRecord } from '../../../gateway/store/network-records.ts'
import { addInterface, addPublicPool } from './network-support.ts'
import { ACCOUNT, type Cloud, openCloud, refusal, START_MS } from './support.ts'

async function allocate(cloud: Cloud, wished = '', auto = false): Promise<AddressRecord> {
  const view = await cloud.state.fresh()
  const parts = { view, randomHex, nowMs: START_MS }
  const pools = view.all('public-pool')
  const asked = { account: ACCOUNT, auto, wished, pools }
  return await cloud.state.update((tx) => allocateAddress(tx, parts, asked))
}

test('allocateAddress keeps back network, broadcast and what the operator excluded', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29', excluded: ['203.0.113.1'] })
  const got: string[] = []
  for (let i = 0; i < 5; i += 1) got.push((await allocate(cloud)).publicIp)
  const want = [2, 3, 4, 5, 6].map((n) => `203.0.113.${n}`)
  assert.deepEqual(got, want)
  assert.equal(await refusal(allocate(cloud)), 'InsufficientAddressCapacity')
})

test('allocateAddress never gives a wished address twice, also when its number comes', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  assert.equal((await allocate(cloud, '203.0.113.2')).publicIp, '203.0.113.2')
  assert.equal(await refusal(allocate(cloud, '203.0.113.2')), 'InvalidAddress.NotFound')
  const got: string[] = []
  for (let i = 0; i < 5; i += 1) got.push((await allocate(cloud)).publicIp)
  assert.deepEqual(
    got,
    [1, 3, 4, 5, 6].map((n) => `203.0.113.${n}`),
  )
  for (const bad of ['203.0.113.0', '203.0.113.7', '198.51.100.1', '::1', 'x']) {
    assert.equal(await refusal(allocate(cloud, bad)), 'InvalidParameterValue', bad)
  }
})

test('releaseAddress lets an address rest before anybody gets it', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.8/32' })
  const wished = '203.0.113.8'
  const address = await allocate(cloud, wished)
  await cloud.state.update((tx) => releaseAddress(tx, address))
  assert.equal(await refusal(allocate(cloud, wished)), 'InvalidAddress.NotFound')
  assert.equal(await refusal(allocate(cloud)), 'InsufficientAddressCapacity')
  const record = (await cloud.state.fresh()).get('public-address', wished)
  assert.equal(record?.allocation, '')
  assert.notEqual(record?.freedAtMs, null)
})

test('two gateways that want the last address do not both get it', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.8/32' })
  const both = await Promise.allSettled([allocate(cloud), allocate(cloud), allocate(cloud)])
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('releasePublicAddresses deletes automatic ones and only disassociates the others', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  const view = await cloud.state.fresh()
  const subnet = view.by('subnet', 'account', ACCOUNT)[0]
  assert.ok(subnet)
  const one = await addInterface(cloud.state, subnet)
  const parts = { view, randomHex, nowMs: START_MS }
  const ask = { account: ACCOUNT, rack: 'a', interface: one.id, privateIp: one.ipv4 }
  const auto = await cloud.state.update((tx) => takePublicAddress(tx, parts, ask))
  assert.equal(auto.auto, true)
  assert.match(auto.association, /^eipassoc-[0-9a-f]{17}$/)
  const here = (): Promise<AddressRecord | null> =>
    cloud.state.update((tx) => publicAddressOf(tx, one.ipv4))
  assert.deepEqual(await here(), auto)
  await cloud.state.update((tx) => releasePublicAddresses(tx, one.id, 'auto'))
  assert.equal((await cloud.state.fresh()).get('address', auto.id), null)
  assert.equal(await here(), null)

  const elastic = await allocate(cloud)
  const to = { interface: one.id, privateIp: one.ipv4 }
  const associated = await cloud.state.update((tx) => associateAddress(tx, parts, elastic, to))
  await cloud.state.update((tx) => releasePublicAddresses(tx, one.id, 'auto'))
  assert.deepEqual(await here(), associated)
  await cloud.state.update((tx) => releasePublicAddresses(tx, one.id))
  assert.deepEqual((await cloud.state.fresh()).get('address', elastic.id), elastic)
  assert.equal(await here(), null)
})

for (const [racks, rack, want] of [
  [[], 'a', true],
  [[], 'any', true],
  [['a'], 'a', true],
  [['a'], 'b', false],
  [['a', 'b'], 'any', false],
] as const) {
  test(`isAnnouncedIn of a pool of [${racks}] in ${rack} is ${want}`, () => {
    const rest = { id: 'p', cidr: '203.0.113.0/24', excluded: [], closing: false, createdAtMs: 0 }
    assert.equal(isAnnouncedIn({ ...rest, racks: [...racks] }, rack), want)
  })
}
