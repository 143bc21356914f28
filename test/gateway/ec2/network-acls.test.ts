// Network ACLs: their entries, the subnets that have them, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkAclEntry } from '@aws-sdk/client-ec2'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, refusal } from './support.ts'

const TCP = {
  Protocol: '6',
  RuleAction: 'allow',
  Egress: false,
  CidrBlock: '10.1.2.3/8',
  PortRange: { From: 80, To: 81 },
} as const

test('DescribeNetworkAcls shows a default ACL with its subnets and the entries that end it', async (t) => {
  const cloud = await openCloud(t)
  const { NetworkAcls } = await cloud.call('DescribeNetworkAcls', {
    Filters: [{ Name: 'default', Values: ['true'] }],
  })
  const [acl, ...more] = NetworkAcls ?? []
  assert.deepEqual(more, [])
  assert.equal(acl?.Associations?.length, 2)
  assert.deepEqual(
    acl?.Entries?.filter((one) => one.Egress === false).map(
      ({ RuleNumber, RuleAction, CidrBlock, Ipv6CidrBlock }) =>
        `${RuleNumber} ${RuleAction} ${CidrBlock ?? Ipv6CidrBlock}`,
    ),
    ['100 allow 0.0.0.0/0', '101 allow ::/0', '32767 deny 0.0.0.0/0', '32768 deny ::/0'],
  )
})

test('CreateNetworkAcl makes an ACL that refuses everything, once for a token', async (t) => {
  const { cloud, VpcId } = await cloudWithVpc(t)
  const input = {
    VpcId,
    ClientToken: 'token',
    TagSpecifications: [{ ResourceType: 'network-acl' as const, Tags: [{ Key: 'a', Value: 'b' }] }],
  }
  const [first, second] = [
    await cloud.call('CreateNetworkAcl', input),
    await cloud.call('CreateNetworkAcl', input),
  ]
  assert.equal(first.NetworkAcl?.NetworkAclId, second.NetworkAcl?.NetworkAclId)
  assert.deepEqual(first.NetworkAcl?.Tags, [{ Key: 'a', Value: 'b' }])
  assert.deepEqual(
    first.NetworkAcl?.Entries?.map((one) => one.RuleNumber),
    [32_767, 32_768, 32_767, 32_768],
  )
  const foreign = cloud.call('CreateNetworkAcl', { VpcId }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(foreign), 'InvalidVpcID.NotFound')
})

for (const [what, change, want] of [
  ['ports', {}, '6 allow 10.0.0.0/8 80-81'],
  ['a protocol by name', { Protocol: 'udp' }, '17 allow 10.0.0.0/8 80-81'],
  ['all protocols', { Protocol: '-1' }, '-1 allow 10.0.0.0/8'],
  ['another protocol', { Protocol: '50' }, '50 allow 10.0.0.0/8'],
  ['ICMP', { Protocol: '1', IcmpTypeCode: { Type: 8, Code: -1 } }, '1 allow 10.0.0.0/8 8/-1'],
  [
    'IPv6',
    { CidrBlock: undefined, Ipv6CidrBlock: '2001:db8::1/32', RuleAction: 'deny' },
    '6 deny 2001:db8::/32 80-81',
  ],
  ['ICMPv6 of IPv4, which is all of it', { Protocol: '58' }, '58 allow 10.0.0.0/8 -1/-1'],
] as const) {
  test(`CreateNetworkAclEntry takes ${what}`, async (t) => {
    const { cloud, NetworkAclId } = await cloudWithAcl(t)
    const input = { ...structuredClone(TCP), NetworkAclId, RuleNumber: 7, ...change }
    await cloud.call('CreateNetworkAclEntry', input)
    const [entry] = (await entriesOf(cloud, NetworkAclId)).filter((one) => one.RuleNumber === 7)
    const { From, To } = entry?.PortRange ?? {}
    const { Type, Code } = entry?.IcmpTypeCode ?? {}
    const ports = From === undefined ? '' : ` ${From}-${To}`
    const icmp = Type === undefined ? '' : ` ${Type}/${Code}`
    const cidr = entry?.CidrBlock ?? entry?.Ipv6CidrBlock
    assert.equal(`${entry?.Protocol} ${entry?.RuleAction} ${cidr}${ports}${icmp}`, want)
  })
}

