// What rack-join looks at before anything changes: one line a check, and what to do where it fails.

import { connect, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { probeAccelerator } from '../../common/accelerator.ts'
import { MAX_JOIN_SKEW_MS } from '../../common/clock.ts'
import { messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { probeMachine } from '../../common/machine.ts'
import { contains, mustCidr, parseAddress } from '../../topology/cidr.ts'
import type { PublicInterface } from '../config.ts'
import { listLinks } from '../host/ip.ts'
import type { Role } from '../role.ts'

export interface Check {
  readonly name: string
  readonly outcome: 'ok' | 'warning' | 'failed'
  readonly sentence: string
}

const CONNECT_MS = 5_000
/** Below it a tunnel cannot carry IPv6's 1280 bytes (RFC 8200, 5) behind 80 of WireGuard. */
const MIN_UNDERLAY_MTU = 1_360

const PROGRAMS: Readonly<Record<Role, readonly string[]>> = {
  cc: [
    ...['ip', 'bridge', 'arping', 'ethtool', 'wg', 'ovs-vsctl', 'ovs-ofctl', 'nft', 'dnsmasq'],
    'sysctl',
  ],
  nc: [
    ...['ip', 'ovs-vsctl', 'ovs-ofctl', 'nft', 'qemu-system-x86_64', 'qemu-img'],
    ...['haproxy', 'conntrack', 'ethtool', 'nsenter', 'sysctl'],
  ],
  sc: [],
}

export interface HostChecks {
  readonly roles: readonly Role[]
  readonly trunk: string | null
  readonly public: PublicInterface | null
  readonly runDir: string
}

/** The host itself: programs, kernel or stand-ins, the trunk NIC. Changes nothing. */
export async function checkHost(
  exec: Exec,
  { roles, trunk, public: side, runDir }: HostChecks,
): Promise<Check[]> {
  const missing: string[] = []
  for (const program of new Set(roles.flatMap((role) => PROGRAMS[role]))) {
    const { code } = await exec(['sh', '-c', 'command -v "$0"', program], { okCodes: [0, 127, 1] })
    if (code !== 0) missing.push(program)
  }
  const checks: Check[] = [
    process.getuid?.() === 0
      ? fine('user', 'root')
      : failed('user', `uid ${process.getuid?.()}: rack-join needs root, try sudo`),
    missing.length === 0
      ? fine('programs', 'all there')
      : failed('programs', `missing: ${missing.join(', ')}; install them from Debian`),
  ]
  if (roles.includes('cc') || roles.includes('nc')) {
    const machine = await probeMachine(exec)
    checks.push(backend('Open vSwitch', machine.ovs))
    if (roles.includes('cc')) checks.push(backend('WireGuard', machine.wireguard))
    for (const note of machine.details.notes) checks.push(warning('note', note))
  }
  if (roles.includes('nc')) {
    const { kind, sentence } = await probeAccelerator(exec, { runDir })
    checks.push(kind === 'kvm' ? fine('accelerator', 'KVM') : warning('accelerator', sentence))
  }
  if (trunk !== null) checks.push(checkTrunk(trunk))
  if (side !== null) checks.push(await checkPublic(exec, side, { roles, trunk }))
  return checks
}

async function checkPublic(
  exec: Exec,
  { device, ipv4NextHop, ipv6NextHop }: PublicInterface,
  { roles, trunk }: Pick<HostChecks, 'roles' | 'trunk'>,
): Promise<Check> {
  const name = 'public side'
  if (!roles.includes('cc')) {
    return failed(name, `${device}: only a host with the role cc has a public side`)
  }
  if (device === trunk) return failed(name, `${device} is the trunk, which is for tenants only`)
  const link = (await listLinks(exec)).find((one) => one.name === device)
  if (link === undefined) return failed(name, `there is no network device ${device}`)
  for (const [hop, family] of [
    [ipv4NextHop, 4],
    [ipv6NextHop, 6],
  ] as const) {
    if (hop === null) continue
    if (isIP(hop) !== family) return failed(name, `${hop} is no IPv${family} address`)
    if (link.addresses.some(({ cidr }) => cidr.startsWith(`${hop}/`))) {
      return failed(name, `${hop} is this host's own address, it must be its router's`)
    }
  }
  if (!link.up) return warning(name, `${device} is down: nothing goes out until it is up`)
  const hops = [ipv4NextHop, ipv6NextHop].filter((hop) => hop !== null).join(' and ')
  return fine(name, `${device}, by ${hops}`)
}

function checkTrunk(trunk: string): Check {
  const addresses = networkInterfaces()[trunk] ?? []
  const used = addresses.filter((one) => !one.address.startsWith('fe80:'))
  if (used.length === 0) return fine('trunk', `${trunk} becomes a VLAN trunk`)
  const have = used.map((one) => one.address).join(', ')
  return failed(
    'trunk',
    `${trunk} has the address ${have}: a trunk is for tenants only, use another`,
  )
}

/** Can the parent be reached, and how far apart are the clocks? */
export async function checkPort(host: string, port: number): Promise<Check> {
  try {
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host, port, timeout: CONNECT_MS })
      socket.on('connect', () => {
        socket.destroy()
        resolve()
      })
      socket.on('timeout', () => socket.destroy(new Error(`no answer within ${CONNECT_MS} ms`)))
      socket.on('error', reject)
    })
    return fine('reach', `${host} port ${port} answers`)
  } catch (error) {
    const sentence = `${host} port ${port}: ${messageOf(error)}; is it up, and does a firewall block it`
    return failed('reach', sentence)
  }
}

