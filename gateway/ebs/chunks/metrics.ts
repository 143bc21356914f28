// What is counted of snapshots' bytes, in Prometheus' terms.

import { Counter, Gauge, type Registry } from 'prom-client'

export interface SnapshotMetrics {
  /** Somebody wanted to read bytes that are damaged or gone, and did not get them. */
  readonly snapshotReadRefused: () => void
  /** Blocks, pages and roots that are known to be damaged or gone. */
  readonly setSnapshotDamage: (items: number) => void
  /** What the scrubber's last round saw. */
  readonly setSnapshotItems: (items: number, bytes: number) => void
}

export function snapshotMetrics(registers: Registry[]): SnapshotMetrics {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers })
  const refused = new Counter({
    name: 'mallee_snapshot_reads_refused_total',
    help: "Reads of snapshots' bytes that found them damaged or gone",
    registers,
  })
  const damage = gauge(
    'mallee_snapshot_chunks_damaged',
    'Blocks and pages of snapshots that were found damaged or gone',
  )
  const items = gauge(
    'mallee_snapshot_chunks',
    'Blocks and pages of snapshots at the end of the last round of the scrubber',
  )
  const bytes = gauge('mallee_snapshot_chunk_bytes', 'Their bytes')
  return {
    snapshotReadRefused: () => refused.inc(),
    setSnapshotDamage: (count) => damage.set(count),
    setSnapshotItems: (count, size) => {
      items.set(count)
      bytes.set(size)
    },
  }
}
