// Hosts and racks that the operator wants to be empty. Disks are on their host: no instance can be
// moved. So it stays until its user or its group replaced it, or the gateway stops or terminates
// it, as the operator said. What is to be done is in the records: whichever gateway is there next
// goes on with it.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { settingsOf } from '../ec2/instance-settings.ts'
import { transitionTime } from '../ec2/instance-shape.ts'
import type { DrainRecord, InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { hasRun } from './instance-state.ts'

/** Instances of one transaction. */
const BATCH = 50
/** AWS's reason and sentence (EC2 user guide, "Scheduled events for your instances"). */
const CODE = 'Server.ScheduledStop'
const REASON = { code: CODE, message: `${CODE}: Stopped due to a scheduled retirement` }

/** Why an instance is still where it shall not be; `nothing` is one that may stay. */
export type DrainWait = 'users' | 'time' | 'protection' | 'start' | 'host' | 'nothing'

/** What an instance is to expect: its host's drain, or else its rack's; null when nothing. */
export function drainOf(
  view: Pick<View, 'get'>,
  { rack, host }: Pick<InstanceRecord, 'rack' | 'host'>,
): DrainRecord | null {
  return view.get('host', rack, host)?.drain ?? view.get('rack', rack)?.drain ?? null
}

export function drainWait(record: InstanceRecord, drain: DrainRecord, nowMs: number): DrainWait {
  if (record.state === 'stopping' || record.state === 'shutting-down') return 'host'
  if (drain.instances === 'stop' && record.state === 'stopped') return 'nothing'
  if (drain.instances === 'keep') return 'users'
  if (nowMs < drain.notBeforeMs) return 'time'
  const { disableApiStop, disableApiTermination } = settingsOf(record)
  if (disableApiStop || (drain.instances === 'terminate' && disableApiTermination))
    return 'protection'
  // As for its user, who cannot stop what never ran.
  return drain.instances === 'stop' && !hasRun(record) ? 'start' : 'host'
}

/** One round over everything that is drained; running it twice changes nothing more. */
export async function actOnDrains({
  state,
  clock,
  log,
}: {
  readonly state: State
  readonly clock: Clock
  readonly log: Log
}): Promise<void> {
  const nowMs = clock.nowMs()
  const view = state.view()
  const due = drained(view).filter((one) => {
    const drain = drainOf(view, one)
    return drain !== null && drainedInstance(one, drain, nowMs) !== one
  })
  for (let at = 0; at < due.length; at += BATCH) {
    const ids = due.slice(at, at + BATCH).map(({ id }) => id)
    const done = await state.update((tx) => endAll(tx, ids, nowMs))
    for (const { id, rack, host, state: to } of done) {
      log.info('instance ended by a drain', { instance: id, rack, host, to })
    }
  }
}

/** Those that are on something that is drained and are not terminated. */
function drained(view: View): InstanceRecord[] {
  const racks = view.all('rack').filter(({ drain }) => drain !== undefined)
  const hosts = view.all('host').filter(({ drain }) => drain !== undefined)
  const found = [
    ...racks.flatMap(({ name }) => view.instancesOf('rack', name)),
    ...hosts.flatMap(({ rack, host }) =>
      view.instancesOf('host', host).filter((one) => one.rack === rack),
    ),
  ]
  return [...new Set(found)].filter((one) => one.state !== 'terminated')
}

async function endAll(
  tx: Transaction,
  ids: readonly string[],
  nowMs: number,
): Promise<InstanceRecord[]> {
  const done: InstanceRecord[] = []
  for (const id of ids) {
    const record = await tx.get('instance', id)
    if (record === null) continue
    const host = await tx.get('host', record.rack, record.host)
    const drain = host?.drain ?? (await tx.get('rack', record.rack))?.drain
    const next = drain === undefined ? record : drainedInstance(record, drain, nowMs)
    if (next === record) continue
    await tx.put('instance', [id], next)
    done.push(next)
  }
  return done
}

/** The same record when nothing is to be done about it, or not yet. */
function drainedInstance(
  record: InstanceRecord,
  drain: DrainRecord,
  nowMs: number,
): InstanceRecord {
  const isEnding = record.desired === 'terminated' || record.state === 'terminated'
  if (isEnding || drainWait(record, drain, nowMs) !== 'host') return record
  const why = { stateReason: REASON, stateTransitionReason: `${CODE} (${transitionTime(nowMs)})` }
  if (drain.instances === 'terminate') {
    return { ...record, ...why, desired: 'terminated', state: 'shutting-down' }
  }
  if (record.state === 'stopping') return record
  return { ...record, ...why, desired: 'stopped', state: 'stopping', forceStop: false }
}
