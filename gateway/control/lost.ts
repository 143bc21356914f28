// Hosts that never come back. The operator says so; their instances end, or stop where they boot
// from a volume of another host; their volumes are in error, what they held is given back, their
// numbers rest in quarantine, and their certificates are worthless. It is said in one transaction
// and done in several: whichever gateway is there next goes on.

import type { Clock } from '../../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  hasRights,
  isHostFree,
  isRootKept,
  type MoveParts,
  renewAttachments,
} from '../ebs/moving.ts'
import { holdVolumes, loseVolumes, volumesOn } from '../ebs/volume-hosts.ts'
import { placedOn } from '../ec2/capacity.ts'
import { transitionTime } from '../ec2/instance-shape.ts'
import { releaseInterfaces, releaseStopped } from '../ec2/release.ts'
import type { HostRecord, InstanceRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { releaseLost } from './attachment-housekeeping.ts'
import { checkRackEmpties, withoutHost } from './departure.ts'

interface Parts extends MoveParts {
  readonly clock: Clock
  readonly log: Log
}

/** Instances of one transaction: each gives back its interfaces and addresses. */
const BATCH = 50
const CODE = 'Server.InternalError'

/**
 * Says that hosts of a rack never come back. Throws Conflict, and nothing is said, while one of
 * them is connected with something that runs, or when they are the rack's last and the rack has
 * something that must go first.
 */
export async function declareLost(
  { state, clock }: Pick<Parts, 'state' | 'clock'>,
  rack: string,
  hosts: readonly string[],
): Promise<void> {
  const nowMs = clock.nowMs()
  await state.update(async (tx) => {
    const records: HostRecord[] = []
    for (const host of hosts) {
      const record = await tx.get('host', rack, host)
      if (record === null) throw new MalleeError('HostNotFound', `rack ${rack} has no host ${host}`)
      // Who places something there writes it: the two conflict.
      await tx.get('placed', rack, host)
      await holdVolumes(tx, { rack, host })
      records.push(record)
    }
    const view = await state.fresh()
    for (const record of records) checkSilent(view, record)
    const staying = view
      .withPrefix('host', `${rack}/`)
      .filter(({ host, lostAtMs }) => !hosts.includes(host) && lostAtMs === undefined)
    if (staying.length === 0) checkRackEmpties(view, rack, goingInterfaces(view, records))
    for (const record of records) {
      await tx.put('host', [rack, record.host], { ...record, cordoned: true, lostAtMs: nowMs })
    }
  })
}

/**
 * Does what was said of a host; says which instances ended. Nothing when nothing was said, or it is
 * gone. Throws Conflict for the last host of a rack that got something meanwhile.
 */
export async function finishLost(
  parts: Parts,
  { rack, host }: Pick<HostRecord, 'rack' | 'host'>,
): Promise<string[]> {
  const { state, clock, log } = parts
  const ended: string[] = []
  for (;;) {
    const view = await state.fresh()
    const left = placedOn(view, { rack, host })
      .filter((one) => !isHostFree(one) || hasRights(view, one))
      .slice(0, BATCH)
    if (left.length === 0) break
    const done = await state.update(async (tx) => {
      if ((await tx.get('host', rack, host))?.lostAtMs === undefined) return null
      const ids: string[] = []
      for (const { id } of left) {
        const wanted = (await tx.get('instance', id))?.desired
        if (await stopMovable(tx, parts, id, host)) continue
        if (!(await end(tx, id, host, clock.nowMs()))) continue
        // Whose end was asked for takes its volumes along, as always.
        if (wanted !== 'terminated') await releaseLost({ tx, view, log }, id)
        ids.push(id)
      }
      return ids
    })
    if (done === null) return ended
    for (const id of done) log.warn('instance lost with its host', { instance: id, rack, host })
    ended.push(...done)
  }
  await loseVolumes({ state, log }, { rack, host })
  await state.update(async (tx) => {
    if ((await tx.get('host', rack, host))?.lostAtMs === undefined) return
    await withoutHost(tx, state, rack, host)
    log.warn('lost host is out of the cloud', { rack, host })
  })
  return ended
}

/** Goes on with what another gateway, or this one before it was killed, did not finish. */
export async function finishAllLost(parts: Parts): Promise<void> {
  const lost = parts.state.view().all('host')
  for (const host of lost.filter(({ lostAtMs }) => lostAtMs !== undefined)) {
    try {
      await finishLost(parts, host)
    } catch (error) {
      if (codeOf(error) !== 'Conflict') throw error
      const { rack, host: name } = host
      parts.log.warn('lost host cannot go yet', { rack, host: name, why: messageOf(error) })
    }
  }
}

/** What runs on a host that answers would run on, with addresses that others get. */
function checkSilent(view: View, { rack, host, status }: HostRecord): void {
  if (status?.connected !== true) return
  const [volume] = volumesOn(view, { rack, host })
  if (volume !== undefined) {
    const sentence = `host ${host} of rack ${rack} is connected and has ${volume.id}`
    throw new MalleeError('Conflict', `${sentence}: delete its volumes first, or turn it off`)
  }
  const [first] = placedOn(view, { rack, host }).filter(({ state }) => state !== 'stopped')
  if (first === undefined) return
  const sentence = `host ${host} of rack ${rack} is connected and ${first.id} is ${first.state} there`
  throw new MalleeError('Conflict', `${sentence}: drain it first, or turn it off`)
}

/** The interfaces that go with the instances of those hosts. */
function goingInterfaces(view: View, hosts: readonly HostRecord[]): ReadonlySet<string> {
  const ids = hosts.flatMap((one) => placedOn(view, one)).flatMap((one) => one.interfaces)
  return new Set(ids.filter((id) => view.get('interface', id)?.deleteOnTermination === true))
}

/**
 * What boots from a volume that is not lost is stopped, and starts elsewhere; the lost host has no
 * right to write it any more. False for any other, and for one that its user wants to end.
 */
async function stopMovable(
  tx: Transaction,
  parts: Parts,
  id: string,
  host: string,
): Promise<boolean> {
  const record = await tx.get('instance', id)
  if (record === null || record.host !== host || record.desired === 'terminated') return false
  if (!(await isRootKept(tx, parts, record))) return false
  await renewAttachments(tx, parts, record, '')
  if (record.state === 'stopped') return true
  parts.log.warn('instance stopped, its host is lost', { instance: id, rack: record.rack, host })
  await releaseStopped(tx, record)
  const next = endedBy(record, parts.clock.nowMs(), 'the host of the instance was lost')
  await tx.put('instance', [id], { ...next, state: 'stopped', desired: 'stopped' })
  return true
}

function endedBy(record: InstanceRecord, nowMs: number, why: string): InstanceRecord {
  return {
    ...record,
    stateReason: { code: CODE, message: `${CODE}: ${why}` },
    stateTransitionReason: `${CODE} (${transitionTime(nowMs)})`,
  }
}

/** False when it is gone or elsewhere. */
async function end(tx: Transaction, id: string, host: string, nowMs: number): Promise<boolean> {
  const record = await tx.get('instance', id)
  if (record === null || record.host !== host || record.state === 'terminated') return false
  await releaseInterfaces(tx, record)
  await tx.put('instance', [id], terminated(record, nowMs))
  return true
}

function terminated(record: InstanceRecord, nowMs: number): InstanceRecord {
  return {
    ...endedBy(record, nowMs, 'the host of the instance was lost, and its disk with it'),
    state: 'terminated',
    desired: 'terminated',
    terminatedAtMs: nowMs,
    interfaces: [],
  }
}
