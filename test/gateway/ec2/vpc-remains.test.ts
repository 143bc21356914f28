// After a VPC's life and its end, nothing of any kind is left that knows of it.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { tendNetworks } from '../../../gateway/control/network-housekeeping.ts'
import { forgetSpaces } from '../../../gateway/ec2/blocks.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { handClock } from '../store/states.ts'
import { natParts } from './fake-cc.ts'
import { addPublicPool } from './network-support.ts'
import { ACCOUNT, type Cloud, openCloud, registerImage, report, run, START_MS } from './support.ts'

const DAY_MS = 24 * 3_600_000
/** Numbers and blocks that others have after a while, and counters; none of them names a thing. */
const NUMBERS = /^(pool\/(mac|vni|vlan-tag|public-)|block\/vpc-ipv|block-space\/vpc-ipv|placed\/)/
const EC2_ID = /\b[a-z]+(?:-[a-z]+)?-[0-9a-f]{17}\b/g

interface Opened {
  readonly cloud: Cloud
  readonly setClock: (nowMs: number) => void
  /** Every key with its value, as the store has it. */
  readonly dump: () => Promise<ReadonlyMap<string, string>>
}

async function openAll(t: TestContext): Promise<Opened> {
  const stores: Store[] = []
  const clock = handClock()
  clock.set(START_MS)
  const cloud = await openCloud(t, {
    racks: ['a'],
    clock,
    openStore: async (file) => {
      const store = await openSqlite({ file, log: silentLog })
      stores.push(store)
      return store
    },
  })
  const dump = async (): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>()
    for (let after = ''; ; ) {
      const page = await stores[0]?.list('', { after })
      for (const { key, value } of page?.entries ?? []) found.set(key, value)
      if (page?.more !== true) return found
      after = page.entries.at(-1)?.key ?? ''
    }
  }
  return { cloud, setClock: clock.set, dump }
}

test('DeleteVpc leaves nothing of what the VPC had, but for what is shown for a while', async (t) => {
  const { cloud, setClock, dump } = await openAll(t)
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/29' })
  const ImageId = await registerImage(cloud)
  const before = await dump()
  const { VpcId, end } = await live(cloud, ImageId)
  const alive = await dump()
  const ids = new Set(
    [...alive]
      .filter(([key]) => !before.has(key))
      .flatMap(([key, value]) => `${key} ${value}`.match(EC2_ID) ?? [])
      .filter((id) => ![...before].some((one) => one.join(' ').includes(id))),
  )
  const kinds = new Set([...alive.keys()].map((key) => key.split('/')[0]))
  for (const kind of KINDS) assert.ok(kinds.has(kind), `the life has a ${kind}`)
  await end()
  await cloud.call('DeleteVpc', { VpcId })
  // Housekeeping does that as soon as a VPC goes.
  await forgetSpaces(cloud.state)

  const shown = [...(await dump())].filter(([, value]) => value.includes(VpcId))
  const kindsShown = new Set(shown.map(([key]) => key.split('/')[0]))
  // EC2 shows them for an hour or two, too.
  assert.deepEqual([...kindsShown].sort(), ['instance', 'nat-gateway', 'peering'])
  const tagsShown = (await cloud.state.fresh()).all('tags').map((one) => one.resourceType)
  assert.deepEqual(tagsShown.sort(), ['instance', 'natgateway', 'vpc-peering-connection'])

  const laterMs = START_MS + 2 * DAY_MS
  setClock(laterMs)
  for (let pass = 0; pass < 2; pass += 1) {
    await purgeTerminated(cloud.state, laterMs)
    await tendNetworks(natParts(cloud.state), laterMs)
    await forgetSpaces(cloud.state)
  }
  const left = [...(await dump())]
  assert.deepEqual(
    left.map(([key]) => key).filter((key) => !before.has(key) && !NUMBERS.test(key)),
    [],
  )
  const named = left.flatMap(([key, value]) => `${key} ${value}`.match(EC2_ID) ?? [])
  assert.deepEqual(
    named.filter((id) => ids.has(id)),
    [],
  )
})

