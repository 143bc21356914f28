// Accounts' quotas: as operators set them by the local API, and as requests are held to them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QUOTA_IDS, QUOTAS, type QuotaId } from '../../../gateway/ec2/quotas.ts'
import {
  ACCOUNT,
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  refused,
  registerImage,
  report,
  run,
} from '../ec2/support.ts'
import { type LocalApi, localApi } from './support.ts'

const SPOT = { InstanceMarketOptions: { MarketType: 'spot' } } as const

test('the local API lists, sets and resets quotas, and refuses what is none', async (t) => {
  const { call, set } = await served(t)
  const at = (name: string): string => `/v1/accounts/${ACCOUNT}/quotas/${encodeURIComponent(name)}`
  const vpcs = async (): Promise<unknown> => {
    const { body } = await call('GET', `/v1/accounts/${ACCOUNT}/quotas`)
    const quotas = body['quotas'] as { id: string; name: string }[]
    assert.deepEqual(
      quotas.map((one) => one.id),
      QUOTA_IDS,
    )
    return quotas.find((one) => one.name === 'VPCs per Region')
  }
  const about = { id: 'vpcs', name: 'VPCs per Region', default: 5_000, used: 1 }
  assert.deepEqual(await vpcs(), { ...about, value: 5_000 })
  assert.deepEqual((await call('PUT', at('vpcs per region'), { value: 3 })).body, {
    ...about,
    value: 3,
  })
  assert.deepEqual(await vpcs(), { ...about, value: 3 })
  for (const [method, path, payload, status] of [
    ['PUT', at('vpcs'), { value: -1 }, 400],
    ['PUT', at('vpcs'), { value: 1.5 }, 400],
    ['PUT', at('vpcs'), { value: '3' }, 400],
    ['PUT', at('vpcs'), { value: 3, more: 1 }, 400],
    ['PUT', at('vpcs'), {}, 400],
    ['PUT', at('moons'), { value: 3 }, 404],
    ['DELETE', at('moons'), undefined, 404],
    ['PUT', '/v1/accounts/999999999999/quotas/vpcs', { value: 3 }, 404],
    ['DELETE', '/v1/accounts/999999999999/quotas/vpcs', undefined, 404],
    ['GET', '/v1/accounts/999999999999/quotas', undefined, 404],
  ] as const) {
    assert.equal((await call(method, path, payload)).status, status, `${method} ${path}`)
  }
  assert.deepEqual(await vpcs(), { ...about, value: 3 })
  const reset = await call('DELETE', at('VPCs per Region'))
  assert.deepEqual(reset, { status: 200, body: { ...about, value: 5_000 } })
  assert.deepEqual(await vpcs(), { ...about, value: 5_000 })
  await set('vcpus', 0)
  assert.equal((await call('DELETE', at('vcpus'))).status, 200)
  assert.equal((await call('DELETE', at('vcpus'))).status, 200, 'once more changes nothing')
})

