// Rules of security groups that are there: revoked, changed, described, tagged, stale.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeeringRecord } from '../../../gateway/store/network-records.ts'
import { cloudWithGroup, ranges, tcp } from './group-support.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, refusal, START_MS } from './support.ts'

const UNKNOWN_RULE = 'sgr-0123456789abcdef0'
const UNKNOWN_GROUP = 'sg-0123456789abcdef0'

test('RevokeSecurityGroupIngress takes rules by what they say and by their ids', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const IpPermissions = [{ ...tcp(80, 80), IpRanges: ranges('10.0.0.0/8', '192.0.2.0/24') }]
  const made = await cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
  const ids = made.SecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId ?? '') ?? []
  const byId = await cloud.call('RevokeSecurityGroupIngress', {
    GroupId,
    SecurityGroupRuleIds: ids.slice(0, 1),
  })
  assert.equal(byId.RevokedSecurityGroupRules?.[0]?.CidrIpv4, '10.0.0.0/8')
  // In a default VPC what is not there is said, and no error.
  const rest = await cloud.call('RevokeSecurityGroupIngress', { GroupId, IpPermissions })
  assert.equal(rest.RevokedSecurityGroupRules?.[0]?.SecurityGroupRuleId, ids[1])
  assert.equal(rest.UnknownIpPermissions?.[0]?.IpRanges?.[0]?.CidrIp, '10.0.0.0/8')
  for (const SecurityGroupRuleIds of [ids, [UNKNOWN_RULE]]) {
    const call = cloud.call('RevokeSecurityGroupIngress', { GroupId, SecurityGroupRuleIds })
    assert.equal(await refusal(call), 'InvalidSecurityGroupRuleId.NotFound')
  }
  await otherVpc(cloud, GroupId)
  const call = cloud.call('RevokeSecurityGroupIngress', { GroupId, IpPermissions })
  assert.equal(await refusal(call), 'InvalidPermission.NotFound')
})

test('ModifySecurityGroupRules changes a rule in its place and refuses what would be there twice', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const IpPermissions = [tcp(80, 80), tcp(81, 81)]
  const made = await cloud.call('AuthorizeSecurityGroupIngress', { GroupId, IpPermissions })
  const [first = '', second = ''] =
    made.SecurityGroupRules?.map((rule) => rule.SecurityGroupRuleId ?? '') ?? []
  const to = (port: number, more = {}): object => ({
    IpProtocol: 'tcp',
    FromPort: port,
    ToPort: port,
    CidrIpv4: '10.0.0.0/8',
    ...more,
  })
  const modify = (...updates: readonly [string, object][]): Promise<unknown> =>
    cloud.call('ModifySecurityGroupRules', {
      GroupId,
      SecurityGroupRules: updates.map(([SecurityGroupRuleId, SecurityGroupRule]) => ({
        SecurityGroupRuleId,
        SecurityGroupRule,
      })),
    })
  assert.equal(await refusal(modify([first, to(81)])), 'InvalidPermission.Duplicate')
  // Two rules may change places.
  await modify([first, to(81, { Description: 'new' })], [second, to(80)])
  const { SecurityGroupRules } = await cloud.call('DescribeSecurityGroupRules', {
    SecurityGroupRuleIds: [first],
  })
  assert.equal(SecurityGroupRules?.[0]?.FromPort, 81)
  assert.equal(SecurityGroupRules?.[0]?.Description, 'new')
  for (const [update, code] of [
    [[UNKNOWN_RULE, to(1)], 'InvalidSecurityGroupRuleId.NotFound'],
    [['x', to(1)], 'InvalidSecurityGroupRuleId.Malformed'],
    [[first, to(1, { CidrIpv6: '::/0' })], 'InvalidParameterCombination'],
    [[first, to(1, { CidrIpv4: undefined })], 'MissingParameter'],
    [
      [first, to(1, { CidrIpv4: undefined, ReferencedGroupId: UNKNOWN_GROUP })],
      'InvalidGroup.NotFound',
    ],
  ] as const) {
    assert.equal(await refusal(modify([update[0], update[1]])), code)
  }
})

test('UpdateSecurityGroupRuleDescriptions finds rules by what they say and by their ids', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const made = await cloud.call('AuthorizeSecurityGroupIngress', {
    GroupId,
    IpPermissions: [tcp(80, 80), tcp(81, 81)],
  })
  const SecurityGroupRuleId = made.SecurityGroupRules?.[1]?.SecurityGroupRuleId
  const update = (input: object): Promise<unknown> =>
    cloud.call('UpdateSecurityGroupRuleDescriptionsIngress', { GroupId, ...input })
  const described = [{ CidrIp: '10.0.0.0/8', Description: 'one' }]
  await update({ IpPermissions: [{ ...tcp(80, 80), IpRanges: described }] })
  const Description = 'two'
  await update({ SecurityGroupRuleDescriptions: [{ SecurityGroupRuleId, Description }] })
  const rules = (await cloud.state.fresh()).get('security-group', GroupId)?.rules ?? []
  assert.deepEqual(rules.map((rule) => rule.description).sort(), ['', '', 'one', 'two'])
  assert.equal(await refusal(update({ IpPermissions: [tcp(9, 9)] })), 'InvalidPermission.NotFound')
  const SecurityGroupRuleDescriptions = [{ SecurityGroupRuleId, Description }]
  const egress = { GroupId, SecurityGroupRuleDescriptions }
  assert.equal(
    await refusal(cloud.call('UpdateSecurityGroupRuleDescriptionsEgress', egress)),
    'InvalidSecurityGroupRuleId.NotFound',
  )
})

