// The sandbox's internet routes and its switches pass frames on; nothing of them stays.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silentLog } from '../../common/log.ts'
import { type Claim, claimWorld } from '../../sandbox/claim.ts'
import { forward } from '../../sandbox/forward.ts'
import { type SandboxHost, startHost } from '../../sandbox/host.ts'
import { connect, plug, setAddresses, startInternet, startSwitch } from '../../sandbox/net.ts'
import { until } from '../../sandbox/until.ts'

const WORLD = 't-net'

describe('the sandbox network', () => {
  let claim: Claim
  let internet: SandboxHost
  let one: SandboxHost
  let two: SandboxHost
  const all: SandboxHost[] = []

  before(async () => {
    claim = await claimWorld(WORLD)
    internet = await startInternet(WORLD, silentLog)
    one = await startHost({ world: WORLD, name: 'one', log: silentLog })
    two = await startHost({ world: WORLD, name: 'two', log: silentLog })
    all.push(internet, one, two)
    await connect(one, internet, 1)
    await connect(two, internet, 2, 1400)
  })
  after(async () => {
    for (const host of all) await host.kill()
    await claim.release()
  })

  for (const [address, name] of [
    ['198.18.2.2', 'IPv4'],
    ['2001:db8:2::2', 'IPv6'],
  ] as const) {
    test(`connect routes ${name} between two sites`, async () => {
      await one.exec(['ping', '-c1', '-W5', address])
    })
  }

  test('connect sets the MTU of the site: a larger packet is refused on the way', async () => {
    const { stdout } = await one.exec(
      ['ping', '-c1', '-W5', '-M', 'do', '-s', '1472', '198.18.2.2'],
      { okCodes: [1] },
    )
    assert.match(stdout, /Frag needed and DF set \(mtu = 1400\)/)
  })

  test('connect keeps sites apart: no host is seen at layer 2 but the router', async () => {
    const { stdout } = await one.exec(['ip', 'neighbour'])
    const seen = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0])
    assert.deepEqual(seen.filter((address) => !address?.startsWith('fe80')).sort(), [
      '198.18.1.1',
      '2001:db8:1::1',
    ])
  })

  test('plug passes tagged frames as they are, and bridges of a switch are not joined', async () => {
    const bridges = ['trunk', 'lan']
    const rack = await startSwitch({ world: WORLD, name: 'sw', log: silentLog }, bridges)
    all.push(rack)
    await plug({ host: one, device: 'trunk0' }, { host: rack, device: 'trunk' })
    await plug({ host: two, device: 'trunk0' }, { host: rack, device: 'trunk' })
    await plug({ host: one, device: 'lan0' }, { host: rack, device: 'lan' })
    await plug({ host: two, device: 'lan0' }, { host: rack, device: 'lan' })
    await setAddresses({ host: one, device: 'lan0' }, ['192.168.7.1/24'])
    await setAddresses({ host: two, device: 'lan0' }, ['192.168.7.2/24'])

    const logFile = join(two.dir, 'tcpdump.log')
    const dump = ['tcpdump', '-nel', '--immediate-mode', '-i']
    const trunk = await two.start([...dump, 'trunk0'], { logFile })
    const lan = await two.start([...dump, 'lan0'], { logFile: `${logFile}.lan` })
    const read = async (file: string) => (await two.exec(['cat', file])).stdout
    await until('tcpdump listens', async () =>
      /listening on/.test((await read(logFile)) && (await read(`${logFile}.lan`))),
    )
    await one.exec(['python3', '-c', TAGGED_FRAME])
    await one.exec(['ping', '-c1', '-W5', '192.168.7.2'])
    await until('the frame arrived', async () => /vlan 77/.test(await read(logFile)))
    assert.doesNotMatch(await read(`${logFile}.lan`), /vlan 77/)
    await trunk.stop()
    await lan.stop()
  })

  test('kill of a host takes its cables away at the other end too', async () => {
    const three = await startHost({ world: WORLD, name: 'three', log: silentLog })
    await connect(three, internet, 3)
    const links = async () => (await internet.exec(['ip', '-brief', 'link'])).stdout
    assert.match(await links(), /^to-three@/m)
    await three.kill()
    await until('its cable is gone', async () => !(await links()).includes('to-three'))
  })

  test('forward leads a port of the machine to a port inside', async () => {
    const script = `require('node:http').createServer((q, r) => r.end('inside')).listen(8099, '127.0.0.1')`
    const server = await one.start([process.execPath, '-e', script], {
      logFile: join(one.dir, 'server.log'),
    })
    const door = await forward(one, { port: 0, insidePort: 8099 })
    await until('the server answers', async () => (await ask(door.port)) === 'inside')
    await server.stop()
    assert.equal(await ask(door.port), null)
    await door.stop()
  })

  test('forward refuses a port that is taken and leaves no process inside', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await until('it listens', () => other.listening)
    const { port } = other.address() as AddressInfo
    await assert.rejects(
      forward(one, { port, insidePort: 8100 }),
      /port \d+ of 127.0.0.1 is in use/,
    )
    assert.doesNotMatch((await one.exec(['ps', '-eo', 'args'])).stdout, /forward-inside/)
    other.close()
  })
})

/** A broadcast frame with the 802.1Q tag 77. */
const TAGGED_FRAME = `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('trunk0', 0))
s.send(bytes.fromhex('ffffffffffff' '020000000001' '8100' '004d' '0806') + bytes(46))
`

async function ask(port: number): Promise<string | null> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`)).text()
  } catch {
    return null
  }
}
