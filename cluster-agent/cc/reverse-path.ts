// Reverse path filtering drops what comes in by a device that would not lead back, and by a device
// without an IPv4 address even when it is loose: what an appliance forwards, and neighbours that
// ask for a public address. It ends on the CC's devices and the public one, whose senders nftables
// and WireGuard check. The kernel takes the greater of a device's value and `all`'s: strictness
// moves from there to each of the host's other devices, which stay as strict as they were.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { listLinks, readSysctls, writeSysctls } from '../host/ip.ts'
import { noteOriginals } from '../host/originals.ts'
import type { Paths } from '../paths.ts'
import { gatewayPort, peerDevice, stretchDevice, TRANSIT_DEVICE, TUNNEL_DEVICE } from './names.ts'
import type { Tenants } from './tenants.ts'
import { slashed } from './underlay.ts'

export interface ReversePaths {
  /** Devices of the CC's own: they go with it. */
  readonly own: readonly string[]
  /** The host's device that is for tenants alone; null without one. */
  readonly publicDevice: string | null
}

/** `rp_filter` by device, also of `all` and `default` (kernel documentation, "ip-sysctl"). */
export type ReversePathSeen = ReadonlyMap<string, string>

export interface ReversePathStep {
  /** By device, in this order: no device is less strict in between than it shall be. */
  readonly values: ReadonlyMap<string, string>
  /** Those among them that `rack-join leave` puts back. */
  readonly hosts: readonly string[]
}

export function reversePathReconciler(
  { exec, paths }: { readonly exec: Exec; readonly paths: Paths },
  desired: ReversePaths,
): Reconciler<ReversePathSeen, ReversePathStep> {
  let seen: ReversePathSeen = new Map()
  return {
    name: 'reverse path',
    observe: async () => {
      const links = (await listLinks(exec)).map(({ name }) => name)
      const devices = ['all', 'default', ...links]
      const values = await readSysctls(exec, devices.map(keyOf))
      seen = new Map(devices.map((device) => [device, values.get(keyOf(device)) ?? '0']))
      return seen
    },
    plan: (now) => planReversePaths(desired, now),
    apply: async ({ values, hosts }) => {
      const were = hosts.map((device) => [keyOf(device), seen.get(device) ?? '0'])
      await noteOriginals(paths, { sysctls: Object.fromEntries(were) })
      await writeSysctls(exec, new Map([...values].map(([device, one]) => [keyOf(device), one])))
    },
  }
}

export function reversePathsOf(
  { networks, peerLinks, vpnDevices }: Pick<Tenants, 'networks' | 'peerLinks' | 'vpnDevices'>,
  publicDevice: string | null,
): ReversePaths {
  const own = [
    ...networks.map(({ vlanTag }) => gatewayPort(vlanTag)),
    ...networks.filter((one) => one.stretched).map(({ vlanTag }) => stretchDevice(vlanTag)),
    ...peerLinks.map(({ number }) => peerDevice(number)),
    ...vpnDevices.values(),
    ...[TRANSIT_DEVICE, TUNNEL_DEVICE],
  ]
  return { own, publicDevice }
}

export function planReversePaths(
  { own, publicDevice }: ReversePaths,
  seen: ReversePathSeen,
): ReversePathStep[] {
  const open = new Set([...own, publicDevice ?? ''])
  const all = seen.get('all') ?? '0'
  const ofUs = [...seen].filter(([device]) => open.has(device))
  if (ofUs.every(([, value]) => value === '0' && all === '0')) return []
  const hosts = [...seen].filter(([device]) => !open.has(device) && device !== 'all')
  const changed: [string, string][] = [
    ...hosts.flatMap(([device, value]): [string, string][] => (value < all ? [[device, all]] : [])),
    ...(all === '0' ? [] : [['all', '0'] satisfies [string, string]]),
    ...ofUs.flatMap(([device, value]): [string, string][] =>
      value === '0' ? [] : [[device, '0']],
    ),
  ]
  const mine = new Set(own)
  const names = changed.map(([device]) => device)
  return [{ values: new Map(changed), hosts: names.filter((device) => !mine.has(device)) }]
}

function keyOf(device: string): string {
  return `net.ipv4.conf.${slashed(device)}.rp_filter`
}
