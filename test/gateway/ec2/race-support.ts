// Two requests at once, at the worst moment: one has checked everything and is about to commit when
// another gateway does the other one whole.

import type { TestContext } from 'node:test'
import { MalleeError } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { storeWith } from '../store/store-with.ts'
import { type Call, type Cloud, type CloudOptions, openCloud } from './support.ts'

export interface RaceCloud {
  readonly cloud: Cloud
  /** The handlers of another gateway. */
  readonly other: Call
  /**
   * Begins `first`, and when its first commit is due does `second`, to its end. The codes of both,
   * 'accepted' for none.
   */
  readonly race: (
    first: () => Promise<unknown>,
    second: () => Promise<unknown>,
  ) => Promise<readonly [string, string]>
}

export async function openRaceCloud(
  t: TestContext,
  options: CloudOptions = {},
): Promise<RaceCloud> {
  let beforeCommit: (() => Promise<void>) | null = null
  const openStore = async (file: string): Promise<Store> => {
    const store = await openSqlite({ file, log: silentLog })
    return storeWith(store, {
      txn: async (when, then) => {
        const step = then.length === 0 ? null : beforeCommit
        if (step !== null) beforeCommit = null
        await step?.()
        return await store.txn(when, then)
      },
    })
  }
  const cloud = await openCloud(t, { ...options, openStore })
  return {
    cloud,
    other: await cloud.otherGateway(),
    race: async (first, second) => {
      let after = 'not begun'
      beforeCommit = async () => {
        after = await outcome(second())
      }
      const before = await outcome(first())
      return [before, after]
    },
  }
}

/** The code of its refusal, `accepted` for none. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'accepted'
  } catch (error) {
    if (error instanceof ApiError || error instanceof MalleeError) return error.code
    throw error
  }
}
