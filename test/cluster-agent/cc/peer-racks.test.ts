// A rack that is no border, and what it reaches of a peer cloud over the rack that is one. The
// other cloud's border is a WireGuard device as wg(8) makes it. The real tools.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { createDevice, ensureKey } from '../../../cluster-agent/host/wg.ts'
import { linkAddressOf } from '../../../common/link-address.ts'
import { silentLog } from '../../../common/log.ts'
import { PeerLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { TunnelSchema, VpcPeerSchema, VpcSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodyAt, type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import { withPublic } from './public-racks.ts'
import { keyOf } from './two-clouds.ts'
import {
  BLUE_B,
  inVm,
  pings,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false
const NUMBER = 3
const PORT = 52_000 + NUMBER
const DEVICE = 'far0'
const FAR = ['100.64.16.0/20', 'fd03::/56'] as const
const FAR4 = '100.64.17.10'
const FAR6 = 'fd03::10'
/** By what the other cloud sees VPC blue, and BLUE_B in it. */
const SEEN_AS = '100.64.0.0/20'
const BLUE_B_SEEN = '100.64.2.10'
/** Of WireGuard's packets; 80 bytes of that are headers. */
const UNDERLAY_BYTES = 1440

describe('a peer cloud behind the border of another rack', { skip }, () => {
  let border: Rack
  let other: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let farKey: string
  let stop: () => Promise<void>

  const routes = (name: string) => ({
    [name]: FAR.map((one) => [one, RouteKind.LOCAL] as const),
  })
  const passBorder = (): Promise<void> => {
    const desired = withPublic(1, ccs[1].wireguardPublicKey(), { routes: routes('blue-1') })
    return ccs[0].pass(withLink(peered(desired), farKey))
  }

  before(async () => {
    const started = await startTwoRacks({ ports: [51_820, PORT] })
    ;({ inet, stop } = started)
    ;[border, other] = started.racks
    ccs = [await border.open(silentLog), await other.open(silentLog)]
    farKey = await startFar(inet, border)
    await passBorder()
    const desired = withPublic(2, ccs[0].wireguardPublicKey(), { routes: routes('blue-2') })
    await ccs[1].pass(overBorder(peered(desired)))
    await plugVm(other, BLUE_B, 13, silentLog)
    await settleVm(other, BLUE_B)
    await plugVm(border, RED_A, 12, silentLog)
    await settleVm(border, RED_A)
    await greet(inet, keyOf(ccs[0]))
    await until('the tunnels are up', () => pings(other, BLUE_B, FAR4))
  })
  after(async () => {
    await Promise.all((ccs ?? []).map((cc) => cc.close()))
    await stop?.()
  })

  const farPings = async (to: string): Promise<boolean> => {
    const from = to.includes(':') ? FAR6 : FAR4
    const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', from, to]
    return (await inet.exec(argv, { okCodes: [0, 1, 2] })).code === 0
  }

  test('an instance there reaches it and is reached, in both families', async () => {
    assert.ok(await pings(other, BLUE_B, FAR6))
    assert.ok(await farPings(BLUE_B_SEEN))
    assert.ok(await farPings(BLUE_B.ipv6))
  })

  test('another VPC reaches it from neither side', async () => {
    const all = await Promise.all([
      ...[FAR4, FAR6].map((to) => pings(border, RED_A, to)),
      ...[RED_A.ipv4, RED_A.ipv6].map(farPings),
    ])
    assert.deepEqual(all, [false, false, false, false])
  })

  test('an instance there learns how much gets through to the other cloud', async () => {
    const rule = `meta length > ${UNDERLAY_BYTES} udp dport ${PORT} drop`
    await inet.exec(['nft', '-f', '-'], {
      input: `table inet small { chain in { type filter hook input priority 0; ${rule}; }; }\n`,
    })
    // An agent that was just started knows of no way how large it is.
    const again = await border.open(silentLog)
    await ccs[0].close()
    ccs = [again, ccs[1]]
    const mtu = (): number => {
      const body = again.statuses().find((one) => one.body.case === 'peerLink')?.body
      return body?.case === 'peerLink' ? (body.value.borders[0]?.pathMtu ?? 0) : 0
    }
    await until('it is measured', async () => {
      await passBorder()
      return mtu() > 0
    })
    await passBorder()
    assert.ok(mtu() >= 1340 && mtu() <= UNDERLAY_BYTES - 60, `${mtu()}`)
    for (const [to, headers] of [
      [FAR4, 28],
      [FAR6, 48],
    ] as const) {
      const size = String(1420 - headers)
      const argv = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', size, to]
      const { stdout } = await inVm(other, BLUE_B, argv, [0, 1, 2])
      assert.match(stdout, new RegExp(`mtu ?= ?${mtu()}`), stdout)
    }
  })
})

/** VPC blue has the other cloud's VPC as a peer, in whichever rack. */
function peered(desired: Desired): Desired {
  const blue = bodyAt(desired, 'vpc/blue', 'vpc')
  if (blue === null) throw new Error('VPC blue is not desired')
  const far = { vpcId: 'uid/far', ipv4Cidrs: [FAR[0]], ipv6Cidrs: [FAR[1]] }
  const peers = [create(VpcPeerSchema, far)]
  const value = create(VpcSchema, { ...blue, peers })
  return new Map(desired).set('vpc/blue', resource('vpc/blue', { case: 'vpc', value }))
}

/** The border's tunnel speaks for the other cloud's prefixes. */
function overBorder(desired: Desired): Desired {
  const at = 'tunnel/r1/h1'
  const tunnel = bodyAt(desired, at, 'tunnel')
  if (tunnel === null) throw new Error('no tunnel to the border is desired')
  const value = create(TunnelSchema, { ...tunnel, allowedIps: [...tunnel.allowedIps, ...FAR] })
  return new Map(desired).set(at, resource(at, { case: 'tunnel', value }))
}

function withLink(desired: Desired, publicKey: string): Desired {
  const value = create(PeerLinkSchema, {
    ...{ number: NUMBER, name: 'far', listenPort: PORT, mtu: 1420 },
    bandwidthBitsPerS: 1_000_000_000n,
    borders: [
      {
        ...{ rack: 'x', host: 'x1', publicKey, endpoints: [`192.0.1.1:${PORT}`] },
        ...{ linkAddress: linkAddressOf(publicKey) ?? '', allowedIps: [...FAR] },
      },
    ],
    translations: [{ own: '10.0.0.0/20', seenAs: SEEN_AS }],
    pairs: [
      { own: '10.0.0.0/20', theirs: FAR[0] },
      { own: 'fd01::/56', theirs: FAR[1] },
    ],
  })
  const at = `peer-link/${NUMBER}`
  return new Map(desired).set(at, resource(at, { case: 'peerLink', value }))
}

/** The other cloud, all of it one device of the router. Its public key. */
async function startFar(inet: SimulatedHost, { machine }: Rack): Promise<string> {
  const keyFile = join(inet.paths.stateDir, 'far.key')
  const key = await ensureKey(keyFile)
  const logFile = join(inet.paths.runDir, 'wireguard.log')
  const { wireguard } = machine
  await createDevice(inet.exec, { device: DEVICE, wireguard, logFile })
  await inet.exec(['wg', 'set', DEVICE, 'listen-port', String(PORT), 'private-key', keyFile])
  const lines = [
    `link set ${DEVICE} addrgenmode none`,
    `link set ${DEVICE} mtu 1420 up`,
    `address add ${linkAddressOf(key)}/128 dev ${DEVICE} nodad`,
    `address add ${FAR4}/32 dev ${DEVICE}`,
    `address add ${FAR6}/128 dev ${DEVICE} nodad`,
    ...[SEEN_AS, 'fd01::/56', 'fd02::/56', '10.16.0.0/20', 'fe80::/64'].map(
      (cidr) => `route replace ${cidr} dev ${DEVICE}`,
    ),
  ]
  await inet.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  return key
}

/** It takes all that the border sends: what passes is the border's to say. */
async function greet(inet: SimulatedHost, publicKey: string): Promise<void> {
  const peer = ['peer', publicKey, 'endpoint', `192.0.1.2:${PORT}`]
  await inet.exec(['wg', 'set', DEVICE, ...peer, 'allowed-ips', '0.0.0.0/0,::/0'])
}
