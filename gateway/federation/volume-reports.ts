// What hosts report of volumes, into the store: an SC of those that it has, an NC of what guests
// have of them. A rack speaks for its own volumes, and of each only the host where it is.

import type { Log } from '../../common/log.ts'
import {
  InstanceState,
  type InstanceStatus,
  type Status,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { VolumeStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { afterInstance, type InstanceWord } from '../ebs/attachment-life.ts'
import { afterRefusal, type Running, settled, withGuestSizes } from '../ebs/modification-life.ts'
import { forgetVolume } from '../ebs/volume-hosts.ts'
import { afterStatus } from '../ebs/volume-life.ts'
import { putVolume } from '../ebs/volume-writes.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { isSnapshotNews, recordSnapshot } from './snapshot-reports.ts'

/** Of one transaction: each needs some records. */
const BATCH = 200
const MAX_TEXT = 500

/** Cheap look at the mirror, so that a report that says the same again writes nothing. */
export function isVolumeNews(view: View, rack: string, status: Status): boolean {
  const { body } = status
  if (body.case === 'volumeSnapshot') return isSnapshotNews(view, rack, status)
  if (body.case === 'volume') {
    const known = view.get('volume', body.value.id)
    if (known === null || known.rack !== rack) return false
    const running = runningOf(known, (id) => view.get('instance', id))
    return afterReport(known, body.value, running, 0) !== known
  }
  return body.case === 'instance' && pluggedNews(view, rack, body.value).length > 0
}

/**
 * Of statuses that are news: they may be more than one transaction takes. Those of instances are
 * recorded before: what they are now says whether a guest may have the volume.
 */
export async function recordVolumes(
  { state, log }: { readonly state: State; readonly log: Log },
  rack: string,
  statuses: readonly Status[],
): Promise<void> {
  for (let at = 0; at < statuses.length; at += BATCH) {
    await state.update(async (tx) => {
      for (const { body } of statuses.slice(at, at + BATCH)) {
        if (body.case === 'volume') await recordVolume(tx, rack, body.value, log)
        if (body.case === 'volumeSnapshot') await recordSnapshot(tx, rack, body.value, log)
        if (body.case === 'instance') await recordPlugged({ tx, state, log }, rack, body.value)
      }
    })
  }
}

async function recordVolume(
  tx: Transaction,
  rack: string,
  status: VolumeStatus,
  log: Log,
): Promise<void> {
  const known = await tx.get('volume', status.id)
  if (known === null || known.rack !== rack) return
  const next = afterReport(known, status, await runningIn(tx, known), tx.nowMs())
  if (next === null) {
    log.info('volume deleted', { volume: known.id, rack, host: known.host })
    await forgetVolume(tx, known.id)
  } else await putVolume(tx, known, next, log)
}

async function recordPlugged(
  { tx, state, log }: { readonly tx: Transaction; readonly state: State; readonly log: Log },
  rack: string,
  status: InstanceStatus,
): Promise<void> {
  const instance = await tx.get('instance', status.id)
  if (instance === null || instance.rack !== rack) return
  const word = wordOf(instance, status)
  for (const { id } of state.view().by('volume', 'instances', instance.id)) {
    const known = await tx.get('volume', id)
    if (known === null) continue
    const next = afterPlugged(known, word, await runningIn(tx, known), tx.nowMs())
    await putVolume(tx, known, next, log)
  }
}

function pluggedNews(view: View, rack: string, status: InstanceStatus): VolumeRecord[] {
  const instance = view.get('instance', status.id)
  if (instance === null || instance.rack !== rack) return []
  const word = wordOf(instance, status)
  return view.by('volume', 'instances', instance.id).filter((volume) => {
    const running = runningOf(volume, (id) => view.get('instance', id))
    return afterPlugged(volume, word, running, 0) !== volume
  })
}

function afterReport(
  volume: VolumeRecord,
  status: VolumeStatus,
  running: Running,
  nowMs: number,
): VolumeRecord | null {
  const next = afterStatus(volume, status, (id) => running.get(id) === 'stopped')
  return next === null ? null : afterRefusal(settled(next, running, nowMs), status, nowMs)
}

function afterPlugged(
  volume: VolumeRecord,
  word: InstanceWord,
  running: Running,
  nowMs: number,
): VolumeRecord {
  return settled(withGuestSizes(afterInstance(volume, word), word), running, nowMs)
}

async function runningIn(tx: Transaction, { instances }: VolumeRecord): Promise<Running> {
  const found = new Map<string, InstanceRecord | null>()
  for (const id of instances) found.set(id, await tx.get('instance', id))
  return runningOf({ instances }, (id) => found.get(id) ?? null)
}

/** What has a volume, and whether there is a guest in it. */
function runningOf(
  { instances }: Pick<VolumeRecord, 'instances'>,
  get: (id: string) => InstanceRecord | null,
): Running {
  return new Map(instances.map((id) => [id, isStopped(get(id)) ? 'stopped' : 'runs']))
}

/** What a report of an instance says of its volumes, with the record as it is after the report. */
function wordOf(instance: InstanceRecord, status: InstanceStatus): InstanceWord {
  return {
    instance: instance.id,
    host: status.host,
    guest: guestOf(instance, status),
    plugged: status.volumes.map(({ attachment, generation, trouble, sizeBytes }) => ({
      attachment,
      sizeBytes: Number(sizeBytes),
      generation: Number(generation),
      trouble: trouble.slice(0, MAX_TEXT),
    })),
  }
}

/** A word about an earlier start, or of a host that has it no more, says nothing of this one. */
function guestOf(instance: InstanceRecord, status: InstanceStatus): InstanceWord['guest'] {
  if (status.host !== instance.host) return 'unknown'
  if (instance.state === 'terminated') return 'gone'
  // Of a start that waits for a volume, its host still says the number of the one before.
  const isStarting = instance.state === 'pending' && status.state === InstanceState.PENDING
  if (isStarting) return 'starts'
  if (status.startCount < (instance.startCount ?? 0)) return 'unknown'
  if (status.state === InstanceState.RUNNING) return 'runs'
  const isOff = status.state === InstanceState.STOPPED && isStopped(instance)
  return isOff ? 'stopped' : 'unknown'
}

function isStopped(instance: InstanceRecord | null): boolean {
  return instance === null || instance.state === 'stopped' || instance.state === 'terminated'
}
