// Addresses for instances: one dnsmasq of this CC answers DHCPv4 and DHCPv6 and advertises the
// router in every network of the rack. It knows each instance by its MAC and keeps nothing itself.

import { rm, writeFile } from 'node:fs/promises'
import { readIfThere } from '../../common/durable-file.ts'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Interface, Network } from '../../proto/gen/mallee/v1/desired_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { formatAddress, mustCidr, size } from '../../topology/cidr.ts'
import {
  type DnsmasqFiles,
  dnsmasqFiles,
  dnsmasqPid,
  prepareDnsmasq,
  rereadHosts,
  startDnsmasq,
  stopDnsmasq,
} from '../host/dnsmasq.ts'
import type { Paths } from '../paths.ts'
import { gatewayPort } from './names.ts'

/** How long a lease or an address lives without renewal (dnsmasq's notation). */
const LEASE = '24h'
/** Seconds between router advertisements, and how long a router is one (RFC 4861, 6.2.1). */
const ADVERTISE_S = 60
const ROUTER_LIFETIME_S = 1_800

interface Seen {
  readonly networks: number
  readonly config: string
  readonly hosts: string
  /** What the running dnsmasq was started with; null when it does not run. */
  readonly runs: { readonly config: string; readonly hosts: string } | null
}

export type DhcpStep =
  | { readonly kind: 'start' | 'restart'; readonly config: string; readonly hosts: string }
  | { readonly kind: 'hosts'; readonly hosts: string }
  | { readonly kind: 'stop' }

export function dhcpReconciler(
  exec: Exec,
  paths: Paths,
  desired: Desired,
): Reconciler<Seen, DhcpStep> {
  const files = dnsmasqFiles(paths)
  return {
    name: 'dhcp',
    observe: async () => {
      const networks = bodies(desired, 'network')
      const runs = (await dnsmasqPid(exec, files)) !== null
      return {
        networks: networks.length,
        config: dhcpConfig(networks, files),
        hosts: dhcpHosts(bodies(desired, 'interface')),
        runs: runs
          ? {
              config: (await readIfThere(files.config)) ?? '',
              hosts: (await readIfThere(files.hosts)) ?? '',
            }
          : null,
      }
    },
    plan: planDhcp,
    apply: (step) => applyStep(exec, files, step),
  }
}

export function planDhcp({ networks, config, hosts, runs }: Seen): DhcpStep[] {
  if (networks === 0) return runs === null ? [] : [{ kind: 'stop' }]
  if (runs === null) return [{ kind: 'start', config, hosts }]
  if (runs.config !== config) return [{ kind: 'restart', config, hosts }]
  return runs.hosts === hosts ? [] : [{ kind: 'hosts', hosts }]
}

/** dnsmasq(8)'s configuration: changes with the set of networks only, not with instances. */
export function dhcpConfig(networks: readonly Network[], files: DnsmasqFiles): string {
  return [
    'port=0',
    'bind-dynamic',
    'no-resolv',
    'no-hosts',
    'no-ping',
    'leasefile-ro',
    'dhcp-authoritative',
    'enable-ra',
    'quiet-dhcp',
    'quiet-dhcp6',
    'quiet-ra',
    `pid-file=${files.pid}`,
    `log-facility=${files.log}`,
    `dhcp-hostsfile=${files.hosts}`,
    ...networks.flatMap(networkConfig),
    '',
  ].join('\n')
}

/** One line an instance's interface: MAC, addresses, name. */
export function dhcpHosts(interfaces: readonly Interface[]): string {
  const lines = interfaces.map(
    ({ mac, ipv4, ipv6, hostname }) => `${mac},${ipv4},[${ipv6}],${hostname},${LEASE}`,
  )
  return `${lines.join('\n')}\n`
}

function networkConfig(network: Network): string[] {
  const port = gatewayPort(network.vlanTag)
  const tag = `n${network.vlanTag}`
  const [base4] = network.ipv4Cidr.split('/')
  const [base6, length6] = network.ipv6Cidr.split('/')
  return [
    `interface=${port}`,
    `dhcp-range=set:${tag},${base4},static,${netmask(network.ipv4Cidr)},${LEASE}`,
    `dhcp-option=tag:${tag},option:router,${network.ipv4Gateway}`,
    // Forced: busybox does not ask for it.
    `dhcp-option-force=tag:${tag},option:mtu,${network.mtu}`,
    `domain=${network.domain},${network.ipv4Cidr}`,
    `dhcp-range=set:${tag},${base6},static,${length6},${LEASE}`,
    `ra-param=${port},mtu:${network.mtu},high,${ADVERTISE_S},${ROUTER_LIFETIME_S}`,
  ]
}

function netmask(cidr: string): string {
  return formatAddress({ family: 4, value: 2n ** 32n - size(mustCidr(cidr)) })
}

async function applyStep(exec: Exec, files: DnsmasqFiles, step: DhcpStep): Promise<void> {
  switch (step.kind) {
    case 'start':
    case 'restart':
      await stopDnsmasq(exec, files)
      await prepareDnsmasq(files)
      await writeFile(files.config, step.config, { mode: 0o644 })
      await writeFile(files.hosts, step.hosts, { mode: 0o644 })
      await startDnsmasq(exec, files)
      return
    case 'hosts':
      await writeFile(files.hosts, step.hosts, { mode: 0o644 })
      await rereadHosts(exec, files)
      return
    case 'stop':
      await stopDnsmasq(exec, files)
      await rm(files.dir, { recursive: true, force: true })
      return
  }
}