test('rules have tags, which end with them', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const made = await cloud.call('AuthorizeSecurityGroupIngress', {
    GroupId,
    IpPermissions: [tcp(80, 80)],
    TagSpecifications: [
      { ResourceType: 'security-group-rule', Tags: [{ Key: 'use', Value: 'web' }] },
    ],
  })
  const [rule] = made.SecurityGroupRules ?? []
  const id = rule?.SecurityGroupRuleId ?? ''
  assert.deepEqual(rule?.Tags, [{ Key: 'use', Value: 'web' }])
  await cloud.call('CreateTags', { Resources: [id], Tags: [{ Key: 'more', Value: '' }] })
  for (const Filters of [
    [{ Name: 'tag:use', Values: ['web'] }],
    [{ Name: 'tag-key', Values: ['more'] }],
    [{ Name: 'security-group-rule-id', Values: [id] }],
  ]) {
    const found = await cloud.call('DescribeSecurityGroupRules', { Filters })
    assert.deepEqual(
      found.SecurityGroupRules?.map((one) => one.SecurityGroupRuleId),
      [id],
    )
  }
  const tags = { Resources: [id], Tags: [{ Key: 'a', Value: '' }] }
  for (const call of [
    () => cloud.call('CreateTags', tags, { account: OTHER_ACCOUNT }),
    () => cloud.call('CreateTags', { ...tags, Resources: [UNKNOWN_RULE] }),
    () => cloud.call('DescribeSecurityGroupRules', { SecurityGroupRuleIds: [UNKNOWN_RULE] }),
  ]) {
    assert.equal(await refusal(call()), 'InvalidSecurityGroupRuleId.NotFound')
  }
  await cloud.call('RevokeSecurityGroupIngress', { GroupId, SecurityGroupRuleIds: [id] })
  assert.deepEqual((await cloud.call('DescribeTags', {})).Tags, [])
})

test('a rule may name a group of another account while the VPCs are peered, and is stale after', async (t) => {
  const { cloud, GroupId } = await cloudWithGroup(t)
  const view = cloud.state.view()
  const [theirs] = view.by('security-group', 'account', OTHER_ACCOUNT)
  const vpc = view.get('security-group', GroupId)?.vpc ?? ''
  const pair = { GroupId: theirs?.id ?? '', UserId: OTHER_ACCOUNT }
  const input = { GroupId, IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [pair] }] }
  const authorize = (): Promise<string> =>
    refusal(cloud.call('AuthorizeSecurityGroupIngress', input))
  assert.equal(await authorize(), 'InvalidGroup.NotFound')
  await peer(cloud, vpc, theirs?.vpc ?? '', 'pending-acceptance')
  assert.equal(await authorize(), 'InvalidGroup.NotFound')
  await peer(cloud, vpc, theirs?.vpc ?? '', 'active')
  assert.equal(await authorize(), 'accepted')
  const shown = async (): Promise<unknown> => {
    const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', { GroupIds: [GroupId] })
    return SecurityGroups?.[0]?.IpPermissions?.[0]?.UserIdGroupPairs?.[0]?.PeeringStatus
  }
  assert.equal(await shown(), 'active')
  const asThey = { account: OTHER_ACCOUNT }
  const references = await cloud.call(
    'DescribeSecurityGroupReferences',
    { GroupId: [pair.GroupId] },
    asThey,
  )
  assert.equal(references.SecurityGroupReferenceSet?.[0]?.ReferencingVpcId, vpc)
  const stale = async (): Promise<unknown> => {
    const answer = await cloud.call('DescribeStaleSecurityGroups', { VpcId: vpc })
    return answer.StaleSecurityGroupSet?.map((group) => group.GroupId)
  }
  assert.deepEqual(await stale(), [])
  await peer(cloud, vpc, theirs?.vpc ?? '', 'deleted')
  assert.deepEqual(await stale(), [GroupId])
  assert.equal(await shown(), 'deleted')
  await cloud.call('RevokeSecurityGroupIngress', input)
  assert.deepEqual(await stale(), [])
})

/** Moves a group into a VPC that is not the default one. */
async function otherVpc(cloud: Cloud, GroupId: string): Promise<void> {
  await cloud.state.update(async (tx) => {
    const group = await tx.get('security-group', GroupId)
    const vpc = await tx.get('vpc', group?.vpc ?? '')
    assert.ok(group && vpc)
    const id = 'vpc-00000000000000001'
    await tx.put('vpc', [id], { ...vpc, id, isDefault: false })
    await tx.put('security-group', [GroupId], { ...group, vpc: id })
  })
}

async function peer(
  cloud: Cloud,
  mine: string,
  theirs: string,
  state: PeeringRecord['state'],
): Promise<void> {
  const id = 'pcx-00000000000000001'
  await cloud.state.update((tx) =>
    tx.put('peering', [id], {
      id,
      requester: { account: ACCOUNT, vpc: mine },
      accepter: { account: OTHER_ACCOUNT, vpc: theirs },
      state,
      message: '',
      createdAtMs: START_MS,
      expiresAtMs: START_MS,
      endedAtMs: null,
      requesterDnsResolution: false,
      accepterDnsResolution: false,
    }),
  )
}
