// The aws CLI over the wire with groups, rules, prefix lists, network ACLs and key pairs.

import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { ACCOUNT } from './support.ts'
import { awsCli, listening, sdkClient } from './wire-support.ts'

test('the aws CLI makes a group, opens and closes ports, and reads its rules', async (t) => {
  const [, endpoint] = await listening(t)
  const aws = awsCli(t, endpoint)
  const group = await aws(
    ...['create-security-group', '--group-name', 'web', '--description', 'the web tier'],
    ...['--query', 'GroupId'],
  )
  const rule = await aws(
    ...['authorize-security-group-ingress', '--group-id', group, '--protocol', 'tcp'],
    ...['--port', '80-81', '--cidr', '0.0.0.0/0'],
    ...['--tag-specifications', 'ResourceType=security-group-rule,Tags=[{Key=use,Value=web}]'],
    ...['--query', 'SecurityGroupRules[0].SecurityGroupRuleId'],
  )
  await aws(
    ...['authorize-security-group-ingress', '--group-id', group, '--protocol', 'icmp'],
    ...['--port', '-1', '--source-group', group],
  )
  await aws(
    ...['authorize-security-group-egress', '--group-id', group, '--ip-permissions'],
    'IpProtocol=icmpv6,FromPort=-1,ToPort=-1,Ipv6Ranges=[{CidrIpv6=2001:db8::/32}]',
  )
  await aws(
    ...['modify-security-group-rules', '--group-id', group, '--security-group-rules'],
    `SecurityGroupRuleId=${rule},SecurityGroupRule={IpProtocol=tcp,FromPort=80,ToPort=80,` +
      'CidrIpv4=192.0.2.0/24,Description=fewer}',
  )
  const rules = await aws(
    ...['describe-security-group-rules', '--filters', `Name=group-id,Values=${group}`],
    'Name=tag:use,Values=web',
    ...['--query', 'SecurityGroupRules[].[IpProtocol,FromPort,ToPort,CidrIpv4,Description]'],
  )
  assert.equal(rules, ['tcp', '80', '80', '192.0.2.0/24', 'fewer'].join('\t'))
  await aws(
    ...['revoke-security-group-ingress', '--group-id', group],
    ...['--security-group-rule-ids', rule],
  )
  const left = await aws(
    ...['describe-security-groups', '--group-names', 'web', '--query'],
    'SecurityGroups[].IpPermissions[].[IpProtocol,FromPort,UserIdGroupPairs[0].UserId]',
  )
  assert.equal(left, ['icmp', '-1', ACCOUNT].join('\t'))
  await aws('delete-security-group', '--group-id', group)
})

test('the aws CLI makes key pairs that the guest’s sshd knows', async (t) => {
  const [, endpoint] = await listening(t)
  const aws = awsCli(t, endpoint)
  const pem = await aws('create-key-pair', '--key-name', 'mine', '--query', 'KeyMaterial')
  const key = createPublicKey(createPrivateKey(pem))
  const material = Buffer.from(key.export({ format: 'pem', type: 'spki' })).toString('base64')
  const print = await aws(
    ...['import-key-pair', '--key-name', 'again', '--public-key-material', material],
    ...['--query', 'KeyFingerprint'],
  )
  assert.match(print, /^(?:[0-9a-f]{2}:){15}[0-9a-f]{2}$/)
  const keys = await aws(
    ...['describe-key-pairs', '--include-public-key', '--query', 'KeyPairs[].PublicKey'],
  )
  const [one, two] = keys.split('\t').map((line) => line.split(' ')[1])
  assert.equal(one, two)
  await aws('delete-key-pair', '--key-name', 'mine')
  await aws('delete-key-pair', '--key-name', 'mine')
})

test('the JavaScript SDK reads network ACLs and prefix lists', async (t) => {
  const [, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  const [vpc] = (await ec2.describeVpcs()).Vpcs ?? []
  const { NetworkAcl } = await ec2.createNetworkAcl({ VpcId: vpc?.VpcId })
  const NetworkAclId = NetworkAcl?.NetworkAclId
  await ec2.createNetworkAclEntry({
    NetworkAclId,
    RuleNumber: 100,
    Protocol: '1',
    RuleAction: 'allow',
    Egress: false,
    CidrBlock: '0.0.0.0/0',
    IcmpTypeCode: { Type: -1, Code: -1 },
  })
  const { NetworkAcls } = await ec2.describeNetworkAcls({
    Filters: [{ Name: 'entry.protocol', Values: ['icmp'] }],
  })
  const entry = NetworkAcls?.[0]?.Entries?.find((one) => one.RuleNumber === 100)
  assert.deepEqual(entry?.IcmpTypeCode, { Code: -1, Type: -1 })
  await ec2.deleteNetworkAcl({ NetworkAclId })
  const { PrefixList } = await ec2.createManagedPrefixList({
    PrefixListName: 'offices',
    AddressFamily: 'IPv6',
    MaxEntries: 3,
    Entries: [{ Cidr: '2001:db8::/32' }],
  })
  const PrefixListId = PrefixList?.PrefixListId
  const { Entries } = await ec2.getManagedPrefixListEntries({ PrefixListId })
  assert.deepEqual(Entries, [{ Cidr: '2001:db8::/32' }])
  await ec2.deleteManagedPrefixList({ PrefixListId })
  assert.deepEqual((await ec2.describeManagedPrefixLists()).PrefixLists, [])
})
