// What this machine has for the overlay: the kernel's WireGuard and Open vSwitch, their userspace
// stand-ins, or neither. Every answer comes from trying, none from a version number.

import type { Exec } from './exec.ts'

export type Backend = 'kernel' | 'userspace' | 'missing'

export interface Machine {
  readonly wireguard: Backend
  readonly ovs: Backend
  readonly details: MachineDetails
}

export interface MachineDetails {
  /** Of the programs that are installed, by name: `ovs-vswitchd`, `wg`, `haproxy`. */
  readonly versions: Readonly<Record<string, string>>
  /** One sentence for each thing that is missing or stands in, and what that costs. */
  readonly notes: readonly string[]
}

// Made and removed within one probe. A fixed name: a probe that was killed leaves one, not many.
const PROBE_LINK = 'mlprobe0'

/**
 * Tries what the overlay needs. Makes and removes one WireGuard link and may load the kernel's
 * modules `wireguard` and `openvswitch`. Needs root; without it everything reads `missing` or
 * `userspace`.
 */
export async function probeMachine(exec: Exec): Promise<Machine> {
  const versions: Record<string, string> = {}
  const note = (name: string, version: string | null) => {
    if (version !== null) versions[name] = version
    return version !== null
  }
  const wg = note('wg', await versionOf(exec, ['wg', '--version']))
  const wireguardGo = note('wireguard-go', await versionOf(exec, ['wireguard-go', '--version']))
  const vswitchd = note('ovs-vswitchd', await versionOf(exec, ['ovs-vswitchd', '--version']))
  const haproxy = note('haproxy', await versionOf(exec, ['haproxy', '-v']))
  const conntrack = await succeeds(exec, ['conntrack', '--version'])
  const tun = await succeeds(exec, ['test', '-c', '/dev/net/tun'])

  const kernelWireguard = wg && (await kernelHasWireguard(exec))
  const wireguard = kernelWireguard ? 'kernel' : wg && wireguardGo && tun ? 'userspace' : 'missing'
  const kernelOvs = vswitchd && (await kernelHasOvs(exec))
  const ovs = kernelOvs ? 'kernel' : vswitchd && tun ? 'userspace' : 'missing'

  const notes = [
    wireguard === 'userspace' ? WIREGUARD_USERSPACE : null,
    wg ? null : 'wg is not installed (Debian: wireguard-tools): no tunnels between racks',
    wg && wireguard === 'missing' ? WIREGUARD_MISSING : null,
    ovs === 'userspace' ? OVS_USERSPACE : null,
    vswitchd ? null : 'ovs-vswitchd is not installed (Debian: openvswitch-switch): no networks',
    haproxy && conntrack ? null : NO_BALANCERS,
    tun ? null : '/dev/net/tun is missing: no userspace stand-ins, no instances',
  ].filter((sentence) => sentence !== null)
  return { wireguard, ovs, details: { versions, notes } }
}

const WIREGUARD_USERSPACE =
  'the kernel has no WireGuard: wireguard-go stands in, about a tenth of the throughput ' +
  'and a third of a millisecond more per packet'
const WIREGUARD_MISSING =
  'the kernel has no WireGuard and wireguard-go is not installed: no tunnels between racks'
const NO_BALANCERS =
  'haproxy or conntrack is not installed (Debian: the same names): no load balancers on this host'
const OVS_USERSPACE =
  'the kernel has no Open vSwitch: the userspace data path stands in, about as dear as ' +
  'encryption for each switch a packet passes'

async function kernelHasWireguard(exec: Exec): Promise<boolean> {
  await succeeds(exec, ['ip', 'link', 'delete', PROBE_LINK])
  if (!(await succeeds(exec, ['ip', 'link', 'add', PROBE_LINK, 'type', 'wireguard']))) return false
  await exec(['ip', 'link', 'delete', PROBE_LINK])
  return true
}

async function kernelHasOvs(exec: Exec): Promise<boolean> {
  await succeeds(exec, ['modprobe', '--quiet', 'openvswitch'])
  // Asks the kernel's generic netlink family, which is there or is not, built in or as a module.
  return succeeds(exec, ['ovs-dpctl', '--timeout=5', 'dump-dps'])
}

async function versionOf(exec: Exec, argv: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await exec(argv, { timeoutMs: 5_000 })
    return stdout.split('\n')[0]?.match(/v?(\d+(?:\.\d+)+\S*)/)?.[1] ?? 'unknown'
  } catch {
    return null
  }
}

async function succeeds(exec: Exec, argv: readonly string[]): Promise<boolean> {
  try {
    await exec(argv, { timeoutMs: 10_000 })
    return true
  } catch {
    return false
  }
}
