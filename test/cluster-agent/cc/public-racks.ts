// Two racks with a public LAN between them, and a host in the world behind its router: what a
// gateway would desire for subnets with and without public addresses.

import { create } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import type { PublicSide } from '../../../cluster-agent/cc/underlay.ts'
import { silentLog } from '../../../common/log.ts'
import * as pb from '../../../proto/gen/mallee/v1/desired_pb.js'
import * as tenants from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodyAt, type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { joinHosts, type SimulatedHost } from '../../support/netns.ts'
import {
  BLUE_A,
  BLUE_B,
  desiredOf,
  type FakeVm,
  inVm,
  pings,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
  type TwoRacks,
} from './two-racks.ts'

/** An address in the world that is on no link of ours. */
export const WORLD = '198.18.200.2'
export const WORLD6 = '2001:db8:c8::2'

export const PUBLIC: PublicSide = {
  device: 'pub0',
  ipv4NextHop: '203.0.113.1',
  ipv6NextHop: '2001:db8:ffff::1',
}

const { INTERNET, LOCAL, NAT, RACK, VPN } = tenants.RouteKind

/** Cables `pub0` of both racks and the router into one LAN; the router itself is the world. */
async function joinPublicLan({ racks, inet }: TwoRacks): Promise<void> {
  const at = (host: SimulatedHost, ...lines: string[]) =>
    host.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  await at(
    inet,
    'link add public type bridge',
    'link set public up',
    `address add ${PUBLIC.ipv4NextHop}/24 dev public`,
    `address add ${PUBLIC.ipv6NextHop}/64 dev public nodad`,
    `address add ${WORLD}/32 dev lo`,
    `address add ${WORLD6}/128 dev lo`,
    'route add fd01::/32 dev public',
    'route add fd02::/32 dev public',
  )
  for (const { host, index } of racks) {
    await joinHosts([host, 'pub0'], [inet, `pub${index}`])
    await at(inet, `link set pub${index} master public`)
  }
}

export interface PublicRacks {
  readonly a: Rack
  readonly b: Rack
  /** The router between them. */
  readonly inet: SimulatedHost
  readonly ccs: [Cc, Cc]
  readonly stop: () => Promise<void>
}

/**
 * Both racks with what `first` passes to their CCs, an instance of VPC blue in each and one of red
 * in the first; `more` are others there, with their tags. The tunnel is up.
 */