test('a tag that a rule gets as its VPC is deleted goes with housekeeping', async (t) => {
  const { cloud } = await openAll(t)
  const { VpcId, rule } = await emptyVpc(cloud)
  // What CreateTags writes that has read the group before the VPC went, and not written it.
  const stray = { resource: rule, resourceType: 'security-group-rule', account: ACCOUNT, tags: {} }
  await cloud.call('DeleteVpc', { VpcId })
  await cloud.state.update((tx) => tx.put('tags', [rule], stray))
  const kept = await emptyVpc(cloud)
  await cloud.call('CreateTags', { Resources: [kept.rule], Tags: [{ Key: 'of', Value: 'life' }] })
  await purgeTerminated(cloud.state, START_MS)
  const tagged = (await cloud.state.fresh()).all('tags').map((one) => one.resource)
  assert.deepEqual(tagged, [kept.rule])
})

async function emptyVpc({ call, state }: Cloud): Promise<{ VpcId: string; rule: string }> {
  const { Vpc } = await call('CreateVpc', { Ipv4IpamPoolId: await poolId(call) })
  const VpcId = Vpc?.VpcId ?? ''
  const [group] = (await state.fresh()).by('security-group', 'vpc', VpcId)
  return { VpcId, rule: group?.rules[0]?.id ?? '' }
}

async function poolId(call: Cloud['call']): Promise<string> {
  const { IpamPools = [] } = await call('DescribeIpamPools', {})
  return IpamPools.find((one) => one.AddressFamily === 'ipv4')?.IpamPoolId ?? ''
}

const KINDS = [
  ...['vpc', 'subnet', 'route-table', 'network-acl', 'security-group', 'interface', 'instance'],
  ...['internet-gateway', 'egress-only-gateway', 'nat-gateway', 'peering', 'address', 'tags'],
  ...['dhcp-options', 'insights-path', 'insights-analysis', 'private-address', 'client-token'],
] as const

