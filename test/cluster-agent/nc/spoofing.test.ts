// What an instance's port lets through, with real frames that no kernel would send.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { NicWanted } from '../../../cluster-agent/nc/wanted.ts'
import { until } from '../../../sandbox/until.ts'
import { whyNoHosts } from '../../support/netns.ts'
import { advertised, arp, icmp6, LISTENER, SENDER, tagged, udp } from './frames.ts'
import {
  applyFlows,
  type Host,
  inside,
  nicOf,
  type Station,
  startRack,
  station,
} from './stations.ts'
import { tenancy } from './tenancy.ts'

describe('ports with real frames', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-frames-'))
  // 2 is a neighbour, 3 is behind the trunk.
  const [one, two, three] = [station(1), station(2), station(3, 1)]
  let hosts: Host[] = []

  before(async () => {
    hosts = await startRack(dir, [one, two, three])
  })
  after(async () => {
    for (const host of hosts) await host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const home = ({ home: index }: Station) => hosts[index] as Host

  async function open(change: Partial<NicWanted> = {}): Promise<void> {
    const desired = tenancy({ groups: { 'sg-a': ['in all any', 'out all any'] } })
    const nic = (each: Station) => nicOf(each, { groupIds: ['sg-a'] })
    const [first, second] = hosts as [Host, Host]
    await applyFlows(first, desired, [{ ...nic(one), ...change }, nic(two)])
    await applyFlows(second, desired, [nic(three)])
  }

  const RA = '400000000000000000000000'
  const both = ({ ipv4: from }: Station, to = two.ipv4) => ({ from, to })
  const six = ({ ipv6: from }: Station, to = two.ipv6) => ({ from, to })
  const macs = { from: one.mac, to: two.mac }
  const toAll = { from: one.mac, to: 'ff:ff:ff:ff:ff:ff' }
  const FRAMES: readonly [string, string, boolean][] = [
    ['its own ARP', arp(one.mac, { mac: one.mac, ip: one.ipv4 }), true],
    ["the router's ARP", arp(one.mac, { mac: one.mac, ip: '10.1.1.1' }), false],
    ["a neighbour's MAC in ARP", arp(one.mac, { mac: three.mac, ip: one.ipv4 }), false],
    ["a neighbour's MAC", arp(three.mac, { mac: three.mac, ip: three.ipv4 }), false],
    ['a tag', tagged(arp(one.mac, { mac: one.mac, ip: one.ipv4 }), 100), false],
    ['its own address', udp(macs, both(one), [9, 9]), true],
    ["a neighbour's address", udp(macs, both(three), [9, 9]), false],
    [
      "the metadata service's address",
      udp(macs, { from: '169.254.169.254', to: two.ipv4 }, [9, 9]),
      false,
    ],
    ['an answer of DHCP', udp(macs, both(one), [67, 68]), false],
    ['a broadcast', udp(toAll, both(one, '255.255.255.255'), [9, 9]), false],
    [
      'a multicast',
      udp({ from: one.mac, to: '01:00:5e:00:00:fb' }, both(one, '224.0.0.251'), [5353, 5353]),
      false,
    ],
    ['its own advertisement', icmp6(macs, six(one), 136, advertised(one.ipv6, one.mac)), true],
    [
      "the router's advertisement",
      icmp6(macs, six(one), 136, advertised('fd10:1:1::1', one.mac)),
      false,
    ],
    [
      'its address at another MAC',
      icmp6(macs, six(one), 136, advertised(one.ipv6, three.mac)),
      false,
    ],
    ['a router advertisement', icmp6(macs, six(one), 134, RA), false],
    [
      'a router advertisement to all',
      icmp6({ from: one.mac, to: '33:33:00:00:00:01' }, six(one, 'ff02::1'), 134, RA),
      false,
    ],
    ['a redirect', icmp6(macs, six(one), 137, advertised(one.ipv6, one.mac)), false],
  ]

  /** Sends it, each time before an ARP of the same sender's, which always arrives. */
  async function arrives(from: Station, frame: string, at: Station): Promise<boolean> {
    // Another one than those in the table.
    const lines = `${frame}\n${arp(from.mac, { mac: from.mac, ip: '0.0.0.0' })}\n`
    let count = ''
    const listening = inside(home(at), at, LISTENER, lines).then(({ stdout }) => {
      count = stdout
    })
    await until('both fences arrive', async () => {
      await inside(home(from), from, SENDER, lines)
      return count !== ''
    })
    await listening
    return count !== '0'
  }

  for (const [what, frame, allowed] of FRAMES) {
    test(`${what} ${allowed ? 'arrives' : 'gets nowhere'}, whatever the groups say`, async () => {
      await open()
      // What is for one is not flooded.
      for (const at of [two, three]) {
        const wanted = allowed && (at === two || frame.startsWith('ffff'))
        assert.equal(await arrives(one, frame, at), wanted, `at ${at.n}`)
      }
    })
  }

  test('a secondary address is its own', async () => {
    await open({ ipv4More: ['10.1.1.50'] })
    const ends = { from: '10.1.1.50', to: two.ipv4 }
    assert.equal(await arrives(one, udp(macs, ends, [9, 9]), two), true)
    assert.equal(await arrives(one, arp(one.mac, { mac: one.mac, ip: ends.from }), two), true)
  })

  test('without source_dest_check it sends what is from others, and lies no more than before', async () => {
    await open({ sourceDestCheck: false })
    const from = (ip: string, ports: [number, number] = [9, 9]) =>
      udp(macs, { from: ip, to: two.ipv4 }, ports)
    assert.equal(await arrives(one, from('10.7.7.7'), two), true)
    assert.equal(await arrives(one, from('10.7.7.7', [67, 68]), two), false)
    assert.equal(await arrives(one, from('169.254.169.254'), two), false)
    for (const what of ["a neighbour's MAC", "the router's ARP", 'a router advertisement']) {
      const frame = FRAMES.find(([name]) => name === what)?.[1] ?? ''
      assert.equal(await arrives(one, frame, two), false, what)
    }
  })
})
