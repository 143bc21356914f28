// TerminateInstances, RebootInstances, GetConsoleOutput.

import type { InstanceStateChange } from '@aws-sdk/client-ec2'
import { codeOf, messageOf } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { namedInStore, namedInView, notFound } from './ids.ts'
import { endDryRun, refuseUnknown, required } from './input.ts'
import { settingsOf } from './instance-settings.ts'
import { stateOf, transitionTime } from './instance-shape.ts'
import { releaseInterfaces } from './release.ts'
import { zoneName } from './zones.ts'

type ActionHandlers = Required<
  Pick<Ec2Handlers, 'TerminateInstances' | 'RebootInstances' | 'GetConsoleOutput'>
>

/** The end of an instance's console and when it was read. Throws when the host cannot be asked. */
export type ConsoleOutput = (
  instance: string,
  rack: string,
  host: string,
) => Promise<{ payload: Uint8Array; atMs: number }>

interface Parts {
  readonly state: State
  readonly region: string
  readonly consoleOutput: ConsoleOutput
}

const KNOWN = new Set(['InstanceIds', 'DryRun'])
const HARMLESS = new Map<string, readonly unknown[]>([
  // No guest is asked before it is terminated.
  ['Force', [false, true]],
  ['SkipOsShutdown', [false, true]],
])
/** EC2 API reference, GetConsoleOutput. */
const MAX_CONSOLE_BYTES = 64 << 10

export function instanceActionHandlers(parts: Parts): ActionHandlers {
  const { state } = parts
  return {
    TerminateInstances: async ({ caller, nowMs }, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      refuseUnknown(input, KNOWN, HARMLESS)
      const changes = await state.update(async (tx) => {
        const made = await terminateAll(tx, caller.account, ids, nowMs)
        endDryRun(input)
        return made
      })
      return { TerminatingInstances: changes }
    },

    RebootInstances: async ({ caller }, input) => {
      const ids = required('InstanceId', input.InstanceIds)
      await state.update(async (tx) => {
        const records = await namedInStore(tx, 'instance', ids, caller.account)
        const ended = records.find((record) => record.desired !== 'running')
        if (ended !== undefined) {
          const text = `The instance ${ended.id} is ${ended.state} and cannot be rebooted`
          throw new ApiError('IncorrectInstanceState', text)
        }
        endDryRun(input)
        for (const record of records) {
          await tx.put('instance', [record.id], { ...record, rebootCount: record.rebootCount + 1 })
        }
      })
      return {}
    },

    GetConsoleOutput: (context, input) => consoleAnswer(parts, context, input),
  }
}

/** Throws OperationNotPermitted, and ends none, when one of them is protected. */
export async function terminateAll(
  tx: Transaction,
  account: string,
  ids: readonly string[],
  nowMs: number,
): Promise<InstanceStateChange[]> {
  const records = await namedInStore(tx, 'instance', ids, account)
  for (const record of records) checkProtection(record)
  const made: InstanceStateChange[] = []
  for (const record of records) made.push(await terminate(tx, record, nowMs))
  return made
}

/** Whoever may not be stopped may not be terminated either (EC2 user guide, "Stop protection"). */
function checkProtection(record: InstanceRecord): void {
  const { disableApiTermination, disableApiStop } = settingsOf(record)
  if (record.desired === 'terminated' || !(disableApiTermination || disableApiStop)) return
  const attribute = disableApiTermination ? 'disableApiTermination' : 'disableApiStop'
  const text =
    `The instance '${record.id}' may not be terminated. Modify its '${attribute}' instance ` +
    'attribute and try again.'
  throw new ApiError('OperationNotPermitted', text)
}

/** Also one that is protected. Terminating once more is no error and changes nothing. */
export async function terminate(
  tx: Transaction,
  record: InstanceRecord,
  nowMs: number,
): Promise<InstanceStateChange> {
  const next = await terminated(tx, record, nowMs)
  if (next !== record) await tx.put('instance', [record.id], next)
  return {
    InstanceId: record.id,
    PreviousState: stateOf(record.state),
    CurrentState: stateOf(next.state),
  }
}

async function terminated(
  tx: Transaction,
  record: InstanceRecord,
  nowMs: number,
): Promise<InstanceRecord> {
  if (record.state === 'terminated') return record
  const code = 'Client.UserInitiatedShutdown'
  const ending: InstanceRecord =
    record.desired === 'terminated'
      ? record
      : {
          ...record,
          desired: 'terminated',
          state: 'shutting-down',
          stateReason: { code, message: `${code}: User initiated shutdown` },
          stateTransitionReason: `User initiated (${transitionTime(nowMs)})`,
        }
  if ((await tx.get('host', record.rack, record.host)) !== null) return ending
  // Its host left the cloud for good: nobody will ever confirm.
  await releaseInterfaces(tx, record)
  return { ...ending, state: 'terminated', terminatedAtMs: nowMs, interfaces: [] }
}

async function consoleAnswer(
  { state, region, consoleOutput }: Parts,
  { caller, nowMs }: CallContext,
  input: Ec2Inputs['GetConsoleOutput'],
): Promise<Ec2Outputs['GetConsoleOutput']> {
  const id = required('InstanceId', input.InstanceId)
  const [record] = namedInView(await state.fresh(), 'instance', [id], caller.account)
  if (record === undefined) throw notFound('instance', [id])
  endDryRun(input)
  const nothing = { InstanceId: id, Timestamp: new Date(nowMs), Output: '' }
  if (record.state === 'terminated') return nothing
  try {
    const { payload, atMs } = await consoleOutput(id, record.rack, record.host)
    const Output = Buffer.from(payload).subarray(-MAX_CONSOLE_BYTES).toString('base64')
    return { InstanceId: id, Timestamp: new Date(atMs), Output }
  } catch (error) {
    if (codeOf(error) === null) throw error
    // A guest that did not start yet has written nothing.
    if (record.state === 'pending') return nothing
    const zone = zoneName(region, record.rack)
    const text = `The host of ${id} in ${zone} cannot be asked: ${messageOf(error)}`
    throw new ApiError('Unavailable', text, 503)
  }
}
