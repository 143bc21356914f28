// WgVpns against a model of ip(8) and wg(8): what it sets, and when a device counts as up.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { WgVpns } from '../../../cluster-agent/cc/wg-vpns.ts'
import { type Clock, systemClock } from '../../../common/clock.ts'
import type { Exec, ExecResult } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { type VpnLink, VpnLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'

const KEY = 'Zm9yIGEgdGVzdCwgYW5kIDMyIGJ5dGVzIGxvbmcuLi4='
const START_MS = 1_700_000_000_000

/** A host with IPv4 alone, and the one device `mallee-v1`. */
class ModelHost {
  nowMs = START_MS
  handshakeMs = 0
  receivedBytes = 0
  endpoint = '(none)'
  readonly pings: string[] = []
  /** Of `wg set … peer`, without the file of the key. */
  readonly peers: string[] = []
  #isThere = false
  #own = '(none)\t(none)\t0\toff'
  #allowed = ''

  readonly clock: Clock = { ...systemClock, nowMs: () => this.nowMs }

  readonly exec: Exec = async (argv): Promise<ExecResult> => {
    const said = (stdout: string) => ({ code: 0, stdout, stderr: '' })
    const [program = '', ...args] = argv
    const line = args.join(' ')
    if (program === 'ping') this.pings.push(args.at(-1) ?? '')
    else if (line === '-json address show') return said(JSON.stringify(this.#links()))
    else if (line === '-json -4 route show default')
      return said('[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","protocol":"static"}]')
    else if (line.startsWith('-json -')) return said('[]')
    else if (line === 'show all dump') return said(this.#dump())
    else if (line.startsWith('link add')) this.#isThere = true
    else if (line.includes(' listen-port ')) this.#own = `private\tpublic\t${args[3]}\toff`
    else if (line.includes(' allowed-ips ')) this.#setPeer(args)
    else if (line !== '-batch -') throw new Error(`the model does not know ${argv.join(' ')}`)
    return said('')
  }

  #setPeer(args: readonly string[]): void {
    this.#allowed = args.at(-1) ?? ''
    this.peers.push(args.filter((word) => !word.startsWith('/')).join(' '))
  }

  #links() {
    const at = (local: string, prefixlen: number) => ({ family: 'inet', local, prefixlen })
    const link = (ifname: string, mtu: number, info: object) => ({
      ...{ ifname, mtu, flags: ['UP'], addr_info: [{ ...info, scope: 'global' }] },
    })
    return [
      link('eth0', 1500, at('192.0.2.9', 24)),
      ...(this.#isThere ? [link('mallee-v1', 1420, at('169.254.16.5', 30))] : []),
    ]
  }

  #dump(): string {
    if (!this.#isThere) return ''
    const counts = `${this.handshakeMs / 1000}\t${this.receivedBytes}\t0\t25`
    const peer = `${KEY}\t(none)\t${this.endpoint}\t${this.#allowed}\t${counts}`
    const lines = this.#allowed === '' ? [this.#own] : [this.#own, peer]
    return lines.map((one) => `mallee-v1\t${one}\n`).join('')
  }
}

function linkWith(endpoint: string): VpnLink {
  return create(VpnLinkSchema, {
    ...{ number: 1, host: 'h1', mtu: 1420, remotePrefixes: ['192.168.0.0/24'] },
    ...{ insideAddress: '169.254.16.5/30', farInsideAddress: '169.254.16.6/30' },
    kind: { case: 'wireguard', value: { publicKey: KEY, endpoint, listenPort: 44_001 } },
  })
}

async function start(t: TestContext, endpoint: string) {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-wg-vpns-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const host = new ModelHost()
  const vpns = new WgVpns({
    ...{ exec: host.exec, clock: host.clock, log: silentLog, machine: { wireguard: 'kernel' } },
    paths: { stateDir: dir, runDir: dir, configFile: '' },
    config: { host: 'h1', endpoints: [] },
  })
  const pass = async (afterMs = 0): Promise<boolean> => {
    host.nowMs += afterMs
    await vpns.pass(host.exec, [linkWith(endpoint)])
    return vpns.seen(1)?.up ?? false
  }
  return { host, vpns, pass }
}

test('WgVpns sets no endpoint of a device that dials, and allows what is behind it', async (t) => {
  const { host, vpns, pass } = await start(t, '')
  await pass()
  const allowed = 'allowed-ips 169.254.16.6/32,192.168.0.0/24'
  assert.deepEqual(host.peers, [
    `set mallee-v1 peer ${KEY} preshared-key persistent-keepalive 25 ${allowed}`,
  ])
  assert.equal(vpns.deviceOf(1), 'mallee-v1')
  assert.deepEqual(vpns.seen(1)?.endpoints, ['192.0.2.9:44001'])
  host.endpoint = '198.51.100.7:4242'
  for (let at = 0; at < 20; at += 1) await pass(5_000)
  assert.equal(host.peers.length, 1)
})

test('WgVpns says when this host cannot reach a device', async (t) => {
  const { vpns, pass } = await start(t, '[2001:db8::7]:51820')
  await pass()
  assert.equal(vpns.seen(1)?.trouble, 'this host has no way to [2001:db8::7]:51820')
})

test('a device that is heard is up, is asked when it is quiet, and is down when it stays so', async (t) => {
  const { host, pass } = await start(t, '')
  assert.equal(await pass(), false)
  ;[host.handshakeMs, host.receivedBytes] = [START_MS, 148]
  assert.equal(await pass(5_000), true)
  // The agent must have run for a while: what was before it started it has not seen.
  for (let at = 0; at < 20; at += 1) {
    host.receivedBytes += 32
    assert.equal(await pass(5_000), true)
  }
  assert.deepEqual(host.pings, [])
  for (const [afterMs, isUp] of [
    [14_000, true],
    [2_000, true],
    [46_000, true],
    [1_000, false],
  ] as const) {
    assert.equal(await pass(afterMs), isUp)
    assert.equal(host.pings.length > 0, afterMs !== 14_000)
  }
  assert.equal(host.pings[0], '169.254.16.6')
  host.receivedBytes += 32
  assert.equal(await pass(5_000), true)
})
