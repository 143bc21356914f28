// Load balancers with real packets, UDP: nftables in the node's namespace.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { whyNoHosts } from '../../../support/netns.ts'
import { station } from '../stations.ts'
import { Cloud, NODE, PORT } from './cloud.ts'

describe('load balancers, UDP', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-lb-'))
  const [one, two, three, far] = [station(1), station(2), station(3, 1), station(11)]
  const listeners = ['udp 53']
  /** A busy machine makes none of them ill. */
  const check = { timeoutS: 5 }
  let cloud: Cloud

  before(async () => {
    cloud = await Cloud.start(dir, [one, two, three, far])
  })
  after(async () => {
    await cloud?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const ask = async (count: number, from = one, to = NODE.ipv4, source = 0) =>
    [...new Set(await cloud.ask(from, 'udp', to, 53, count, source))].sort()

  test('flows go to all targets of their family, and to one when a client sticks', async () => {
    await cloud.apply({ targets: ['2', '3', '11', '2 ipv6', '3 ipv6'], listeners, check })
    assert.equal(cloud.serving(), 'serving')
    const all = ['s11 HEALTHY', 's2 HEALTHY', 's3 HEALTHY', 's2 HEALTHY', 's3 HEALTHY']
    await cloud.untilTargets(...all.slice(1, 3), all[0] ?? '', ...all.slice(3))
    assert.deepEqual(await ask(24), ['s11', 's2', 's3'])
    assert.deepEqual(await ask(16, far, NODE.ipv6), ['s2', 's3'])
    const group = { sourceIpStickiness: true }
    await cloud.apply({ targets: ['2', '3', '11'], listeners, check, group })
    assert.equal((await ask(12)).length, 1)
  })

  test('flows stay where they are when targets come and drain, and move when theirs goes', async () => {
    const flow = () => ask(1, one, NODE.ipv4, 5_353)
    await cloud.apply({ targets: ['2'], listeners, check })
    await cloud.untilTargets('s2 HEALTHY')
    assert.deepEqual(await flow(), ['s2'])
    await cloud.apply({ targets: ['2 drain', '3', '11'], listeners, check })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY', 's11 HEALTHY')
    assert.deepEqual(await flow(), ['s2'])
    assert.deepEqual(await ask(16), ['s11', 's3'])
    await cloud.apply({ targets: ['3', '11'], listeners, check })
    const [moved = ''] = await flow()
    assert.notEqual(moved, 's2')
    // The target goes while no agent is here.
    const left = moved === 's3' ? '11' : '3'
    await cloud.restart({ targets: [left], listeners, check })
    assert.deepEqual(await flow(), [`s${left}`])
  })

  test('the flows of a target that falls ill go elsewhere; of ill ones only, all are used', async () => {
    const flow = () => ask(1, one, NODE.ipv4, 5_354)
    const group = { unhealthyTermination: true }
    await cloud.apply({ targets: ['2', '3'], listeners, check, group })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    const [its, other] = (await flow())[0] === 's2' ? [two, three] : [three, two]
    cloud.says(its, '500')
    const ill = (n: number) => `s${n} ${n === its.n ? 'UNHEALTHY HTTP status 500' : 'HEALTHY'}`
    await cloud.untilTargets(ill(2), ill(3))
    assert.deepEqual(await flow(), [`s${other.n}`])
    // A new agent asks first: nobody is led to the ill one meanwhile.
    await cloud.restart()
    assert.deepEqual(await ask(16), [`s${other.n}`])
    cloud.says(other, '500')
    await cloud.untilTargets('s2 UNHEALTHY HTTP status 500', 's3 UNHEALTHY HTTP status 500')
    assert.deepEqual(await ask(16), ['s2', 's3'])
    for (const each of [two, three]) cloud.says(each, '200')
  })

  test('one port is both; without targets nobody answers', async () => {
    await cloud.apply({ targets: ['2'], listeners: [`both ${PORT}`], check })
    await cloud.untilTargets('s2 HEALTHY')
    assert.match((await cloud.ask(one, 'tcp', NODE.ipv4, PORT))[0] ?? '', /^s2 /)
    assert.deepEqual(await cloud.silence(one, 'udp', NODE.ipv6, PORT), ['silent'])
    assert.deepEqual(await cloud.ask(one, 'udp', NODE.ipv4, PORT), ['s2'])
    await cloud.apply({ targets: [], listeners: [`both ${PORT}`], check })
    assert.deepEqual(await cloud.silence(one, 'udp', NODE.ipv4, PORT), ['silent'])
  })
})
