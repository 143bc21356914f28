// Delivers what waits in the outbox to its targets, at least once: sent first, then taken out. In
// every gateway; a lease has each target told by one of them at a time.

import type { Clock, RandomHex } from '../../../common/clock.ts'
import { messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import { Loop } from '../../../common/reconcile.ts'
import type { EventTargetRecord } from '../../store/event-records.ts'
import type { State } from '../../store/state.ts'
import type { Entry, Op, Store } from '../../store/store.ts'
import { OUTBOX, outboxKey, outboxParts, outboxPrefix, outboxTroubleKey } from '../index/keys.ts'
import { createSequencer, type Outbox, type OutboxValue } from '../index/outbox.ts'
import { giveLease, LEASE_MS, type LeaseParts, takeLease } from './lease.ts'
import { ANSWER_MS, Sender } from './send.ts'
import type { EventTarget } from './targets.ts'
import { countWaiting, type TargetTrouble, Waiting } from './waiting.ts'

/** What did not get through for so long is given up. */
export const MAX_AGE_MS = 3 * 24 * 60 * 60_000
const LOOK_MS = 2_000
/** A lease that is good for so long is not taken anew. */
const KEEP_MS = ANSWER_MS + LEASE_MS / 4
/** Rows that are taken at a time. */
const BATCH = 64
/** Objects of a batch that are told of at once. */
const AT_ONCE = 8
/** Waits of one event, and of a target that takes nothing; each twice as long as the one before. */
const RETRY_MS = { first: 5_000, last: 10 * 60_000 }
const PAUSE_MS = { first: 500, last: 60_000 }
/** Deletes of one transaction. */
const ROWS = 1_000
const ID_BYTES = 8

export interface EventMetrics {
  readonly events: (target: string, outcome: EventOutcome, events: number) => void
  readonly setEventsPending: (byTarget: Readonly<Record<string, number>>) => void
}

/** `failed` counts tries; `dropped`: given up, or not taken as too many wait. */
export type EventOutcome = 'delivered' | 'failed' | 'dropped'

export interface DeliveryParts {
  readonly store: Store
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: EventMetrics
  readonly state: Pick<State, 'view' | 'fresh'>
  readonly open: (target: EventTargetRecord) => EventTarget
}

export interface TargetState {
  /** That wait, counted up to a limit. */
  readonly pending: number
  /** Null: the last try went well. */
  readonly trouble: TargetTrouble | null
}

export interface Events {
  /** For the index: what it writes down and how it says so. */
  readonly outbox: Outbox
  /** One message at once, past the outbox. Throws StoreUnavailable. */
  readonly tell: (target: EventTargetRecord, body: string) => Promise<void>
  readonly stateOf: (target: string) => Promise<TargetState>
  readonly stop: () => Promise<void>
}

interface Pause {
  readonly failures: number
  readonly untilMs: number
}

interface Row {
  readonly key: string
  readonly value: OutboxValue
}

export function deliverEvents(parts: DeliveryParts): Events {
  const { store, clock, randomHex, chance, log, metrics } = parts
  const ending = new AbortController()
  const sender = new Sender(clock)
  const waiting = new Waiting(parts)
  const leases: LeaseParts = { store, clock, holder: randomHex(ID_BYTES) }
  const running = new Map<string, Promise<void>>()
  const again = new Set<string>()
  const pauses = new Map<string, Pause>()
  /** Until when this gateway tells which target. */
  const held = new Map<string, number>()

  const loop = new Loop({
    ...{ name: 'object-events', everyMs: LOOK_MS, clock, chance, log },
    pass: async () => {
      const { state } = parts
      await waiting.look(
        state
          .view()
          .all('event-target')
          .map(({ name }) => name),
      )
      for (const name of await targetsWaiting(store)) {
        if (ending.signal.aborted) return
        const known = state.view().get('event-target', name)
        // What this gateway has not heard of yet may be new.
        const record = known ?? (await state.fresh()).get('event-target', name)
        if (record === null) await drop(name)
        else begin(record)
      }
    },
  })
  loop.start()

  function begin(record: EventTargetRecord): void {
    const { name } = record
    if (running.has(name)) again.add(name)
    else if ((pauses.get(name)?.untilMs ?? 0) <= clock.nowMs()) {
      const done = tend(record)
        .catch((error) => {
          log.error('events were not delivered', { target: name, error })
          settle(name, false)
        })
        .finally(() => {
          running.delete(name)
          if (again.delete(name)) loop.wake()
        })
      running.set(name, done)
    }
  }

  /** Everything that is due, as long as the target takes it. */
  async function tend(record: EventTargetRecord): Promise<void> {
    const { name } = record
    const target = parts.open(record)
    while (!ending.signal.aborted) {
      const { entries } = await store.list(outboxPrefix(name), { limit: BATCH })
      const due = entries.filter(({ key }) => outboxParts(key).dueMs <= clock.nowMs())
      if (due.length === 0) return
      const untilMs = await hold(name)
      if (untilMs === null) return
      const rows = due.map(({ key, value }): Row => ({ key, value: JSON.parse(value) }))
      if (await deliver(target, rows, untilMs - ANSWER_MS)) continue
      // Another gateway may get through where this one does not.
      held.delete(name)
      return await giveLease(leases, name)
    }
  }

  /** Until when this gateway tells the target. It keeps that, and does not write at each batch. */
  async function hold(name: string): Promise<number | null> {
    const known = held.get(name) ?? 0
    if (known - clock.nowMs() > KEEP_MS) return known
    const untilMs = await takeLease(leases, name)
    if (untilMs === null) held.delete(name)
    else held.set(name, untilMs)
    return untilMs
  }

  /** A batch; begins no more after a while. False: the target is to be left alone for now. */
  async function deliver(
    target: EventTarget,
    rows: readonly Row[],
    beginUntilMs: number,
  ): Promise<boolean> {
    const done: Row[] = []
    const failed: { readonly row: Row; readonly error: unknown }[] = []
    const queues = [...Map.groupBy(rows, ({ value }) => value.about).values()]
    const workers = Array.from({ length: target.kind === 'stream' ? 1 : AT_ONCE }, async () => {
      for (let queue = queues.shift(); queue !== undefined; queue = queues.shift()) {
        for (const row of queue) {
          // One that takes nothing need not be asked by all.
          const isHopeless = failed.length >= AT_ONCE && done.length === 0
          if (clock.nowMs() > beginUntilMs || isHopeless) return
          try {
            const body = JSON.stringify({ Records: [row.value.event] })
            await sender.send(target, { id: outboxParts(row.key).id, body })
            done.push(row)
          } catch (error) {
            failed.push({ row, error })
            // What comes after it waits for its turn.
            break
          }
        }
      }
    })
    await Promise.all(workers)
    const given = failed.filter(({ row }) => isTooOld(row.value))
    const later = failed.filter(({ row }) => !isTooOld(row.value))
    const gone = [...done, ...given.map(({ row }) => row)]
    await store.txn(
      [],
      [...gone.map(({ key }) => ({ del: key })), ...later.flatMap(({ row }) => postponed(row))],
    )
    waiting.left(target.name, gone.length)
    metrics.events(target.name, 'delivered', done.length)
    metrics.events(target.name, 'failed', failed.length)
    metrics.events(target.name, 'dropped', given.length)
    if (given.length > 0) {
      log.error('events were given up', { target: target.name, events: given.length })
    }
    await tellTrouble(target.name, failed.at(-1)?.error ?? null)
    return settle(target.name, done.length > 0 || failed.length === 0)
  }

  function isTooOld({ bornAtMs }: OutboxValue): boolean {
    return clock.nowMs() - bornAtMs > MAX_AGE_MS
  }

  function postponed({ key, value }: Row): Op[] {
    const { target, id } = outboxParts(key)
    const tries = value.tries + 1
    const dueMs = Math.ceil(clock.nowMs() + backOff(RETRY_MS, tries))
    const put = outboxKey(target, dueMs, id)
    return [{ del: key }, { put, value: JSON.stringify({ ...value, tries }) }]
  }

  /** Half of the wait is by chance. */
  function backOff({ first, last }: typeof RETRY_MS, tries: number): number {
    return Math.min(last, first * 2 ** (tries - 1)) * (0.5 + chance() / 2)
  }

  function settle(name: string, takesSome: boolean): boolean {
    if (takesSome) {
      pauses.delete(name)
      return true
    }
    const failures = (pauses.get(name)?.failures ?? 0) + 1
    pauses.set(name, { failures, untilMs: clock.nowMs() + backOff(PAUSE_MS, failures) })
    return false
  }

  /** For whoever asks any gateway what is wrong with a target. */
  async function tellTrouble(name: string, error: unknown): Promise<void> {
    const at = outboxTroubleKey(name)
    if (error === null) {
      if ((await store.get(at)) !== null) await store.txn([], [{ del: at }])
      return
    }
    const trouble: TargetTrouble = { message: messageOf(error), atMs: clock.nowMs() }
    log.warn('events were not taken', { target: name, error })
    await store.txn([], [{ put: at, value: JSON.stringify(trouble) }])
  }

  /** What waits for a target that an operator has deleted. */
  async function drop(name: string): Promise<void> {
    const { entries } = await store.list(outboxPrefix(name), { limit: ROWS })
    const keys = [...entries.map(({ key }: Entry) => key), outboxTroubleKey(name)]
    await store.txn(
      [],
      keys.map((key) => ({ del: key })),
    )
    log.warn('events of a target that is gone were dropped', { target: name, events: keys.length })
    if (entries.length === ROWS) loop.wake()
  }

  return {
    outbox: {
      accepts: (name) => waiting.accepts(name),
      filled: (name) => {
        waiting.came(name)
        loop.wake()
      },
      sequencer: createSequencer(clock),
    },
    tell: async (record, body) =>
      sender.send(parts.open(record), { id: randomHex(ID_BYTES), body }),
    stateOf: async (name) => {
      const found = await store.get(outboxTroubleKey(name))
      const trouble = found === null ? null : (JSON.parse(found.value) as TargetTrouble)
      return { pending: await countWaiting(store, name), trouble }
    },
    stop: async () => {
      ending.abort()
      await loop.stop()
      await Promise.all(running.values())
      for (const name of held.keys()) await giveLease(leases, name).catch(() => undefined)
      await sender.close()
    },
  }
}

/** One look for each, whatever waits for them. */
async function targetsWaiting(store: Store): Promise<string[]> {
  const found: string[] = []
  for (let after = OUTBOX; ; ) {
    const { entries } = await store.list(OUTBOX, { after, limit: 1 })
    const [entry] = entries
    if (entry === undefined) return found
    const { target } = outboxParts(entry.key)
    found.push(target)
    after = `${outboxPrefix(target)}\u{10ffff}`
  }
}
