// Two CCs of one rack: each is the edge of a VPC, whose guests are on the other one's host. The
// real tools.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type Cc, openCc } from '../../../cluster-agent/cc/reconcilers.ts'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import {
  NetworkSchema,
  RackConfigSchema,
  RackMemberSchema,
  TunnelSchema,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies, bodyAt, type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { joinHosts, whyNoHosts } from '../../support/netns.ts'
import { appliance, peered, type Wishes, withPublic } from './public-racks.ts'
import {
  BLUE_A,
  inVm,
  pings,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false
/** Behind the guest of VPC red, and of no VPC. */
const [BEYOND, BEYOND6] = ['10.99.0.1/32', 'fd99::1/128']
const PREFIXES = {
  blue: ['10.0.1.0/24', 'fd01:0:0:1::/64'],
  red: ['10.16.1.0/24', 'fd02:0:0:1::/64'],
} as const
const BLOCKS = {
  blue: ['10.0.0.0/20', 'fd01::/56'],
  red: ['10.16.0.0/20', 'fd02::/56'],
} as const
const { INTERFACE, LOCAL, RACK } = RouteKind

type Vpc = keyof typeof PREFIXES
/** The edge of each VPC: h1 or h2. */
type Edges = Readonly<Record<Vpc, 1 | 2>>

const USUAL: Edges = { blue: 1, red: 2 }

/** To what is behind the guest of VPC red: there itself, or over the CC that is its edge. */
function beyond(own: 1 | 2, { red }: Edges): (readonly [string, number, string])[] {
  return [BEYOND, BEYOND6].map((to, i) => {
    const hop = [RED_A.ipv4, RED_A.ipv6][i] ?? ''
    return own === red ? [to, INTERFACE, hop] : [to, RACK, `fd00:fab:0:1::${red}`]
  })
}

/** The subnets' routes as the CC h`own` is told them. */
function wishesAt(own: 1 | 2, edges: Edges): Wishes {
  const isEdge = (vpc: Vpc): boolean => edges[vpc] === own
  const peerOf = (vpc: Vpc) => BLOCKS[vpc].map((block) => [block, LOCAL] as const)
  const blue = isEdge('blue') ? [...peerOf('red'), ...beyond(own, edges)] : beyond(own, edges)
  return {
    routes: {
      ...((isEdge('blue') || isEdge('red')) && { 'blue-1': blue }),
      ...(isEdge('red') && { 'red-1': peerOf('blue') }),
    },
    foreign: isEdge('blue') ? [] : ['blue-1'],
  }
}

/** What the CC h`own` shall make, when the other one's key is `peerKey`. */
function desiredAt(own: 1 | 2, peerKey: string, edges: Edges): Desired {
  const other = own === 1 ? 2 : 1
  const wishes = wishesAt(own, edges)
  const all = new Map(appliance(peered(withPublic(1, peerKey, wishes)), RED_A))
  const put = (one: ReturnType<typeof resource>) => all.set(one.key, one)
  const rack = bodyAt(all, 'rack', 'rack')
  const members = [1, 2].map((index) => create(RackMemberSchema, { host: `h${index}`, index }))
  if (rack !== null) {
    const value = create(RackConfigSchema, { ...rack, members })
    put(resource('rack', { case: 'rack', value }))
  }
  for (const network of bodies(all, 'network')) {
    const gatewayHost = `h${edges[network.vpcId as Vpc]}`
    const value = create(NetworkSchema, { ...network, gatewayHost })
    put(resource(`network/${network.id}`, { case: 'network', value }))
  }
  const tunnel = bodyAt(all, 'tunnel/r2/h1', 'tunnel')
  all.delete('tunnel/r2/h1')
  if (tunnel === null) throw new Error('no tunnel is desired')
  const spoken = (['blue', 'red'] as const).filter((vpc) => edges[vpc] === other)
  const value = create(TunnelSchema, {
    ...tunnel,
    ...{ rack: 'r1', host: `h${other}` },
    // Both racks of the harness are hosts of this one.
    endpoints: [`192.0.${other}.2:51820`],
    allowedIps: [`fd00:fab:0:1::${other}/128`, ...spoken.flatMap((vpc) => PREFIXES[vpc])],
  })
  put(resource(`tunnel/r1/h${other}`, { case: 'tunnel', value }))
  return all
}

function bare(cidr: string): string {
  return cidr.replace(/\/.*/, '')
}

describe('two CCs of one rack', { skip }, () => {
  let racks: [Rack, Rack]
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  const pass = async (edges: Edges): Promise<void> => {
    for (const own of [1, 2] as const) {
      const [cc, other] = own === 1 ? ccs : [ccs[1], ccs[0]]
      await cc.pass(desiredAt(own, other.wireguardPublicKey(), edges))
    }
  }
  const open = ({ host, machine }: Rack, hostIndex: number): Promise<Cc> =>
    openCc({
      ...{ exec: host.exec, paths: host.paths, machine, clock: systemClock, log: silentLog },
      config: {
        ...{ host: `h${hostIndex}`, hostIndex, trunk: 'trunk', public: null },
        ...{ wireguardPort: 51_820, endpoints: [], ownsFlows: true },
      },
    })
  const blue = (to: string): Promise<boolean> => pings(racks[1], BLUE_A, to)
  const red = (to: string): Promise<boolean> => pings(racks[0], RED_A, to)
  const hasPort = async ({ host }: Rack, name: string): Promise<boolean> =>
    (await host.exec(['ip', 'link', 'show', 'dev', name], { okCodes: [0, 1] })).code === 0

  before(async () => {
    const started = await startTwoRacks()
    ;({ racks, stop } = started)
    await joinHosts([racks[0].host, 'trunk'], [racks[1].host, 'trunk'])
    ccs = [await open(racks[0], 1), await open(racks[1], 2)]
    await pass(USUAL)
    await plugVm(racks[1], BLUE_A, 11, silentLog)
    await settleVm(racks[1], BLUE_A)
    await plugVm(racks[0], RED_A, 12, silentLog)
    await settleVm(racks[0], RED_A)
    for (const cidr of [BEYOND, BEYOND6]) {
      await inVm(racks[0], RED_A, ['ip', 'address', 'add', cidr, 'dev', 'lo'])
    }
    await until('the tunnel is up', () => blue(RED_A.ipv4))
  })
  after(async () => {
    await Promise.all((ccs ?? []).map((cc) => cc.close()))
    await stop?.()
  })

  test('a network has one gateway, on whichever host its guests are', async () => {
    const ports = await Promise.all(
      racks.flatMap((rack) => ['gw11', 'gw12'].map((name) => hasPort(rack, name))),
    )
    assert.deepEqual(ports, [true, false, false, true])
    assert.ok(await blue('10.0.1.1'))
    assert.ok(await red('fd02:0:0:1::1'))
  })

  test('guests of two VPCs that are peers reach each other over both edges', async () => {
    assert.ok(await blue(RED_A.ipv6))
    assert.ok(await red(BLUE_A.ipv4))
    assert.ok(await red(BLUE_A.ipv6))
  })

  test('a route leads to what the other CC has, and its answers come back', async () => {
    assert.ok(await blue(bare(BEYOND)))
    assert.ok(await blue(bare(BEYOND6)))
  })

  test('when the edge is another one, guests go on with what they had', async () => {
    await pass({ blue: 2, red: 2 })
    assert.deepEqual(await Promise.all(racks.map((rack) => hasPort(rack, 'gw11'))), [false, true])
    assert.ok(await blue('10.0.1.1'))
    assert.ok(await blue(RED_A.ipv4))
    assert.ok(await blue(RED_A.ipv6))
    assert.ok(await blue(bare(BEYOND)))
  })
})