/** Everything that a VPC can have; `end` takes it away again, as a user must. */
async function live(
  { call, state }: Cloud,
  ImageId: string,
): Promise<{ VpcId: string; end: () => Promise<void> }> {
  const { Vpc } = await call('CreateVpc', {
    CidrBlock: '172.16.0.0/16',
    AmazonProvidedIpv6CidrBlock: true,
    ...tagged('vpc'),
  })
  const VpcId = Vpc?.VpcId ?? ''
  const more = await call('AssociateVpcCidrBlock', { VpcId, CidrBlock: '172.20.0.0/16' })
  const subnet = async (CidrBlock: string, zone: string): Promise<string> => {
    const asked = { VpcId, CidrBlock, AvailabilityZone: `mallee-1-${zone}`, ...tagged('subnet') }
    return (await call('CreateSubnet', asked)).Subnet?.SubnetId ?? ''
  }
  const [a, any] = [await subnet('172.16.1.0/24', 'a'), await subnet('172.20.1.0/24', 'any')]
  const { InternetGateway } = await call('CreateInternetGateway', tagged('internet-gateway'))
  const gateway = { VpcId, InternetGatewayId: InternetGateway?.InternetGatewayId ?? '' }
  await call('AttachInternetGateway', gateway)
  const eigw = await call('CreateEgressOnlyInternetGateway', {
    ...{ VpcId, ...tagged('egress-only-internet-gateway') },
  })
  const EgressOnlyInternetGatewayId =
    eigw.EgressOnlyInternetGateway?.EgressOnlyInternetGatewayId ?? ''
  const { RouteTable } = await call('CreateRouteTable', { VpcId, ...tagged('route-table') })
  const RouteTableId = RouteTable?.RouteTableId ?? ''
  const { AssociationId } = await call('AssociateRouteTable', { RouteTableId, SubnetId: a })
  await call('CreateRoute', {
    ...{ RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: gateway.InternetGatewayId },
  })
  const { NetworkAcl } = await call('CreateNetworkAcl', { VpcId, ...tagged('network-acl') })
  const asked = { VpcId, GroupName: 'web', Description: 'web', ...tagged('security-group') }
  const { GroupId = '' } = await call('CreateSecurityGroup', asked)
  const [byDefault] = (await state.fresh())
    .by('security-group', 'vpc', VpcId)
    .filter((one) => one.name === 'default')
  for (const id of [GroupId, byDefault?.id ?? '']) {
    await call('AuthorizeSecurityGroupIngress', {
      GroupId: id,
      IpPermissions: [{ IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: [ANYBODY] }],
      ...tagged('security-group-rule'),
    })
  }
  await call('CreateTags', {
    Resources: (byDefault?.rules ?? []).map((rule) => rule.id),
    Tags: [{ Key: 'of', Value: 'birth' }],
  })
  const { AllocationId = '' } = await call('AllocateAddress', tagged('elastic-ip'))
  const { NatGateway } = await call('CreateNatGateway', {
    ...{ SubnetId: a, AllocationId, ClientToken: 'nat', ...tagged('natgateway') },
  })
  const NatGatewayId = NatGateway?.NatGatewayId ?? ''
  const [own] = (await state.fresh()).by('vpc', 'account', ACCOUNT).filter((one) => one.isDefault)
  const { VpcPeeringConnection } = await call('CreateVpcPeeringConnection', {
    ...{ VpcId, PeerVpcId: own?.id, ...tagged('vpc-peering-connection') },
  })
  const peering = {
    VpcPeeringConnectionId: VpcPeeringConnection?.VpcPeeringConnectionId ?? '',
  }
  await call('AcceptVpcPeeringConnection', peering)
  const { DhcpOptions } = await call('CreateDhcpOptions', {
    DhcpConfigurations: [{ Key: 'domain-name', Values: ['example.org'] }],
    ...tagged('dhcp-options'),
  })
  const DhcpOptionsId = DhcpOptions?.DhcpOptionsId ?? ''
  await call('AssociateDhcpOptions', { VpcId, DhcpOptionsId })
  const { NetworkInterface } = await call('CreateNetworkInterface', {
    ...{ SubnetId: any, SecondaryPrivateIpAddressCount: 2, Groups: [GroupId] },
    ...tagged('network-interface'),
  })
  const NetworkInterfaceId = NetworkInterface?.NetworkInterfaceId ?? ''
  const [instance = ''] = await run({ call } as Cloud, {
    ...{ ImageId, SubnetId: a, ClientToken: 'run', ...tagged('instance', 'network-interface') },
  })
  const { NetworkInsightsPath } = await call('CreateNetworkInsightsPath', {
    ...{ Source: instance, Destination: NetworkInterfaceId, Protocol: 'tcp' },
    ...{ ClientToken: 'path', ...tagged('network-insights-path') },
  })
  const NetworkInsightsPathId = NetworkInsightsPath?.NetworkInsightsPathId ?? ''
  const analysis = await call('StartNetworkInsightsAnalysis', {
    ...{ NetworkInsightsPathId, ClientToken: 'go', ...tagged('network-insights-analysis') },
  })
  return {
    VpcId,
    end: async () => {
      await call('DeleteNetworkInsightsAnalysis', {
        NetworkInsightsAnalysisId: analysis.NetworkInsightsAnalysis?.NetworkInsightsAnalysisId,
      })
      await call('DeleteNetworkInsightsPath', { NetworkInsightsPathId })
      await call('TerminateInstances', { InstanceIds: [instance] })
      await report(state, instance, 'terminated')
      await call('DeleteNetworkInterface', { NetworkInterfaceId })
      await call('DeleteNatGateway', { NatGatewayId })
      await tendNetworks(natParts(state), START_MS)
      await call('ReleaseAddress', { AllocationId })
      await call('DeleteVpcPeeringConnection', peering)
      await call('DisassociateRouteTable', { AssociationId })
      await call('DeleteRouteTable', { RouteTableId })
      for (const SubnetId of [a, any]) await call('DeleteSubnet', { SubnetId })
      await call('DeleteNetworkAcl', { NetworkAclId: NetworkAcl?.NetworkAclId })
      await call('DeleteSecurityGroup', { GroupId })
      await call('DetachInternetGateway', gateway)
      await call('DeleteInternetGateway', { InternetGatewayId: gateway.InternetGatewayId })
      await call('DeleteEgressOnlyInternetGateway', { EgressOnlyInternetGatewayId })
      await call('DisassociateVpcCidrBlock', {
        AssociationId: more.CidrBlockAssociation?.AssociationId,
      })
      await call('AssociateDhcpOptions', { VpcId, DhcpOptionsId: 'default' })
      await call('DeleteDhcpOptions', { DhcpOptionsId })
    },
  }
}

const ANYBODY = { CidrIp: '0.0.0.0/0' }

/** TagSpecification.N of a request that makes these. */
function tagged(...types: readonly string[]): { TagSpecifications: never } {
  const made = types.map((ResourceType) => ({ ResourceType, Tags: [{ Key: 'of', Value: 'life' }] }))
  return { TagSpecifications: made as never }
}
