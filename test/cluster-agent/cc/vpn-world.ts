// Two racks, two VPCs with a VPN connection each, and the customers' devices: blue has a tunnel to
// each rack, red one to the first.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { silentLog } from '../../../common/log.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import type { Desired } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import type { SimulatedHost } from '../../support/netns.ts'
import {
  byTunnel,
  type Customer,
  configureDevice,
  FAR,
  FAR4,
  FAR6,
  keyFor,
  linkOf,
  makeDevice,
  startCustomer,
  type Tunnel,
  withLinks,
} from './customers.ts'
import { type Wishes, withPublic } from './public-racks.ts'
import {
  BLUE_A,
  BLUE_B,
  type FakeVm,
  inVm,
  pings,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
} from './two-racks.ts'

const FIRST_RACK = 'fd00:fab:0:1::1'
const BLUE = ['10.0.0.0/20', 'fd01::/56'] as const
const RED = ['10.16.0.0/20', 'fd02::/56'] as const

export interface VpnWishes {
  readonly routes?: Wishes['routes']
  readonly mtu?: number
  /** The number of a tunnel. */
  readonly without?: number
}

export interface VpnWorld {
  readonly a: Rack
  readonly b: Rack
  /** The router between all. */
  readonly inet: SimulatedHost
  readonly ccs: readonly [Cc, Cc]
  readonly blues: Customer
  readonly reds: Customer
  readonly tunnels: readonly [blue: Tunnel, red: Tunnel, second: Tunnel]
  /** Of the first rack. */
  readonly desired: (wishes?: VpnWishes) => Desired
  /** That rack's pass. */
  readonly pass: (wishes?: VpnWishes) => Promise<void>
  /** The other rack's, with more routes: of subnet blue-1 those that lead there. */
  readonly passSecond: (routes?: Wishes['routes']) => Promise<void>
  readonly stop: () => Promise<void>
}

/** All tunnels are up. */
export async function startVpnWorld(): Promise<VpnWorld> {
  const ports = [51_820, 51_821, 51_822, 51_823, 44_001, 44_002, 44_003]
  const { racks, inet, stop: stopRacks } = await startTwoRacks({ ports })
  const [a, b] = racks
  const dir = await mkdtemp(join(tmpdir(), 'mallee-customers-'))
  const hosts: SimulatedHost[] = []
  const stop = async (): Promise<void> => {
    for (const host of hosts) await host.stop()
    await stopRacks()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const at = { inet, machine: a.machine, dir }
    const blues = await startCustomer({ name: 'blues', net: 11, blocks: BLUE }, at)
    hosts.push(blues.host)
    const reds = await startCustomer({ name: 'reds', net: 12, blocks: RED }, at)
    hosts.push(reds.host)
    const tunnels = [
      await makeDevice(1, blues, { rack: 1, dials: true }),
      await makeDevice(2, reds, { rack: 1, dials: false }),
      await makeDevice(3, blues, { rack: 2, dials: true }),
    ] as const
    const ccs = [await a.open(silentLog), await b.open(silentLog)] as const
    const desired = desiredOfFirst(ccs[1], tunnels)
    const pass = (wishes?: VpnWishes) => ccs[0].pass(desired(wishes))
    const passSecond = (routes: Wishes['routes'] = {}) =>
      ccs[1].pass(desiredOfSecond(ccs[0], tunnels, routes))
    await Promise.all([pass(), passSecond()])
    await plugAll(a, b)
    // The last one decides by which its packets to the VPC go.
    for (const one of tunnels.toReversed()) {
      await configureDevice(one, keyFor(one.rack === 1 ? ccs[0] : ccs[1], one.number))
    }
    await until('the tunnels are up', async () => {
      const all = [pings(a, BLUE_A, FAR4), pings(b, BLUE_B, FAR4), pings(a, RED_A, FAR4)]
      return (await Promise.all(all)).every((one) => one)
    })
    return { a, b, inet, ccs, blues, reds, tunnels, desired, pass, passSecond, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function desiredOfFirst(other: Cc, [blue, red]: VpnWorld['tunnels']): VpnWorld['desired'] {
  return ({ routes, mtu, without } = {}) => {
    const links = [blue, red].filter(({ number }) => number !== without)
    const all = {
      ...{ 'blue-1': byTunnel(1), 'blue-2': byTunnel(1), 'red-1': byTunnel(2) },
      ...routes,
    }
    const wishes = { routes: all, foreign: ['blue-2'] }
    return withLinks(
      withPublic(1, other.wireguardPublicKey(), wishes),
      links.map((one) => linkOf(one, mtu)),
    )
  }
}

function desiredOfSecond(
  first: Cc,
  [, , second]: VpnWorld['tunnels'],
  more: Wishes['routes'],
): Desired {
  const wishes = { routes: { 'blue-2': byRack(FIRST_RACK), ...more }, foreign: ['blue-1'] }
  return withLinks(withPublic(2, first.wireguardPublicKey(), wishes), [linkOf(second)])
}

/** Routes to what is behind a device of another rack. */
export function byRack(fabricAddress: string) {
  return FAR.map((one) => [one, RouteKind.RACK, fabricAddress] as const)
}

async function plugAll(a: Rack, b: Rack): Promise<void> {
  for (const [rack, vm, tag] of [
    [a, BLUE_A, 11],
    [a, RED_A, 12],
    [b, BLUE_B, 13],
  ] as const) {
    await plugVm(rack, vm, tag, silentLog)
    await settleVm(rack, vm)
    await inVm(rack, vm, ['busybox', 'httpd', '-p', '[::]:80', '-h', '/etc'])
  }
}

/** What a customer's host says to an instance. */
export async function get(rack: Rack, vm: FakeVm, host: string): Promise<string> {
  const argv = ['curl', '-gsS', '--max-time', '5', `http://${host}/hello`]
  return (await inVm(rack, vm, argv)).stdout
}

/** Whether an instance's server answers the LAN of a customer. */
export async function asksFrom({ host }: Customer, to: string): Promise<boolean> {
  const from = ['--interface', to.startsWith('[') ? FAR6 : FAR4]
  const argv = ['curl', '-gsS', '--max-time', '3', ...from, `http://${to}/hostname`]
  return (await host.exec(argv, { okCodes: [0, 7, 28] })).code === 0
}

/** What ping says of one from an instance. */
export async function pingOut(rack: Rack, vm: FakeVm, ...argv: string[]): Promise<string> {
  return (await inVm(rack, vm, ['ping', '-n', '-c', '1', '-W', '1', ...argv], [0, 1, 2])).stdout
}

/** What ping says of one from a customer. */
export async function pingIn(
  { host }: Customer,
  from: string,
  to: string,
  ...more: string[]
): Promise<string> {
  const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', from, ...more, to]
  return (await host.exec(argv, { okCodes: [0, 1, 2] })).stdout
}

/** What was learned of the sizes of packets. */
export async function forget(run: (argv: readonly string[]) => Promise<unknown>): Promise<void> {
  for (const family of ['-4', '-6']) await run(['ip', family, 'route', 'flush', 'cache'])
}
