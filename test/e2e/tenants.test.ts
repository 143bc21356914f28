// A user's life on real parts: a public web tier behind elastic IPs, a private tier behind a NAT
// gateway in the other rack, dual stack, groups that name groups, a Debian that cloud-init sets up,
// and a second account that peers. Every assertion is on packets. One world for all, in order.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import type { Credentials } from '../../sandbox/gateway.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import { assertBalancer } from './balancer.ts'
import { assertKey, assertPage, type Debian, debianImage, launchDebian } from './debian.ts'
import {
  at,
  boto3,
  countOutside,
  fetchInGuest,
  fetchOutside,
  type Guest,
  inGuest,
  isCutOff,
  PAGE,
  reachedOf,
  reaches,
  ready,
  roomyPlan,
  serveOutside,
  Tenant,
} from './tenant.ts'
import { assertVpn } from './vpn.ts'

const OUTSIDE_IPV4 = '198.18.200.2'
const OUTSIDE_IPV6 = '2001:db8:c8::2'
const PORT = 8000
const STREAM_BYTES = 100_000
const SOON = { timeoutMs: 30_000, everyMs: 500 }

let world: World
let first: Tenant
let second: Tenant
let vpc = ''
let web: Guest
let app: Guest
let spare: Guest
let debian: Debian
let theirs: Guest & { vpc: string; cidr: string }
let publicIp = ''
let natIp = ''
let allocation = ''

before(async () => {
  const image = debianImage()
  world = await startWorld(roomyPlan('tenants'), {
    log: silentLog,
    progress: (line) => console.error(line),
  })
  first = new Tenant(world, world.gateway.credentials)
  const account = await world.gateway.mallee(['account', 'create', 'second'])
  second = new Tenant(world, account as Credentials)
  const [launched] = await Promise.all([
    boto3(second.target, ['launch', `${world.plan.region}-a`]),
    buildNetwork(image),
  ])
  theirs = launched as unknown as typeof theirs
  await ready(world, [web, app, spare, theirs])
})

after(async () => {
  await world?.stop()
})

