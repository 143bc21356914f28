// DHCPv4, DHCPv6 and router advertisements for all networks of this CC: one dnsmasq without memory.
// Every answer is in its files, so that it can be ended and started at any time.

import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Interface, Network } from '../../proto/gen/mallee/v1/desired_pb.js'
import { mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { never } from '../../topology/result.ts'
import { type Dnsmasq, findDnsmasq, startDnsmasq, stopDnsmasq } from '../host/dnsmasq.ts'
import type { Paths } from '../paths.ts'
import { gatewayPort } from './names.ts'

export interface DhcpFiles {
  /** Named by its content: the command line of the process tells what it runs with. */
  readonly configFile: string
  readonly config: string
  /** File name to its one line. */
  readonly hosts: ReadonlyMap<string, string>
}

export interface DhcpSeen {
  readonly running: Dnsmasq | null
  readonly hosts: ReadonlyMap<string, string>
}

export type DhcpStep =
  | { readonly kind: 'write'; readonly hosts: ReadonlyMap<string, string> }
  | { readonly kind: 'delete'; readonly names: readonly string[] }
  | { readonly kind: 'stop'; readonly daemon: Dnsmasq }
  | { readonly kind: 'start' }

/** Its own default is 1,000; more than all tags times a large subnet cannot be. */
const MAX_LEASES = 1_000_000
const LEASE = '24h'
/** Seconds between advertisements, and how long a router counts as one after the last. */
const RA_INTERVAL_S = 60
const RA_LIFETIME_S = 1800

export function dhcpReconciler(
  { exec, paths }: { readonly exec: Exec; readonly paths: Paths },
  desired: { readonly networks: readonly Network[]; readonly interfaces: readonly Interface[] },
): Reconciler<DhcpSeen, DhcpStep> {
  const at = places(paths)
  const files = dhcpFiles(paths, desired)
  return { name: 'dhcp', observe, plan: (seen) => planDhcp(files, seen), apply }

  async function observe(): Promise<DhcpSeen> {
    const running = await findDnsmasq(exec, at)
    const hosts = new Map<string, string>()
    for (const name of await readdir(at.hosts).catch(() => [])) {
      hosts.set(name, (await readIfThere(join(at.hosts, name))) ?? '')
    }
    return { running, hosts }
  }

  async function apply(step: DhcpStep): Promise<void> {
    switch (step.kind) {
      case 'write':
        await makeFolder(at.hosts)
        for (const [name, line] of step.hosts) await writeHost(join(at.hosts, name), line)
        return
      case 'delete':
        for (const name of step.names) await rm(join(at.hosts, name), { force: true })
        return
      case 'stop':
        await stopDnsmasq(exec, step.daemon)
        if (step.daemon.configFile !== files.configFile) await rm(step.daemon.configFile)
        return
      case 'start':
        await makeFolder(at.hosts)
        await writeDurably(files.configFile, files.config, 0o644)
        return startDnsmasq(exec, { configFile: files.configFile, logFile: at.log })
      default:
        return never(step)
    }
  }
}

/** Ends the daemon; its files go with the run folder's `dhcp`. */
export async function removeDhcp(exec: Exec, paths: Paths): Promise<void> {
  const at = places(paths)
  const running = await findDnsmasq(exec, at)
  if (running !== null) await stopDnsmasq(exec, running)
  await rm(at.dir, { recursive: true, force: true })
}

export function planDhcp(files: DhcpFiles, { running, hosts }: DhcpSeen): DhcpStep[] {
  const steps: DhcpStep[] = []
  const fresh = [...files.hosts].filter(([name, line]) => hosts.get(name) !== line)
  const gone = [...hosts.keys()].filter((name) => !files.hosts.has(name)).sort(ascending)
  if (fresh.length > 0) steps.push({ kind: 'write', hosts: new Map(fresh) })
  if (gone.length > 0) steps.push({ kind: 'delete', names: gone })
  // dnsmasq takes up new files by itself. What it once knew stays in its memory, also the lease
  // that keeps an address from its next owner, until it starts anew.
  const stale = gone.length > 0 || fresh.some(([name]) => hosts.has(name))
  const wanted = files.config !== ''
  if (running !== null && (!wanted || stale || running.configFile !== files.configFile)) {
    steps.push({ kind: 'stop', daemon: running })
    if (wanted) steps.push({ kind: 'start' })
  } else if (running === null && wanted) {
    steps.push({ kind: 'start' })
  }
  return steps
}

/** Everything that dnsmasq shall know; `config` is empty without networks: then none runs. */
export function dhcpFiles(
  paths: Paths,
  desired: { readonly networks: readonly Network[]; readonly interfaces: readonly Interface[] },
): DhcpFiles {
  const at = places(paths)
  const networks = desired.networks.toSorted((a, b) => a.vlanTag - b.vlanTag)
  const known = new Set(networks.map(({ id }) => id))
  const hosts = desired.interfaces
    .filter(({ networkId }) => known.has(networkId))
    .map((one) => [fileName(one.id), hostLine(one)] as const)
  const config = networks.length === 0 ? '' : configOf(at, networks)
  const digest = createHash('sha256').update(config).digest('hex').slice(0, 16)
  return { configFile: join(at.dir, `${digest}.conf`), config, hosts: new Map(hosts) }
}

function configOf(at: ReturnType<typeof places>, networks: readonly Network[]): string {
  return `${[
    // No DNS.
    'port=0',
    'no-resolv',
    'no-hosts',
    'bind-dynamic',
    'except-interface=lo',
    `pid-file=${at.pidFile}`,
    `log-facility=${at.log}`,
    'quiet-dhcp',
    'quiet-dhcp6',
    'quiet-ra',
    'leasefile-ro',
    `dhcp-lease-max=${MAX_LEASES}`,
    // A request for an address that we do not remember is one from before our start.
    'dhcp-authoritative',
    'no-ping',
    'enable-ra',
    `dhcp-hostsdir=${at.hosts}`,
    ...networks.flatMap(networkLines),
  ].join('\n')}\n`
}

function networkLines(network: Network): string[] {
  const { mtu, vlanTag, domain, ipv4Cidr, ipv4Gateway, ipv6Cidr } = network
  const port = gatewayPort(vlanTag)
  const lines = [`interface=${port}`]
  if (ipv4Cidr !== '') {
    const [base = ''] = ipv4Cidr.split('/')
    lines.push(
      `dhcp-range=set:${port},${base},static,${netmask(ipv4Cidr)},${LEASE}`,
      `dhcp-option=tag:${port},option:router,${ipv4Gateway}`,
      // Forced: not every client asks for it, and every one needs it.
      `dhcp-option-force=tag:${port},option:mtu,${mtu}`,
    )
    if (domain !== '') lines.push(`dhcp-option=tag:${port},option:domain-name,${checked(domain)}`)
  }
  if (ipv6Cidr !== '') {
    const [base, length] = ipv6Cidr.split('/')
    lines.push(
      // A static range sets the advertisement's M flag and no A flag: addresses come by DHCPv6
      // only.
      `dhcp-range=set:${port},${base},static,${length},${LEASE}`,
      `ra-param=${port},mtu:${mtu},high,${RA_INTERVAL_S},${RA_LIFETIME_S}`,
    )
  }
  return lines
}

function hostLine({ mac, ipv4, ipv6, hostname }: Interface): string {
  const parts = [mac, ipv4, ipv6 === '' ? '' : `[${ipv6}]`, hostname]
  return `${parts
    .filter((part) => part !== '')
    .map(checked)
    .join(',')}\n`
}

// The files have no quoting: a comma or a new line in a value would be another field or line.
function checked(value: string): string {
  if (/^[\w.:[\]-]+$/.test(value)) return value
  throw new MalleeError('BadMessage', `${JSON.stringify(value)} cannot stand in dnsmasq's files`)
}

function fileName(interfaceId: string): string {
  if (/^[\w][\w.-]{0,63}$/.test(interfaceId)) return interfaceId
  throw new MalleeError('BadMessage', `${JSON.stringify(interfaceId)} is no interface id`)
}

function netmask(cidr: string): string {
  const bits = 0xffff_ffff_0000_0000n >> BigInt(mustCidr(cidr).length)
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.')
}

// dnsmasq reads the folder as user nobody, and is told of new files: a draft that is renamed would
// not do, as it would be read under its first name as well.
async function writeHost(file: string, line: string): Promise<void> {
  await writeFile(file, line, { mode: 0o644 })
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  // Whatever the umask is.
  for (const one of [folder, join(folder, '..')]) await chmod(one, 0o755)
}

function places(paths: Paths): { dir: string; hosts: string; pidFile: string; log: string } {
  const dir = join(paths.runDir, 'dhcp')
  return {
    dir,
    hosts: join(dir, 'hosts'),
    pidFile: join(dir, 'dnsmasq.pid'),
    log: join(dir, 'dnsmasq.log'),
  }
}
