// IPsec tunnels to two devices with strongSwan of their own, which have the same network behind
// them: what passes, what does not, and what is left. The real tools, with the kernel's IPsec where
// that is to be had: also inside a machine of test/kernel.

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { IpsecVpns } from '../../../cluster-agent/cc/ipsec-vpns.ts'
import { keyFile } from '../../../cluster-agent/cc/tunnels.ts'
import { type CharonState, readCharon } from '../../../cluster-agent/host/charon-state.ts'
import { charonFiles, charonPid } from '../../../cluster-agent/host/strongswan.ts'
import { connectVici } from '../../../cluster-agent/host/vici.ts'
import { ensureKey } from '../../../cluster-agent/host/wg.ts'
import { systemClock } from '../../../common/clock.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { type Machine, probeMachine } from '../../../common/machine.ts'
import type { VpnLink } from '../../../proto/gen/mallee/v1/border_pb.js'
import { until } from '../../../sandbox/until.ts'
import type { SimulatedHost } from '../../support/netns.ts'
import { espKeysOf, sendEsp } from './esp.ts'
import {
  type Customer,
  FAR,
  FAR4,
  FAR6,
  type IpsecWorld,
  linkOf,
  setUpDevice,
  startIpsecWorld,
} from './ipsec-world.ts'
import { listening } from './two-racks.ts'

