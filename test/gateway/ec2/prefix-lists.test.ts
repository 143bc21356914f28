// Prefix lists: versions, sizes, who uses them, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AddPrefixListEntry } from '@aws-sdk/client-ec2'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, refusal } from './support.ts'

const entries = (...cidrs: readonly string[]): AddPrefixListEntry[] =>
  cidrs.map((Cidr) => ({ Cidr }))

test('CreateManagedPrefixList makes a list, once for a token, that its owner sees', async (t) => {
  const cloud = await openCloud(t)
  const input = {
    PrefixListName: 'offices',
    AddressFamily: 'IPv4',
    MaxEntries: 5,
    Entries: [{ Cidr: '192.0.2.7/24', Description: 'one' }],
    ClientToken: 'token',
    TagSpecifications: [{ ResourceType: 'prefix-list' as const, Tags: [{ Key: 'a', Value: 'b' }] }],
  }
  const { PrefixList } = await cloud.call('CreateManagedPrefixList', input)
  const again = await cloud.call('CreateManagedPrefixList', input)
  assert.deepEqual(again.PrefixList, PrefixList)
  assert.match(PrefixList?.PrefixListId ?? '', /^pl-[0-9a-f]{17}$/)
  assert.equal(PrefixList?.State, 'create-complete')
  assert.equal(PrefixList?.Version, 1)
  assert.deepEqual(PrefixList?.Tags, [{ Key: 'a', Value: 'b' }])
  const PrefixListId = PrefixList?.PrefixListId ?? ''
  const { Entries } = await cloud.call('GetManagedPrefixListEntries', { PrefixListId })
  assert.deepEqual(Entries, [{ Cidr: '192.0.2.0/24', Description: 'one' }])
  const found = await cloud.call('DescribeManagedPrefixLists', {
    Filters: [{ Name: 'prefix-list-name', Values: ['off*'] }],
  })
  assert.equal(found.PrefixLists?.length, 1)
  const theirs = { account: OTHER_ACCOUNT }
  assert.deepEqual((await cloud.call('DescribeManagedPrefixLists', {}, theirs)).PrefixLists, [])
  const call = cloud.call('GetManagedPrefixListEntries', { PrefixListId }, theirs)
  assert.equal(await refusal(call), 'InvalidPrefixListID.NotFound')
})

test('ModifyManagedPrefixList makes versions, which can be shown and restored', async (t) => {
  const cloud = await openCloud(t)
  const PrefixListId = await newList(cloud, '10.0.0.0/8', '172.16.0.0/12')
  const cidrs = async (TargetVersion?: number): Promise<(string | undefined)[]> => {
    const input = { PrefixListId, TargetVersion }
    const { Entries } = await cloud.call('GetManagedPrefixListEntries', input)
    return (Entries ?? []).map((entry) => entry.Cidr)
  }
  const { PrefixList } = await cloud.call('ModifyManagedPrefixList', {
    PrefixListId,
    CurrentVersion: 1,
    PrefixListName: 'new',
    AddEntries: entries('192.168.0.0/16'),
    RemoveEntries: [{ Cidr: '10.0.0.0/8' }],
  })
  assert.equal(PrefixList?.Version, 2)
  assert.equal(PrefixList?.PrefixListName, 'new')
  assert.equal(PrefixList?.State, 'modify-complete')
  assert.deepEqual(await cidrs(), ['172.16.0.0/12', '192.168.0.0/16'])
  assert.deepEqual(await cidrs(1), ['10.0.0.0/8', '172.16.0.0/12'])
  assert.equal(await refusal(cidrs(3)), 'PrefixListVersionNotFound')
  const restore = (CurrentVersion: number): Promise<string> => {
    const input = { PrefixListId, CurrentVersion, PreviousVersion: 1 }
    return refusal(cloud.call('RestoreManagedPrefixListVersion', input))
  }
  assert.equal(await restore(1), 'PrefixListVersionMismatch')
  assert.equal(await restore(2), 'accepted')
  assert.deepEqual(await cidrs(3), ['10.0.0.0/8', '172.16.0.0/12'])
})

test('ModifyManagedPrefixList by several gateways at once takes one change of a version', async (t) => {
  const cloud = await openCloud(t)
  const other = await cloud.otherGateway()
  const PrefixListId = await newList(cloud, '10.0.0.0/8')
  const codes = await Promise.all(
    [cloud.call, other, cloud.call].map((call, i) =>
      refusal(
        call('ModifyManagedPrefixList', {
          PrefixListId,
          CurrentVersion: 1,
          AddEntries: entries(`192.0.${i}.0/24`),
        }),
      ),
    ),
  )
  const mismatch = 'PrefixListVersionMismatch'
  assert.deepEqual(codes.sort(), [mismatch, mismatch, 'accepted'])
})

