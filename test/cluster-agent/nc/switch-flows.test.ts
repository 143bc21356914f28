// The flow table with real packets: two switches joined by a trunk, stations as guests.

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { FlowPlanner } from '../../../cluster-agent/nc/flow-plan.ts'
import { FlowTable } from '../../../cluster-agent/nc/flow-table.ts'
import type { NicWanted } from '../../../cluster-agent/nc/wanted.ts'
import type { Desired } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { gatewayMac } from '../../../topology/plan.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  applyFlows,
  type Host,
  inside,
  nicOf,
  type Station,
  startRack,
  station,
} from './stations.ts'
import { TALK } from './talk.ts'
import { type Tenancy, tenancy, withMember, withTwoCcs } from './tenancy.ts'

describe('flows with real packets', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-flows-'))
  // 1 and 2 are neighbours, 3 is behind the trunk, 11 in the other network.
  const [one, two, three, far] = [station(1), station(2), station(3, 1), station(11)]
  const all = [one, two, three, far]
  let hosts: Host[] = []

  before(async () => {
    hosts = await startRack(dir, all)
  })
  after(async () => {
    for (const host of hosts) await host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const home = ({ home: index }: Station) => hosts[index] as Host

  /** Everybody is in `groupIds`, but for what `changes` says by station. */
  const nics = (changes: Readonly<Record<number, Partial<NicWanted>>> = {}) =>
    all.map((each) => [each, nicOf(each, { groupIds: ['sg-a'], ...changes[each.n] })] as const)

  async function apply(desired: Desired, wanted = nics()): Promise<number> {
    let steps = 0
    for (const [index, host] of hosts.entries()) {
      const here = wanted.filter(([each]) => each.home === index).map(([, nic]) => nic)
      steps += await applyFlows(host, desired, here)
    }
    return steps
  }
  const applyThe = (what: Tenancy, wanted = nics()) => apply(tenancy(what), wanted)

  // Who is answered is so at once; who is not has waited long enough on a switch beside him.
  const ask = async (from: Station, argv: readonly string[]) =>
    (await inside(home(from), from, argv)).code === 0
  const talk = (how: string, to: string, port: number, patienceMs: number) =>
    [process.execPath, TALK, how, to, port, patienceMs].map(String)
  const ping = (to: string, patienceS: number, options: readonly string[]) =>
    ['ping', '-c', '1', '-W', patienceS, ...options, to].map(String)
  const talks = (from: Station, how: 'tcp' | 'udp', to: string, port: number) =>
    ask(from, talk(how, to, port, 8_000))
  const noTalk = async (from: Station, how: 'tcp' | 'udp', to: string, port: number) =>
    !(await ask(from, talk(how, to, port, 700)))
  const pings = (from: Station, to: string, ...options: string[]) => ask(from, ping(to, 8, options))
  const noPing = async (from: Station, to: string, ...options: string[]) =>
    !(await ask(from, ping(to, 1, options)))

  const OPEN = { groups: { 'sg-a': ['in all any', 'out all any'] } }

  test('open groups let everybody talk: neighbours, behind the trunk, through the router', async () => {
    assert.equal(await applyThe(OPEN), 2)
    for (const to of [two, three, far]) {
      assert.ok(await talks(one, 'tcp', to.ipv4, 22), `tcp ${to.ipv4}`)
      assert.ok(await talks(one, 'udp', to.ipv6, 22), `udp ${to.ipv6}`)
      assert.ok(await pings(one, to.ipv6), `ping ${to.ipv6}`)
    }
    assert.ok(await pings(three, '10.1.1.1'))
    assert.ok(await talks(three, 'tcp', far.ipv4, 80))
    assert.equal(await applyThe(OPEN), 0)
  })

  test('what guests send to the gateway that was goes to the one that is, on any host', async () => {
    await applyThe(OPEN)
    // That of another CC, as neighbours remember it.
    const former = gatewayMac(1, 2, 100)
    const remember =
      (verb: string, ...how: string[]) =>
      async (who: Station) => {
        const argv = ['ip', 'neigh', verb, '10.1.1.1', 'dev', 'eth0', ...how]
        assert.ok(await ask(who, argv))
      }
    for (const who of [one, three]) await remember('replace', 'lladdr', former)(who)
    assert.ok(await noPing(one, '10.1.1.1'))
    await apply(withTwoCcs(tenancy(OPEN)))
    for (const who of [one, three]) assert.ok(await pings(who, far.ipv4))
    for (const who of [one, three]) await remember('del')(who)
  })

  test('groups without rules let nothing in or out; one that is missing neither', async () => {
    await applyThe({ groups: { 'sg-a': [] } })
    assert.ok(await noPing(one, two.ipv4))
    await applyThe({ groups: { 'sg-a': ['out all any'] } })
    assert.ok(await noPing(one, two.ipv4))
    await applyThe({})
    assert.ok(await noPing(one, two.ipv4))
    // Only the router is reached, as in EC2.
    assert.ok(await pings(one, '10.1.1.1'))
  })

  test('what goes out comes back, and a port or type that no rule has stays shut', async () => {
    const groups = {
      'sg-a': ['out all any'],
      'sg-b': ['in tcp 20-30 10.1.0.0/16', 'in udp 80 fd10:1::/32', 'in icmp 8-* 0.0.0.0/0'],
    }
    await applyThe({ groups }, nics({ 2: { groupIds: ['sg-b'] } }))
    assert.ok(await talks(one, 'tcp', two.ipv4, 22))
    assert.ok(await talks(three, 'tcp', two.ipv4, 22))
    assert.ok(await talks(one, 'udp', two.ipv6, 80))
    assert.ok(await pings(one, two.ipv4))
    assert.ok(await noTalk(one, 'tcp', two.ipv4, 80))
    assert.ok(await noTalk(one, 'tcp', two.ipv6, 22))
    assert.ok(await noTalk(one, 'udp', two.ipv4, 80))
    assert.ok(await noPing(one, two.ipv6))
    // It answers, and has nothing to say by itself.
    assert.ok(await noTalk(two, 'tcp', one.ipv4, 22))
  })

  test('a rule that names a group or many prefixes lets exactly those in; groups add up', async () => {
    const desired = tenancy({
      groups: {
        'sg-a': ['out all any'],
        'sg-b': ['in tcp 22 sg-a', 'in udp 22 192.0.2.0/24,10.1.1.12/31,198.51.100.0/24'],
        'sg-c': ['in tcp 80 sg-d', 'in tcp 22 sg-d'],
      },
      members: { 'sg-a': [one.ipv4, one.ipv6], 'sg-d': [three.ipv4] },
    })
    const wanted = nics({ 2: { groupIds: ['sg-b', 'sg-c'] } })
    await apply(desired, wanted)
    assert.ok(await talks(one, 'tcp', two.ipv4, 22))
    assert.ok(await talks(one, 'tcp', two.ipv6, 22))
    assert.ok(await noTalk(one, 'tcp', two.ipv4, 80))
    assert.ok(await talks(three, 'tcp', two.ipv4, 22))
    assert.ok(await talks(three, 'tcp', two.ipv4, 80))
    assert.ok(await noTalk(three, 'tcp', two.ipv6, 22))
    assert.ok(await noTalk(far, 'tcp', two.ipv4, 22))
    assert.ok(await talks(three, 'udp', two.ipv4, 22))
    assert.ok(await noTalk(one, 'udp', two.ipv4, 22))
    // One member more.
    await apply(withMember(desired, 'sg-a', far.ipv4), wanted)
    assert.ok(await talks(far, 'tcp', two.ipv4, 22))
  })

  test('an ACL judges what crosses its border, entry by entry and without state', async () => {
    const acls = {
      'acl-1': [
        'in deny tcp 80 10.1.1.11/32',
        'in allow tcp 22-80 10.1.0.0/16',
        'out deny tcp 40000-65535 10.1.1.12/32',
        'out allow tcp 1024-65535 0.0.0.0/0',
        'in allow all ::/0',
      ],
    }
    await applyThe({ ...OPEN, acls, aclOf: { 2: 'acl-1' } })
    assert.ok(await talks(one, 'tcp', far.ipv4, 22))
    assert.ok(await noTalk(one, 'tcp', far.ipv4, 80))
    assert.ok(await talks(three, 'tcp', far.ipv4, 80))
    assert.ok(await noTalk(one, 'udp', far.ipv4, 22))
    assert.ok(await noPing(one, far.ipv4))
    // Nothing lets the answer out.
    assert.ok(await noTalk(one, 'tcp', far.ipv6, 22))
    // Within the subnet nobody asks.
    assert.ok(await pings(far, '10.1.2.1'))
    assert.ok(await talks(one, 'tcp', two.ipv4, 80))
    // An ACL that is not known.
    await applyThe({ ...OPEN, aclOf: { 2: 'acl-9' } })
    assert.ok(await noTalk(one, 'tcp', far.ipv4, 22))
  })

  test('an error of the way reaches who has a connection', async () => {
    await applyThe({ groups: { 'sg-a': ['out all any'], 'sg-b': ['in udp 22 any'] } })
    const narrow = [`${far.ipv4}/32`, 'dev', 'gw200', 'mtu', 'lock', '1300']
    await home(one).exec(['ip', 'route', 'add', ...narrow])
    const big = ['ping', '-c', '1', '-W', '1', '-M', 'do', '-s', '1350', far.ipv4]
    assert.match((await inside(home(one), one, big)).stdout, /Frag needed.*mtu = 1300/)
    await home(one).exec(['ip', 'route', 'del', ...narrow])
    await inside(home(one), one, ['ip', 'route', 'flush', 'cache'])
  })

  test('a new agent finds its flows; connections outlive it and the rules that let them in', async () => {
    const groups = { 'sg-a': ['out all any'], 'sg-b': ['in tcp 22 sg-a'] }
    const desired = tenancy({ groups, members: { 'sg-a': [one.ipv4] } })
    const wanted = nics({ 2: { groupIds: ['sg-b'] } })
    await apply(desired, wanted)
    const [words, answers] = [join(dir, 'words'), join(dir, 'answers')]
    writeFileSync(words, '')
    const hold = [process.execPath, TALK, 'hold', two.ipv4, '22', words]
    const argv = ['setsid', '--fork', 'ip', 'netns', 'exec', 'g1', ...hold]
    await home(one).exec(argv, { outputFile: answers })
    const said = (text: string) =>
      until(`the answer ${text}`, () => readFileSync(answers, 'utf8').includes(text))
    await said('connected')
    hosts = hosts.map((host) => {
      const table = new FlowTable(host.exec, host.sw)
      return { ...host, planner: new FlowPlanner(), table }
    })
    assert.equal(await apply(desired, wanted), 0)
    await apply(tenancy({ groups: { ...groups, 'sg-b': [] } }), wanted)
    appendFileSync(words, 'still here')
    await said('still here')
    assert.ok(await noTalk(one, 'tcp', two.ipv4, 22))
  })

  test('flows that somebody deleted are back with the next pass; 500 rules stand', async () => {
    const many = Array.from({ length: 500 }, (_, n) => `in tcp ${1000 + n} 10.0.${n % 256}.0/24`)
    const desired = tenancy({ groups: { 'sg-a': [...many, 'in tcp 22 any', 'out all any'] } })
    await apply(desired)
    assert.ok(await talks(one, 'tcp', two.ipv4, 22))
    const { exec, sw } = home(one)
    await exec(['ovs-ofctl', '-O', 'OpenFlow15', 'del-flows', sw.mgmt, 'table=52'])
    assert.ok(await noTalk(one, 'tcp', two.ipv4, 22))
    assert.equal(await apply(desired), 1)
    assert.equal(await apply(desired), 0)
    assert.ok(await talks(one, 'tcp', two.ipv4, 22))
  })
})
