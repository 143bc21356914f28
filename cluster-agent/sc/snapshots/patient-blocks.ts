// A store of snapshots that is asked again until it answers: it may be away for hours.

import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'

export interface Patience {
  readonly clock: Clock
  /** Between 0 and 1; spreads those who ask again. */
  readonly chance: () => number
  /** Ends the waiting: what is asked throws Unavailable. */
  readonly signal: AbortSignal
  /** Why it does not go on; null when it does. */
  readonly told: (trouble: string | null) => void
  /** What is waited for, too. */
  readonly waitsFor?: ReadonlySet<Code | null>
}

const RETRY_MS = { first: 500, last: 60_000 }
const PASSING: ReadonlySet<Code | null> = new Set([
  ...(['Unavailable', 'CommandTimeout', 'RackAway'] as const),
  ...(['StoreUnavailable', 'StoreFull', 'TooManyRequests'] as const),
])

/** Whatever passes is waited for; the rest is thrown. */
export function patient(end: SnapshotBlocksEnd, patience: Patience): SnapshotBlocksEnd {
  const ask = <T>(run: () => Promise<T>): Promise<T> => untilAnswered(run, patience)
  return {
    missing: (digests) => ask(() => end.missing(digests)),
    putBlock: (block) => ask(() => end.putBlock(block)),
    putPage: (bytes) => ask(() => end.putPage(bytes)),
    putRoot: (bytes) => ask(() => end.putRoot(bytes)),
    root: () => ask(() => end.root()),
    page: (kind, number) => ask(() => end.page(kind, number)),
    block: (index) => ask(() => end.block(index)),
  }
}

/** Each wait is twice as long as the one before, from 0.5 s to a minute. */
async function untilAnswered<T>(
  run: () => Promise<T>,
  { clock, chance, signal, told, waitsFor }: Patience,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    if (signal.aborted) throw new MalleeError('Unavailable', 'nobody waits for the store any more')
    try {
      const answer = await run()
      if (failures > 0) told(null)
      return answer
    } catch (error) {
      const code = codeOf(error)
      if (!PASSING.has(code) && waitsFor?.has(code) !== true) throw error
      told(messageOf(error))
      const ms = Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** failures)
      await clock.sleep(ms * (0.5 + chance() / 2), signal)
    }
  }
}
