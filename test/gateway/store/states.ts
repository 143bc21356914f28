// States, records and a clock as the tests of the store use them.

import { type Clock, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { openState, type StateOptions } from '../../../gateway/store/mirror.ts'
import type { AccountRecord, InstanceRecord } from '../../../gateway/store/records.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'

const opened: State[] = []

export async function stateOf(store: Store, options: Partial<StateOptions> = {}): Promise<State> {
  const state = await openState({ store, clock: systemClock, log: silentLog, ...options })
  opened.push(state)
  return state
}

/** Ends all that stateOf made; before their stores close. */
export async function closeStates(): Promise<void> {
  for (const state of opened.splice(0)) await state.close()
}

/** The real clock, but the date stands where `set` put it. */
export function handClock(): Clock & { set: (nowMs: number) => void } {
  let nowMs = 0
  return {
    nowMs: () => nowMs,
    sleep: systemClock.sleep,
    set: (ms) => {
      nowMs = ms
    },
  }
}

export function account(id: string): AccountRecord {
  return { id, name: `name of ${id}`, createdAtMs: 1 }
}

export function instance(id: string, host: string, owner: string): InstanceRecord {
  return { id, host, account: owner, rack: 'r' } as unknown as InstanceRecord
}