test('prefix lists refuse bad input', async (t) => {
  const cloud = await openCloud(t)
  const good = { PrefixListName: 'a', AddressFamily: 'IPv4', MaxEntries: 2 }
  const bad = 'InvalidParameterValue'
  for (const [change, code] of [
    [{ PrefixListName: undefined }, 'MissingParameter'],
    [{ PrefixListName: 'com.amazonaws.x' }, bad],
    [{ PrefixListName: 'a'.repeat(256) }, bad],
    [{ AddressFamily: 'ipv4' }, bad],
    [{ MaxEntries: 0 }, bad],
    [{ MaxEntries: 1_001 }, bad],
    [{ Entries: entries('::/0') }, bad],
    [{ Entries: entries('10.0.0.0/8', '10.1.0.0/8') }, bad],
    [{ Entries: entries('10.0.0.0') }, bad],
    [
      { Entries: entries('10.0.0.0/8', '11.0.0.0/8', '12.0.0.0/8') },
      'PrefixListMaxEntriesExceeded',
    ],
    [{ DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('CreateManagedPrefixList', { ...good, ...change } as never)
    assert.equal(await refusal(call), code, JSON.stringify(change))
  }
  const PrefixListId = await newList(cloud, '10.0.0.0/8')
  for (const [change, code] of [
    [{ AddEntries: entries('11.0.0.0/8') }, 'MissingParameter'],
    [{ CurrentVersion: 2, AddEntries: entries('11.0.0.0/8') }, 'PrefixListVersionMismatch'],
    [{ CurrentVersion: 1, RemoveEntries: entries('11.0.0.0/8') }, 'InvalidPrefixListModification'],
    [
      {
        CurrentVersion: 1,
        AddEntries: entries('10.0.0.0/8'),
        RemoveEntries: entries('10.0.0.0/8'),
      },
      'InvalidParameterCombination',
    ],
    [
      { CurrentVersion: 1, MaxEntries: 9, AddEntries: entries('11.0.0.0/8') },
      'InvalidParameterCombination',
    ],
    [{ MaxEntries: 0 }, bad],
    [{ IpamPrefixListResolverSyncEnabled: true }, 'UnsupportedOperation'],
    [{ PrefixListName: 'b', DryRun: true }, 'DryRunOperation'],
    [{ PrefixListId: 'pl-x' }, 'InvalidPrefixListId.Malformed'],
  ] as const) {
    const input = { PrefixListId, ...change }
    const call = cloud.call('ModifyManagedPrefixList', input as never)
    assert.equal(await refusal(call), code, JSON.stringify(change))
  }
  const view = await cloud.state.fresh()
  assert.equal(view.get('prefix-list', PrefixListId)?.name, 'list')
  assert.equal(view.all('prefix-list').length, 1)
})

test('a rule that names a list counts its size, and holds the list', async (t) => {
  const cloud = await openCloud(t)
  const PrefixListId = await newList(cloud, '10.0.0.0/8')
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description: 'for a test',
  })
  const IpPermissions = [{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId }] }]
  const { SecurityGroupRules } = await cloud.call('AuthorizeSecurityGroupIngress', {
    GroupId,
    IpPermissions,
  })
  assert.equal(SecurityGroupRules?.[0]?.PrefixListId, PrefixListId)
  const ports = Array.from({ length: 990 }, (_, i) => ({
    IpProtocol: 'tcp',
    FromPort: i,
    ToPort: i,
    IpRanges: [{ CidrIp: '0.0.0.0/0' }],
  }))
  await cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions: ports })
  const resize = (MaxEntries: number): Promise<string> =>
    refusal(cloud.call('ModifyManagedPrefixList', { PrefixListId, MaxEntries }))
  assert.equal(await resize(10), 'accepted')
  assert.equal(await resize(11), 'RulesPerSecurityGroupLimitExceeded')
  const users = await cloud.call('GetManagedPrefixListAssociations', { PrefixListId })
  assert.deepEqual(users.PrefixListAssociations, [{ ResourceId: GroupId, ResourceOwner: ACCOUNT }])
  const deletion = (): Promise<string> =>
    refusal(cloud.call('DeleteManagedPrefixList', { PrefixListId }))
  assert.equal(await deletion(), 'DependencyViolation')
  await cloud.call('RevokeSecurityGroupIngress', { GroupId, IpPermissions })
  assert.equal(await deletion(), 'accepted')
  assert.equal(await deletion(), 'InvalidPrefixListID.NotFound')
})

test('DescribePrefixLists finds none: no service of AWS is here', async (t) => {
  const cloud = await openCloud(t)
  await newList(cloud)
  assert.deepEqual((await cloud.call('DescribePrefixLists', {})).PrefixLists, [])
  const call = cloud.call('DescribePrefixLists', { PrefixListIds: ['pl-01234567'] })
  assert.equal(await refusal(call), 'InvalidPrefixListID.NotFound')
})

async function newList(cloud: Cloud, ...cidrs: readonly string[]): Promise<string> {
  const { PrefixList } = await cloud.call('CreateManagedPrefixList', {
    PrefixListName: 'list',
    AddressFamily: 'IPv4',
    MaxEntries: 5,
    Entries: entries(...cidrs),
  })
  return PrefixList?.PrefixListId ?? ''
}
