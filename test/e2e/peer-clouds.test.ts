// Two clouds of different owners in one world, with overlapping plans, one of them without IPv4
// between hosts: they agree by the real commands and nothing else, and either ends it alone.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import { publicAddress, uplinkOf } from '../../sandbox/net.ts'
import { type OtherCloud, startOtherCloud } from '../../sandbox/other-cloud.ts'
import { type OtherPlan, SANDBOX_PLAN } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import { startWorld, type World } from '../../sandbox/world.ts'
import { contains, formatAddress, mustAddress, mustCidr, nthAddress } from '../../topology/cidr.ts'
import { between } from './helpers.ts'
import { type Guest, inGuest, isCutOff, ready, Tenant } from './tenant.ts'

interface Peer {
  readonly name: string
  readonly state: string
  readonly trouble: string | null
}

const WEST: OtherPlan = {
  ...{ name: 'west', region: 'au-west-1', apiPort: 0, site: 100, isIpv6Only: true },
  racks: [
    {
      ...{ name: 'a', joinsOver: 'ipv6' },
      hosts: [{ name: 'west-a1', roles: ['cc', 'nc'], capacity: '2,1024,8' }],
    },
  ],
}

let world: World
let west: OtherCloud
let users: { readonly east: Tenant; readonly west: Tenant }
let guests: { readonly east: Guest; readonly west: Guest }
let pcx = ''
const progress = (line: string): void => console.error(line)

before(async () => {
  const racks = [
    {
      ...{ name: 'a', joinsOver: 'ipv4' as const },
      hosts: [{ name: 'a1', roles: ['cc', 'nc'] as const, capacity: '2,1024,8' }] as const,
    },
  ]
  const plan = { ...SANDBOX_PLAN, world: 'peers', apiPort: 0, adminPort: 0, racks }
  world = await startWorld(plan, { log: silentLog, progress })
  west = await startOtherCloud(world, WEST, { log: silentLog, progress })
  users = {
    east: new Tenant(world, world.gateway.credentials),
    west: new Tenant(west, west.gateway.credentials),
  }
  const run = (user: Tenant, image: string): Promise<Guest> =>
    user.run(`--image-id ${image} --instance-type t3.nano`)
  guests = {
    east: await run(users.east, world.imageId),
    west: await run(users.west, await west.registerImage()),
  }
})

after(async () => {
  await west?.stop()
  await world?.stop()
})

async function peer(of: Pick<World, 'gateway'>, name: string): Promise<Peer> {
  return (await of.gateway.mallee(['peer', 'show', name])) as Peer
}

test('two owners agree by an invitation, over the internet between them', async () => {
  const invited = await world.gateway.mallee(['peer', 'invite', 'west', '--bandwidth', '500'])
  const { invitation } = invited as { invitation: string }
  const accepted = await west.gateway.mallee(['peer', 'accept', invitation, '--yes'])
  assert.equal((accepted as Peer).name, 'peers')
  await until('both are well', async () => {
    const both = [await peer(world, 'west'), await peer(west, 'peers')]
    return both.every(({ state, trouble }) => state === 'active' && trouble === null)
  })
  for (const [of, name] of [
    [world, 'west'],
    [west, 'peers'],
  ] as const) {
    const check = await of.gateway.mallee(['peer', 'audit', name, '--verify'])
    assert.equal((check as { difference: unknown }).difference, null)
  }
})

test('a gateway that was killed goes on, and one side suspends alone', async () => {
  await world.gateway.stop('SIGKILL')
  const suspended = (await west.gateway.mallee(['peer', 'suspend', 'peers'])) as Peer
  assert.equal(suspended.state, 'suspended')
  await world.gateway.start()
  await until('the other knows', async () => {
    return (await peer(world, 'west')).state === 'suspended-there'
  })
  await west.gateway.mallee(['peer', 'resume', 'peers'])
  await until('both are open', async () => (await peer(world, 'west')).state === 'active')
})

test('users peer VPCs that have the same blocks, with the stock aws CLI on each side', async () => {
  const [here, there] = [await defaultVpc(users.east), await defaultVpc(users.west)]
  assert.equal(here.cidr, there.cidr)
  pcx = await users.east.ec2(
    `create-vpc-peering-connection --vpc-id ${here.id} --peer-vpc-id ${there.id}` +
      ` --peer-region ${WEST.region} --peer-owner-id ${users.west.account}`,
    'VpcPeeringConnection.VpcPeeringConnectionId',
  )
  const stateOf = async (user: Tenant): Promise<string> => (await peering(user)).state
  await until('it is known there', async () => (await stateOf(users.west)) === 'pending-acceptance')
  await users.west.ask(`accept-vpc-peering-connection --vpc-peering-connection-id ${pcx}`)
  await until('it is active', async () => {
    const both = [await stateOf(users.east), await stateOf(users.west)]
    return both.every((state) => state === 'active')
  })
  for (const [user, vpc] of [
    [users.east, here],
    [users.west, there],
  ] as const) {
    const { ipv4, ipv6 } = await peering(user)
    assert.notEqual(ipv4, vpc.cidr)
    const to = `create-route --route-table-id ${vpc.table} --vpc-peering-connection-id ${pcx}`
    await user.ask(`${to} --destination-cidr-block ${ipv4}`)
    await user.ask(`${to} --destination-ipv6-cidr-block ${ipv6}`)
  }
  await users.west.allow(
    there.group,
    `IpProtocol=icmp,FromPort=-1,ToPort=-1,IpRanges=[{CidrIp=${(await peering(users.west)).ipv4}}]`,
  )
  // By the group of the guests there: it follows them.
  const far = `UserIdGroupPairs=[{GroupId=${here.group}}]`
  await users.west.allow(there.group, `IpProtocol=tcp,FromPort=80,ToPort=80,${far}`)
})