/** What the first account makes with the aws CLI; what does not need another waits for none. */
async function buildNetwork(image: Promise<string>): Promise<void> {
  const { ec2, ask } = { ec2: first.ec2.bind(first), ask: first.ask.bind(first) }
  const made = await ask('create-vpc --cidr-block 10.50.0.0/16 --amazon-provided-ipv6-cidr-block')
  vpc = at(made, 'Vpc.VpcId')
  const [described, igw, eigw, open, closed, webGroup, appGroup, natAddress, address] =
    await Promise.all([
      ask(`describe-vpcs --vpc-ids ${vpc}`),
      ec2('create-internet-gateway', 'InternetGateway.InternetGatewayId'),
      ec2(
        `create-egress-only-internet-gateway --vpc-id ${vpc}`,
        'EgressOnlyInternetGateway.EgressOnlyInternetGatewayId',
      ),
      ec2(`create-route-table --vpc-id ${vpc}`, 'RouteTable.RouteTableId'),
      ec2(`create-route-table --vpc-id ${vpc}`, 'RouteTable.RouteTableId'),
      first.createGroup(vpc, 'web'),
      first.createGroup(vpc, 'app'),
      ask('allocate-address --domain vpc'),
      ask('allocate-address --domain vpc'),
    ])
  natIp = at(natAddress, 'PublicIp')
  publicIp = at(address, 'PublicIp')
  allocation = at(address, 'AllocationId')
  const ipv6 = at(described, 'Vpcs.0.Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock')
  const subnet = async (zone: string, n: number): Promise<string> => {
    const v6 = ipv6.replace('00::/56', `${n.toString().padStart(2, '0')}::/64`)
    const line = `create-subnet --vpc-id ${vpc} --availability-zone ${world.plan.region}-${zone}`
    return ec2(`${line} --cidr-block 10.50.${n}.0/24 --ipv6-cidr-block ${v6}`, 'Subnet.SubnetId')
  }
  const anybody = 'IpRanges=[{CidrIp=0.0.0.0/0}],Ipv6Ranges=[{CidrIpv6=::/0}]'
  const [subnets] = await Promise.all([
    Promise.all([subnet('a', 1), subnet('b', 2), subnet('b', 3)]),
    ask(`attach-internet-gateway --internet-gateway-id ${igw} --vpc-id ${vpc}`),
    first.allow(webGroup, `IpProtocol=tcp,FromPort=80,ToPort=80,${anybody}`),
    first.allow(webGroup, `IpProtocol=icmp,FromPort=-1,ToPort=-1,IpRanges=[{CidrIp=0.0.0.0/0}]`),
    first.allow(webGroup, `IpProtocol=icmpv6,FromPort=-1,ToPort=-1,Ipv6Ranges=[{CidrIpv6=::/0}]`),
    first.allow(
      appGroup,
      `IpProtocol=tcp,FromPort=80,ToPort=80,UserIdGroupPairs=[{GroupId=${webGroup}}]`,
    ),
  ])
  const [webSubnet, appSubnet, spareSubnet] = subnets
  const launch = (subnetId: string, groupId: string, text: string): Promise<Guest> =>
    first.run(
      `--image-id ${world.imageId} --instance-type t3.nano --subnet-id ${subnetId} --security-group-ids ${groupId} --ipv6-address-count 1`,
      `#!/bin/sh\necho ${text} > /www${PAGE}\n`,
    )
  // First, as they take the longest: routes and addresses come while they boot.
  ;[debian, web, app, spare] = await Promise.all([
    launchDebian(world, first, { image, vpc, subnet: webSubnet }),
    launch(webSubnet, webGroup, 'the-web-tier'),
    launch(appSubnet, appGroup, 'the-private-tier'),
    launch(spareSubnet, webGroup, 'the-spare'),
  ])
  const associate = (table: string, one: string): Promise<unknown> =>
    ask(`associate-route-table --route-table-id ${table} --subnet-id ${one}`)
  const route = (table: string, to: string): Promise<unknown> =>
    ask(`create-route --route-table-id ${table} ${to}`)
  const byNat = async (): Promise<unknown> => {
    const allocated = `--allocation-id ${at(natAddress, 'AllocationId')}`
    const line = `create-nat-gateway --subnet-id ${webSubnet} ${allocated}`
    const nat = await ec2(line, 'NatGateway.NatGatewayId')
    return route(closed, `--destination-cidr-block 0.0.0.0/0 --nat-gateway-id ${nat}`)
  }
  await Promise.all([
    associate(open, webSubnet),
    associate(open, spareSubnet),
    associate(closed, appSubnet),
    route(open, `--destination-cidr-block 0.0.0.0/0 --gateway-id ${igw}`),
    route(open, `--destination-ipv6-cidr-block ::/0 --gateway-id ${igw}`),
    route(closed, `--destination-ipv6-cidr-block ::/0 --egress-only-internet-gateway-id ${eigw}`),
    byNat(),
    ask(`associate-address --allocation-id ${allocation} --instance-id ${web.id}`),
  ])
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
  const all = [app.ipv6, app.ipv4, natIp].map((one) => fetchOutside(world, one))
  assert.deepEqual(await Promise.all(all), ['', '', ''])
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

test('streams get out to where only smaller packets fit, and no card takes larger ones', async () => {
  const internet = world.host('internet')
  const counted = await countOutside(world, PORT)
  const asked = await internet.exec(['ip', '-json', 'route', 'get', OUTSIDE_IPV4])
  const [{ dev }] = JSON.parse(asked.stdout) as [{ dev: string }]
  await internet.exec(['ip', 'link', 'set', dev, 'mtu', '1300'])
  for (const [guest, to] of [
    [web, OUTSIDE_IPV4],
    [web, OUTSIDE_IPV6],
    [app, OUTSIDE_IPV4],
    [app, OUTSIDE_IPV6],
  ] as const) {
    const send = `head -c ${STREAM_BYTES} /dev/zero | nc -w 20 ${to} ${PORT}`
    assert.equal((await inGuest(world, guest, send)).code, 0)
  }
  assert.deepEqual(await counted.stop(), Array(4).fill(STREAM_BYTES))
  await internet.exec(['ip', 'link', 'set', dev, 'mtu', '1500'])
  const larger = 'ip link set eth0 mtu $(($(cat /sys/class/net/eth0/mtu) + 1))'
  assert.notEqual((await inGuest(world, web, larger)).code, 0)
})

test('instances know each other by name, in both families', async () => {
  for (const guest of [web, app, spare]) {
    const zone = `${world.plan.region}-${guest === web ? 'a' : 'b'}.internal`
    const name = `ip-${guest.ipv4.replaceAll('.', '-')}.${zone}`
    for (const server of ['169.254.169.253', 'fd00:ec2::253']) {
      const { output } = await inGuest(world, web, `nslookup ${name} ${server}`)
      assert.ok(output.includes(guest.ipv4) && output.includes(guest.ipv6), output)
    }
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
    SOON,
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

test('a load balancer leads the internet and guests to the targets that are well', async () => {
  await assertBalancer(world, first, { vpc, targets: [web, spare], client: app })
})

test('two accounts neither see nor reach nor touch each other', async () => {
  const seen = await boto3(second.target, ['seen'])
  assert.deepEqual(seen['instances'], [theirs.id])
  assert.ok(!seen['vpcs']?.includes(vpc))
  const touched = await boto3(second.target, ['foreign', web.id])
  assert.equal(touched['code'], 'InvalidInstanceID.NotFound')
  const reached = await Promise.all([
    reachedOf(world, theirs, [web.ipv4, web.ipv6, app.ipv4, app.ipv6]),
    reachedOf(world, web, [theirs.ipv4, theirs.ipv6]),
  ])
  assert.deepEqual(reached, [[], []])
})

test('a peering that both accept and route carries packets until it is deleted', async () => {
  const asked = await boto3(second.target, ['ask', theirs.vpc, vpc, first.account])
  const id = asked['id'] ?? ''
  await first.ask(`accept-vpc-peering-connection --vpc-peering-connection-id ${id}`)
  assert.ok(await isCutOff(world, web, theirs.ipv4), 'a peering without routes carries nothing')
  await boto3(second.target, ['route', theirs.vpc, '10.50.0.0/16', id])
  const to = `--destination-cidr-block ${theirs.cidr} --vpc-peering-connection-id ${id}`
  await Promise.all(
    (await first.tablesOf(vpc)).map((one) =>
      first.ask(`create-route --route-table-id ${one} ${to}`),
    ),
  )
  assert.ok(await reaches(world, web, theirs.ipv4))
  assert.ok(await reaches(world, theirs, web.ipv4))
  // Their group names no peer: what is not allowed stays shut.
  assert.ok(await isCutOff(world, theirs, app.ipv4))
  await first.ask(`delete-vpc-peering-connection --vpc-peering-connection-id ${id}`)
  await until('the peering is cut', async () => isCutOff(world, web, theirs.ipv4), SOON)
})

test('devices of a customer join the VPC by the configurations that they download', async () => {
  await assertVpn(world, first, { vpc, tables: await first.tablesOf(vpc), guests: [web, spare] })
})

test('Debian installs its user data by cloud-init, and serves them to everybody', async () => {
  await assertPage(world, debian, [web, app])
})

test('the key of the launch opens Debian by SSH, and no other; IMDSv2 alone told it', async () => {
  await assertKey(world, debian)
})

test('what is in use cannot be deleted', async () => {
  assert.equal(await first.refusal(`delete-vpc --vpc-id ${vpc}`), 'DependencyViolation')
  assert.equal(
    await first.refusal(`release-address --allocation-id ${allocation}`),
    'InvalidIPAddress.InUse',
  )
})
