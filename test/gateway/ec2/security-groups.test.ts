// Security groups: their names, what holds them, and whose they are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ACCOUNT,
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  run,
} from './support.ts'

const Description = 'for a test'

test('CreateSecurityGroup makes a group from which everything goes out and nothing comes in', async (t) => {
  const cloud = await openCloud(t)
  const { GroupId, Tags } = await cloud.call('CreateSecurityGroup', {
    GroupName: 'web/1',
    Description,
    TagSpecifications: [{ ResourceType: 'security-group', Tags: [{ Key: 'a', Value: 'b' }] }],
  })
  assert.deepEqual(Tags, [{ Key: 'a', Value: 'b' }])
  const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', {
    GroupNames: ['web/1'],
  })
  const [group] = SecurityGroups ?? []
  assert.equal(group?.GroupId, GroupId)
  assert.deepEqual(group?.IpPermissions, [])
  const [all, ...more] = group?.IpPermissionsEgress ?? []
  assert.deepEqual(more, [])
  assert.deepEqual(all?.IpRanges, [{ CidrIp: '0.0.0.0/0', Description: undefined }])
  assert.deepEqual(all?.Ipv6Ranges, [{ CidrIpv6: '::/0', Description: undefined }])
  const theirs = cloud.call(
    'DescribeSecurityGroups',
    { GroupIds: [GroupId ?? ''] },
    { account: OTHER_ACCOUNT },
  )
  assert.equal(await refusal(theirs), 'InvalidGroup.NotFound')
})

test('CreateSecurityGroup in a VPC without IPv6 has one rule', async (t) => {
  const cloud = await openCloud(t)
  const vpc = await otherVpc(cloud, { ipv6Cidrs: [] })
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', {
    GroupName: 'web',
    Description,
    VpcId: vpc,
  })
  const record = (await cloud.state.fresh()).get('security-group', GroupId)
  assert.deepEqual(
    record?.rules.map((rule) => [rule.egress, rule.protocol, rule.ipv4]),
    [[true, '-1', '0.0.0.0/0']],
  )
})

test('CreateSecurityGroup refuses names and descriptions that EC2 does not have', async (t) => {
  const cloud = await openCloud(t)
  for (const [input, code] of [
    [{}, 'MissingParameter'],
    [{ GroupName: 'a' }, 'MissingParameter'],
    [{ GroupName: 'a', Description: '' }, 'MissingParameter'],
    [{ GroupName: '', Description }, 'InvalidParameterValue'],
    [{ GroupName: 'a'.repeat(256), Description }, 'InvalidParameterValue'],
    [{ GroupName: 'naïve', Description }, 'InvalidParameterValue'],
    [{ GroupName: 'a', Description: 'a\nb' }, 'InvalidParameterValue'],
    [{ GroupName: 'default', Description }, 'InvalidGroup.Reserved'],
    [{ GroupName: 'sg-1', Description }, 'InvalidParameterValue'],
    [{ GroupName: 'a', Description, VpcId: 'vpc-01234567' }, 'InvalidVpcID.NotFound'],
    [{ GroupName: 'a', Description, DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('CreateSecurityGroup', input as never)
    assert.equal(await refusal(call), code, JSON.stringify(input))
  }
  assert.equal((await cloud.state.fresh()).by('security-group', 'account', ACCOUNT).length, 1)
})

test('a name is held by one group of a VPC, whichever gateway is asked', async (t) => {
  const cloud = await openCloud(t)
  const other = await cloud.otherGateway()
  const input = { GroupName: 'web', Description }
  const codes = await Promise.all(
    [cloud.call, other, cloud.call].map((call) => refusal(call('CreateSecurityGroup', input))),
  )
  const duplicate = 'InvalidGroup.Duplicate'
  assert.deepEqual(codes.sort(), [duplicate, duplicate, 'accepted'])
  const VpcId = await otherVpc(cloud)
  assert.equal(await refusal(cloud.call('CreateSecurityGroup', { ...input, VpcId })), 'accepted')
  await cloud.call('DeleteSecurityGroup', { GroupName: 'web' })
  assert.equal(await refusal(cloud.call('CreateSecurityGroup', input)), 'accepted')
})

test('DeleteSecurityGroup refuses what is in use, and the default group', async (t) => {
  const cloud = await openCloud(t)
  const [web, db] = [await newGroup(cloud, 'web'), await newGroup(cloud, 'db')]
  const deletion = (GroupId: string, account = ACCOUNT): Promise<string> =>
    refusal(cloud.call('DeleteSecurityGroup', { GroupId }, { account }))
  // Circles are allowed: each names the other, and itself.
  for (const [GroupId, named] of [
    [web, db],
    [db, web],
    [web, web],
  ] as const) {
    await cloud.call('AuthorizeSecurityGroupIngress', {
      GroupId,
      IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: named }] }],
    })
  }
  assert.equal(await deletion(web), 'DependencyViolation')
  assert.equal(await deletion(web, OTHER_ACCOUNT), 'InvalidGroup.NotFound')
  await cloud.call('RevokeSecurityGroupIngress', {
    GroupId: db,
    IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: web }] }],
  })
  const ImageId = await registerImage(cloud)
  await run(cloud, { ImageId, SecurityGroupIds: [web] })
  assert.equal(await deletion(web), 'DependencyViolation')
  assert.equal(await deletion(db), 'DependencyViolation')
  const call = cloud.call('DeleteSecurityGroup', { GroupName: 'default' })
  assert.equal(await refusal(call), 'CannotDelete')
  assert.equal(await refusal(cloud.call('DeleteSecurityGroup', {})), 'MissingParameter')
  const last = await newGroup(cloud, 'last')
  const dry = cloud.call('DeleteSecurityGroup', { GroupId: last, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  assert.equal(await deletion(last), 'accepted')
  assert.equal(await deletion(last), 'InvalidGroup.NotFound')
})

