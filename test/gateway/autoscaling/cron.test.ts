// Recurrences: what is one, and when it is due next.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextTime, parseCron } from '../../../gateway/autoscaling/cron.ts'

for (const [text, zone, after, want] of [
  ['30 6 * * *', 'UTC', '2026-11-22T06:29:59Z', '2026-11-22T06:30:00Z'],
  ['30 6 * * *', 'UTC', '2026-11-22T06:30:00Z', '2026-11-23T06:30:00Z'],
  ['*/15 * * * *', 'UTC', '2026-11-22T06:31:00Z', '2026-11-22T06:45:00Z'],
  ['0 0 * * MON-FRI', 'UTC', '2026-11-21T00:00:00Z', '2026-11-23T00:00:00Z'],
  ['0 0 * * 7', 'UTC', '2026-11-21T00:00:00Z', '2026-11-22T00:00:00Z'],
  ['0 12 1 JAN,jul *', 'UTC', '2026-11-22T00:00:00Z', '2027-01-01T12:00:00Z'],
  ['0 0 29 2 *', 'UTC', '2026-11-22T00:00:00Z', '2028-02-29T00:00:00Z'],
  // Either day is enough when both are said.
  ['0 0 25 * MON', 'UTC', '2026-11-23T00:00:00Z', '2026-11-25T00:00:00Z'],
  ['0 8 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z', '2026-07-01T06:00:00Z'],
  ['0 8 * * *', 'Europe/Berlin', '2026-12-01T00:00:00Z', '2026-12-01T07:00:00Z'],
  ['0 1 * * *', 'Pacific/Auckland', '2026-11-22T00:00:00Z', '2026-11-22T12:00:00Z'],
  ['0 23 * * *', 'America/Los_Angeles', '2026-11-22T00:00:00Z', '2026-11-22T07:00:00Z'],
  // Clocks leap over half past two on 29 March, and show it twice on 25 October.
  ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z'],
  ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z'],
  ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
  ['0 0 30 2 *', 'UTC', '2026-11-22T00:00:00Z', null],
] as const) {
  test(`${text} in ${zone} is due after ${after} at ${want}`, () => {
    const cron = parseCron(text)
    assert.ok(cron)
    const ms = nextTime(cron, zone, Date.parse(after))
    assert.equal(ms, want === null ? null : Date.parse(want))
  })
}

for (const text of [
  ...['', '* * * *', '* * * * * *', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * * 13 *'],
  ...['* * * * 8', '5-1 * * * *', '*/0 * * * *', 'a * * * *', '1,,2 * * * *', '*-5 * * * *'],
  ...['-1 * * * *', '1.5 * * * *', '@daily'],
]) {
  test(`'${text}' is no recurrence`, () => {
    assert.equal(parseCron(text), null)
  })
}
