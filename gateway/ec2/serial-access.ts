// Whether an account's users may connect to serial consoles: off until somebody turns it on, as in
// AWS. The connection itself: gateway/serial.

import type { Ec2Handlers } from '../aws/handlers.ts'
import type { State, View } from '../store/state.ts'
import { endDryRun } from './input.ts'

type AccessHandlers = Required<
  Pick<
    Ec2Handlers,
    'GetSerialConsoleAccessStatus' | 'EnableSerialConsoleAccess' | 'DisableSerialConsoleAccess'
  >
>
type Input = { readonly DryRun?: boolean | undefined }

/** Access of that account as a view of the store has it. */
export function hasSerialConsole(view: View, account: string): boolean {
  return view.get('account', account)?.serialConsole === true
}

export function serialAccessHandlers({ state }: { state: State }): AccessHandlers {
  const set = async (account: string, input: Input, serialConsole: boolean) => {
    await state.update(async (tx) => {
      const record = await tx.get('account', account)
      endDryRun(input)
      // An account that is being removed has nothing to set any more.
      if (record !== null) await tx.put('account', [account], { ...record, serialConsole })
    })
    return { SerialConsoleAccessEnabled: serialConsole }
  }
  return {
    GetSerialConsoleAccessStatus: async ({ caller }, input) => {
      const view = await state.fresh()
      endDryRun(input)
      const isOn = hasSerialConsole(view, caller.account)
      return { SerialConsoleAccessEnabled: isOn, ManagedBy: 'account' }
    },
    EnableSerialConsoleAccess: ({ caller }, input) => set(caller.account, input, true),
    DisableSerialConsoleAccess: ({ caller }, input) => set(caller.account, input, false),
  }
}
