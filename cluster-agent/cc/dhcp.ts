// DHCPv4, DHCPv6, router advertisements and DNS for all networks of this CC: one dnsmasq that is
// told of changes while it runs. Every answer is in its files: it can be ended and started at any
// time, and no lease is lost.

import { createHash } from 'node:crypto'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { never } from '../../topology/result.ts'
import {
  type Dnsmasq,
  findDnsmasq,
  reloadDnsmasq,
  startDnsmasq,
  stopDnsmasq,
} from '../host/dnsmasq.ts'
import type { Paths } from '../paths.ts'
import {
  type DhcpDesired,
  type DhcpFiles,
  dhcpFiles,
  dhcpPlaces,
  type Served,
} from './dhcp-files.ts'

export interface DhcpSeen {
  readonly running: Dnsmasq | null
  /** What the running daemon was told last; null when that is not known. */
  readonly told: Told | null
}

export interface Told {
  /** Of the texts that it has read. */
  readonly digest: string
  /** Since it started. */
  readonly served: Served
}

export type DhcpStep =
  | { readonly kind: 'write'; readonly hosts: string }
  | { readonly kind: 'stop'; readonly daemon: Dnsmasq }
  | { readonly kind: 'start'; readonly told: Told }
  | { readonly kind: 'reload'; readonly daemon: Dnsmasq; readonly told: Told }

/** Beyond what is in use; a daemon that remembers more starts anew. */
const MAX_FORMER = 10_000
const MAX_MACS = 8

export function dhcpReconciler(
  { exec, paths }: { readonly exec: Exec; readonly paths: Paths },
  desired: DhcpDesired,
): Reconciler<DhcpSeen, DhcpStep> {
  const at = dhcpPlaces(paths)
  const files = dhcpFiles(paths, desired)
  return { name: 'dhcp', observe, plan: (seen) => planDhcp(files, seen), apply }

  async function observe(): Promise<DhcpSeen> {
    const running = await findDnsmasq(exec, at)
    return { running, told: running === null ? null : await readTold(running.pid) }
  }

  async function apply(step: DhcpStep): Promise<void> {
    switch (step.kind) {
      case 'write':
        await makeFolder(at.dir)
        // As user nobody reads them.
        await writeDurably(at.hosts, step.hosts, 0o644)
        await writeDurably(at.options, files.options, 0o644)
        await writeDurably(at.names, files.names, 0o644)
        return writeDurably(at.domains, files.domains, 0o644)
      case 'stop':
        await stopDnsmasq(exec, step.daemon)
        if (step.daemon.configFile !== files.configFile) await rm(step.daemon.configFile)
        return
      case 'start':
        await writeDurably(files.configFile, files.config, 0o644)
        await startDnsmasq(exec, { configFile: files.configFile, logFile: at.log })
        return remember((await findDnsmasq(exec, at))?.pid ?? 0, step.told)
      case 'reload':
        await reloadDnsmasq(exec, step.daemon)
        return remember(step.daemon.pid, step.told)
      default:
        return never(step)
    }
  }

  async function remember(pid: number, told: Told): Promise<void> {
    await writeDurably(at.told, JSON.stringify({ pid, ...told }))
  }

  async function readTold(pid: number): Promise<Told | null> {
    try {
      const kept = JSON.parse((await readIfThere(at.told)) ?? 'null') as
        | (Told & { readonly pid: number })
        | null
      return kept?.pid === pid ? { digest: kept.digest, served: kept.served } : null
    } catch {
      return null
    }
  }
}

/** Ends the daemon; its files go with the run folder's `dhcp`. */
export async function removeDhcp(exec: Exec, paths: Paths): Promise<void> {
  const at = dhcpPlaces(paths)
  const running = await findDnsmasq(exec, at)
  if (running !== null) await stopDnsmasq(exec, running)
  await rm(at.dir, { recursive: true, force: true })
}

/**
 * dnsmasq's memory of leases outlives what its files say. An IPv4 address may pass to its next
 * owner with the former ones' MACs on its line; an IPv6 address cannot, so then it starts anew, as
 * it does for another configuration.
 */
export function planDhcp(files: DhcpFiles, { running, told }: DhcpSeen): DhcpStep[] {
  if (files.config === '') return running === null ? [] : [{ kind: 'stop', daemon: running }]
  const served = merged(told?.served ?? {}, files.owners)
  const kept = running?.configFile === files.configFile && !isStale(served, files.owners)
  const known = kept ? served : files.owners
  const hosts = files.hosts(known)
  const next = {
    digest: digestOf([hosts, files.options, files.names, files.domains]),
    served: known,
  }
  if (running !== null && kept) {
    if (told?.digest === next.digest) return []
    return [
      { kind: 'write', hosts },
      { kind: 'reload', daemon: running, told: next },
    ]
  }
  const start: DhcpStep[] = [
    { kind: 'write', hosts },
    { kind: 'start', told: next },
  ]
  return running === null ? start : [{ kind: 'stop', daemon: running }, ...start]
}

/** The present owner last. */
function merged(served: Served, owners: Served): Served {
  const all: Record<string, readonly string[]> = { ...served }
  for (const [address, [mac = '']] of Object.entries(owners)) {
    const former = all[address] ?? []
    if (former.at(-1) !== mac) all[address] = [...former.filter((one) => one !== mac), mac]
  }
  return all
}

function isStale(served: Served, owners: Served): boolean {
  const all = Object.entries(served)
  if (all.length > Object.keys(owners).length + MAX_FORMER) return true
  return all.some(([address, macs]) =>
    address.includes(':') ? macs.length > 1 : macs.length > MAX_MACS,
  )
}

function digestOf(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex')
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  // Whatever the umask is.
  for (const one of [folder, join(folder, '..')]) await chmod(one, 0o755)
}
