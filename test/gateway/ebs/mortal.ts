// A gateway that dies at one of its steps.

import type { Store } from '../../../gateway/store/store.ts'
import { storeWith } from '../store/store-with.ts'

export const DEAD = new Error('the gateway is dead')

/** At the step that is the last: that one is done, with its answer lost, or is not. */
export interface Death {
  /** Steps until then. */
  left: number
  readonly isDone: boolean
}

export async function step<T>(death: Death | null, run: () => Promise<T>): Promise<T> {
  if (death === null) return await run()
  death.left -= 1
  if (death.left > 0) return await run()
  if (death.left === 0 && death.isDone) await run()
  throw DEAD
}

/** Each commit is a step. */
export function mortalStore(store: Store, death: () => Death | null): Store {
  return storeWith(store, {
    txn: (when, then) =>
      then.length === 0 ? store.txn(when, then) : step(death(), () => store.txn(when, then)),
  })
}
