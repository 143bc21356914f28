// Ends records that others may refer to. References are found in the mirror, which no transaction
// can make a condition: so the record goes first, and a reference made meanwhile brings it back.

import type { State, Transaction, View } from '../store/state.ts'
import { endDryRun } from './input.ts'

type Restore = (tx: Transaction) => Promise<void>

/**
 * `check` throws when something refers to the record; `remove` deletes it, all in one transaction,
 * and says how to put it back. Who makes a reference has read the record in their transaction:
 * theirs was before, and the second check sees it, or it fails.
 */
export async function removeUnused(
  state: State,
  input: { readonly DryRun?: boolean | undefined },
  check: (view: View) => void,
  remove: (tx: Transaction) => Promise<Restore>,
): Promise<void> {
  check(await state.fresh())
  endDryRun(input)
  const restore = await state.update(remove)
  try {
    check(await state.fresh())
  } catch (error) {
    await state.update(restore)
    throw error
  }
}
