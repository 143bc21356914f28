// New rules of security groups: every form of request, what is refused, how many there may be.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IpPermission } from '@aws-sdk/client-ec2'
import { cloudWithGroup, ranges, tcp } from './group-support.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, refusal } from './support.ts'

const UNKNOWN_GROUP = 'sg-0123456789abcdef0'

for (const [what, permission, want] of [
  ['host bits', { ...tcp(22, 22), IpRanges: ranges('10.1.2.3/8') }, 'tcp 22 22 10.0.0.0/8'],
  ['a number for tcp', { ...tcp(22, 22), IpProtocol: '6' }, 'tcp 22 22 10.0.0.0/8'],
  ['port 0', tcp(0, 0), 'tcp 0 0 10.0.0.0/8'],
  ['all ports', tcp(0, 65_535), 'tcp 0 65535 10.0.0.0/8'],
  ['every protocol with ports', { ...tcp(1, 2), IpProtocol: '-1' }, '-1 -1 -1 10.0.0.0/8'],
  ['a protocol without ports', { ...tcp(1, 2), IpProtocol: '50' }, '50 -1 -1 10.0.0.0/8'],
  ['an ICMP type', { ...tcp(8, -1), IpProtocol: 'icmp' }, 'icmp 8 -1 10.0.0.0/8'],
  ['everybody', { ...tcp(22, 22), IpRanges: ranges('0.0.0.0/0') }, 'tcp 22 22 0.0.0.0/0'],
  [
    'IPv6',
    { IpProtocol: '58', Ipv6Ranges: [{ CidrIpv6: '2001:DB8::1/32' }] },
    'icmpv6 -1 -1 2001:db8::/32',
  ],
] as const) {
  test(`AuthorizeSecurityGroupIngress takes ${what}`, async (t) => {
    const { cloud, GroupId } = await cloudWithGroup(t)
    const IpPermissions = [structuredClone(permission) as IpPermission]
    const answer = await cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
    const [rule] = answer.SecurityGroupRules ?? []
    const peer = rule?.CidrIpv4 ?? rule?.CidrIpv6
    assert.equal([rule?.IpProtocol, rule?.FromPort, rule?.ToPort, peer].join(' '), want)
    assert.match(rule?.SecurityGroupRuleId ?? '', /^sgr-[0-9a-f]{17}$/)
    const again = cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
    assert.equal(await refusal(again), 'InvalidPermission.Duplicate')
    assert.equal(
      await refusal(cloud.call('AuthorizeSecurityGroupEgress', { GroupId, IpPermissions })),
      'accepted',
    )
  })
}

