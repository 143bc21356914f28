// What dnsmasq is told, and when: texts and plans, without dnsmasq.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { planDhcp, type Told } from '../../../cluster-agent/cc/dhcp.ts'
import { dhcpFiles } from '../../../cluster-agent/cc/dhcp-files.ts'
import { namesFile } from '../../../cluster-agent/cc/dns-names.ts'
import { DEFAULT_PATHS } from '../../../cluster-agent/paths.ts'
import {
  InterfaceSchema,
  NetworkSchema,
  TunnelSchema,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import { MemberSchema } from '../../../proto/gen/mallee/v1/tenants_pb.js'

const RACK = { region: 'mallee-1', rack: 'a', mtu: 1420 }
const NETWORK = create(NetworkSchema, {
  id: 'subnet-1',
  vlanTag: 7,
  ipv4Cidr: '10.0.1.0/24',
  ipv4Gateway: '10.0.1.1',
  ipv6Cidr: 'fd01::/64',
  ipv6Gateway: 'fd01::1',
  mtu: 1420,
  domain: 'mallee-1-a.internal',
  dns: true,
})
const INTERFACE = create(InterfaceSchema, {
  id: 'eni-1',
  networkId: 'subnet-1',
  mac: '02:00:00:00:00:01',
  ipv4: '10.0.1.10',
  ipv6: 'fd01::10',
  hostname: 'ip-10-0-1-10',
})
const NEXT_MAC = '02:00:00:00:00:02'

function filesOf(change: {
  readonly network?: Partial<typeof NETWORK>
  readonly one?: Partial<typeof INTERFACE>
}) {
  const network = create(NetworkSchema, { ...NETWORK, ...change.network })
  const one = create(InterfaceSchema, { ...INTERFACE, ...change.one })
  const networks = [network]
  const lists = { interfaces: [one], members: [], tunnels: [], names: [] }
  return dhcpFiles(DEFAULT_PATHS, { rack: RACK, networks, rackNetworks: networks, ...lists })
}

const FILES = filesOf({})
const RUNNING = { pid: 1, configFile: FILES.configFile }

/** What a daemon knows that was started with these files. */
function toldOf(files: typeof FILES): Told {
  const step = planDhcp(files, { running: null, told: null }).find(({ kind }) => kind === 'start')
  assert.ok(step?.kind === 'start')
  return step.told
}

test('dhcpFiles writes hosts, options and names', () => {
  assert.equal(FILES.hosts({}), '02:00:00:00:00:01,10.0.1.10,[fd01::10],ip-10-0-1-10\n')
  assert.equal(
    FILES.options,
    `tag:gw7,option:netmask,255.255.255.0
tag:gw7,28,10.0.1.255
tag:gw7,option:router,10.0.1.1
tag:gw7,option:dns-server,169.254.169.253
tag:gw7,option:domain-name,mallee-1-a.internal
tag:gw7,option6:dns-server,[fd00:ec2::253]
tag:gw7,option6:domain-search,mallee-1-a.internal
`,
  )
  assert.equal(
    FILES.names,
    `10.0.1.10 ip-10-0-1-10.mallee-1-a.internal
fd01::10 ip-10-0-1-10.mallee-1-a.internal
`,
  )
})

for (const [what, network, want, never] of [
  ['no DNS', { dns: false }, 'option:dns-server\n', '169.254'],
  [
    'name servers of its own',
    { nameServers: ['192.0.2.1', '2001:db8::1'] },
    'option:dns-server,192.0.2.1\n',
    '169.254',
  ],
  ['time servers', { ntpServers: ['192.0.2.2'] }, 'option:ntp-server,192.0.2.2\n', 'sntp'],
  [
    'NetBIOS',
    { netbiosNameServers: ['192.0.2.3'], netbiosNodeType: 2 },
    'option:netbios-ns,192.0.2.3\ntag:gw7,option:netbios-nodetype,2\n',
    'ntp-server',
  ],
  ['two domains', { domain: 'a.example b.example' }, ':domain-search,a.example,b.example\n', 'x,'],
  ['only IPv6', { ipv4Cidr: '', ipv4Gateway: '' }, 'option6:dns-server,[fd', 'option:'],
  ['only IPv4', { ipv6Cidr: '', ipv6Gateway: '' }, 'option:router,10.0.1.1\n', 'option6'],
] as const) {
  test(`dhcpFiles tells a network with ${what} what it needs`, () => {
    const { options, config } = filesOf({ network: { ...network } as Partial<typeof NETWORK> })
    assert.ok(options.includes(want), options)
    assert.ok(!options.includes(never), options)
    assert.equal(config, FILES.config, 'the configuration stays')
  })
}

test('dhcpFiles has another configuration for another MTU and for a foreign network', () => {
  const stretched = filesOf({ network: { mtu: 1350 } }).config
  assert.match(stretched, /^dhcp-option-force=tag:gw7,option:mtu,1350$/m)
  const public4 = { ipv4Cidr: '198.51.100.0/24', ipv4Gateway: '198.51.100.1' }
  const { config } = filesOf({ network: public4 })
  assert.match(config, /^dhcp-range=198\.51\.100\.0,static,255\.255\.255\.0,1h$/m)
})

for (const hostname of ['a,b', 'a\nport=53', 'a b']) {
  test(`dhcpFiles refuses the host name ${JSON.stringify(hostname)}`, () => {
    assert.throws(() => filesOf({ one: { hostname } }).hosts({}), { code: 'BadMessage' })
  })
}

test('planDhcp leaves a daemon that knows everything', () => {
  assert.deepEqual(planDhcp(FILES, { running: RUNNING, told: toldOf(FILES) }), [])
})

for (const [what, files, kinds] of [
  ['another option', filesOf({ network: { dns: false } }), ['write', 'reload']],
  ['another MTU', filesOf({ network: { mtu: 1350 } }), ['stop', 'write', 'start']],
  ['another network', filesOf({ network: { vlanTag: 8 } }), ['write', 'reload']],
  ['another IPv4 address', filesOf({ one: { ipv4: '10.0.1.11' } }), ['write', 'reload']],
  [
    "an IPv4 address's next owner",
    filesOf({ one: { mac: NEXT_MAC, ipv6: '' } }),
    ['write', 'reload'],
  ],
  ["an IPv6 address's next owner", filesOf({ one: { mac: NEXT_MAC } }), ['stop', 'write', 'start']],
] as const) {
  test(`planDhcp makes ${what} known by ${kinds.join(', ')}`, () => {
    const steps = planDhcp(files, { running: RUNNING, told: toldOf(FILES) })
    assert.deepEqual(
      steps.map(({ kind }) => kind),
      kinds,
    )
  })
}

test('planDhcp lets an address go from its former MAC to the next one', () => {
  const files = filesOf({ one: { mac: NEXT_MAC, ipv6: '' } })
  const [write] = planDhcp(files, { running: RUNNING, told: toldOf(FILES) })
  assert.ok(write?.kind === 'write')
  assert.equal(write.hosts, `${NEXT_MAC},02:00:00:00:00:01,10.0.1.10,ip-10-0-1-10\n`)
})

test('planDhcp tells a daemon of which nobody knows what it was told', () => {
  const steps = planDhcp(FILES, { running: RUNNING, told: null })
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['write', 'reload'],
  )
})

