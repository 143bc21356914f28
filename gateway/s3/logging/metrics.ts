// What is counted of access logs, in Prometheus' terms.

import { Counter, type Registry } from 'prom-client'
import type { LoggingMetrics } from './delivery.ts'

export function loggingMetrics(registers: Registry[]): LoggingMetrics {
  const lines = new Counter({
    name: 'mallee_access_log_lines_total',
    help: 'Lines of access logs of buckets: delivered or dropped',
    labelNames: ['outcome'],
    registers,
  })
  // An alert on dropped lines needs the series before the first is dropped.
  lines.inc({ outcome: 'dropped' }, 0)
  return { accessLogLines: (outcome, count) => lines.inc({ outcome }, count) }
}