test('guests exchange TCP over translated IPv4 and IPv6, and nothing else is on the wire', async () => {
  await ready(world, [guests.east])
  await ready(west, [guests.west])
  const { ipv4, ipv6 } = await peering(users.east)
  const four = sameOffset(guests.west.ipv4, (await defaultVpc(users.west)).cidr, ipv4)
  assert.ok(contains(mustCidr(ipv6), mustAddress(guests.west.ipv6)), 'IPv6 is as it is')
  const at = (sites: readonly number[]): string[] =>
    sites.flatMap((site) => [uplinkOf(site).ipv4, uplinkOf(site).ipv6])
  const own = [...at([1, 2]), publicAddress(1), '2001:db8:ffff::100']
  const packets = await between(world, own, at([WEST.site, WEST.site + 1]), async () => {
    for (const address of [four, guests.west.ipv6]) {
      assert.ok(await reachesPage(address), `the page at ${address}`)
    }
  })
  const wireguard = packets.filter((line) => /\.520\d\d > .*\.520\d\d: UDP/.test(line))
  const tls = packets.filter((line) => /\.(?:8775|8776)(?:: | > ).*Flags/.test(line))
  assert.ok(wireguard.length > 0)
  assert.equal(packets.length, wireguard.length + tls.length, packets.join('\n'))
})

test('the names of guests there resolve here when their side lets them', async () => {
  const options = '--accepter-peering-connection-options AllowDnsResolutionFromRemoteVpc=true'
  await users.west.ask(
    `modify-vpc-peering-connection-options --vpc-peering-connection-id ${pcx} ${options}`,
  )
  const name = `ip-${guests.west.ipv4.replaceAll('.', '-')}.${WEST.region}-a.internal`
  const { ipv4 } = await peering(users.east)
  await until(`${name} resolves`, async () => {
    const { output } = await inGuest(world, guests.east, `nslookup ${name}`)
    const found = [...output.matchAll(/Address(?: \d+)?: (\d+\.\d+\.\d+\.\d+)/g)]
    return found.some(([, at = '']) => contains(mustCidr(ipv4), mustAddress(at)))
  })
})

test('who deletes the peering is cut off at once, whatever the other side does', async () => {
  const { ipv4 } = await peering(users.east)
  const four = sameOffset(guests.west.ipv4, (await defaultVpc(users.west)).cidr, ipv4)
  await west.gateway.stop('SIGKILL')
  await users.east.ask(`delete-vpc-peering-connection --vpc-peering-connection-id ${pcx}`)
  await until('nothing answers any more', () => isCutOff(world, guests.east, four))
  assert.ok(await isCutOff(world, guests.east, guests.west.ipv6))
  await west.gateway.start()
  await until('the other side knows', async () => (await peering(users.west)).state === 'deleted')
})

test('removing it at one side leaves nothing there, and the other knows', async () => {
  const removed = await world.gateway.mallee(['peer', 'remove', 'west', '--yes'])
  assert.equal((removed as { isTold: boolean }).isTold, true)
  assert.deepEqual(await world.gateway.mallee(['peer', 'list']), { peers: [] })
  assert.equal((await peer(west, 'peers')).state, 'ended-there')
})

interface DefaultVpc {
  readonly id: string
  readonly cidr: string
  readonly table: string
  readonly group: string
}

async function defaultVpc(user: Tenant): Promise<DefaultVpc> {
  const vpcs = await user.ask('describe-vpcs --filters Name=is-default,Values=true')
  const [vpc] = (vpcs as { Vpcs: { VpcId: string; CidrBlock: string }[] }).Vpcs
  const filter = `--filters Name=vpc-id,Values=${vpc?.VpcId}`
  const tables = await user.ask(`describe-route-tables ${filter}`)
  const groups = await user.ask(`describe-security-groups ${filter}`)
  return {
    id: vpc?.VpcId ?? '',
    cidr: vpc?.CidrBlock ?? '',
    table:
      (tables as { RouteTables: { RouteTableId: string }[] }).RouteTables[0]?.RouteTableId ?? '',
    group: (groups as { SecurityGroups: { GroupId: string }[] }).SecurityGroups[0]?.GroupId ?? '',
  }
}

/** As one side sees it: by which prefixes the other one. */
async function peering(user: Tenant): Promise<{ state: string; ipv4: string; ipv6: string }> {
  const answer = await user.ask('describe-vpc-peering-connections')
  const [one] = (answer as { VpcPeeringConnections: Described[] }).VpcPeeringConnections
  const theirs = user === users.east ? one?.AccepterVpcInfo : one?.RequesterVpcInfo
  return {
    state: one?.Status.Code ?? '',
    ipv4: theirs?.CidrBlock ?? '',
    ipv6: theirs?.Ipv6CidrBlockSet?.[0]?.Ipv6CidrBlock ?? '',
  }
}

interface DescribedVpc {
  readonly CidrBlock?: string
  readonly Ipv6CidrBlockSet?: readonly { readonly Ipv6CidrBlock: string }[]
}

interface Described {
  readonly Status: { readonly Code: string }
  readonly AccepterVpcInfo: DescribedVpc
  readonly RequesterVpcInfo: DescribedVpc
}

/** Where an address of a block is in the prefix that the block is seen as. */
function sameOffset(address: string, block: string, seenAs: string): string {
  return formatAddress(
    nthAddress(mustCidr(seenAs), mustAddress(address).value - mustCidr(block).base),
  )
}

async function reachesPage(address: string): Promise<boolean> {
  const get = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 4 ${address} 80 2>/dev/null`
  for (let tries = 0; tries < 10; tries += 1) {
    if ((await inGuest(world, guests.east, get)).output.includes('200 OK')) return true
  }
  return false
}
