// A snapshot is of the moment at which it was asked for: the answer waits until its SC has that
// moment, so that what a user writes after the answer is not in it.

import type { State, View } from '../store/state.ts'

/**
 * Resolves when the SCs have the moments of all of them, or will not take them, or after `mostMs`:
 * then the moment is a later one.
 */
export async function untilTaken(
  state: State,
  ids: readonly string[],
  mostMs: number,
): Promise<void> {
  if (mostMs <= 0 || areTaken(state.view(), ids)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      off()
      resolve()
    }
    const timer = setTimeout(done, mostMs)
    const off = state.onChange(() => {
      if (areTaken(state.view(), ids)) done()
    })
    // Between the first look and the listener nothing is missed: both are in one turn.
  })
}

function areTaken(view: View, ids: readonly string[]): boolean {
  return ids.every((id) => {
    const snapshot = view.get('volume-snapshot', id)
    if (snapshot === null || snapshot.state !== 'pending') return true
    if (snapshot.takenAtMs !== undefined || snapshot.deletedAtMs !== null) return true
    // Nobody who is away takes anything soon.
    return view.get('host', snapshot.rack, snapshot.host)?.status?.connected !== true
  })
}
