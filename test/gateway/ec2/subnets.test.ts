// Subnets of every size, zone and family: made, changed and deleted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { useRackTags } from '../../../gateway/ec2/vlan-tags.ts'
import { VLAN_TAGS } from '../../../topology/ranges.ts'
import {
  addRack,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  refused,
  registerImage,
  report,
  run,
} from './support.ts'
import { openVpc } from './vpc-support.ts'

const ANY = `${REGION}-any`

test('CreateSubnet makes a dual stack subnet in the zone, with its numbers and its ACL', async (t) => {
  const { cloud, VpcId, ipv6 } = await openVpc(t)
  const { Subnet } = await cloud.call('CreateSubnet', {
    VpcId,
    AvailabilityZone: `${REGION}-b`,
    CidrBlock: '172.16.1.0/28',
    Ipv6CidrBlock: ipv6,
    TagSpecifications: [{ ResourceType: 'subnet', Tags: [{ Key: 'tier', Value: 'web' }] }],
  })
  assert.equal(Subnet?.AvailabilityZone, `${REGION}-b`)
  assert.equal(Subnet?.AvailabilityZoneId, `${REGION}-az2`)
  assert.equal(Subnet?.AvailableIpAddressCount, 11)
  assert.equal(Subnet?.MapPublicIpOnLaunch, false)
  assert.equal(Subnet?.AssignIpv6AddressOnCreation, false)
  assert.equal(Subnet?.DefaultForAz, false)
  assert.deepEqual(Subnet?.Tags, [{ Key: 'tier', Value: 'web' }])
  const view = cloud.state.view()
  const record = view.get('subnet', Subnet?.SubnetId ?? '')
  assert.equal(record?.acl, view.get('vpc', VpcId)?.defaultAcl)
  assert.match(record?.aclAssociation ?? '', /^aclassoc-/)
  const tags = view.all('subnet').map((one) => one.vlanTag)
  assert.equal(new Set(tags).size, tags.length)
})

test('CreateSubnet without a zone chooses the rack with the fewest subnets', async (t) => {
  const { cloud, VpcId } = await openVpc(t)
  const zones: (string | undefined)[] = []
  for (const n of [0, 1]) {
    const { Subnet } = await cloud.call('CreateSubnet', { VpcId, CidrBlock: `172.16.${n}.0/24` })
    zones.push(Subnet?.AvailabilityZone)
  }
  assert.deepEqual(zones.sort(), [`${REGION}-a`, `${REGION}-b`])
})

test('CreateSubnet makes an IPv6-native subnet', async (t) => {
  const { cloud, VpcId, ipv6 } = await openVpc(t)
  const { Subnet } = await cloud.call('CreateSubnet', {
    VpcId,
    Ipv6CidrBlock: ipv6,
    Ipv6Native: true,
  })
  assert.equal(Subnet?.Ipv6Native, true)
  assert.equal(Subnet?.CidrBlock, undefined)
  assert.equal(Subnet?.AvailableIpAddressCount, 0)
  assert.equal(Subnet?.AssignIpv6AddressOnCreation, true)
  assert.equal(Subnet?.PrivateDnsNameOptionsOnLaunch?.HostnameType, 'resource-name')
  const id = Subnet?.Ipv6CidrBlockAssociationSet?.[0]?.AssociationId ?? ''
  const call = cloud.call('DisassociateSubnetCidrBlock', { AssociationId: id })
  assert.equal(await refusal(call), 'OperationNotPermitted')
})

