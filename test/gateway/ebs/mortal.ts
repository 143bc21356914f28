// A gateway that dies at one of its steps, and a life in which it dies at each of them.

import assert from 'node:assert/strict'
import type { Store } from '../../../gateway/store/store.ts'
import type { MemorySnapshots } from '../../support/snapshot-bytes.ts'
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

/** Each change of snapshots' bytes is a step. */
export function mortalBytes(bytes: MemorySnapshots, death: () => Death | null): MemorySnapshots {
  return {
    ...bytes,
    holdManifest: (manifest, id) => step(death(), () => bytes.holdManifest(manifest, id)),
    dropManifest: (id) => step(death(), () => bytes.dropManifest(id)),
    stageBlock: (...block) => step(death(), () => bytes.stageBlock(...block)),
    completeStaged: (id, base, size) => step(death(), () => bytes.completeStaged(id, base, size)),
  }
}

export interface Life {
  /** What users, hosts and housekeeping do; each may be done again, and is then no news. */
  readonly acts: readonly (() => Promise<unknown>)[]
  /** After each act and each death. */
  readonly check: () => Promise<void>
  /** The next process begins. */
  readonly restart: () => Promise<void>
  /** All acts are done: nothing is left for the next life. */
  readonly over: (where: string) => Promise<void>
}

/**
 * Lives until no step is left to die at: at each once before and once after it is done. The act of
 * a death is done again by the next process. Says how often it died.
 */
export async function liveAndDie(
  most: number,
  set: (death: Death | null) => void,
  { acts, check, restart, over }: Life,
): Promise<number> {
  let [deaths, isOver] = [0, false]
  for (let left = 1; !isOver; left += 1) {
    assert.ok(left < most, `more than ${most} steps`)
    isOver = true
    for (const isDone of [false, true]) {
      const death: Death = { left, isDone }
      let isAlive = true
      set(death)
      for (const act of acts) {
        const failure = await act().then(
          () => null,
          (error: unknown) => error,
        )
        if (failure !== null && failure !== DEAD) throw failure
        if (isAlive && death.left <= 0) {
          ;[isAlive, isOver, deaths] = [false, false, deaths + 1]
          set(null)
          await restart()
          await check()
          await act()
        }
        await check()
      }
      set(null)
      await over(`step ${left}, ${isDone ? 'done' : 'not done'}`)
    }
  }
  return deaths
}
