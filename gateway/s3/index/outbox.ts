// What is to be told of a change, written in the very transaction that makes it: whoever crashes
// next has either both or none. Rows wait in the order of when they are due (events/delivery.ts).

import type { Clock } from '../../../common/clock.ts'
import type { Draft } from './commits.ts'
import type { Moment } from './garbage.ts'
import { microsecondsOf, outboxKey } from './keys.ts'
import type { Note, ObjectEntry } from './objects.ts'

/** What waits. Never changes but for its tries. */
export interface OutboxValue {
  /** What is sent: an element of `Records`. */
  readonly event: object
  /** Of bucket and key: what is about one of them is sent one after the other. */
  readonly about: string
  readonly bornAtMs: number
  readonly tries: number
}

/** What the index has to do with where events go. */
export interface Outbox {
  /** False: so many wait for that target that no more are taken. */
  readonly accepts: (target: string) => boolean
  /** One more waits for it, and is durable. */
  readonly filled: (target: string) => void
  readonly sequencer: Sequencer
}

/** For an event: after all that this process gave out, and after a version of that order. */
export type Sequencer = (order: string | null) => string

const ID_BYTES = 8
const SEQUENCER_DIGITS = 16
const MICROSECONDS = 1000

export function createSequencer(clock: Clock): Sequencer {
  let last = 0
  return (order) => {
    const ofVersion = order === null ? 0 : microsecondsOf(order)
    last = Math.max(clock.nowMs() * MICROSECONDS, last + 1, ofVersion)
    return last.toString(16).toUpperCase().padStart(SEQUENCER_DIGITS, '0')
  }
}

/** Writes what is to be told of a change. */
export function noteDown(
  draft: Draft,
  outbox: Outbox | undefined,
  note: Note | undefined,
  { entry, isMarked }: { readonly entry: ObjectEntry; readonly isMarked: boolean },
  { nowMs, randomHex }: Moment,
): void {
  if (outbox === undefined || note === undefined) return
  const sequencer = outbox.sequencer(entry.order)
  const rows = note({ entry, isMarked, sequencer, nowMs })
  const taken = rows.filter(({ target }) => outbox.accepts(target))
  for (const { target, event } of taken) {
    const about = `${entry.bucket}/${entry.key}`
    const value: OutboxValue = { event, about, bornAtMs: nowMs, tries: 0 }
    // What is due at the same time goes in the order of its sequencers.
    draft.put(outboxKey(target, nowMs, `${sequencer}${randomHex(ID_BYTES)}`), value)
  }
  draft.told.push(...taken.map(({ target }) => target))
}
