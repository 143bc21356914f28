// Private addresses: what the sequence and wishes never share, and what rests.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  isFree,
  releasePrivateAddress,
  takeIpv6Address,
  takeIpv6Beside,
  takePrivateAddress,
} from '../../../gateway/ec2/private-addresses.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import type { SubnetRecord } from '../../../gateway/store/records.ts'
import { ADDRESS_QUARANTINE_MS } from '../../../topology/ranges.ts'
import { type Cloud, openCloud, refusal } from './support.ts'

const HOLDER = 'eni-1'

test('takePrivateAddress skips what somebody wished for', async (t) => {
  const { take } = await open(t)
  assert.equal(await take('10.0.0.5'), '10.0.0.5')
  assert.deepEqual([await take(), await take(), await take()], ['10.0.0.4', '10.0.0.6', '10.0.0.7'])
})

for (const [wished, code] of [
  ['10.0.0.0', 'InvalidParameterValue'],
  ['10.0.0.3', 'InvalidParameterValue'],
  ['10.0.0.255', 'InvalidParameterValue'],
  ['10.9.0.4', 'InvalidParameterValue'],
  ['10.0.0.04', 'InvalidParameterValue'],
  ['fdab:cdef:100::9', 'InvalidParameterValue'],
  ['10.0.0.4', 'InvalidIPAddress.InUse'],
  ['10.0.0.254', 'accepted'],
] as const) {
  test(`takePrivateAddress of ${wished}, with 10.0.0.4 in use, says ${code}`, async (t) => {
    const { take } = await open(t)
    await take()
    assert.equal(await refusal(take(wished)), code)
  })
}

test('an address that was given back rests, whoever asks for it', async (t) => {
  const { cloud, subnet, take } = await open(t)
  await take('10.0.0.5')
  await cloud.state.update((tx) => releasePrivateAddress(tx, subnet, '10.0.0.5'))
  assert.equal(await refusal(take('10.0.0.5')), 'InvalidIPAddress.InUse')
  assert.deepEqual([await take(), await take()], ['10.0.0.4', '10.0.0.6'])
  const record = (await cloud.state.fresh()).get('private-address', '10.0.0.5')
  assert.ok(record?.freedAtMs)
  assert.equal(isFree(record, record.freedAtMs + ADDRESS_QUARANTINE_MS - 1), false)
  assert.equal(isFree(record, record.freedAtMs + ADDRESS_QUARANTINE_MS), true)
})

test('an address that has rested goes to who wishes for it', async (t) => {
  const { cloud, take } = await open(t)
  await take('10.0.0.5')
  await rested(cloud, '10.0.0.5')
  assert.equal(await take('10.0.0.5'), '10.0.0.5')
})

test('purgeTerminated forgets addresses that have rested, and no other', async (t) => {
  const { cloud, subnet, take } = await open(t)
  for (const address of ['10.0.0.5', '10.0.0.6']) await take(address)
  await cloud.state.update((tx) => releasePrivateAddress(tx, subnet, '10.0.0.6'))
  await rested(cloud, '10.0.0.5')
  const now = (await cloud.state.fresh()).get('private-address', '10.0.0.6')?.freedAtMs ?? 0
  await purgeTerminated(cloud.state, now)
  const left = (await cloud.state.fresh()).all('private-address')
  assert.deepEqual(
    left.map(({ address }) => address),
    ['10.0.0.6'],
  )
})

test('wished and sequential addresses together are as many as the subnet has', async (t) => {
  const { cloud, subnet, take } = await open(t)
  const wished = ['10.0.0.10', '10.0.0.20', '10.0.0.254']
  for (const address of wished) await take(address)
  const all = await cloud.state.update(async (tx) => {
    const taken = []
    for (let n = 0; n < 248; n += 1) taken.push(await takePrivateAddress(tx, subnet, HOLDER))
    return taken
  })
  assert.equal(new Set([...wished, ...all]).size, 251)
  assert.equal(await refusal(take()), 'InsufficientFreeAddressesInSubnet')
  await cloud.state.update((tx) => releasePrivateAddress(tx, subnet, '10.0.0.20'))
  assert.equal(await refusal(take()), 'InsufficientFreeAddressesInSubnet', 'it rests')
})

test('IPv6 addresses keep the offset of the IPv4 one, else come from their own row', async (t) => {
  const { cloud, subnet } = await open(t)
  const taken = await cloud.state.update(async (tx) => [
    await takeIpv6Beside(tx, subnet, HOLDER, '10.0.0.9'),
    await takeIpv6Address(tx, subnet, HOLDER),
    await takeIpv6Address(tx, subnet, HOLDER, 'FDAB:CDEF:100:0::a'),
    await takeIpv6Beside(tx, subnet, HOLDER, '10.0.0.10'),
  ])
  assert.deepEqual(
    taken.map((address) => address.slice('fdab:cdef:100:'.length)),
    [':9', ':1:0', ':a', ':1:1'],
  )
  const again = cloud.state.update((tx) =>
    takeIpv6Address(tx, subnet, HOLDER, 'fdab:cdef:100::1:1'),
  )
  assert.equal(await refusal(again), 'InvalidIPAddress.InUse')
})

test('an IPv6-native subnet counts from 4 on and has no IPv4 address', async (t) => {
  const { cloud, subnet } = await open(t)
  const native = { ...subnet, ipv4Cidr: '' }
  const ipv6 = await cloud.state.update((tx) => takeIpv6Address(tx, native, HOLDER))
  assert.equal(ipv6, 'fdab:cdef:100::4')
  const ipv4 = cloud.state.update((tx) => takePrivateAddress(tx, native, HOLDER))
  assert.equal(await refusal(ipv4), 'InvalidParameterValue')
})

async function open(t: TestContext): Promise<{
  cloud: Cloud
  subnet: SubnetRecord
  take: (wished?: string) => Promise<string>
}> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const subnet = cloud.state
    .view()
    .all('subnet')
    .find((one) => one.ipv4Cidr === '10.0.0.0/24')
  assert.ok(subnet)
  const take = (wished?: string): Promise<string> =>
    cloud.state.update((tx) => takePrivateAddress(tx, subnet, HOLDER, wished))
  return { cloud, subnet, take }
}

async function rested(cloud: Cloud, address: string): Promise<void> {
  await cloud.state.update(async (tx) => {
    const record = await tx.get('private-address', address)
    assert.ok(record)
    const resting = { ...record, interface: '', pooled: false, freedAtMs: 1 }
    await tx.put('private-address', [address], resting)
  })
}
