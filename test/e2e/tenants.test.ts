// A user's life on real parts: a public web tier behind elastic IPs, a private tier behind a NAT
// gateway in the other rack, dual stack, groups that name groups, and a second account that peers.
// Every assertion is on packets. One world for all tests here, in order.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import type { Credentials } from '../../sandbox/gateway.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import {
  at,
  boto3,
  fetchInGuest,
  fetchOutside,
  type Guest,
  isCutOff,
  PAGE,
  reaches,
  ready,
  roomyPlan,
  serveOutside,
  Tenant,
} from './tenant.ts'

const OUTSIDE_IPV4 = '198.18.200.2'
const OUTSIDE_IPV6 = '2001:db8:c8::2'
const PORT = 8000

let world: World
let first: Tenant
let second: Tenant
let vpc = ''
let web: Guest
let app: Guest
let spare: Guest
let theirs: Guest & { vpc: string; cidr: string }
let publicIp = ''
let natIp = ''
let allocation = ''

before(async () => {
  world = await startWorld(roomyPlan('tenants'), {
    log: silentLog,
    progress: (line) => console.error(line),
  })
  first = new Tenant(world, world.gateway.credentials)
  const account = await world.gateway.mallee(['account', 'create', 'second'])
  second = new Tenant(world, account as Credentials)
  await buildNetwork()
  const launched = await boto3(second.target, ['launch', 'mallee-1-a'])
  theirs = launched as unknown as typeof theirs
  await ready(world, [web, app, spare, theirs])
})

after(async () => {
  await world?.stop()
})

/** What the first account makes with the aws CLI. */
async function buildNetwork(): Promise<void> {
  const { ec2, ask } = { ec2: first.ec2.bind(first), ask: first.ask.bind(first) }
  const made = await ask('create-vpc --cidr-block 10.50.0.0/16 --amazon-provided-ipv6-cidr-block')
  vpc = at(made, 'Vpc.VpcId')
  const ipv6 = at(
    await ask(`describe-vpcs --vpc-ids ${vpc}`),
    'Vpcs.0.Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock',
  )
  const subnet = async (zone: string, n: number): Promise<string> => {
    const v6 = ipv6.replace('00::/56', `${n.toString().padStart(2, '0')}::/64`)
    const line = `create-subnet --vpc-id ${vpc} --availability-zone mallee-1-${zone}`
    return ec2(`${line} --cidr-block 10.50.${n}.0/24 --ipv6-cidr-block ${v6}`, 'Subnet.SubnetId')
  }
  const [webSubnet, appSubnet, spareSubnet] = [
    await subnet('a', 1),
    await subnet('b', 2),
    await subnet('b', 3),
  ]
  const igw = await ec2('create-internet-gateway', 'InternetGateway.InternetGatewayId')
  await ask(`attach-internet-gateway --internet-gateway-id ${igw} --vpc-id ${vpc}`)
  const eigw = await ec2(
    `create-egress-only-internet-gateway --vpc-id ${vpc}`,
    'EgressOnlyInternetGateway.EgressOnlyInternetGatewayId',
  )
  const table = async (subnets: readonly string[]): Promise<string> => {
    const id = await ec2(`create-route-table --vpc-id ${vpc}`, 'RouteTable.RouteTableId')
    for (const one of subnets) {
      await ask(`associate-route-table --route-table-id ${id} --subnet-id ${one}`)
    }
    return id
  }
  const open = await table([webSubnet, spareSubnet])
  await ask(
    `create-route --route-table-id ${open} --destination-cidr-block 0.0.0.0/0 --gateway-id ${igw}`,
  )
  await ask(
    `create-route --route-table-id ${open} --destination-ipv6-cidr-block ::/0 --gateway-id ${igw}`,
  )
  const natAddress = await ask('allocate-address --domain vpc')
  natIp = at(natAddress, 'PublicIp')
  const nat = await ec2(
    `create-nat-gateway --subnet-id ${webSubnet} --allocation-id ${at(natAddress, 'AllocationId')}`,
    'NatGateway.NatGatewayId',
  )
  const closed = await table([appSubnet])
  await ask(
    `create-route --route-table-id ${closed} --destination-cidr-block 0.0.0.0/0 --nat-gateway-id ${nat}`,
  )
  await ask(
    `create-route --route-table-id ${closed} --destination-ipv6-cidr-block ::/0 --egress-only-internet-gateway-id ${eigw}`,
  )
  const group = async (name: string): Promise<string> =>
    ec2(
      `create-security-group --group-name ${name} --description ${name} --vpc-id ${vpc}`,
      'GroupId',
    )
  const [webGroup, appGroup] = [await group('web'), await group('app')]
  const allow = async (id: string, permissions: string): Promise<unknown> =>
    ask(`authorize-security-group-ingress --group-id ${id} --ip-permissions ${permissions}`)
  const anybody = 'IpRanges=[{CidrIp=0.0.0.0/0}],Ipv6Ranges=[{CidrIpv6=::/0}]'
  await allow(webGroup, `IpProtocol=tcp,FromPort=80,ToPort=80,${anybody}`)
  await allow(webGroup, `IpProtocol=icmp,FromPort=-1,ToPort=-1,IpRanges=[{CidrIp=0.0.0.0/0}]`)
  await allow(webGroup, `IpProtocol=icmpv6,FromPort=-1,ToPort=-1,Ipv6Ranges=[{CidrIpv6=::/0}]`)
  await allow(
    appGroup,
    `IpProtocol=tcp,FromPort=80,ToPort=80,UserIdGroupPairs=[{GroupId=${webGroup}}]`,
  )
  const launch = async (subnetId: string, groupId: string, text: string): Promise<Guest> =>
    first.run(
      `--image-id ${world.imageId} --instance-type t3.nano --subnet-id ${subnetId} --security-group-ids ${groupId} --ipv6-address-count 1`,
      `#!/bin/sh\necho ${text} > /www${PAGE}\n`,
    )
  web = await launch(webSubnet, webGroup, 'the-web-tier')
  app = await launch(appSubnet, appGroup, 'the-private-tier')
  spare = await launch(spareSubnet, webGroup, 'the-spare')
  const address = await ask('allocate-address --domain vpc')
  publicIp = at(address, 'PublicIp')
  allocation = at(address, 'AllocationId')
  await ask(`associate-address --allocation-id ${allocation} --instance-id ${web.id}`)
}