for (const [input, code] of [
  [{ CidrBlock: undefined }, 'MissingParameter'],
  [{ CidrBlock: '172.16.0.0/15' }, 'InvalidSubnet.Range'],
  [{ CidrBlock: '172.16.0.0/29' }, 'InvalidSubnet.Range'],
  [{ CidrBlock: '172.17.0.0/24' }, 'InvalidSubnet.Range'],
  [{ CidrBlock: '172.16.0.1/24' }, 'InvalidParameterValue'],
  [{ CidrBlock: '172.16.0.0' }, 'InvalidParameterValue'],
  [{ CidrBlock: '172.16.9.0/25' }, 'InvalidSubnet.Conflict'],
  [{ CidrBlock: '172.16.0.0/16' }, 'InvalidSubnet.Conflict'],
  [{ Ipv6CidrBlock: 'fd00::/64' }, 'InvalidSubnet.Range'],
  [{ Ipv6CidrBlock: 'fd00::/60' }, 'InvalidSubnet.Range'],
  [{ Ipv6Native: true }, 'InvalidParameterCombination'],
  [{ CidrBlock: undefined, Ipv6Native: true }, 'MissingParameter'],
  [{ AvailabilityZone: `${REGION}-z` }, 'InvalidParameterValue'],
  [{ AvailabilityZoneId: `${REGION}-az9` }, 'InvalidParameterValue'],
  [
    { AvailabilityZone: `${REGION}-a`, AvailabilityZoneId: `${REGION}-az2` },
    'InvalidParameterCombination',
  ],
  [{ VpcId: 'vpc-0123456789abcdef0' }, 'InvalidVpcID.NotFound'],
  [{ OutpostArn: 'arn:aws:outposts:x' }, 'UnsupportedOperation'],
  [{ DryRun: true }, 'DryRunOperation'],
] as const) {
  test(`CreateSubnet with ${JSON.stringify(input)} says ${code}`, async (t) => {
    const { cloud, VpcId } = await openVpc(t)
    await cloud.call('CreateSubnet', { VpcId, CidrBlock: '172.16.9.0/24' })
    const { revision } = await cloud.state.fresh()
    const asked: Ec2Inputs['CreateSubnet'] = { VpcId, CidrBlock: '172.16.0.0/24', ...input }
    assert.equal(await refusal(cloud.call('CreateSubnet', asked)), code)
    assert.equal((await cloud.state.fresh()).revision, revision)
  })
}

test('CreateSubnet over another subnet names a free block of the size', async (t) => {
  const { cloud, VpcId } = await openVpc(t)
  await cloud.call('CreateSubnet', { VpcId, CidrBlock: '172.16.0.0/24' })
  const call = cloud.call('CreateSubnet', { VpcId, CidrBlock: '172.16.0.128/25' })
  assert.match((await refused(call)).message, /172\.16\.1\.0\/25 is free/)
  const foreign = { VpcId, CidrBlock: '172.16.5.0/24' }
  assert.equal(
    await refusal(cloud.call('CreateSubnet', foreign, { account: OTHER_ACCOUNT })),
    'InvalidVpcID.NotFound',
  )
})

test('CreateSubnet in the zone of all racks makes a stretched subnet', async (t) => {
  const { cloud, VpcId } = await openVpc(t)
  const { Subnet } = await cloud.call('CreateSubnet', {
    VpcId,
    CidrBlock: '172.16.0.0/24',
    AvailabilityZone: ANY,
  })
  assert.equal(Subnet?.AvailabilityZone, ANY)
  assert.equal(Subnet?.AvailabilityZoneId, `${REGION}-az0`)
  assert.equal(cloud.state.view().get('subnet', Subnet?.SubnetId ?? '')?.rack, 'any')
  const { AvailabilityZones } = await cloud.call('DescribeAvailabilityZones', {})
  assert.ok(!AvailabilityZones?.some((zone) => zone.ZoneName === ANY))
  const named = await cloud.call('DescribeAvailabilityZones', { ZoneNames: [ANY] })
  assert.deepEqual(
    named.AvailabilityZones?.map((zone) => zone.ZoneId),
    [`${REGION}-az0`],
  )
  const call = cloud.call('CreateDefaultSubnet', { AvailabilityZone: ANY })
  assert.equal(await refusal(call), 'InvalidParameterValue')
})

