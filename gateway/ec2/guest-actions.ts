// What is asked of a guest while it runs: GetConsoleScreenshot, SendDiagnosticInterrupt. And
// GetPasswordData, which no guest here has an answer to.

import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { CommandRecord, InstanceRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import { namedInView, notFound } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { zoneName } from './zones.ts'

type GuestHandlers = Required<
  Pick<Ec2Handlers, 'GetConsoleScreenshot' | 'SendDiagnosticInterrupt' | 'GetPasswordData'>
>

/** Throws a MalleeError when the host cannot be asked, or cannot do it. */
export type AskGuest = (
  kind: Exclude<CommandRecord['kind'], 'console-output'>,
  instance: Pick<InstanceRecord, 'id' | 'rack' | 'host'>,
) => Promise<{ payload: Uint8Array; atMs: number }>

interface Parts {
  readonly state: State
  readonly region: string
  readonly askGuest: AskGuest
}

export function guestHandlers(parts: Parts): GuestHandlers {
  return {
    GetConsoleScreenshot: async ({ caller }, input) => {
      const record = await instanceNamed(parts, input, caller.account)
      mustRun(record)
      endDryRun(input)
      const kind = input.WakeUp === true ? 'wake-and-screenshot' : 'screenshot'
      const { payload } = await ask(parts, kind, record)
      return { InstanceId: record.id, ImageData: Buffer.from(payload).toString('base64') }
    },

    SendDiagnosticInterrupt: async ({ caller }, input) => {
      const record = await instanceNamed(parts, input, caller.account)
      mustRun(record)
      endDryRun(input)
      await ask(parts, 'diagnostic-interrupt', record)
      return {}
    },

    GetPasswordData: async ({ caller, nowMs }, input) => {
      const { id } = await instanceNamed(parts, input, caller.account)
      endDryRun(input)
      // As for every instance whose image is not Windows.
      return { InstanceId: id, Timestamp: new Date(nowMs), PasswordData: '' }
    },
  }
}

async function instanceNamed(
  { state }: Parts,
  input: { readonly InstanceId: string | undefined },
  account: string,
): Promise<InstanceRecord> {
  const id = required('InstanceId', input.InstanceId)
  const [record] = namedInView(await state.fresh(), 'instance', [id], account)
  if (record === undefined) throw notFound('instance', [id])
  return record
}

function mustRun({ id, state }: InstanceRecord): void {
  if (state === 'running') return
  const text = `The instance '${id}' is not in the 'running' state; it is ${state}.`
  throw new ApiError('IncorrectInstanceState', text)
}

async function ask(
  { askGuest, region }: Parts,
  kind: Parameters<AskGuest>[0],
  record: InstanceRecord,
): Promise<{ payload: Uint8Array; atMs: number }> {
  try {
    return await askGuest(kind, record)
  } catch (error) {
    if (codeOf(error) === null) throw error
    const zone = zoneName(region, record.rack)
    const text = `The host of ${record.id} in ${zone} cannot do it: ${messageOf(error)}`
    throw new ApiError('Unavailable', text, 503)
  }
}

export function noGuest(): Promise<never> {
  return Promise.reject(new MalleeError('Unavailable', 'there are no hosts'))
}