/** Of a suite's body. */
export function testIpsec(): void {
  let world: IpsecWorld
  let cc: SimulatedHost
  let blue: Customer
  let red: Customer
  let machine: Machine
  let vpns: IpsecVpns

  const open = (log: Log): IpsecVpns => {
    const { paths } = cc
    return new IpsecVpns({ paths, machine, clock: systemClock, log, config: { endpoints: [] } })
  }
  const pass = async (links: readonly VpnLink[]): Promise<void> => {
    await vpns.removeUnwanted(cc.exec, links)
    await vpns.pass(cc.exec, links)
  }
  const isUp = (number: number) => async (): Promise<boolean> => {
    await vpns.look()
    return vpns.seen(number)?.up === true
  }
  const pid = (): Promise<number | null> => charonPid(cc.exec, charonFiles(cc.paths))

  before(async () => {
    world = await startIpsecWorld()
    ;({
      cc,
      customers: [blue, red],
    } = world)
    machine = await probeMachine(cc.exec)
    await ensureKey(keyFile(cc.paths))
    vpns = open(silentLog)
    for (const { instances, blocks, number } of [blue, red]) {
      for (const [i, family] of [4, 6].entries()) {
        await cc.exec(['ip', 'address', 'add', `${instances[i]}`, 'dev', 'lo'])
        const rule = ['from', blocks[i] ?? '', 'lookup', `${100 + number}`]
        await cc.exec(['ip', `-${family}`, 'rule', 'add', ...rule])
      }
    }
    await pass([linkOf(blue), linkOf(red)])
    for (const customer of [blue, red]) {
      await setUpDevice(customer, machine)
      const www = join(customer.host.paths.runDir, 'www')
      await mkdir(www)
      await writeFile(join(www, 'who'), customer.host.name)
      await customer.host.exec(['busybox', 'httpd', '-p', '[::]:80', '-h', www])
    }
    await until('both are up', async () => (await isUp(1)()) && (await isUp(2)()))
    await lead(1)
    await lead(2)
  })
  after(async () => {
    await vpns?.close()
    await world?.stop()
  })

  async function lead(number: number): Promise<void> {
    const device = vpns.deviceOf(number)
    const lines = FAR.map((cidr) => `route replace ${cidr} dev ${device} table ${100 + number}`)
    await cc.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  }

  async function pings(host: SimulatedHost, from: string, to: string): Promise<boolean> {
    const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', from, to]
    return (await host.exec(argv, { okCodes: [0, 1, 2] })).code === 0
  }
  async function get(from: string, host: string): Promise<string> {
    const argv = ['curl', '-gsS', '--max-time', '5', '--interface', from, `http://${host}/who`]
    return (await cc.exec(argv)).stdout
  }
  async function charon(): Promise<CharonState> {
    const options = { path: charonFiles(cc.paths).socket, onEvent: none, onEnd: none }
    const vici = await connectVici(options)
    const state = await readCharon(vici)
    vici.close()
    return state
  }

  test('TCP and pings pass both ways, and each gets what is its own', async () => {
    for (const { host, number, instances } of [blue, red]) {
      const [v4 = '', v6 = ''] = instances
      assert.equal(await get(v4, FAR4), host.name)
      assert.equal(await get(v6, `[${FAR6}]`), host.name)
      assert.ok(await pings(host, FAR4, v4))
      assert.ok(await pings(host, FAR6, v6))
      assert.ok(await pings(host, `169.254.30.${4 * number + 2}`, `169.254.30.${4 * number + 1}`))
    }
    const seen = vpns.seen(1)
    const endpoints = ['203.0.113.1']
    assert.deepEqual(seen, { up: true, publicKey: '', endpoints, trouble: '' })
    assert.deepEqual(vpns.seen(2)?.endpoints, ['2001:db8::1'])
  })

  test('no route of the host leads to what is behind a device', async () => {
    for (const family of ['-4', '-6']) {
      const { stdout } = await cc.exec(['ip', family, 'route', 'show', 'table', 'main'])
      assert.doesNotMatch(stdout, /192\.168\.0\.0|fd77::/)
      const found = await cc.exec(['ip', family, 'route', 'get', family === '-4' ? FAR4 : FAR6])
      assert.match(found.stdout, /dev eth0/)
    }
  })

  test('a device that asks for everything gets its own VPC, and no way to another', async () => {
    await setUpDevice({ ...blue, blocks: ['0.0.0.0/0', '::/0'] }, machine)
    await until('it is up again', () => pings(blue.host, FAR4, blue.instances[0] ?? ''))
    assert.equal(await pings(blue.host, FAR4, red.instances[0] ?? ''), false)
    assert.equal(await pings(blue.host, FAR6, red.instances[1] ?? ''), false)
    const { stdout } = await blue.host.exec(swanctl(blue.host, '--list-sas'))
    assert.match(stdout, /remote +10\.0\.0\.0\/20 169\.254\.30\.5\/32 fd01::\/56\n/)
    await setUpDevice(blue, machine)
    await until('it is up again', () => pings(blue.host, FAR4, blue.instances[0] ?? ''))
  })

  test('what a hostile device writes into its packets is dropped but from and to its own', async () => {
    const echoes = async (): Promise<number> => {
      const { stdout } = await cc.exec(['nstat', '-az', 'IcmpInEchos'])
      return Number(/IcmpInEchos\s+(\d+)/.exec(stdout)?.[1])
    }
    await redial(blue.host)
    await until('it is up again', () => pings(blue.host, FAR4, blue.instances[0] ?? ''))
    const keys = await espKeysOf(blue.host)
    const before = await echoes()
    const [own = '', others = ''] = [blue.instances[0], red.instances[0]]
    await sendEsp(blue.host, keys, blue.cloud, [
      { from: FAR4, to: others },
      { from: '198.51.100.1', to: own },
      { from: others, to: own },
      { from: FAR4, to: '203.0.113.1' },
      { from: FAR4, to: own },
    ])
    await until('its own has come', async () => (await echoes()) > before)
    assert.equal(await echoes(), before + 1)
    await redial(blue.host)
    await until('it is up again', () => pings(blue.host, FAR4, own))
  })

  test('an agent that was restarted finds all as it shall be', async () => {
    const before = await charon()
    const steps: string[] = []
    await vpns.close()
    vpns = open(listening(steps))
    await pass([linkOf(blue), linkOf(red)])
    assert.deepEqual(steps, [])
    assert.deepEqual(await charon(), before)
    assert.ok(vpns.seen(1)?.up)
  })

  test('other prefixes are agreed on without a new conversation', async () => {
    const ikeOf = async () =>
      (await charon()).tunnels.filter(({ name }) => name.startsWith('v1-')).map(({ id }) => id)
    const before = await ikeOf()
    await pass([linkOf(blue, { remotePrefixes: ['192.168.0.0/25', FAR[1]] }), linkOf(red)])
    await until('the new prefixes are agreed on', isUp(1))
    const { stdout } = await blue.host.exec(swanctl(blue.host, '--list-sas'))
    assert.match(stdout, /local +169\.254\.30\.6\/32 192\.168\.0\.0\/25 fd77::\/64\n/)
    assert.deepEqual(await ikeOf(), before)
    assert.ok(await pings(blue.host, FAR4, blue.instances[0] ?? ''))
    await pass([linkOf(blue), linkOf(red)])
    await until('the old ones are', isUp(1))
  })

  test('a killed strongSwan comes back with all tunnels', async () => {
    await cc.exec(['kill', '-KILL', String(await pid())])
    await until('it is gone', async () => (await pid()) === null)
    await pass([linkOf(blue), linkOf(red)])
    for (const { host } of [blue, red]) {
      // Sooner than the silence would tell it.
      await redial(host)
    }
    await until('both are up', async () => (await isUp(1)()) && (await isUp(2)()))
    for (const { host, instances, number } of [blue, red]) {
      await lead(number)
      assert.ok(await pings(host, FAR4, instances[0] ?? ''))
    }
  })

  test('a wrong key is said, and is nowhere', async () => {
    const wrong = 'a.wrong.key.0123456789'
    await setUpDevice({ ...blue, key: wrong }, machine)
    await redial(blue.host)
    await pass([linkOf(blue), linkOf(red)])
    assert.equal(vpns.seen(1)?.up, false)
    await until('the trouble is told', () => /pre-shared key/.test(vpns.seen(1)?.trouble ?? ''))
    assert.ok(vpns.seen(2)?.up)
    for (const file of Object.values(charonFiles(cc.paths)).filter((one) => !/vici/.test(one))) {
      const text = await readFile(file, 'utf8')
      for (const key of [blue.key, red.key, wrong]) assert.ok(!text.includes(key), file)
    }
    assert.ok(!JSON.stringify(vpns.seen(1)).includes(blue.key))
    await setUpDevice(blue, machine)
    await redial(blue.host)
    await until('it is up', isUp(1))
  })

  test('a tunnel that is not wanted any more ends at once, and no other', async () => {
    await vpns.removeUnwanted(cc.exec, [linkOf(red)])
    const { connections, secrets, tunnels } = await charon()
    const names = [[...connections.keys()], secrets, tunnels.map(({ name }) => name)].flat()
    assert.deepEqual(new Set(names.map((name) => name.slice(0, 3))), new Set(['v2-']))
    assert.equal(await pings(blue.host, FAR4, blue.instances[0] ?? ''), false)
    await pass([linkOf(red)])
    assert.equal(vpns.seen(1), null)
    assert.equal(vpns.deviceOf(1), null)
    assert.ok(await pings(red.host, FAR4, red.instances[0] ?? ''))
    const { stdout } = await cc.exec(['ip', '-br', 'address'])
    assert.doesNotMatch(stdout, /169\.254\.30\.5|10\.0\.0\.0|fd01::\/|mallee-v1 /)
  })

  test('the last one leaves nothing', async () => {
    await vpns.removeAll(cc.exec)
    assert.equal(await pid(), null)
    assert.doesNotMatch((await cc.exec(['ip', '-br', 'link'])).stdout, /ipsec|mallee-v/)
    for (const family of ['-4', '-6']) {
      assert.doesNotMatch((await cc.exec(['ip', family, 'rule'])).stdout, /9998|fwmark/)
    }
    const files = charonFiles(cc.paths)
    assert.deepEqual([existsSync(files.config), existsSync(files.socket)], [false, false])
    assert.deepEqual(readdirSync(cc.paths.stateDir), ['wireguard.key'])
  })
}

function none(): void {
  // Nobody listens.
}

/** A device that forgets what it has and begins again. */
async function redial(host: SimulatedHost): Promise<void> {
  const okCodes = [0, 1, 22]
  await host.exec(swanctl(host, '--terminate', '--force', '--ike', 'cloud'), { okCodes })
  await host.exec(swanctl(host, '--initiate', '--child', 'cloud'), { okCodes })
}

function swanctl(host: SimulatedHost, ...args: readonly string[]): string[] {
  return ['swanctl', ...args, '--uri', `unix://${charonFiles(host.paths).socket}`]
}