export function checkClock(theirMs: number, ourMs: number): Check {
  const skewMs = ourMs - theirMs
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  if (Math.abs(skewMs) <= MAX_JOIN_SKEW_MS) return fine('clock', `${seconds} s from the gateway's`)
  const [here, there] = [new Date(ourMs), new Date(theirMs)].map((date) => date.toISOString())
  const sentence = `${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the gateway's (here ${here}, there ${there}); set the clock, best by NTP, then join again`
  return failed('clock', sentence)
}

/** The MTU towards the parent, from the kernel's route and device. */
export async function checkMtu(exec: Exec, towards: string): Promise<Check> {
  const route = await exec(['ip', '-json', 'route', 'get', towards], { okCodes: [0, 1, 2] })
  if (route.code !== 0) return warning('MTU', `no route to ${towards} to measure`)
  const [{ dev = '' } = {}] = JSON.parse(route.stdout) as { dev?: string }[]
  const { stdout } = await exec(['ip', '-json', 'link', 'show', 'dev', dev])
  const [{ mtu = 0 } = {}] = JSON.parse(stdout) as { mtu?: number }[]
  if (mtu >= 1_500) return fine('MTU', `${mtu} on ${dev}`)
  if (mtu >= MIN_UNDERLAY_MTU) {
    return warning('MTU', `${mtu} on ${dev}: full packets of tenants are fragmented below 1500`)
  }
  return failed('MTU', `${mtu} on ${dev}: at least ${MIN_UNDERLAY_MTU} are needed for IPv6`)
}

/** Do addresses of this host lie in what the rack would route? */
export function checkAddresses(fabric: string): Check {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const prefix = mustCidr(fabric)
  const clash = own.find(({ address }) => {
    const parsed = parseAddress(address)
    return parsed.ok && contains(prefix, parsed.value)
  })
  if (clash === undefined) return fine('addresses', `no address of this host is in ${fabric}`)
  return failed('addresses', `${clash.address} of this host is in the cloud's fabric ${fabric}`)
}

function backend(name: string, kind: 'kernel' | 'userspace' | 'missing'): Check {
  if (kind === 'kernel') return fine(name, "the kernel's")
  if (kind === 'userspace') return warning(name, 'a stand-in in user space')
  return failed(name, "neither the kernel's nor a stand-in is here")
}

export function fine(name: string, sentence: string): Check {
  return { name, outcome: 'ok', sentence }
}

export function warning(name: string, sentence: string): Check {
  return { name, outcome: 'warning', sentence }
}

export function failed(name: string, sentence: string): Check {
  return { name, outcome: 'failed', sentence }
}
