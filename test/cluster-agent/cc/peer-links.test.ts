// Two clouds with overlapping addresses, each with a border: what passes between them, and what a
// hostile one gets through. The real tools.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { linkAddressOf } from '../../../common/link-address.ts'
import { silentLog } from '../../../common/log.ts'
import type { PeerLinkStatus } from '../../../proto/gen/mallee/v1/border_pb.js'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import {
  type CloudPlan,
  cloudDesired,
  HERE,
  HERE_SEEN,
  keyOf,
  linkTo,
  portOf,
  TAG,
  THERE,
  THERE_SEEN,
  type Wishes,
} from './two-clouds.ts'
import { inVm, listening, pings, plugVm, type Rack, settleVm, startTwoRacks } from './two-racks.ts'

const skip = whyNoHosts() ?? false
const HELLO = 'hello from '
/** Addresses that only the host itself has. */
const HOST4 = '203.0.113.99'
const HOST6 = '2001:db8:77::9'

describe('two clouds whose borders are joined', { skip }, () => {
  let here: Rack
  let there: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  /** `pass` of one side with what it wishes; agreed unless it says otherwise. */
  const pass = (side: 0 | 1, wishes: Wishes = {}): Promise<void> => {
    const [own, other] = side === 0 ? [HERE, THERE] : [THERE, HERE]
    const link = linkTo(own, other, keyOf(ccs[1 - side] as Cc))
    return ccs[side].pass(cloudDesired(own, other, { link, ...wishes }))
  }
  const statusOf = (cc: Cc): PeerLinkStatus | undefined => {
    const found = cc
      .statuses()
      .map(({ body }) => body)
      .find((body) => body.case === 'peerLink')
    return found?.case === 'peerLink' ? found.value : undefined
  }

  before(async () => {
    const started = await startTwoRacks({ ports: [HERE, THERE].map(portOf) })
    ;({ inet, stop } = started)
    ;[here, there] = started.racks
    ccs = [await here.open(silentLog), await there.open(silentLog)]
    // Before anything is agreed each has a key to say.
    await ccs[0].pass(cloudDesired(HERE, THERE, { link: linkTo(HERE, THERE, null) }))
    await ccs[1].pass(cloudDesired(THERE, HERE, { link: linkTo(THERE, HERE, null) }))
    await Promise.all([settle(here, HERE), settle(there, THERE)])
    await pass(0)
    await pass(1)
    await until('the tunnel is up', () => pings(here, HERE.vm, THERE_SEEN))
  })
  after(async () => {
    await Promise.all((ccs ?? []).map((cc) => cc.close()))
    await stop?.()
  })

  async function settle(rack: Rack, { vm }: CloudPlan): Promise<void> {
    await plugVm(rack, vm, TAG, silentLog)
    await settleVm(rack, vm)
    const dir = join(rack.host.paths.runDir, 'www')
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, 'hello'), `${HELLO}${vm.name}`)
    await writeFile(join(dir, 'much'), 'x'.repeat(200_000))
    await inVm(rack, vm, ['busybox', 'httpd', '-p', '[::]:80', '-h', dir])
  }

  async function get(rack: Rack, { vm }: CloudPlan, host: string, file = 'hello'): Promise<string> {
    const argv = ['curl', '-gsS', '--max-time', '5', `http://${host}/${file}`]
    return (await inVm(rack, vm, argv)).stdout
  }

  test('TCP passes both ways, IPv4 between two instances that have one address', async () => {
    assert.equal(HERE.vm.ipv4, THERE.vm.ipv4)
    assert.equal(await get(here, HERE, THERE_SEEN), `${HELLO}there`)
    assert.equal(await get(there, THERE, HERE_SEEN), `${HELLO}here`)
    assert.equal(await get(here, HERE, `[${THERE.vm.ipv6}]`), `${HELLO}there`)
    assert.equal(await get(there, THERE, `[${HERE.vm.ipv6}]`), `${HELLO}here`)
  })

  test('a CC says its key, where it is reached, who is heard, and how much gets there', async () => {
    const key = keyOf(ccs[0])
    await until('the way is measured', async () => {
      await pass(0)
      return statusOf(ccs[0])?.borders[0]?.pathMtu === 1420
    })
    const status = statusOf(ccs[0])
    assert.equal(status?.linkAddress, linkAddressOf(key))
    assert.deepEqual(status?.endpoints, ['[2001:db8:1::2]:52003', '192.0.1.2:52003'])
    assert.ok((status?.borders[0]?.handshakeAtMs ?? 0n) > 0n)
    assert.equal(status?.trouble, '')
    assert.notEqual(key, ccs[0].wireguardPublicKey())
  })

  test('a second pass changes nothing', async () => {
    const steps: string[] = []
    const again = await here.open(listening(steps))
    await again.pass(cloudDesired(HERE, THERE, { link: linkTo(HERE, THERE, keyOf(ccs[1])) }))
    assert.deepEqual(steps, [])
    assert.equal(keyOf(again), keyOf(ccs[0]))
    assert.ok(await pings(here, HERE.vm, THERE_SEEN))
    await again.close()
  })

  test('an instance learns from the other cloud how much its packets may have', async () => {
    await pass(1, { mtu: 1300 })
    for (const [to, from] of [
      [THERE_SEEN, THERE_SEEN],
      [THERE.vm.ipv6, THERE.vm.ipv6],
    ] as const) {
      const argv = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', '1350', to]
      const { stdout } = await inVm(here, HERE.vm, argv, [0, 1, 2])
      assert.match(stdout, new RegExp(`From ${from}[ :].*(?:mtu = |mtu=)1300`), stdout)
    }
    await pass(1)
    await inVm(here, HERE.vm, ['ip', 'route', 'flush', 'cache'])
    await inVm(here, HERE.vm, ['ip', '-6', 'route', 'flush', 'cache'])
  })

  test('what a smaller underlay lets through is measured, and instances are told', async () => {
    await inet.exec(['ip', 'link', 'set', 'rack2', 'mtu', '1400'])
    // As if it had been a while: the endpoint has changed since.
    const again = await here.open(silentLog)
    const desired = cloudDesired(HERE, THERE, { link: linkTo(HERE, THERE, keyOf(ccs[1])) })
    await until('it is measured', async () => {
      await again.pass(desired)
      return (statusOf(again)?.borders[0]?.pathMtu ?? 0) > 0
    })
    const mtu = statusOf(again)?.borders[0]?.pathMtu ?? 0
    assert.ok(mtu >= 1280 && mtu <= 1340, `${mtu}`)
    await again.pass(desired)
    for (const [to, headers] of [
      [THERE_SEEN, 28],
      [THERE.vm.ipv6, 48],
    ] as const) {
      const size = String(mtu + 4 - headers)
      const argv = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', size, to]
      const { stdout } = await inVm(here, HERE.vm, argv, [0, 1, 2])
      assert.match(stdout, new RegExp(`mtu ?= ?${mtu}`), stdout)
    }
    await again.close()
    await inet.exec(['ip', 'link', 'set', 'rack2', 'mtu', '1500'])
  })

  test('the host itself says nothing to the other cloud, and is not there for it', async () => {
    const isAnswered = async (to: string): Promise<boolean> => {
      const argv = ['ping', '-n', '-c', '1', '-W', '1', to]
      return (await here.host.exec(argv, { okCodes: [0, 1, 2] })).code === 0
    }
    // And the gateway's address, as it is seen there.
    const answers = await Promise.all([
      ...[THERE_SEEN, THERE.vm.ipv6].map(isAnswered),
      ...['100.64.1.1', 'fd01:0:0:1::1'].map((to) => pings(there, THERE.vm, to)),
    ])
    assert.deepEqual(answers, [false, false, false, false])
  })

  test('a hostile border gets nothing through but what both sides agree to', async () => {
    const device = `mallee-p${THERE.number}`
    const run = (...argv: string[]) => there.host.exec(argv, { okCodes: [0, 1, 2] })
    const far = keyOf(ccs[0])
    await run('nft', 'delete', 'table', 'inet', 'mallee')
    await run('wg', 'set', device, 'peer', far, 'allowed-ips', '0.0.0.0/0,::/0')
    // Nothing of its own answers in the other's place.
    for (const one of [`gw${TAG}`, 'lo', 'mallee0']) await run('ip', 'address', 'flush', 'dev', one)
    const sources = [
      ...['100.64.17.77', '100.64.33.1', '10.0.1.99', '8.8.8.8', '192.0.2.9', '100.64.1.77'],
      ...['fd02:0:0:1::77', 'fd01:0:0:1::99', '2001:db8:99::1', 'fd00:a:0:1::5', 'fd00:b:0:1::1'],
    ]
    const targets = [
      ...[HERE_SEEN, HERE.vm.ipv4, '100.64.1.1', '10.0.1.1', HOST4, '169.254.169.254'],
      ...['100.64.33.5', '8.8.4.4', HERE.vm.ipv6, 'fd01:0:0:1::1', 'fd00:a:0:1::1'],
      ...['fd00:ec2::254', HOST6, '2001:db8:98::9'],
    ]
    await here.host.exec(['ip', 'address', 'add', `${HOST4}/32`, 'dev', 'lo'])
    await here.host.exec(['ip', 'address', 'add', `${HOST6}/128`, 'dev', 'lo', 'nodad'])
    const of = (family: 4 | 6) => (one: string) => one.includes(':') === (family === 6)
    for (const family of [4, 6] as const) {
      const lines = [
        ...sources.filter(of(family)).map((one) => `address add ${one} dev ${device} nodad`),
        ...targets.filter(of(family)).map((one) => `route add ${one} dev ${device} table 99`),
        'rule add pref 1 lookup 99',
      ]
      const input = `${lines.join('\n')}\n`.replaceAll(family === 4 ? ' nodad' : '~', '')
      await there.host.exec(['ip', `-${family}`, '-batch', '-'], { input })
    }
    const answered: string[] = []
    const ask = async (source: string, target: string): Promise<void> => {
      const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', source, target]
      const { code } = await there.host.exec(argv, { okCodes: [0, 1, 2] })
      if (code === 0) answered.push(`${source} ${target}`)
    }
    const pairs = ([4, 6] as const).flatMap((family) =>
      sources
        .filter(of(family))
        .flatMap((source) => targets.filter(of(family)).map((to) => [source, to] as const)),
    )
    const heard = here.host.exec(
      ['timeout', '4', 'tcpdump', '-nl', '-i', `gw${TAG}`, 'icmp or icmp6 and ip6[40] == 128'],
      { okCodes: [0, 124] },
    )
    await Promise.all(pairs.map(([source, target]) => ask(source, target)))
    // What is theirs may come from any address of theirs, and to the instance alone.
    const agreed = [`100.64.17.77 ${HERE_SEEN}`, `fd02:0:0:1::77 ${HERE.vm.ipv6}`]
    assert.deepEqual(answered.sort(), agreed.sort())
    const got = (await heard).stdout.match(/IP6? (\S+) > \S+ ICMP6?, echo request/g) ?? []
    for (const line of got) assert.match(line, /IP6? (?:100\.64\.17\.77|fd02:0:0:1::77) > /)

    // Also when WireGuard here took all of it.
    const own = `mallee-p${HERE.number}`
    const all = ['wg', 'set', own, 'peer', keyOf(ccs[1]), 'allowed-ips', '0.0.0.0/0,::/0']
    await here.host.exec(all)
    answered.length = 0
    await Promise.all(pairs.map(([source, target]) => ask(source, target)))
    assert.deepEqual(answered.sort(), agreed)
    for (const family of ['-4', '-6']) await run('ip', family, 'rule', 'del', 'pref', '1')
    await pass(0)
    await pass(1)
    // With its last address a device loses all IPv4 routes: a second pass sees that.
    await pass(1)
    await until('it is as it was', () => pings(here, HERE.vm, THERE_SEEN))
  })

  test('the wire has had nothing but WireGuard', async () => {
    const { stdout } = await inet.exec(['nft', 'list', 'table', 'inet', 'wire'])
    assert.match(stdout, /counter packets [1-9]\d* bytes \d+ accept/)
    assert.match(stdout, /counter packets 0 bytes 0 drop/)
  })

  test('a connection ends with the terms, at either side, whatever the other does', async () => {
    for (const side of [0, 1] as const) {
      const asked = async (): Promise<boolean[]> => [
        await pings(here, HERE.vm, THERE_SEEN, '-e', '801'),
        await pings(there, THERE.vm, HERE.vm.ipv6, '-e', '802'),
      ]
      assert.deepEqual(await asked(), [true, true])
      const [own, other] = side === 0 ? [HERE, THERE] : [THERE, HERE]
      const key = keyOf(ccs[1 - side] as Cc)
      await pass(side, { link: { ...linkTo(own, other, key), pairs: [], translations: [] } })
      assert.deepEqual(await asked(), [false, false])
      await pass(side)
    }
  })

  test('a link that ends leaves no device, no key, and no element', async () => {
    await ccs[0].pass(cloudDesired(HERE, THERE, {}))
    assert.equal(await pings(here, HERE.vm, THERE_SEEN), false)
    const { stdout: links } = await here.host.exec(['ip', '-o', 'link'])
    assert.ok(!links.includes('mallee-p'), links)
    assert.deepEqual(
      readdirSync(here.host.paths.stateDir).filter((one) => one.includes('-p')),
      [],
    )
    const { stdout: table } = await here.host.exec(['nft', 'list', 'table', 'inet', 'mallee'])
    assert.ok(!table.includes('mallee-p3'), table)
    assert.equal(statusOf(ccs[0]), undefined)
  })

  test('what leaves takes its devices along', async () => {
    await there.host.exec(['ip', 'link', 'del', `tap-${THERE.vm.name}`])
    await ccs[1].removeAll()
    const { stdout } = await there.host.exec(['ip', '-o', 'link'])
    assert.ok(!stdout.includes('mallee'), stdout)
    const left = readdirSync(there.host.paths.stateDir)
    assert.deepEqual(
      left.filter((one) => one.endsWith('.key')),
      [],
    )
  })
})
