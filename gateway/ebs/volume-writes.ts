// Writes of volumes' records, and what the log is told of them.

import type { Log } from '../../common/log.ts'
import type { Transaction } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'

/** Writes it when something changed, and tells the log what became of its attachments. */
export async function putVolume(
  tx: Transaction,
  before: VolumeRecord,
  next: VolumeRecord,
  log: Log,
): Promise<void> {
  if (next === before) return
  const known = new Map(before.attachments.map((one) => [one.id, one]))
  for (const { id, instance, state } of next.attachments) {
    const from = known.get(id)?.state
    if (from !== state) log.info('attachment', { attachment: id, volume: next.id, instance, state })
  }
  const left = new Set(next.attachments.map(({ id }) => id))
  for (const { id, instance } of before.attachments) {
    const fields = { attachment: id, volume: next.id, instance, state: 'gone' }
    if (!left.has(id)) log.info('attachment', fields)
  }
  await tx.put('volume', [next.id], next)
}