test('somebody on the internet gets the page that user data wrote, by the elastic IP', async () => {
  const page = async (): Promise<boolean> =>
    (await fetchOutside(world, publicIp)).includes('the-web-tier')
  await until(`http://${publicIp}/ answers outside`, page, { timeoutMs: 60_000, everyMs: 500 })
  assert.match(await fetchOutside(world, web.ipv6), /the-web-tier/)
})

test('the web tier reaches the private tier in the other rack: its group is named there', async () => {
  assert.match(await fetchInGuest(world, web, app.ipv4), /the-private-tier/)
  assert.match(await fetchInGuest(world, web, app.ipv6), /the-private-tier/)
  // Not on another port, not by another protocol.
  assert.equal(await fetchInGuest(world, web, app.ipv4, 22), '')
  assert.ok(await isCutOff(world, web, app.ipv4))
})

test('the private tier is reached by nobody outside, over no protocol', async () => {
  assert.equal(await fetchOutside(world, app.ipv6), '')
  assert.equal(await fetchOutside(world, app.ipv4), '')
  assert.equal(await fetchOutside(world, natIp), '')
})

test('the private tier reaches the internet as the NAT gateway, and over IPv6 as itself', async () => {
  const server = await serveOutside(world, PORT)
  try {
    assert.match(await fetchInGuest(world, app, OUTSIDE_IPV4, PORT), /200 OK/)
    assert.match(await fetchInGuest(world, app, OUTSIDE_IPV6, PORT), /200 OK/)
    assert.match(await fetchInGuest(world, web, OUTSIDE_IPV4, PORT), /200 OK/)
    assert.deepEqual(await server.callers(), [natIp, app.ipv6, publicIp])
  } finally {
    await server.stop()
  }
})