test('entries are added once, replaced and deleted by number and direction', async (t) => {
  const { cloud, NetworkAclId } = await cloudWithAcl(t)
  const input = { ...structuredClone(TCP), NetworkAclId, RuleNumber: 7 }
  const place = { NetworkAclId, RuleNumber: 7, Egress: false }
  const missing = 'InvalidNetworkAclEntry.NotFound'
  assert.equal(await refusal(cloud.call('ReplaceNetworkAclEntry', input)), missing)
  assert.equal(await refusal(cloud.call('DeleteNetworkAclEntry', place)), missing)
  const other = await cloud.otherGateway()
  const codes = await Promise.all(
    [cloud.call, other].map((call) => refusal(call('CreateNetworkAclEntry', input))),
  )
  assert.deepEqual(codes.sort(), ['NetworkAclEntryAlreadyExists', 'accepted'])
  await cloud.call('CreateNetworkAclEntry', { ...input, Egress: true })
  await cloud.call('ReplaceNetworkAclEntry', { ...input, RuleAction: 'deny' })
  const actions = async (): Promise<string[]> =>
    (await entriesOf(cloud, NetworkAclId))
      .filter((one) => one.RuleNumber === 7)
      .map((one) => `${one.Egress} ${one.RuleAction}`)
  assert.deepEqual(await actions(), ['true allow', 'false deny'])
  await cloud.call('DeleteNetworkAclEntry', place)
  assert.deepEqual(await actions(), ['true allow'])
})

test('an ACL has at most 40 entries of a direction', async (t) => {
  const { cloud, NetworkAclId } = await cloudWithAcl(t)
  const add = (RuleNumber: number, Egress = false): Promise<string> =>
    refusal(
      cloud.call('CreateNetworkAclEntry', {
        ...structuredClone(TCP),
        NetworkAclId,
        RuleNumber,
        Egress,
      }),
    )
  for (let n = 1; n <= 40; n += 1) assert.equal(await add(n), 'accepted')
  assert.equal(await add(41), 'NetworkAclEntryLimitExceeded')
  assert.equal(await add(41, true), 'accepted')
})

