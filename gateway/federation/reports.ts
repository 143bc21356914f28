// What racks report, into the store: one transaction a report, and none when nothing is new. What
// they say of load balancers is in balancer-reports.ts, of volumes in volume-reports.ts, of tunnels
// to peer clouds in peer-reports.ts, of those to customers' devices in vpn-reports.ts.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import {
  DiskState,
  type HostStatus,
  type InstanceStatus,
  type Status,
  type StorageDisk,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { RbdPool } from '../../proto/gen/mallee/v1/volumes_pb.js'
import type { AgentName } from '../control/desired.ts'
import { nextInstance } from '../control/instance-state.ts'
import { releaseInterfaces, releaseStopped } from '../ec2/release.ts'
import type { DiskReport, RbdPoolReport, VolumeStoreReport } from '../store/disk-records.ts'
import type { HostRecord, HostReport } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { isBalancerNews, recordBalancers } from './balancer-reports.ts'
import { isLinkNews, recordLinks } from './peer-reports.ts'
import { isVolumeNews, recordVolumes } from './volume-reports.ts'
import { isVpnNews, recordVpns } from './vpn-reports.ts'

const MAX_DISKS = 64
const MAX_DIR_CHARS = 256
const DISK_ID = /^[0-9a-f]{8}$/
const DISK_STATES: Readonly<Partial<Record<DiskState, DiskReport['state']>>> = {
  [DiskState.OK]: 'ok',
  [DiskState.FULL]: 'full',
  [DiskState.FAILING]: 'failing',
}

const MAX_PORTAL_CHARS = 64
/** Ceph's monitors are a few, and each has all there is to know. */
const MAX_MONITORS = 16
const MAX_NAME_CHARS = 128

/** Who records a status; the others are about hosts and instances. */
const BALANCING: ReadonlySet<string> = new Set(['balancer', 'target'])
const LINKS = 'peerLink'
const VPNS = 'vpnLink'
const ELSEWHERE: ReadonlySet<string> = new Set([...BALANCING, LINKS, VPNS])

interface Parts {
  readonly state: State
  readonly clock: Clock
  readonly log: Log
}

/** A rack speaks for its own hosts and instances; whatever it says of others is left out. */
export async function recordReport(
  { state, clock, log }: Parts,
  agent: AgentName,
  statuses: readonly Status[],
): Promise<void> {
  const news = statuses.filter((status) => isNews(state.view(), agent, status))
  const of = (kind: string): Status[] => news.filter(({ body }) => body.case === kind)
  const balancing = news.filter(({ body }) => BALANCING.has(body.case ?? ''))
  await recordBalancers(state, agent.rack, balancing)
  await recordLinks(state, agent, of(LINKS))
  await recordVpns(state, agent, of(VPNS))
  const own = news.filter(({ body }) => !ELSEWHERE.has(body.case ?? ''))
  if (own.length > 0) await recordOwn({ state, clock, log }, agent, own)
  // After that: what an instance is now says whether a guest may have its volumes.
  const view = state.view()
  const volumes = statuses.filter((status) => isVolumeNews(view, agent.rack, status))
  await recordVolumes({ state, log }, agent.rack, volumes)
}

async function recordOwn(
  { state, clock, log }: Parts,
  agent: AgentName,
  news: readonly Status[],
): Promise<void> {
  await state.update(async (tx) => {
    for (const { key, body } of news) {
      if (body.case === 'host') await recordHost(tx, agent, body.value, clock.nowMs(), log)
      else if (body.case === 'instance') {
        await recordInstance(tx, agent, body.value, clock.nowMs(), log)
      } else log.debug('unknown status', { ...agent, key })
    }
  })
}

/** Cheap look at the mirror, so that a full report of an unchanged rack writes nothing. */
function isNews(view: View, agent: AgentName, status: Status): boolean {
  const { body } = status
  if (body.case === 'host') {
    const known = view.get('host', agent.rack, body.value.host)
    return known === null || !sameReport(known.status, hostReport(body.value, known.status))
  }
  if (body.case === LINKS) return isLinkNews(view, agent, status)
  if (body.case === VPNS) return isVpnNews(view, agent, status)
  if (body.case !== 'instance') return isBalancerNews(view, agent.rack, status)
  const known = view.get('instance', body.value.id)
  return known === null || nextInstance(known, body.value, 0) !== known
}