test('CreateSubnet says what to do when the tags of the cloud are used up', async (t) => {
  const { cloud, VpcId } = await openVpc(t, ['a'])
  await cloud.state.update(async (tx) => {
    while ((await tx.pool('vlan-tag').take(VLAN_TAGS)) !== null);
  })
  const create = (n: number, zone: string): Promise<unknown> =>
    cloud.call('CreateSubnet', {
      VpcId,
      CidrBlock: `172.16.${n}.0/24`,
      AvailabilityZone: `${REGION}-${zone}`,
    })
  const { code, message } = await refused(create(0, 'a'))
  assert.equal(code, 'VlanTagLimitExceeded')
  assert.match(message, /--vlan-scope rack/)
  const before = cloud.state.view().all('subnet')
  await cloud.state.update(useRackTags)
  await create(0, 'a')
  await create(1, 'any')
  await addRack(cloud.state, 'b', 2)
  await create(2, 'b')
  const view = await cloud.state.fresh()
  for (const one of before) assert.deepEqual(view.get('subnet', one.id), one)
  for (const rack of ['a', 'b']) {
    const tags = [...view.subnetsOf('rack', rack), ...view.subnetsOf('rack', 'any')].map(
      (one) => one.rackTags[rack] ?? one.vlanTag,
    )
    assert.equal(new Set(tags).size, tags.length)
    assert.ok(tags.every((tag) => tag >= VLAN_TAGS.first && tag <= VLAN_TAGS.last))
  }
})

test('a stretched subnet gets a tag of each rack when none is free in all of them', async (t) => {
  const { cloud, VpcId } = await openVpc(t, ['a', 'b'])
  await cloud.state.update(useRackTags)
  // Rack a has the even tags at rest, rack b the odd ones.
  for (const rest of [0, 1]) {
    const rack = rest === 0 ? 'a' : 'b'
    await cloud.state.update(async (tx) => {
      for (let tag = VLAN_TAGS.first + rest; tag <= VLAN_TAGS.last; tag += 2) {
        await tx.put('resting-tag', [rack, String(tag)], { rack, tag, freedAtMs: tx.nowMs() })
      }
    })
  }
  const { Subnet } = await cloud.call('CreateSubnet', {
    VpcId,
    CidrBlock: '172.16.0.0/24',
    AvailabilityZone: ANY,
  })
  const id = Subnet?.SubnetId ?? ''
  const made = cloud.state.view().get('subnet', id)
  assert.equal(made?.vlanTag, 0)
  assert.deepEqual(Object.keys(made?.rackTags ?? {}), ['a', 'b'])
  await addRack(cloud.state, 'c', 3)
  const grown = (await cloud.state.fresh()).get('subnet', id)
  assert.deepEqual(Object.keys(grown?.rackTags ?? {}), ['a', 'b', 'c'])
  await cloud.call('DeleteSubnet', { SubnetId: id })
  for (const [rack, tag] of Object.entries(grown?.rackTags ?? {})) {
    assert.ok(cloud.state.view().get('resting-tag', rack, String(tag)))
  }
})

test('DeleteSubnet refuses while an interface is in it and frees its block after that', async (t) => {
  const { cloud, VpcId, ipv6 } = await openVpc(t)
  const make = { VpcId, CidrBlock: '172.16.0.0/24', AvailabilityZone: `${REGION}-a` }
  const dual = { ...make, Ipv6CidrBlock: ipv6 }
  const SubnetId = (await cloud.call('CreateSubnet', dual)).Subnet?.SubnetId ?? ''
  const [id = ''] = await run(cloud, { ImageId: await registerImage(cloud), SubnetId })
  const { code, message } = await refused(cloud.call('DeleteSubnet', { SubnetId }))
  assert.equal(code, 'DependencyViolation')
  const eni = cloud.state.view().get('instance', id)?.interfaces[0]
  assert.match(message, new RegExp(eni ?? '-'))
  await report(cloud.state, id, 'terminated')
  await cloud.call('DeleteSubnet', { SubnetId })
  // Nothing of it is left, also where the mirror does not look.
  await cloud.state.update(async (tx) => {
    assert.deepEqual(await tx.pool(`ipv4-${SubnetId}`).freed(10), [])
    assert.equal(await tx.pool(`ipv4-${SubnetId}`).take({ first: 4, last: 9, quarantineMs: 0 }), 4)
  })
  const empty = (await cloud.call('CreateSubnet', { ...make, CidrBlock: '172.16.1.0/24' })).Subnet
  await cloud.call('DeleteSubnet', { SubnetId: empty?.SubnetId ?? '' })
  await cloud.call('CreateSubnet', { ...make, CidrBlock: '172.16.1.0/25' })
})

