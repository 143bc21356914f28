// Load balancers with real packets, TCP: HAProxy in its namespace behind a guarded port.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { nodesDir } from '../../../../cluster-agent/nc/balancers/names.ts'
import { CheckProtocol } from '../../../../proto/gen/mallee/v1/balancers_pb.js'
import { whyNoHosts } from '../../../support/netns.ts'
import { station } from '../stations.ts'
import { Cloud, NETNS, NODE } from './cloud.ts'

describe('load balancers, TCP', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-lb-'))
  // 2 is beside the node, 3 behind the trunk, 11 in the other network; 1 only asks.
  const [one, two, three, far] = [station(1), station(2), station(3, 1), station(11)]
  let cloud: Cloud

  before(async () => {
    cloud = await Cloud.start(dir, [one, two, three, far])
  })
  after(async () => {
    await cloud?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('connections go to all targets, over IPv4 and IPv6, also from another network', async () => {
    await cloud.apply({ targets: ['2', '3', '11'] })
    assert.equal(cloud.serving(), 'serving')
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY', 's11 HEALTHY')
    const answers = await cloud.ask(one, 'tcp', NODE.ipv4, 80, 6)
    const node = ['s11', 's2', 's3'].map((name) => `${name} ${NODE.ipv4}`)
    assert.deepEqual([...new Set(answers)].sort(), node)
    assert.deepEqual([...new Set(await cloud.ask(far, 'tcp', NODE.ipv6, 80, 6))].sort(), node)
  })

  const names = async (count = 4, from = one) =>
    [...new Set(await cloud.ask(from, 'tcp', NODE.ipv4, 80, count))]
      .map((answer) => answer.split(' ')[0])
      .sort()
  const inNode = (...argv: string[]) =>
    cloud.one.exec(['ip', 'netns', 'exec', NETNS, ...argv], { okCodes: [0, 1, 2] })
  const masters = async () =>
    (await cloud.one.exec(['pgrep', '--oldest', 'haproxy'], { okCodes: [0, 1] })).stdout.trim()

  test('who is unwell gets nobody new; when all are, all do', async () => {
    await cloud.apply({ targets: ['2', '3'] })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    cloud.says(two, '500')
    await cloud.untilTargets('s2 UNHEALTHY HTTP status 500', 's3 HEALTHY')
    assert.deepEqual(await names(), ['s3'])
    await cloud.kill(three)
    await cloud.untilTargets('s2 UNHEALTHY HTTP status 500', 's3 UNHEALTHY Connection refused')
    // 3 refuses, so whoever is led there is led on.
    assert.deepEqual(await names(), ['s2'])
    await cloud.serve(three)
    cloud.says(three, 'silent')
    cloud.says(two, '204')
    const silent = 's3 UNHEALTHY no answer within the time limit'
    await cloud.untilTargets('s2 HEALTHY', silent)
    assert.deepEqual(await names(), ['s2'])
    cloud.says(three, '200')
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    assert.deepEqual(await names(), ['s2', 's3'])
  })

  test('checks go to another port over HTTPS, whoever vouches for it', async () => {
    await cloud.serveSecurely(far, 443)
    const check = { protocol: CheckProtocol.HTTPS, port: 443, codes: ['200-299'] }
    // Of a new target the trial says why, long before the next check.
    await cloud.apply({ targets: [], check: { ...check, intervalS: 300 } })
    await cloud.apply({ targets: ['2', '11'], check: { ...check, intervalS: 300 } })
    await cloud.untilTargets('s2 UNHEALTHY Connection refused', 's11 HEALTHY')
    await cloud.apply({ targets: ['2', '11'], check })
    assert.deepEqual(await names(), ['s11'])
    cloud.says(far, '300')
    await cloud.untilTargets('s2 UNHEALTHY Connection refused', 's11 UNHEALTHY HTTP status 300')
    cloud.says(far, '200')
  })

  test('targets change and connections stay; a draining one gets no more', async () => {
    await cloud.apply({ targets: ['2'] })
    await cloud.untilTargets('s2 HEALTHY')
    const held = await cloud.hold(one, NODE.ipv4, 80)
    await cloud.apply({ targets: ['2 drain', '3'] })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    assert.deepEqual(await names(), ['s3'])
    await held.says('after the drain')
    // Another listener: HAProxy's worker is another one, too.
    await cloud.apply({ targets: ['2 drain', '3'], listeners: ['tcp 80', 'tcp 81'] })
    assert.equal(cloud.serving(), 'serving')
    assert.match((await cloud.ask(one, 'tcp', NODE.ipv4, 81))[0] ?? '', /^s3 /)
    await held.says('after the reload')
    await cloud.apply({ targets: ['3'], listeners: ['tcp 80', 'tcp 81'] })
    await held.says('after the target went')
    assert.doesNotMatch(held.answers(), /closed/)
  })

  test('connections end with their target when the group says so', async () => {
    const group = { connectionTermination: true }
    await cloud.apply({ targets: ['2'], group })
    await cloud.untilTargets('s2 HEALTHY')
    const held = await cloud.hold(one, NODE.ipv4, 80)
    await cloud.apply({ targets: ['2', '3'], group, listeners: ['tcp 80', 'tcp 82'] })
    const later = await cloud.hold(one, NODE.ipv4, 82)
    await cloud.apply({ targets: ['2 drain', '3'], group, listeners: ['tcp 80', 'tcp 82'] })
    await held.says('still here')
    await later.says('here too')
    await cloud.apply({ targets: ['3'], group, listeners: ['tcp 80', 'tcp 82'] })
    await held.closed()
    if (later.answers().includes('s2 ')) await later.closed()
  })

  test('a PROXY header names the client; a stuck client keeps its target', async () => {
    const group = { proxyProtocolV2: true, sourceIpStickiness: true }
    const check = { protocol: CheckProtocol.TCP }
    await cloud.apply({ targets: ['2', '3', '11'], group, check })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY', 's11 HEALTHY')
    const answers = new Set(await cloud.ask(one, 'tcp', NODE.ipv4, 80, 6))
    assert.equal(answers.size, 1)
    assert.match([...answers][0] ?? '', new RegExp(`^s\\d+ ${NODE.ipv4} for ${one.ipv4}$`))
    const [ipv6 = ''] = await cloud.ask(far, 'tcp', NODE.ipv6, 80)
    assert.match(ipv6, /for fd100001000200000000000000000011$/)
  })

  test("a security group at the node's port decides who comes", async () => {
    const groups = { 'sg-lb': [`in tcp 80 ${one.ipv4}/32`, 'out all any'] }
    await cloud.apply({ targets: ['2'], groupIds: ['sg-lb'], groups })
    await cloud.untilTargets('s2 HEALTHY')
    assert.deepEqual(await names(1), ['s2'])
    assert.deepEqual(await cloud.silence(three, 'tcp', NODE.ipv4, 80), ['silent'])
    const shut = { 'sg-lb': ['in tcp 80 any', 'out tcp 22 any'] }
    await cloud.apply({ targets: ['2'], groupIds: ['sg-lb'], groups: shut })
    await cloud.untilTargets('s2 UNHEALTHY no answer within the time limit')
  })

  test('without targets a listener refuses; where none is, nobody answers', async () => {
    await cloud.apply({ targets: [] })
    assert.deepEqual(await cloud.ask(one, 'tcp', NODE.ipv4, 80), ['ECONNREFUSED'])
    assert.deepEqual(await cloud.ask(one, 'tcp', NODE.ipv6, 80), ['ECONNREFUSED'])
    assert.deepEqual(await cloud.silence(one, 'tcp', NODE.ipv4, 8080), ['silent'])
    await cloud.apply({ targets: ['2'] })
    assert.deepEqual(await names(1), ['s2'])
  })

  test('a new agent finds everything; HAProxy that was killed is back with a pass', async () => {
    await cloud.apply({ targets: ['2', '3'] })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    const held = await cloud.hold(one, NODE.ipv4, 80)
    const master = await masters()
    await cloud.restart()
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    assert.equal(await masters(), master)
    await held.says('after the restart')
    await cloud.one.exec(['kill', '-KILL', master])
    await held.closed()
    await cloud.pass()
    assert.equal(cloud.serving(), 'serving')
    assert.notEqual(await masters(), master)
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    assert.deepEqual(await names(), ['s2', 's3'])
  })

  test('a namespace that was taken away comes back with its port', async () => {
    await cloud.apply({ targets: ['2', '3'] })
    const { exec } = cloud.one
    await exec(['kill', '-KILL', await masters()])
    await exec(['ip', 'netns', 'delete', NETNS])
    await cloud.pass()
    assert.equal(cloud.serving(), 'serving')
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    assert.deepEqual(await names(), ['s2', 's3'])
  })

  test('HAProxy that says nothing any more is ended and started anew', async () => {
    await cloud.apply({ targets: ['2', '3'] })
    const master = await masters()
    await cloud.one.exec(['pkill', '-STOP', '--parent', master])
    for (const _ of [1, 2]) {
      await assert.rejects(cloud.pass(), { code: 'Unavailable' })
      assert.match(cloud.serving(), /no answer/)
    }
    await cloud.pass()
    assert.equal(cloud.serving(), 'serving')
    assert.notEqual(await masters(), master)
    assert.deepEqual(await names(1, far), ['s2'])
  })

  test('the node reaches neither the host nor others in a name that is not its own', async () => {
    const { exec } = cloud.one
    const device = 'lb0000000050'
    const { stdout } = await exec(['cat', `/sys/class/net/${device}/address`])
    await exec(['ip', 'address', 'add', '192.0.2.9/32', 'dev', 'lo'])
    await inNode('ip', 'route', 'add', '192.0.2.9', 'dev', 'eth0')
    await inNode('ip', 'neigh', 'add', '192.0.2.9', 'lladdr', stdout.trim(), 'dev', 'eth0')
    const ping = ['ping', '-c', '1', '-W', '1']
    assert.equal((await inNode(...ping, '192.0.2.9')).code, 1)
    assert.equal((await inNode(...ping, two.ipv4)).code, 0)
    await inNode('ip', 'address', 'add', '10.1.1.60/24', 'dev', 'eth0')
    assert.equal((await inNode(...ping, '-I', '10.1.1.60', two.ipv4)).code, 1)
    // What is not its own goes with the next pass.
    await cloud.pass()
    const addresses = await inNode('ip', '-4', '-br', 'address', 'show', 'dev', 'eth0')
    assert.doesNotMatch(addresses.stdout, /10\.1\.1\.60/)
  })

  test('with its interface everything of a node goes', async () => {
    await cloud.apply(null)
    const { exec, paths } = cloud.one
    assert.equal((await exec(['ip', 'netns', 'list'])).stdout.includes(NETNS), false)
    assert.doesNotMatch((await exec(['ip', '-br', 'link'])).stdout, /^lb/m)
    assert.equal(await masters(), '')
    assert.deepEqual(readdirSync(nodesDir(paths)), [])
    const ports = await exec(['ovs-vsctl', `--db=${cloud.one.sw.db}`, 'list-ports', 'br-int'])
    assert.doesNotMatch(ports.stdout, /^lb/m)
    // `rack-join leave` asks nobody what is wanted.
    await cloud.apply({ targets: ['2'] })
    await cloud.balancers.removeAll()
    assert.equal(existsSync(nodesDir(paths)), false)
    assert.equal((await exec(['ip', 'netns', 'list'])).stdout.includes(NETNS), false)
    assert.equal(await masters(), '')
    assert.doesNotMatch((await exec(['nft', 'list', 'tables'])).stdout, /nodes/)
  })
})