async function recordHost(
  tx: Transaction,
  agent: AgentName,
  status: HostStatus,
  nowMs: number,
  log: Log,
): Promise<void> {
  const record = status.rack === agent.rack ? await tx.get('host', agent.rack, status.host) : null
  if (record === null) {
    log.warn('report about an unknown host', { ...agent, about: `${status.rack}/${status.host}` })
    return
  }
  const report = hostReport(status, record.status)
  if (sameReport(record.status, report)) return
  await tx.put('host', [record.rack, record.host], withReport(record, report, nowMs))
}

async function recordInstance(
  tx: Transaction,
  agent: AgentName,
  status: InstanceStatus,
  nowMs: number,
  log: Log,
): Promise<void> {
  const record = await tx.get('instance', status.id)
  if (record === null || record.rack !== agent.rack) {
    log.debug('report about an unknown instance', { ...agent, instance: status.id })
    return
  }
  const next = nextInstance(record, status, nowMs)
  if (next === record) return
  if (next.state !== record.state) {
    log.info('instance state', { instance: record.id, from: record.state, to: next.state })
  }
  const gone = next.state === 'terminated' && record.state !== 'terminated'
  if (gone) await releaseInterfaces(tx, record)
  else if (next.state === 'stopped' && record.state !== 'stopped') await releaseStopped(tx, record)
  await tx.put('instance', [record.id], gone ? { ...next, interfaces: [] } : next)
}

/** The record of a host with another report, and since when it is away. */
export function withReport(record: HostRecord, status: HostReport, nowMs: number): HostRecord {
  const { awaySinceMs = nowMs, ...rest } = record
  return status.connected ? { ...rest, status } : { ...rest, status, awaySinceMs }
}

function hostReport(status: HostStatus, known: HostReport | null): HostReport {
  const volumes = volumeStore(status, known?.volumes)
  return {
    agentVersion: status.agentVersion,
    vcpus: status.vcpus,
    memoryMib: status.memoryMib,
    diskGib: status.diskGib,
    accelerator: status.accelerator,
    ovsDatapath: status.ovsDatapath,
    wireguard: status.wireguard,
    wireguardPublicKey: status.wireguardPublicKey,
    wireguardEndpoints: status.wireguardEndpoints.slice(0, 8),
    ...(status.ipsec !== '' && { ipsec: status.ipsec.slice(0, 20) }),
    ...(status.volumeTarget !== '' && { volumeTarget: status.volumeTarget.slice(0, 20) }),
    connected: status.connected,
    trouble: status.trouble.slice(0, 1_000),
    draining: status.draining,
    ...(status.disks.length > 0 && { disks: status.disks.slice(0, MAX_DISKS).map(diskReport) }),
    ...(volumes !== undefined && { volumes }),
  }
}

/**
 * An SC that serves nothing (yet) has no room, and is found where it was: hosts that have its
 * volumes keep them.
 */
function volumeStore(
  { volumes }: HostStatus,
  known: VolumeStoreReport | undefined,
): VolumeStoreReport | undefined {
  if (volumes === undefined || volumes.portal === '') {
    return known && { ...known, sizeBytes: 0, roomBytes: 0 }
  }
  return {
    portal: volumes.portal.slice(0, MAX_PORTAL_CHARS),
    backend: volumes.backend.slice(0, MAX_PORTAL_CHARS),
    sizeBytes: Number(volumes.sizeBytes),
    roomBytes: Number(volumes.roomBytes),
    snapshots: volumes.snapshots,
    ...(volumes.encrypts && { encrypts: true }),
    ...(volumes.rbd !== undefined && { rbd: rbdReport(volumes.rbd) }),
  }
}

function rbdReport({ fsid, monitors, pool, namespace }: RbdPool): RbdPoolReport {
  const cut = (text: string): string => text.slice(0, MAX_NAME_CHARS)
  return {
    fsid: cut(fsid),
    // Always in one order: another one would be news.
    monitors: monitors.slice(0, MAX_MONITORS).map(cut).toSorted(),
    pool: cut(pool),
    namespace: cut(namespace),
  }
}

function diskReport({ id, directory, state, sizeBytes, roomBytes }: StorageDisk): DiskReport {
  return {
    id: DISK_ID.test(id) ? id : '',
    dir: directory.slice(0, MAX_DIR_CHARS),
    state: DISK_STATES[state] ?? 'away',
    sizeBytes: Number(sizeBytes),
    roomBytes: Number(roomBytes),
  }
}

function sameReport(a: HostReport | null, b: HostReport): boolean {
  return a !== null && JSON.stringify(a) === JSON.stringify(b)
}