export async function startPublicRacks(
  first: (ccs: [Cc, Cc]) => Promise<void>,
  more: readonly (readonly [vm: FakeVm, tag: number])[] = [],
): Promise<PublicRacks> {
  const started = await startTwoRacks({ publicSide: PUBLIC })
  const { inet, stop } = started
  const [a, b] = started.racks
  try {
    await joinPublicLan(started)
    const ccs: [Cc, Cc] = [await a.open(silentLog), await b.open(silentLog)]
    await first(ccs)
    for (const [rack, vm, tag] of [
      ...([[BLUE_A, 11], [RED_A, 12], ...more] as const).map((one) => [a, ...one] as const),
      [b, BLUE_B, 13] as const,
    ]) {
      await plugVm(rack, vm, tag, silentLog)
      await settleVm(rack, vm)
    }
    await until('the tunnel is up', () => pings(a, BLUE_A, BLUE_B.ipv4))
    return { a, b, inet, ccs, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export interface Wishes {
  readonly routes?: Readonly<Record<string, readonly (readonly [string, number, string?])[]>>
  readonly elastics?: readonly (readonly [publicIp: string, privateIp: string])[]
  readonly nats?: readonly (readonly [id: string, publicIp: string, privateIp: string])[]
  /** Subnets of the other rack that send here. */
  readonly foreign?: readonly string[]
}

const SUBNETS: Readonly<Record<string, readonly [tag: number, v4: string, v6: string]>> = {
  'blue-1': [11, '10.0.1.0/24', 'fd01:0:0:1::/64'],
  'red-1': [12, '10.16.1.0/24', 'fd02:0:0:1::/64'],
  'blue-2': [13, '10.0.2.0/24', 'fd01:0:0:2::/64'],
  'blue-3': [15, '10.0.3.0/24', 'fd01:0:0:3::/64'],
}
const VPCS: Readonly<Record<string, readonly string[]>> = {
  blue: ['10.0.0.0/20', 'fd01::/56'],
  red: ['10.16.0.0/20', 'fd02::/56'],
}

export const OUT = [
  ['0.0.0.0/0', INTERNET],
  ['::/0', INTERNET],
] as const
export const BY_NAT = (nat: string) => [['0.0.0.0/0', NAT, nat]] as const
export const BY_RACK = (fabric: string) => [['0.0.0.0/0', RACK, fabric]] as const

/** `desiredOf` with routes for the named subnets and public addresses. */
export function withPublic(index: 1 | 2, peerKey: string, wishes: Wishes): Desired {
  const all = new Map(desiredOf(index, peerKey))
  const put = (one: ReturnType<typeof resource>) => all.set(one.key, one)
  for (const [subnetId, routes] of Object.entries(wishes.routes ?? {})) {
    const [tag = 0, ipv4Cidr = '', ipv6Cidr = ''] = SUBNETS[subnetId] ?? []
    const local = VPCS[subnetId.split('-')[0] ?? ''] ?? []
    const value = create(tenants.RoutingSchema, {
      subnetId,
      ipv4Cidr,
      ipv6Cidr,
      vlanTag: wishes.foreign?.includes(subnetId) ? 0 : tag,
      routes: [
        ...local.map((destination) => ({ destination, kind: LOCAL })),
        ...routes.map(([destination, kind, target = '']) => ({
          ...{ destination, kind },
          ...(kind === NAT ? { natId: target } : {}),
          ...(kind === VPN ? { vpnNumber: Number(target) } : {}),
          ...(kind === NAT || kind === VPN ? {} : { nextHop: target }),
        })),
      ],
    })
    put(resource(`routing/${subnetId}`, { case: 'routing', value }))
  }
  for (const [publicIp, privateIp] of wishes.elastics ?? []) {
    const value = create(tenants.ElasticSchema, { id: publicIp, publicIp, privateIp, host: 'h1' })
    put(resource(`elastic/${publicIp}`, { case: 'elastic', value }))
  }
  for (const [id, publicIp, privateIp] of wishes.nats ?? []) {
    const value = create(tenants.NatSchema, { id, publicIp, privateIp, host: 'h1' })
    put(resource(`nat/${id}`, { case: 'nat', value }))
  }
  return all
}

/** Makes VPCs blue and red peers, for what is desired of either rack. */
export function peered(desired: Desired): Desired {
  const all = new Map(desired)
  for (const [id, other] of [
    ['blue', 'red'],
    ['red', 'blue'],
  ] as const) {
    const [v4 = '', v6 = ''] = VPCS[id] ?? []
    const [far4 = '', far6 = ''] = VPCS[other] ?? []
    const peers = [{ vpcId: other, ipv4Cidrs: [far4], ipv6Cidrs: [far6] }]
    const value = create(pb.VpcSchema, { id, ipv4Cidrs: [v4], ipv6Cidrs: [v6], peers })
    all.set(`vpc/${id}`, resource(`vpc/${id}`, { case: 'vpc', value }))
  }
  return all
}

/** Whether the world's ping of one second is answered; `more` are other flags of ping. */
export async function pingsFromWorld(
  inet: SimulatedHost,
  to: string,
  ...more: readonly string[]
): Promise<boolean> {
  const from = to.includes(':') ? WORLD6 : WORLD
  const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', from, ...more, to]
  return (await inet.exec(argv, { okCodes: [0, 1, 2] })).code === 0
}

/** By which address the world sees the pings of an instance; empty when it sees none. */
export async function sourceInWorld(inet: SimulatedHost, rack: Rack, vm: FakeVm): Promise<string> {
  const what = `icmp[icmptype] = 8 and dst host ${WORLD}`
  const listen = ['timeout', '3', 'tcpdump', '-nl', '-i', 'public', '-c', '1', what]
  const heard = inet.exec(listen, { okCodes: [0, 124] })
  await inVm(rack, vm, ['ping', '-n', '-c', '6', '-i', '0.3', '-W', '1', WORLD], [0, 1, 2])
  return / IP ([\d.]+) > /.exec((await heard).stdout)?.[1] ?? ''
}

/** Lets an instance send what is from others. */
export function appliance(desired: Desired, { name }: FakeVm): Desired {
  const one = bodyAt(desired, `interface/${name}`, 'interface')
  if (one === null) throw new Error(`${name} has no interface`)
  const value = create(pb.InterfaceSchema, { ...one, sourceDestCheck: false })
  const changed = resource(`interface/${name}`, { case: 'interface', value })
  return new Map([...desired, [changed.key, changed]])
}
