// What a loop says of passes that fail.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../common/clock.ts'
import { type Log, silentLog } from '../../common/log.ts'
import { Loop, type LoopOptions } from '../../common/reconcile.ts'

/** A pass for each of these: what it throws, null for none. */
async function saidOf(
  passes: readonly (string | null)[],
  more: Partial<LoopOptions> = {},
): Promise<string[]> {
  const said: string[] = []
  const say = (level: string) => (event: string) => said.push(`${level} ${event}`)
  const log: Log = { ...silentLog, info: say('info'), warn: say('warn'), error: say('error') }
  const clock: Clock = { nowMs: () => 0, sleep: () => Promise.resolve() }
  const rest = passes.values()
  const all = Promise.withResolvers<void>()
  const pass = async () => {
    const { value = null, done } = rest.next()
    if (done === true) all.resolve()
    if (value !== null) throw new Error(value)
  }
  const loop = new Loop({ name: 'one', pass, everyMs: 1, chance: () => 0, clock, log, ...more })
  loop.start()
  await all.promise
  await loop.stop()
  return said
}

const OUTAGE = [null, 'late by 1 ms', 'late by 2 ms', 'late by 2 ms', null, null, 'late', null]

test('Loop says each new trouble, and when it is over', async () => {
  assert.deepEqual(await saidOf(OUTAGE), [
    ...['error pass failed', 'error pass failed', 'info recovered'],
    ...['error pass failed', 'info recovered'],
  ])
})

test('Loop warns once of an outage of what may be out, whatever is said of it', async () => {
  assert.deepEqual(await saidOf(OUTAGE, { mayBeOut: true }), [
    ...['warn pass failed', 'info recovered'],
    ...['warn pass failed', 'info recovered'],
  ])
})