test('DeleteSubnet and RunInstances at once leave no interface without its subnet', async (t) => {
  const { cloud, VpcId, ipv6 } = await openVpc(t)
  const other = await cloud.otherGateway()
  const ImageId = await registerImage(cloud)
  const launch = { ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 } as const
  for (const n of [0, 1, 2]) {
    const make = {
      VpcId,
      CidrBlock: `172.16.${n}.0/24`,
      Ipv6CidrBlock: ipv6.replace('00::', `0${n}::`),
    }
    const SubnetId = (await cloud.call('CreateSubnet', make)).Subnet?.SubnetId ?? ''
    const outcomes = await Promise.all([
      refusal(cloud.call('DeleteSubnet', { SubnetId })),
      refusal(other('RunInstances', { ...launch, SubnetId })),
    ])
    assert.equal(outcomes.filter((one) => one === 'accepted').length, 1, outcomes.join())
    const view = await cloud.state.fresh()
    const isThere = view.get('subnet', SubnetId) !== null
    assert.equal(view.interfacesOf('subnet', SubnetId).length, isThere ? 1 : 0)
  }
})

test('a default subnet that its owner deleted comes back by CreateDefaultSubnet only', async (t) => {
  const cloud = await openCloud(t, { racks: ['a', 'b'] })
  const AvailabilityZone = `${REGION}-a`
  const again = cloud.call('CreateDefaultSubnet', { AvailabilityZone })
  assert.equal(await refusal(again), 'DefaultSubnetAlreadyExistsInAvailabilityZone')
  const { Subnets } = await cloud.call('DescribeSubnets', {
    Filters: [{ Name: 'availability-zone', Values: [AvailabilityZone] }],
  })
  await cloud.call('DeleteSubnet', { SubnetId: Subnets?.[0]?.SubnetId ?? '' })
  await addRack(cloud.state, 'c', 3)
  const zones = async (): Promise<(string | undefined)[] | undefined> =>
    (await cloud.call('DescribeSubnets', {})).Subnets?.map((one) => one.AvailabilityZone).sort()
  assert.deepEqual(await zones(), [`${REGION}-b`, `${REGION}-c`])
  const { Subnet } = await cloud.call('CreateDefaultSubnet', { AvailabilityZone })
  assert.equal(Subnet?.DefaultForAz, true)
  assert.deepEqual(await zones(), [AvailabilityZone, `${REGION}-b`, `${REGION}-c`])
})

test('default subnets map public addresses exactly where the cloud has some', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    const pool = {
      id: 'p',
      cidr: '203.0.113.0/24',
      racks: ['b'],
      excluded: [],
      closing: false,
      createdAtMs: 0,
    }
    await tx.put('public-pool', ['p'], pool)
  })
  await addRack(cloud.state, 'b', 2)
  await addRack(cloud.state, 'c', 3)
  const { Subnets } = await cloud.call('DescribeSubnets', {
    Filters: [{ Name: 'map-public-ip-on-launch', Values: ['true'] }],
  })
  assert.deepEqual(
    Subnets?.map((one) => one.AvailabilityZone),
    [`${REGION}-b`],
  )
})