test('DeleteSecurityGroup at the same time as launches leaves no instance in a group that is gone', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const other = await cloud.otherGateway()
  const ImageId = await registerImage(cloud)
  for (let n = 0; n < 8; n += 1) {
    const GroupId = await newGroup(cloud, `group-${n}`)
    await Promise.allSettled([
      run(cloud, { ImageId, SecurityGroupIds: [GroupId] }),
      other('DeleteSecurityGroup', { GroupId }),
    ])
  }
  const view = await cloud.state.fresh()
  for (const { securityGroups } of view.all('interface')) {
    assert.ok(securityGroups.every((id) => view.get('security-group', id) !== null))
  }
})

test('DescribeSecurityGroups and GetSecurityGroupsForVpc filter and page', async (t) => {
  const cloud = await openCloud(t)
  for (let n = 0; n < 6; n += 1) await newGroup(cloud, `g${n}`)
  const GroupId = await newGroup(cloud, 'web')
  await cloud.call('AuthorizeSecurityGroupIngress', {
    GroupId,
    IpPermissions: [
      { IpProtocol: 'tcp', FromPort: 80, ToPort: 81, IpRanges: [{ CidrIp: '192.0.2.7/24' }] },
      { IpProtocol: 'udp', FromPort: 53, ToPort: 53, UserIdGroupPairs: [{ GroupName: 'g0' }] },
    ],
  })
  for (const [Name, value, want] of [
    ['ip-permission.cidr', '192.0.2.0/24', ['web']],
    ['ip-permission.from-port', '80', ['web']],
    ['ip-permission.to-port', '81', ['web']],
    ['ip-permission.protocol', 'udp', ['web']],
    ['ip-permission.group-name', 'g0', ['web']],
    ['ip-permission.user-id', ACCOUNT, ['default', 'web']],
    ['egress.ip-permission.protocol', 'tcp', []],
    ['group-name', 'g?', ['g0', 'g1', 'g2', 'g3', 'g4', 'g5']],
  ] as const) {
    const Filters = [{ Name, Values: [value] }]
    const { SecurityGroups } = await cloud.call('DescribeSecurityGroups', { Filters })
    assert.deepEqual(SecurityGroups?.map((one) => one.GroupName).sort(), want, Name)
  }
  const VpcId = cloud.state.view().get('security-group', GroupId)?.vpc ?? ''
  const first = await cloud.call('GetSecurityGroupsForVpc', { VpcId, MaxResults: 5 })
  const NextToken = first.NextToken ?? ''
  const second = await cloud.call('GetSecurityGroupsForVpc', { VpcId, MaxResults: 5, NextToken })
  assert.equal(first.SecurityGroupForVpcs?.length, 5)
  assert.equal(second.SecurityGroupForVpcs?.length, 3)
  assert.equal(second.SecurityGroupForVpcs?.[0]?.PrimaryVpcId, VpcId)
  const call = cloud.call('GetSecurityGroupsForVpc', { VpcId }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(call), 'InvalidVpcID.NotFound')
})

async function newGroup(cloud: Cloud, GroupName: string): Promise<string> {
  const { GroupId } = await cloud.call('CreateSecurityGroup', { GroupName, Description })
  return GroupId ?? ''
}

/** A VPC that is not the default one. */
async function otherVpc(cloud: Cloud, more: { ipv6Cidrs?: string[] } = {}): Promise<string> {
  const [vpc] = cloud.state.view().by('vpc', 'account', ACCOUNT)
  assert.ok(vpc)
  const id = 'vpc-00000000000000001'
  await cloud.state.update((tx) => tx.put('vpc', [id], { ...vpc, ...more, id, isDefault: false }))
  return id
}
