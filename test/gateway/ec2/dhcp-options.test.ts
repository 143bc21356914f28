// Sets of DHCP options: what may be in them, and that they stay while a VPC uses them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OTHER_ACCOUNT, openCloud, refusal } from './support.ts'

const NAMES = { Key: 'domain-name-servers', Values: ['10.2.5.1', '10.2.5.2'] }

test('DHCP options are made, given to a VPC, kept while it has them, and deleted', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const { DhcpOptions } = await cloud.call('CreateDhcpOptions', {
    DhcpConfigurations: [
      NAMES,
      { Key: 'domain-name', Values: ['corp.example.com example.com'] },
      { Key: 'ntp-servers', Values: ['10.2.5.1,fd00::1'] },
      { Key: 'netbios-node-type', Values: ['2'] },
    ],
    TagSpecifications: [{ ResourceType: 'dhcp-options', Tags: [{ Key: 'a', Value: 'b' }] }],
  })
  const DhcpOptionsId = DhcpOptions?.DhcpOptionsId ?? ''
  assert.match(DhcpOptionsId, /^dopt-/)
  const { Vpcs } = await cloud.call('DescribeVpcs', {})
  const VpcId = Vpcs?.[0]?.VpcId ?? ''
  assert.equal(Vpcs?.[0]?.DhcpOptionsId, 'default')
  await cloud.call('AssociateDhcpOptions', { DhcpOptionsId, VpcId })
  const after = await cloud.call('DescribeVpcs', {
    Filters: [{ Name: 'dhcp-options-id', Values: [DhcpOptionsId] }],
  })
  assert.equal(after.Vpcs?.length, 1)
  const gone = cloud.call('DeleteDhcpOptions', { DhcpOptionsId })
  assert.equal(await refusal(gone), 'DependencyViolation')
  const found = await cloud.call('DescribeDhcpOptions', {
    Filters: [
      { Name: 'key', Values: ['ntp-servers'] },
      { Name: 'value', Values: ['fd00::1'] },
    ],
  })
  assert.deepEqual(found.DhcpOptions, [DhcpOptions])
  await cloud.call('AssociateDhcpOptions', { DhcpOptionsId: 'default', VpcId })
  await cloud.call('DeleteDhcpOptions', { DhcpOptionsId })
  assert.deepEqual((await cloud.call('DescribeDhcpOptions', {})).DhcpOptions, [])
  const named = await cloud.call('DescribeDhcpOptions', { DhcpOptionsIds: ['default'] })
  assert.equal(named.DhcpOptions?.length, 1)
})

test('DHCP options of another account do not exist', async (t) => {
  const cloud = await openCloud(t, { racks: [] })
  const make = { DhcpConfigurations: [NAMES] }
  const { DhcpOptions } = await cloud.call('CreateDhcpOptions', make, { account: OTHER_ACCOUNT })
  const DhcpOptionsId = DhcpOptions?.DhcpOptionsId ?? ''
  const { Vpcs } = await cloud.call('DescribeVpcs', {})
  const VpcId = Vpcs?.[0]?.VpcId ?? ''
  for (const call of [
    () => cloud.call('DeleteDhcpOptions', { DhcpOptionsId }),
    () => cloud.call('DescribeDhcpOptions', { DhcpOptionsIds: [DhcpOptionsId] }),
    () => cloud.call('AssociateDhcpOptions', { DhcpOptionsId, VpcId }),
  ]) {
    assert.equal(await refusal(call()), 'InvalidDhcpOptionID.NotFound')
  }
})

for (const [key, values] of [
  ['color', ['red']],
  ['domain-name', ['-bad.example']],
  ['domain-name', ['a\ndhcp-script=/bin/sh']],
  ['domain-name', ['a.example', 'b.example']],
  ['domain-name', ['a.example  b.example']],
  ['domain-name', []],
  ['domain-name-servers', ['AmazonProvidedDNS', '10.0.0.1']],
  ['domain-name-servers', ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5']],
  ['domain-name-servers', ['ns.example']],
  ['ntp-servers', ['10.0.0.256']],
  ['netbios-name-servers', ['fd00::1']],
  ['netbios-node-type', ['3']],
  ['ipv6-address-preferred-lease-time', ['3600']],
] as const) {
  test(`CreateDhcpOptions refuses ${key} ${JSON.stringify(values)}`, async (t) => {
    const cloud = await openCloud(t, { racks: [] })
    const DhcpConfigurations = [{ Key: key, Values: [...values] }]
    const call = cloud.call('CreateDhcpOptions', { DhcpConfigurations })
    const isKnown = key === 'ipv6-address-preferred-lease-time'
    const want = isKnown ? 'UnsupportedOperation' : 'InvalidParameterValue'
    assert.equal(await refusal(call), want)
  })
}
