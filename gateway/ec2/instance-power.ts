// StopInstances and StartInstances. A stopped instance keeps its host and the disk there; one that
// boots from a volume may start on another. It keeps its interfaces with their private addresses,
// and elastic IPs; processors and memory are free for others meanwhile.

import type { InstanceStateChange } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import type { Place } from '../../topology/placement.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers } from '../aws/handlers.ts'
import { hasRun } from '../control/instance-state.ts'
import { ephemeralGib } from '../ebs/host-disks.ts'
import { broughtTo, checkRootThere, isMovable } from '../ebs/moving.ts'
import type { Sealer } from '../secrets.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { namedInStore } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { settingsOf } from './instance-settings.ts'
import { stateOf, transitionTime } from './instance-shape.ts'
import { instanceType } from './instance-types.ts'
import { givePublic } from './launch-cards.ts'
import { publicAddressOf } from './public-addresses.ts'
import { checkVcpus } from './quotas.ts'
import { releaseStopped } from './release.ts'
import { claimReturns, type Return } from './returns.ts'

type PowerHandlers = Required<Pick<Ec2Handlers, 'StopInstances' | 'StartInstances'>>

interface Parts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Sealer
}

interface Turn extends Parts {
  readonly tx: Transaction
  readonly context: CallContext
}

const BY_USER = 'Client.UserInitiatedShutdown'

export function instancePowerHandlers(parts: Parts): PowerHandlers {
  const { state } = parts
  return {
    StopInstances: async (context, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      const force = input.Force === true || input.SkipOsShutdown === true
      const changes = await state.update(async (tx) => {
        const records = await namedInStore(tx, 'instance', ids, context.caller.account)
        for (const record of records) checkStop(record, input.Hibernate === true)
        endDryRun(input)
        return await changed(tx, records, (record) => stop(tx, record, force, context.nowMs))
      })
      return { StoppingInstances: changes }
    },

    StartInstances: async (context, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      const changes = await state.update(async (tx) => {
        const records = await namedInStore(tx, 'instance', ids, context.caller.account)
        const due: InstanceRecord[] = []
        for (const record of records) if (await isDue(tx, record)) due.push(record)
        for (const record of due) await checkRootThere(tx, parts, record)
        const returns: Return[] = []
        for (const record of due) returns.push(await returnOf(tx, state.view(), record))
        for (const isSpot of [false, true]) {
          const ofKind = returns.filter((_, i) => (due[i]?.spot !== undefined) === isSpot)
          const needed = ofKind.reduce((sum, { need }) => sum + need.vcpus, 0)
          await checkVcpus(tx, state, context.caller.account, { needed, isSpot })
        }
        const places = await claimReturns(tx, state, returns)
        const turn = { ...parts, tx, context }
        const made = await changed(tx, records, (record) => {
          const place = places[due.indexOf(record)]
          return place === undefined ? Promise.resolve(record) : start(turn, record, place)
        })
        endDryRun(input)
        return made
      })
      return { StartingInstances: changes }
    },
  }
}

async function changed(
  tx: Transaction,
  records: readonly InstanceRecord[],
  change: (record: InstanceRecord) => Promise<InstanceRecord>,
): Promise<InstanceStateChange[]> {
  const changes: InstanceStateChange[] = []
  for (const record of records) {
    const next = await change(record)
    if (next !== record) await tx.put('instance', [record.id], next)
    changes.push({
      InstanceId: record.id,
      PreviousState: stateOf(record.state),
      CurrentState: stateOf(next.state),
    })
  }
  return changes
}

function checkStop(record: InstanceRecord, hibernate: boolean): void {
  const { id, state } = record
  if (hibernate) {
    const text = `The instance '${id}' is not configured for hibernation, which no instance here is.`
    throw new ApiError('UnsupportedHibernationConfiguration', text)
  }
  if (record.desired === 'terminated' || state === 'terminated') throw notFrom(id, 'stopped')
  if (settingsOf(record).disableApiStop && state !== 'stopped') {
    const text =
      `The instance '${id}' may not be stopped. Modify its 'disableApiStop' instance attribute ` +
      'and try again.'
    throw new ApiError('OperationNotPermitted', text)
  }
  if (hasRun(record)) return
  const text = `Instance '${id}' cannot be stopped as it has never reached the 'running' state.`
  throw new ApiError('IncorrectInstanceState', text)
}

/** Stopping once more is no error; with force it ends the guest that takes its time. */
async function stop(
  tx: Transaction,
  record: InstanceRecord,
  force: boolean,
  nowMs: number,
): Promise<InstanceRecord> {
  if (record.state === 'stopped') return record
  const isForced = record.forceStop === true || force
  const stopping: InstanceRecord =
    record.state === 'stopping'
      ? { ...record, forceStop: isForced }
      : {
          ...record,
          forceStop: force,
          desired: 'stopped',
          state: 'stopping',
          stateReason: { code: BY_USER, message: `${BY_USER}: User initiated shutdown` },
          stateTransitionReason: `User initiated (${transitionTime(nowMs)})`,
        }
  if ((await tx.get('host', record.rack, record.host)) !== null) return stopping
  // Its host left the cloud for good: nobody will ever confirm.
  await releaseStopped(tx, record)
  return { ...stopping, state: 'stopped' }
}

/** False for what starts or runs already. */
async function isDue(tx: Transaction, record: InstanceRecord): Promise<boolean> {
  const { id, rack, host, state } = record
  if (state === 'running' || state === 'pending') return false
  if (state !== 'stopped') throw notFrom(id, 'started')
  if (isMovable(record) || (await tx.get('host', rack, host)) !== null) return true
  const text =
    `The host ${host} of rack ${rack} left the cloud, and the disk of '${id}' was there: ` +
    'it can only be terminated.'
  throw new ApiError('IncorrectInstanceState', text)
}

async function start(
  turn: Turn,
  stopped: InstanceRecord,
  { host }: Place,
): Promise<InstanceRecord> {
  const { tx, context } = turn
  const record = await broughtTo(tx, turn, stopped, host)
  const [first = '', ...others] = record.interfaces
  const one = await tx.get('interface', first)
  const wish = others.length === 0 ? (record.publicAddress ?? null) : null
  const hasNone = one !== null && one.ipv4 !== '' && (await publicAddressOf(tx, one.ipv4)) === null
  if (hasNone) await givePublic(turn, one, record.rack, wish)
  return {
    ...record,
    desired: 'running',
    state: 'pending',
    stateReason: null,
    stateTransitionReason: '',
    forceStop: false,
    startCount: (record.startCount ?? 0) + 1,
    startedAtMs: context.nowMs,
  }
}

/** What a start takes: its disks are on its host, and made anew elsewhere. */
async function returnOf(tx: Transaction, view: View, record: InstanceRecord): Promise<Return> {
  const { vcpus = 0, memoryMib = 0 } = instanceType(view, record.type) ?? {}
  const need = { vcpus, memoryMib, diskGib: 0 }
  if (!isMovable(record)) return { place: record, need, move: null }
  const { group } = record
  const known = group === undefined ? null : await tx.get('placement-group', group.id)
  return {
    place: record,
    need,
    move: {
      need: { ...need, diskGib: ephemeralGib(record.ephemeral) },
      group:
        known === null
          ? null
          : { record: known, partition: group?.partition ?? null, moving: record.id },
    },
  }
}

function notFrom(id: string, what: 'stopped' | 'started'): ApiError {
  const text = `The instance '${id}' is not in a state from which it can be ${what}.`
  return new ApiError('IncorrectInstanceState', text)
}