test('instances reach each other by public address, and see the public address of the other', async () => {
  assert.match(await fetchInGuest(world, web, publicIp), /the-web-tier/)
  const other = await first.ask('allocate-address --domain vpc')
  const spareIp = at(other, 'PublicIp')
  await first.ask(
    `associate-address --allocation-id ${at(other, 'AllocationId')} --instance-id ${spare.id}`,
  )
  await until(
    'the spare answers by its public address',
    async () => (await fetchInGuest(world, web, spareIp)).includes('the-spare'),
    { timeoutMs: 30_000, everyMs: 500 },
  )
  assert.ok(await reaches(world, spare, publicIp))
})

test('an elastic IP that moves to the other rack answers there, and only there', async () => {
  const line = `associate-address --allocation-id ${allocation} --instance-id ${spare.id} --allow-reassociation`
  await first.ask(line)
  await until(
    'the spare answers at the elastic IP',
    async () => (await fetchOutside(world, publicIp)).includes('the-spare'),
    { timeoutMs: 30_000, everyMs: 200 },
  )
  await first.ask(
    `associate-address --allocation-id ${allocation} --instance-id ${web.id} --allow-reassociation`,
  )
  await until(
    'the web tier answers at the elastic IP again',
    async () => (await fetchOutside(world, publicIp)).includes('the-web-tier'),
    { timeoutMs: 30_000, everyMs: 200 },
  )
})

test('two accounts neither see nor reach nor touch each other', async () => {
  const seen = await boto3(second.target, ['seen'])
  assert.deepEqual(seen['instances'], [theirs.id])
  assert.ok(!seen['vpcs']?.includes(vpc))
  const touched = await boto3(second.target, ['foreign', web.id])
  assert.equal(touched['code'], 'InvalidInstanceID.NotFound')
  for (const address of [web.ipv4, web.ipv6, app.ipv4, app.ipv6]) {
    assert.ok(await isCutOff(world, theirs, address), `their instance reaches ${address}`)
  }
  assert.ok(await isCutOff(world, web, theirs.ipv4))
  assert.ok(await isCutOff(world, web, theirs.ipv6))
})

test('a peering that both accept and route carries packets until it is deleted', async () => {
  const asked = await boto3(second.target, ['ask', theirs.vpc, vpc, first.account])
  const id = asked['id'] ?? ''
  await first.ask(`accept-vpc-peering-connection --vpc-peering-connection-id ${id}`)
  assert.ok(await isCutOff(world, web, theirs.ipv4), 'a peering without routes carries nothing')
  await boto3(second.target, ['route', theirs.vpc, '10.50.0.0/16', id])
  const tables = await first.ask(`describe-route-tables --filters Name=vpc-id,Values=${vpc}`)
  for (const table of (tables as { RouteTables: { RouteTableId: string }[] }).RouteTables) {
    await first.ask(
      `create-route --route-table-id ${table.RouteTableId} --destination-cidr-block ${theirs.cidr} --vpc-peering-connection-id ${id}`,
    )
  }
  assert.ok(await reaches(world, web, theirs.ipv4))
  assert.ok(await reaches(world, theirs, web.ipv4))
  // Their group names no peer: what is not allowed stays shut.
  assert.ok(await isCutOff(world, theirs, app.ipv4))
  await first.ask(`delete-vpc-peering-connection --vpc-peering-connection-id ${id}`)
  await until('the peering is cut', async () => isCutOff(world, web, theirs.ipv4), {
    timeoutMs: 30_000,
    everyMs: 500,
  })
})

test('what is in use cannot be deleted', async () => {
  assert.equal(await first.refusal(`delete-vpc --vpc-id ${vpc}`), 'DependencyViolation')
  assert.equal(
    await first.refusal(`release-address --allocation-id ${allocation}`),
    'InvalidIPAddress.InUse',
  )
})