test('planDhcp stops the daemon when no network has its gateway here', () => {
  const lists = { interfaces: [INTERFACE], members: [], tunnels: [], names: [] }
  const rackNetworks = [NETWORK]
  const none = dhcpFiles(DEFAULT_PATHS, { rack: RACK, networks: [], rackNetworks, ...lists })
  const steps = planDhcp(none, { running: RUNNING, told: null })
  assert.deepEqual(steps, [{ kind: 'stop', daemon: RUNNING }])
})

test('dhcpFiles tells the names of the whole rack, and leases to those whose gateway is here', () => {
  const there = create(NetworkSchema, { ...NETWORK, id: 'subnet-2', vlanTag: 8 })
  const far = { id: 'eni-2', networkId: 'subnet-2', mac: NEXT_MAC, ipv4: '10.0.2.10', ipv6: '' }
  const files = dhcpFiles(DEFAULT_PATHS, {
    ...{ rack: RACK, networks: [NETWORK], rackNetworks: [NETWORK, there] },
    interfaces: [INTERFACE, create(InterfaceSchema, { ...far, hostname: 'ip-10-0-2-10' })],
    ...{ members: [], tunnels: [], names: [] },
  })
  assert.match(files.names, /^10\.0\.2\.10 ip-10-0-2-10\.mallee-1-a\.internal$/m)
  assert.deepEqual(Object.keys(files.owners), ['10.0.1.10', 'fd01::10'])
})

test('namesFile knows members in other racks by the prefixes that their racks speak for', () => {
  const tunnels = [
    create(TunnelSchema, { rack: 'b', allowedIps: ['10.0.2.0/24', 'fd02::/64'] }),
    create(TunnelSchema, { rack: 'c', allowedIps: ['10.0.2.9/32'] }),
  ]
  const member = (interfaceId: string, ...addresses: string[]) =>
    create(MemberSchema, { groupId: 'sg-1', interfaceId, addresses })
  const text = namesFile({
    rack: RACK,
    networks: [create(NetworkSchema, { ...NETWORK, stretched: true })],
    interfaces: [create(InterfaceSchema, { ...INTERFACE, ipv4More: ['10.0.1.20'] })],
    members: [
      member('eni-1', '10.0.1.10'),
      member('eni-2', '10.0.2.8', 'fd02::8'),
      member('eni-3', '10.0.2.9'),
      member('eni-4', '10.9.9.9'),
    ],
    tunnels,
    names: [],
  })
  assert.equal(
    text,
    `10.0.1.10 ip-10-0-1-10.mallee-1-a.internal ip-10-0-1-10.mallee-1-any.internal
fd01::10 ip-10-0-1-10.mallee-1-a.internal ip-10-0-1-10.mallee-1-any.internal
10.0.1.20 ip-10-0-1-20.mallee-1-a.internal ip-10-0-1-20.mallee-1-any.internal
10.0.2.8 ip-10-0-2-8.mallee-1-b.internal
fd02::8 ip-10-0-2-8.mallee-1-b.internal
10.0.2.9 ip-10-0-2-9.mallee-1-c.internal
`,
  )
})
