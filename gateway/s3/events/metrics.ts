// What is counted of events, in Prometheus' terms. Targets are the operator's, so that their names
// are few.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { EventMetrics } from './delivery.ts'

export function eventMetrics(registers: Registry[]): EventMetrics {
  const events = new Counter({
    name: 'mallee_events_total',
    help: 'Events of buckets by target: delivered, failed (tries) or dropped',
    labelNames: ['target', 'outcome'],
    registers,
  })
  const pending = new Gauge({
    name: 'mallee_events_pending',
    help: 'Events of buckets that wait for their target',
    labelNames: ['target'],
    registers,
  })
  return {
    events: (target, outcome, count) => events.inc({ target, outcome }, count),
    setEventsPending: (byTarget) => {
      pending.reset()
      for (const [target, count] of Object.entries(byTarget)) pending.set({ target }, count)
    },
  }
}