test('each quota ends with the code of AWS, and is of one account', async (t) => {
  const { cloud, set } = await served(t)
  const view = cloud.state.view()
  const VpcId = view.by('vpc', 'account', ACCOUNT)[0]?.id ?? ''
  const SubnetId = view.subnetsOf('account', ACCOUNT)[0]?.id ?? ''
  const theirs = { account: OTHER_ACCOUNT }
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.99.0.0/16' }, theirs)
  const PrefixList = { AddressFamily: 'IPv4', MaxEntries: 1 }
  const LaunchTemplateData = { InstanceType: 't3.nano' } as const
  const peer = { PeerOwnerId: OTHER_ACCOUNT, PeerVpcId: Vpc?.VpcId ?? '' }
  const vpnTo = async () => {
    const { VpnGateway } = await cloud.call('CreateVpnGateway', { Type: 'ipsec.1' })
    return async (n: number) => {
      const device = { Type: 'ipsec.1', IpAddress: `192.0.2.${n + 1}` } as const
      const { CustomerGateway } = await cloud.call('CreateCustomerGateway', device)
      await cloud.call('CreateVpnConnection', {
        ...{ Type: 'ipsec.1', VpnGatewayId: VpnGateway?.VpnGatewayId },
        CustomerGatewayId: CustomerGateway?.CustomerGatewayId,
        Options: { StaticRoutesOnly: true },
      })
    }
  }
  const [vpn, busyVpn] = [await vpnTo(), await vpnTo()]
  await busyVpn(2)
  const makers: Partial<Record<QuotaId, (n: number) => Promise<unknown>>> = {
    vpcs: (n) => cloud.call('CreateVpc', { CidrBlock: `10.${100 + n}.0.0/16` }),
    'key-pairs': (n) => cloud.call('CreateKeyPair', { KeyName: `k${n}`, KeyType: 'ed25519' }),
    'security-groups': (n) =>
      cloud.call('CreateSecurityGroup', { VpcId, GroupName: `g${n}`, Description: 'g' }),
    'internet-gateways': () => cloud.call('CreateInternetGateway', {}),
    'customer-gateways': (n) =>
      cloud.call('CreateCustomerGateway', { Type: 'ipsec.1', IpAddress: `192.0.2.${n + 1}` }),
    'vpn-gateways': () => cloud.call('CreateVpnGateway', { Type: 'ipsec.1' }),
    'vpn-connections-per-gateway': busyVpn,
    'vpn-connections': vpn,
    interfaces: () => cloud.call('CreateNetworkInterface', { SubnetId }),
    'prefix-lists': (n) =>
      cloud.call('CreateManagedPrefixList', { ...PrefixList, PrefixListName: `p${n}` }),
    'placement-groups': (n) =>
      cloud.call('CreatePlacementGroup', { GroupName: `g${n}`, Strategy: 'cluster' }),
    'launch-templates': (n) =>
      cloud.call('CreateLaunchTemplate', { LaunchTemplateName: `tpl${n}`, LaunchTemplateData }),
    'outstanding-peerings': () => cloud.call('CreateVpcPeeringConnection', { VpcId, ...peer }),
    'route-tables-per-vpc': () => cloud.call('CreateRouteTable', { VpcId }),
    'network-acls-per-vpc': () => cloud.call('CreateNetworkAcl', { VpcId }),
    'ipv6-blocks-per-vpc': () =>
      cloud.call('AssociateVpcCidrBlock', { VpcId, AmazonProvidedIpv6CidrBlock: true }),
    'ipv4-blocks-per-vpc': (n) =>
      cloud.call('AssociateVpcCidrBlock', { VpcId, CidrBlock: `10.${200 + n}.0.0/16` }),
  }
  for (const [name, make] of Object.entries(makers)) {
    const id = name as QuotaId
    const perVpc = (await cloud.state.fresh()).get('vpc', VpcId)
    const before =
      QUOTAS[id].used?.(await cloud.state.fresh(), ACCOUNT) ??
      (id === 'ipv4-blocks-per-vpc' ? perVpc?.ipv4Cidrs.length : 1) ??
      0
    await set(id, before + 1)
    await make(0)
    const { code, message } = await refused(make(1))
    assert.equal(code, QUOTAS[id].code, id)
    assert.match(message, new RegExp(` ${before + 1} .*${QUOTAS[id].things}.* ${before + 1} `), id)
    await set(id, before + 2)
    await make(1)
  }
  const more = cloud.call('CreateVpc', { CidrBlock: '10.98.0.0/16' }, theirs)
  assert.equal(await refusal(more), 'accepted')
})

test('the quota of vCPUs counts what runs, and starts as many as it lets', async (t) => {
  const { cloud, set } = await served(t)
  const ImageId = await registerImage(cloud)
  await set('vcpus', 5)
  const shape = { ImageId, InstanceType: 't3.nano' } as const
  const [first = ''] = await run(cloud, shape)
  const { code, message } = await refused(run(cloud, { ...shape, count: 2 }))
  assert.equal(code, 'VcpuLimitExceeded')
  assert.match(message, /limit of 5 .* 2 are in use, and this request needs 4/)
  const some = await cloud.call('RunInstances', { ...shape, MinCount: 1, MaxCount: 3 })
  assert.equal(some.Instances?.length, 1)
  assert.equal(await refusal(run(cloud, shape)), 'VcpuLimitExceeded')
  await set('spot-vcpus', 2)
  await run(cloud, { ...shape, ...SPOT })
  assert.equal(await refusal(run(cloud, { ...shape, ...SPOT })), 'MaxSpotInstanceCountExceeded')
  await report(cloud.state, first, 'running')
  await cloud.call('StopInstances', { InstanceIds: [first] })
  await report(cloud.state, first, 'stopped')
  await run(cloud, shape)
  const start = (): Promise<unknown> => cloud.call('StartInstances', { InstanceIds: [first] })
  assert.equal(await refusal(start()), 'VcpuLimitExceeded')
  await set('vcpus', 6)
  await start()
  const { AccountAttributes } = await cloud.call('DescribeAccountAttributes', {
    AttributeNames: ['max-instances' as 'default-vpc'],
  })
  assert.deepEqual(AccountAttributes?.[0]?.AttributeValues, [{ AttributeValue: '6' }])
})

test('two gateways at once do not both take the last of a quota', async (t) => {
  const { cloud, set } = await served(t)
  const other = await cloud.otherGateway()
  await set('internet-gateways', 4)
  const calls = [cloud.call, other, cloud.call, other, cloud.call, other]
  const codes = await Promise.all(calls.map((call) => refusal(call('CreateInternetGateway', {}))))
  const made = codes.filter((code) => code === 'accepted').length
  assert.equal(made, 3, codes.join())
  assert.ok(codes.every((code) => ['accepted', 'InternetGatewayLimitExceeded'].includes(code)))
})

interface Served {
  readonly cloud: Cloud
  readonly call: LocalApi['call']
  readonly set: (id: QuotaId, value: number) => Promise<void>
}

async function served(t: Parameters<typeof openCloud>[0]): Promise<Served> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { call } = localApi(t, cloud)
  return {
    cloud,
    call,
    set: async (id, value) => {
      const { status } = await call('PUT', `/v1/accounts/${ACCOUNT}/quotas/${id}`, { value })
      assert.equal(status, 200)
    },
  }
}
