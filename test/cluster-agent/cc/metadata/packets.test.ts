// The metadata service and DNS as instances meet them, on packets through the edge's rules: hop
// limits, who asks, what a tricked server can be led to ask, and who else gets to them.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  DNS_IPV4,
  DNS_IPV6,
  METADATA_IPV4,
  METADATA_IPV6,
  METADATA_PORT,
} from '../../../../cluster-agent/cc/names.ts'
import type { Cc } from '../../../../cluster-agent/cc/reconcilers.ts'
import { silentLog } from '../../../../common/log.ts'
import { type SimulatedHost, whyNoHosts } from '../../../support/netns.ts'
import {
  BLUE_A,
  BLUE_B,
  type FakeVm,
  inVm,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
} from '../two-racks.ts'
import { FORGED, TTL } from './forged.ts'
import {
  ask,
  BEHIND,
  fakeInternetNames,
  hideBehind,
  hopLimitOf,
  serve,
  withInstances,
} from './instances.ts'
import { SECRET } from './serve.ts'

const skip = whyNoHosts() ?? false
const BASES = [`http://${METADATA_IPV4}`, `http://[${METADATA_IPV6}]`] as const
/** curl has many ways to end. */
const ANY_END = Array.from({ length: 97 }, (_, code) => code)
/** For what must stay without an answer. */
const SOON = ['--max-time', '1']
const AT_ONCE = 10
describe('instances and the services of their CC', { skip }, () => {
  let a: Rack
  let b: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  const pass = async (hopLimit: number): Promise<void> => {
    await ccs[0].pass(withInstances(1, ccs[1].wireguardPublicKey(), hopLimit))
    await ccs[1].pass(withInstances(2, ccs[0].wireguardPublicKey(), hopLimit))
  }
  /** What curl gets, and the status; 000 when nobody answers. */
  const curl = async (rack: Rack, vm: FakeVm, ...args: string[]): Promise<string> => {
    const flags = ['--silent', '--globoff', '--max-time', '15', '--noproxy', '*']
    return (
      await inVm(rack, vm, ['curl', ...flags, '-w', ' %{http_code}', ...args], ANY_END)
    ).stdout.trim()
  }
  const token = async (rack: Rack, vm: FakeVm, base: string, ...more: string[]): Promise<string> =>
    (await curl(rack, vm, '-X', 'PUT', ...TTL, ...more, `${base}/latest/api/token`)).replace(
      / 200$/,
      '',
    )
  const told = async (rack: Rack, vm: FakeVm, base: string, with_: string): Promise<string> => {
    const header = `X-aws-ec2-metadata-token: ${with_}`
    return curl(rack, vm, '-H', header, `${base}/latest/user-data`)
  }

  before(async () => {
    const started = await startTwoRacks()
    stop = started.stop
    inet = started.inet
    ;[a, b] = started.racks
    await fakeInternetNames(inet, [a, b])
    ccs = [await a.open(silentLog), await b.open(silentLog)]
    await pass(1)
    for (const [rack, vm, tag] of [
      [a, BLUE_A, 11],
      [a, RED_A, 12],
      [b, BLUE_B, 13],
    ] as const) {
      await plugVm(rack, vm, tag, silentLog)
      await settleVm(rack, vm)
    }
    await serve(a, [BLUE_A, RED_A])
    await serve(b, [BLUE_B])
    await hideBehind(a)
  })
  after(async () => {
    await stop?.()
  })

  test('each instance is told about itself, over IPv4 and IPv6, with a token', async () => {
    for (const [rack, vm] of [
      [a, BLUE_A],
      [a, RED_A],
      [b, BLUE_B],
    ] as const) {
      for (const base of BASES) {
        const got = await token(rack, vm, base)
        assert.match(got, /^[\w-]{51}=$/, base)
        assert.equal(await told(rack, vm, base, got), `${SECRET}i-${vm.name} 200`)
      }
    }
  })

  for (const limit of [1, 2]) {
    const reached = limit > 1 ? 'reaches' : 'does not reach'
    test(`with hop limit ${limit} a token ${reached} who is behind the instance`, async () => {
      await pass(limit)
      for (const base of BASES) {
        assert.equal(await hopLimitOf(a, base), limit, base)
        if (limit === 1) {
          assert.equal(await token(a, BEHIND, base, ...SOON), '000', base)
          continue
        }
        const got = await token(a, BEHIND, base)
        assert.equal(await told(a, BEHIND, base, got), `${SECRET}i-blue-a 200`)
      }
    })
  }

  test("another instance's metadata is refused: by its token, by its address, by port", async () => {
    for (const base of BASES) {
      const theirs = await token(a, BLUE_A, base)
      assert.match(await told(a, RED_A, base, theirs), / 401$/)
      assert.match(await told(b, BLUE_B, base, theirs), / 401$/)
      assert.equal(await curl(a, RED_A, ...SOON, `${base}:${METADATA_PORT}/latest/`), '000')
    }
    await inVm(a, RED_A, ['ip', 'address', 'add', `${BLUE_A.ipv4}/32`, 'dev', 'eth0'])
    await inVm(a, RED_A, ['ip', 'address', 'add', `${BLUE_A.ipv6}/128`, 'dev', 'eth0', 'nodad'])
    for (const [from, base] of [
      [BLUE_A.ipv4, BASES[0]],
      [BLUE_A.ipv6, BASES[1]],
    ] as const) {
      assert.equal(await curl(a, RED_A, ...SOON, '--interface', from, `${base}/latest/`), '000')
    }
    await inVm(a, RED_A, ['ip', 'address', 'del', `${BLUE_A.ipv4}/32`, 'dev', 'eth0'])
    await inVm(a, RED_A, ['ip', 'address', 'del', `${BLUE_A.ipv6}/128`, 'dev', 'eth0'])
  })

  test('a server that fetches what it is told to tells nobody anything', async () => {
    for (let at = 0; at < FORGED.length; at += AT_ONCE) {
      const some = FORGED.slice(at, at + AT_ONCE)
      await Promise.all(
        some.map(async (args) => {
          const got = await curl(a, BLUE_A, ...SOON, ...args)
          assert.doesNotMatch(got, /the-user-data|i-blue|^[\w-]{51}=/, args.join(' '))
          assert.match(got, /^(?:[\s\S]* )?(?:000|4\d\d)$/, args.join(' '))
        }),
      )
    }
  })

  test('no name of the internet leads to the services', async () => {
    for (const name of ['rebind.example', 'rebind6.example']) {
      assert.equal(await ask(a, BLUE_A, name, DNS_IPV4), '', name)
    }
    assert.equal(await ask(a, BLUE_A, 'honest.example', DNS_IPV4), '198.51.100.7')
  })

  test('names of instances in both racks have A and AAAA records at both name servers', async () => {
    for (const server of [DNS_IPV4, DNS_IPV6]) {
      for (const [rack, vm] of [
        [a, BLUE_A],
        [b, BLUE_B],
      ] as const) {
        for (const { ipv4, ipv6 } of [BLUE_A, BLUE_B]) {
          const zone = `mallee-1-r${ipv4 === BLUE_A.ipv4 ? 1 : 2}.internal`
          const name = `ip-${ipv4.replaceAll('.', '-')}.${zone}`
          assert.equal(await ask(rack, vm, name, server), `${ipv4} ${ipv6}`)
        }
      }
    }
  })

  test('nobody reaches the services from the underlay', async () => {
    for (const [cidr, hop] of [
      ['169.254.169.252/30', '192.0.1.2'],
      ['fd00:ec2::/64', '2001:db8:1::2'],
    ] as const) {
      await inet.exec(['ip', 'route', 'add', cidr, 'via', hop])
    }
    const reached = await Promise.all(
      (
        [
          [METADATA_IPV4, METADATA_PORT],
          [METADATA_IPV4, 80],
          [METADATA_IPV6, METADATA_PORT],
          [DNS_IPV4, 53],
          [DNS_IPV6, 53],
        ] as const
      ).map(async ([address, port]) => {
        const argv = ['busybox', 'nc', '-w', '1', address, `${port}`]
        const { code } = await inet.exec(argv, { okCodes: [0, 1], timeoutMs: 15_000 })
        return code === 0 ? [`${address} ${port}`] : []
      }),
    )
    assert.deepEqual(reached.flat(), [])
  })
})
