// Ends records that others may refer to. References are found in the mirror, which no transaction
// can make a condition: so a removal is announced before it looks for them, and who makes one takes
// the announcement away. The record goes while the announcement stands, or stays as it was.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Kind } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { endDryRun } from './input.ts'

const MAX_TRIES = 20
const MARK_BYTES = 8

export interface Removal {
  readonly kind: Kind
  readonly id: string
  /** Throws when something refers to the record. */
  readonly check: (view: View) => void
  /** Deletes it, and what goes with it. */
  readonly remove: (tx: Transaction) => Promise<void>
}

/**
 * Deletes a record that nothing refers to. Throws what `check` and `remove` throw, and Conflict
 * when references come and go too fast. Who dies on the way leaves everything or nothing of it.
 */
export async function removeUnused(
  { state, randomHex }: { readonly state: State; readonly randomHex: RandomHex },
  input: { readonly DryRun?: boolean | undefined },
  { kind, id, check, remove }: Removal,
): Promise<void> {
  check(await state.fresh())
  endDryRun(input)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const mark = await announce(state, kind, id, randomHex(MARK_BYTES))
    try {
      // Whoever made a reference before the announcement is seen here; later ones take it away.
      check(await state.fresh())
      const isDone = await state.update(async (tx) => {
        if ((await tx.get('removal', kind, id))?.mark !== mark) return false
        await tx.delete('removal', kind, id)
        await remove(tx)
        return true
      })
      if (isDone) return
    } catch (error) {
      await withdraw(state, kind, id, mark)
      throw error
    }
  }
  throw new MalleeError('Conflict', `references to ${id} came and went ${MAX_TRIES} times`)
}

/**
 * For every transaction that makes references to records that removeUnused deletes: they stay, or
 * the transaction runs again and does not find them.
 */
export async function keepFromRemoval(
  tx: Transaction,
  kind: Kind,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids) {
    if ((await tx.get('removal', kind, id)) !== null) await tx.delete('removal', kind, id)
  }
}

/** The mark of the announcement that stands now: this one, or somebody's who wants the same. */
async function announce(state: State, kind: Kind, id: string, mark: string): Promise<string> {
  return await state.update(async (tx) => {
    const standing = await tx.get('removal', kind, id)
    if (standing !== null) return standing.mark
    await tx.put('removal', [kind, id], { kind, id, mark, announcedAtMs: tx.nowMs() })
    return mark
  })
}

async function withdraw(state: State, kind: Kind, id: string, mark: string): Promise<void> {
  await state.update(async (tx) => {
    if ((await tx.get('removal', kind, id))?.mark === mark) await tx.delete('removal', kind, id)
  })
}