test('CreateNetworkAclEntry refuses bad input', async (t) => {
  const { cloud, NetworkAclId } = await cloudWithAcl(t)
  const bad = 'InvalidParameterValue'
  for (const [change, code] of [
    [{ RuleNumber: 0 }, bad],
    [{ RuleNumber: 32_767 }, bad],
    [{ RuleNumber: undefined }, 'MissingParameter'],
    [{ Egress: undefined }, 'MissingParameter'],
    [{ Protocol: undefined }, 'MissingParameter'],
    [{ Protocol: 'smtp' }, bad],
    [{ RuleAction: 'drop' }, bad],
    [{ CidrBlock: undefined }, 'MissingParameter'],
    [{ CidrBlock: '10.0.0.0' }, bad],
    [{ CidrBlock: '::/0' }, bad],
    [{ Ipv6CidrBlock: '::/0' }, 'InvalidParameterCombination'],
    [{ PortRange: undefined }, 'MissingParameter'],
    [{ PortRange: { From: 81, To: 80 } }, bad],
    [{ PortRange: { From: -1, To: -1 } }, bad],
    [{ Protocol: '1' }, 'MissingParameter'],
    [{ Protocol: '1', IcmpTypeCode: { Type: -1, Code: 3 } }, bad],
    [{ NetworkAclId: 'acl-01234567' }, 'InvalidNetworkAclID.NotFound'],
    [{ DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const input = { ...structuredClone(TCP), NetworkAclId, RuleNumber: 7, ...change }
    const call = cloud.call('CreateNetworkAclEntry', input as never)
    assert.equal(await refusal(call), code, JSON.stringify(change))
  }
})

test('ReplaceNetworkAclAssociation gives a subnet another ACL, which then stays', async (t) => {
  const { cloud, NetworkAclId } = await cloudWithAcl(t)
  const [subnet] = cloud.state.view().by('subnet', 'account', ACCOUNT)
  const AssociationId = subnet?.aclAssociation ?? ''
  const replace = (more = {}, account = ACCOUNT): Promise<string> => {
    const input = { AssociationId, NetworkAclId, ...more }
    return refusal(cloud.call('ReplaceNetworkAclAssociation', input, { account }))
  }
  const unknown = 'InvalidAssociationID.NotFound'
  assert.equal(await replace({ AssociationId: 'aclassoc-01234567' }), unknown)
  assert.equal(await replace({}, OTHER_ACCOUNT), unknown)
  const [theirs] = cloud.state.view().by('network-acl', 'account', OTHER_ACCOUNT)
  assert.equal(await replace({ NetworkAclId: theirs?.id }), 'InvalidNetworkAclID.NotFound')
  assert.equal(await replace({ DryRun: true }), 'DryRunOperation')
  assert.equal(await replace(), 'accepted')
  assert.equal(await replace(), unknown)
  const { NetworkAcls } = await cloud.call('DescribeNetworkAcls', {
    Filters: [{ Name: 'association.subnet-id', Values: [subnet?.id ?? ''] }],
  })
  assert.deepEqual(
    NetworkAcls?.map((acl) => acl.NetworkAclId),
    [NetworkAclId],
  )
  const call = cloud.call('DeleteNetworkAcl', { NetworkAclId })
  assert.equal(await refusal(call), 'DependencyViolation')
})

test('DeleteNetworkAcl deletes what no subnet has, but not the default one', async (t) => {
  const { cloud, NetworkAclId, defaultAcl } = await cloudWithAcl(t)
  const deletion = (id: string, account = ACCOUNT): Promise<string> =>
    refusal(cloud.call('DeleteNetworkAcl', { NetworkAclId: id }, { account }))
  assert.equal(await deletion(defaultAcl), 'InvalidParameterValue')
  assert.equal(await deletion(NetworkAclId, OTHER_ACCOUNT), 'InvalidNetworkAclID.NotFound')
  assert.equal(await deletion(NetworkAclId), 'accepted')
  assert.equal(await deletion(NetworkAclId), 'InvalidNetworkAclID.NotFound')
})

test('DeleteNetworkAcl while subnets take the ACL leaves no subnet without one', async (t) => {
  const { cloud, VpcId } = await cloudWithVpc(t)
  const other = await cloud.otherGateway()
  for (let n = 0; n < 8; n += 1) {
    const { NetworkAcl } = await cloud.call('CreateNetworkAcl', { VpcId })
    const NetworkAclId = NetworkAcl?.NetworkAclId ?? ''
    const [subnet] = (await cloud.state.fresh()).by('subnet', 'vpc', VpcId)
    const AssociationId = subnet?.aclAssociation ?? ''
    await Promise.allSettled([
      cloud.call('ReplaceNetworkAclAssociation', { AssociationId, NetworkAclId }),
      other('DeleteNetworkAcl', { NetworkAclId }),
    ])
    const view = await cloud.state.fresh()
    const acl = view.get('subnet', subnet?.id ?? '')?.acl ?? ''
    assert.ok(view.get('network-acl', acl))
  }
})

async function cloudWithVpc(
  t: Parameters<typeof openCloud>[0],
): Promise<{ cloud: Cloud; VpcId: string; defaultAcl: string }> {
  const cloud = await openCloud(t)
  const [vpc] = cloud.state.view().by('vpc', 'account', ACCOUNT)
  return { cloud, VpcId: vpc?.id ?? '', defaultAcl: vpc?.defaultAcl ?? '' }
}

async function cloudWithAcl(
  t: Parameters<typeof openCloud>[0],
): Promise<{ cloud: Cloud; NetworkAclId: string; defaultAcl: string }> {
  const { cloud, VpcId, defaultAcl } = await cloudWithVpc(t)
  const { NetworkAcl } = await cloud.call('CreateNetworkAcl', { VpcId })
  return { cloud, NetworkAclId: NetworkAcl?.NetworkAclId ?? '', defaultAcl }
}

async function entriesOf(cloud: Cloud, id: string): Promise<NetworkAclEntry[]> {
  const { NetworkAcls } = await cloud.call('DescribeNetworkAcls', { NetworkAclIds: [id] })
  return NetworkAcls?.[0]?.Entries ?? []
}
