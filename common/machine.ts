// What this machine has for the overlay: the kernel's WireGuard, Open vSwitch and IPsec, their
// userspace stand-ins, or neither. Every answer comes from trying, none from a version number.

import type { Exec } from './exec.ts'

export type Backend = 'kernel' | 'userspace' | 'missing'

export interface Machine {
  readonly wireguard: Backend
  readonly ovs: Backend
  /** strongSwan, with the kernel's XFRM interfaces or its own library and a TUN device. */
  readonly ipsec: Backend
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

// As Debian has it; others may lack plugins that they need.
const PLUGINS = '/usr/lib/ipsec/plugins/libstrongswan'
/** Of an SA that is made and removed within one probe; `ml` and a number. */
const PROBE_SPI = '0x6d6c0001'

/**
 * Tries what the overlay needs. Makes and removes a WireGuard link, an XFRM interface and an SA
 * from the host to itself, and may load the kernel's modules for them and `openvswitch`. Needs
 * root; without it everything reads `missing` or `userspace`.
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

  const charon = await hasStrongswan(exec)
  if (charon) note('strongswan', await versionOf(exec, ['swanctl', '--version']))

  const kernelWireguard = wg && (await kernelHasWireguard(exec))
  const wireguard = kernelWireguard ? 'kernel' : wg && wireguardGo && tun ? 'userspace' : 'missing'
  const kernelOvs = vswitchd && (await kernelHasOvs(exec))
  const ovs = kernelOvs ? 'kernel' : vswitchd && tun ? 'userspace' : 'missing'
  const kernelIpsec = charon && (await kernelHasIpsec(exec))
  const libipsec = charon && (await succeeds(exec, ['test', '-e', `${PLUGINS}-kernel-libipsec.so`]))
  const ipsec = kernelIpsec ? 'kernel' : libipsec && tun ? 'userspace' : 'missing'

  const notes = [
    wireguard === 'userspace' ? WIREGUARD_USERSPACE : null,
    wg ? null : 'wg is not installed (Debian: wireguard-tools): no tunnels between racks',
    wg && wireguard === 'missing' ? WIREGUARD_MISSING : null,
    ovs === 'userspace' ? OVS_USERSPACE : null,
    vswitchd ? null : 'ovs-vswitchd is not installed (Debian: openvswitch-switch): no networks',
    ipsec === 'userspace' ? IPSEC_USERSPACE : null,
    charon ? null : NO_STRONGSWAN,
    charon && ipsec === 'missing' ? IPSEC_MISSING : null,
    haproxy && conntrack ? null : NO_BALANCERS,
    tun ? null : '/dev/net/tun is missing: no userspace stand-ins, no instances',
  ].filter((sentence) => sentence !== null)
  return { wireguard, ovs, ipsec, details: { versions, notes } }
}

const WIREGUARD_USERSPACE =
  'the kernel has no WireGuard: wireguard-go stands in, about a tenth of the throughput ' +
  'and a third of a millisecond more per packet'
const WIREGUARD_MISSING =
  'the kernel has no WireGuard and wireguard-go is not installed: no tunnels between racks'
const NO_STRONGSWAN =
  'strongSwan is not installed (Debian: charon-systemd, libstrongswan-standard-plugins): ' +
  'no VPN connections to IPsec devices'
const IPSEC_USERSPACE =
  'the kernel has no IPsec with XFRM interfaces: strongSwan handles packets itself, ' +
  'and all VPN connections to IPsec devices share one of its threads'
const IPSEC_MISSING =
  'the kernel has no IPsec with XFRM interfaces, and strongSwan no plugin for its own ' +
  '(Debian: libcharon-extra-plugins): no VPN connections to IPsec devices'
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

/** The program does nothing but run: there is no flag that would only ask. */
async function hasStrongswan(exec: Exec): Promise<boolean> {
  return (
    (await succeeds(exec, ['sh', '-c', 'command -v charon-systemd'])) &&
    (await succeeds(exec, ['test', '-e', `${PLUGINS}-openssl.so`]))
  )
}

async function kernelHasIpsec(exec: Exec): Promise<boolean> {
  await succeeds(exec, ['ip', 'link', 'delete', PROBE_LINK])
  const link = ['ip', 'link', 'add', PROBE_LINK, 'type', 'xfrm', 'if_id', '1']
  if (!(await succeeds(exec, link))) return false
  await exec(['ip', 'link', 'delete', PROBE_LINK])
  for (const host of ['127.0.0.1', '::1']) {
    const id = ['src', host, 'dst', host, 'proto', 'esp', 'spi', PROBE_SPI]
    await succeeds(exec, ['ip', 'xfrm', 'state', 'delete', ...id])
    const keys = ['aead', 'rfc4106(gcm(aes))', `0x${'00'.repeat(20)}`, '128']
    const add = ['ip', 'xfrm', 'state', 'add', ...id, 'mode', 'tunnel', 'if_id', '1', ...keys]
    if (!(await succeeds(exec, add))) return false
    await exec(['ip', 'xfrm', 'state', 'delete', ...id])
  }
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