test('AuthorizeSecurityGroupIngress refuses bad rules', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const bad = 'InvalidParameterValue'
  for (const [permissions, code] of [
    [[], 'MissingParameter'],
    [[{ IpProtocol: 'tcp', FromPort: 1, ToPort: 1 }], 'MissingParameter'],
    [[{ IpRanges: ranges('10.0.0.0/8') }], 'MissingParameter'],
    [[{ ...tcp(1, 1), IpProtocol: 'smtp' }], bad],
    [[{ ...tcp(1, 1), IpProtocol: '256' }], bad],
    [[{ ...tcp(1, 1), FromPort: undefined }], bad],
    [[tcp(-1, -1)], bad],
    [[tcp(0, 65_536)], bad],
    [[tcp(80, 22)], bad],
    [[{ ...tcp(-1, 3), IpProtocol: 'icmp' }], bad],
    [[{ ...tcp(256, 0), IpProtocol: 'icmp' }], bad],
    [[{ ...tcp(1, 1), IpRanges: ranges('10.0.0.0') }], bad],
    [[{ ...tcp(1, 1), IpRanges: ranges('10.0.0.0/33') }], bad],
    [[{ ...tcp(1, 1), IpRanges: ranges('::/0') }], bad],
    [[{ ...tcp(1, 1), IpRanges: [{ CidrIp: '10.0.0.0/8', Description: 'é' }] }], bad],
    [[tcp(1, 1), { ...tcp(1, 1), IpRanges: ranges('10.9.9.9/8') }], bad],
    [[{ IpProtocol: '-1', UserIdGroupPairs: [{}] }], 'MissingParameter'],
    [[{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: 'x' }] }], 'InvalidGroupId.Malformed'],
    [
      [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: UNKNOWN_GROUP }] }],
      'InvalidGroup.NotFound',
    ],
    [[{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupName: 'no' }] }], 'InvalidGroup.NotFound'],
    [
      [{ IpProtocol: '-1', PrefixListIds: [{ PrefixListId: 'pl-01234567' }] }],
      'InvalidPrefixListID.NotFound',
    ],
  ] as const) {
    const IpPermissions = structuredClone(permissions) as unknown as IpPermission[]
    const call = cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
    assert.equal(await refusal(call), code, JSON.stringify(permissions))
  }
  const IpPermissions = [tcp(1, 1)]
  const both = { GroupId, IpPermissions, CidrIp: '10.0.0.0/8' }
  assert.equal(
    await refusal(cloud.call('AuthorizeSecurityGroupIngress', both)),
    'InvalidParameterCombination',
  )
  const dry = { GroupId, IpPermissions, DryRun: true }
  assert.equal(await refusal(cloud.call('AuthorizeSecurityGroupIngress', dry)), 'DryRunOperation')
  const foreign = { account: OTHER_ACCOUNT }
  assert.equal(
    await refusal(cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions }, foreign)),
    'InvalidGroup.NotFound',
  )
  assert.equal(cloud.state.view().get('security-group', GroupId)?.rules.length, 2)
})

test('the flat parameters of old clients authorize and revoke', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const byCidr = { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '0.0.0.0/0' }
  await cloud.call('AuthorizeSecurityGroupIngress', { GroupName: 'web', ...byCidr })
  const byGroup = { SourceSecurityGroupName: 'default', SourceSecurityGroupOwnerId: ACCOUNT }
  await cloud.call('AuthorizeSecurityGroupIngress', { GroupName: 'web', ...byGroup })
  const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', { GroupIds: [GroupId] })
  const [ssh, all] = SecurityGroups?.[0]?.IpPermissions ?? []
  assert.equal(ssh?.IpRanges?.[0]?.CidrIp, '0.0.0.0/0')
  assert.equal(all?.IpProtocol, '-1')
  assert.equal(all?.FromPort, undefined)
  assert.equal(all?.UserIdGroupPairs?.[0]?.UserId, ACCOUNT)
  await cloud.call('RevokeSecurityGroupIngress', { GroupName: 'web', ...byCidr })
  await cloud.call('RevokeSecurityGroupIngress', { GroupName: 'web', ...byGroup })
  assert.equal((await cloud.state.fresh()).get('security-group', GroupId)?.rules.length, 2)
})

test('a group has at most 1000 rules of a direction and family, and several gateways count together', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const other = await cloud.otherGateway()
  const rules = (first: number, count: number): IpPermission[] =>
    Array.from({ length: count }, (_, i) => tcp(first + i, first + i))
  const add = (call: Cloud['call'], first: number, count: number): Promise<string> =>
    refusal(call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions: rules(first, count) }))
  assert.equal(await add(cloud.call, 0, 990), 'accepted')
  const limit = 'RulesPerSecurityGroupLimitExceeded'
  assert.equal(await add(cloud.call, 990, 11), limit)
  const codes = await Promise.all([add(cloud.call, 990, 6), add(other, 1_000, 6)])
  assert.deepEqual(codes.sort(), [limit, 'accepted'])
  // A group counts for both families, so there is still room for IPv6.
  const Ipv6Ranges = [{ CidrIpv6: '::/0' }]
  const IpPermissions = [{ IpProtocol: '-1', Ipv6Ranges }]
  const call = cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
  assert.equal(await refusal(call), 'accepted')
})
