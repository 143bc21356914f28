// upgradeRecords over a store as the version before tenants' networks left it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { upgradeRecords } from '../../../gateway/control/upgrade.ts'
import { ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { releaseInterfaces } from '../../../gateway/ec2/release.ts'
import type { Kind, Records } from '../../../gateway/store/records.ts'
import type { State } from '../../../gateway/store/state.ts'
import { type Cloud, openCloud, refusal, START_MS } from '../ec2/support.ts'

const VPC = 'vpc-0123456789abcdef0'
const GROUP = 'sg-0123456789abcdef0'
const SUBNET = 'subnet-0123456789abcdef0'
const INTERFACE = 'eni-0123456789abcdef0'
const INSTANCE = 'i-0123456789abcdef0'

/** Writes what today's types no longer describe. */
async function putOld<K extends Kind>(
  state: State,
  kind: K,
  id: readonly string[],
  record: object,
): Promise<void> {
  await state.update((tx) => tx.put(kind, id, record as unknown as Records[K]))
}

async function openOld(t: Parameters<typeof openCloud>[0]): Promise<Cloud> {
  const cloud = await openCloud(t, { racks: [] })
  const { state } = cloud
  const own = { account: 'old', createdAtMs: START_MS }
  await putOld(state, 'account', ['old'], { ...own, id: 'old', name: 'admin' })
  await putOld(state, 'rack', ['a'], { name: 'a', index: 1, state: 'joined', createdAtMs: 0 })
  await putOld(state, 'name', ['default-vpc', 'old'], { name: 'default-vpc', holder: VPC })
  const subnetName = { name: 'default-subnet', holder: SUBNET }
  await putOld(state, 'name', ['default-subnet', VPC, 'a'], subnetName)
  await putOld(state, 'vpc', [VPC], {
    ...own,
    id: VPC,
    ipv4Cidrs: ['10.0.96.0/20'],
    ipv6Cidrs: ['fdab:cdef:100:600::/56'],
    isDefault: true,
  })
  const group = { id: GROUP, vpc: VPC, name: 'default', description: 'default VPC security group' }
  await putOld(state, 'security-group', [GROUP], { ...own, ...group })
  const where = { vpc: VPC, rack: 'a' }
  await putOld(state, 'subnet', [SUBNET], {
    ...{ ...own, ...where, id: SUBNET, vlanTag: 3, vni: 4097, isDefault: true },
    ipv4Cidr: '10.0.97.0/24',
    ipv6Cidr: 'fdab:cdef:100:601::/64',
  })
  const placed = { ...own, ...where, subnet: SUBNET, host: 'a1', securityGroups: [GROUP] }
  await putOld(state, 'interface', [INTERFACE], {
    ...{ ...placed, id: INTERFACE, instance: INSTANCE, attachment: 'eni-attach-1' },
    ...{ deviceIndex: 0, mac: '02:00:00:00:00:01', hostname: 'ip-10-0-97-4' },
    ...{ ipv4: '10.0.97.4', ipv6: 'fdab:cdef:100:601::4' },
  })
  await putOld(state, 'instance', [INSTANCE], {
    ...{ ...placed, id: INSTANCE, reservation: 'r-1', launchIndex: 0, image: 'ami-1' },
    ...{ type: 't3.nano', interfaces: [INTERFACE], userData: '', clientToken: '', keyName: '' },
    ...{ state: 'running', desired: 'running', stateReason: null, stateTransitionReason: '' },
    ...{ rebootCount: 0, launchedAtMs: START_MS, terminatedAtMs: null, observed: null },
  })
  await state.update(async (tx) => {
    // The numbers of 10.0.96.0/24, given back, of the subnet's, and of its first address.
    const band = { first: 0, last: 15, quarantineMs: 1 }
    await tx.pool(`subnet-${VPC}`).take(band)
    await tx.pool(`subnet-${VPC}`).take(band)
    await tx.pool(`subnet-${VPC}`).give(0)
    await tx.pool('vlan-tag').take({ first: 2, last: 3, quarantineMs: 1 })
    await tx.pool('vlan-tag').take({ first: 2, last: 3, quarantineMs: 1 })
    await tx.pool(`ipv4-${SUBNET}`).take({ first: 4, last: 4, quarantineMs: 1 })
  })
  return cloud
}

test('upgradeRecords makes an old default VPC whole and keeps what it has', async (t) => {
  const { state } = await openOld(t)
  await upgradeRecords({ state, randomHex, log: silentLog })
  const view = await state.fresh()
  const vpc = view.get('vpc', VPC)
  const table = view.get('route-table', vpc?.mainRouteTable ?? '')
  assert.equal(table?.routes[0]?.targetId, view.by('internet-gateway', 'vpc', VPC)[0]?.id)
  assert.equal(view.get('network-acl', vpc?.defaultAcl ?? '')?.entries.length, 4)
  assert.deepEqual(
    view.by('security-group', 'vpc', VPC).map((one) => [one.id, one.rules.length]),
    [[GROUP, 3]],
  )
  const subnet = view.get('subnet', SUBNET)
  assert.equal(subnet?.vlanTag, 3)
  assert.equal(subnet?.acl, vpc?.defaultAcl)
  assert.equal(view.get('interface', INTERFACE)?.type, 'interface')
  assert.equal(view.get('private-address', '10.0.97.4')?.interface, INTERFACE)
  assert.equal(view.get('name', 'account', 'admin')?.holder, 'old')
  assert.equal(view.get('instance', INSTANCE)?.metadataOptions.httpEndpoint, false)
  const known = view
    .all('block')
    .filter((one) => one.account === 'old')
    .map((one) => `${one.space.replace(VPC, 'own')} ${one.cidr} ${one.freedAtMs === null}`)
  assert.deepEqual(known, [
    'subnet-own 10.0.96.0/24 false',
    'subnet-own 10.0.97.0/24 true',
    'subnet-own fdab:cdef:100:601::/64 true',
    'vpc-ipv4 10.0.96.0/20 true',
    'vpc-ipv6 fdab:cdef:100:600::/56 true',
  ])
})

test('upgradeRecords changes nothing the second time, and nothing of a new store', async (t) => {
  for (const { state } of [await openOld(t), await openCloud(t)]) {
    await upgradeRecords({ state, randomHex, log: silentLog })
    const { revision } = await state.fresh()
    await upgradeRecords({ state, randomHex, log: silentLog })
    assert.equal((await state.fresh()).revision, revision)
  }
})

test('what was upgraded works as if it were made today', async (t) => {
  const cloud = await openOld(t)
  const { state } = cloud
  await upgradeRecords({ state, randomHex, log: silentLog })
  await ensureDefaultSubnets(state, { nowMs: START_MS, randomHex })
  const as = { account: 'old' }
  const { Subnets } = await cloud.call('DescribeSubnets', {}, as)
  assert.deepEqual(
    Subnets?.map((one) => one.SubnetId),
    [SUBNET],
  )
  const overlap = cloud.call('CreateVpc', { CidrBlock: '10.0.96.0/24' })
  assert.equal(await refusal(overlap), 'InvalidVpc.Range')
  const beside = { VpcId: VPC, CidrBlock: '10.0.98.0/24' }
  const { Subnet } = await cloud.call('CreateSubnet', beside, as)
  assert.ok(Subnet?.SubnetId)
  const gone = cloud.call('DeleteSubnet', { SubnetId: SUBNET }, as)
  assert.equal(await refusal(gone), 'DependencyViolation')
  await state.update(async (tx) => {
    const instance = await tx.get('instance', INSTANCE)
    if (instance !== null) await releaseInterfaces(tx, instance)
  })
  await cloud.call('DeleteSubnet', { SubnetId: SUBNET }, as)
})
