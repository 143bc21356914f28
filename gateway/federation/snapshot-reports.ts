// What SCs report of snapshots, into the store. A rack speaks for its own, and of each only the
// host that takes it.

import type { Log } from '../../common/log.ts'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { SnapshotStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { nextSnapshot } from '../ebs/snapshot-life.ts'
import type { Transaction, View } from '../store/state.ts'

/** Cheap look at the mirror, so that a report that says the same again writes nothing. */
export function isSnapshotNews(view: View, rack: string, { body }: Status): boolean {
  if (body.case !== 'volumeSnapshot') return false
  const known = view.get('volume-snapshot', body.value.id)
  return known?.rack === rack && nextSnapshot(known, body.value, 0) !== known
}

export async function recordSnapshot(
  tx: Transaction,
  rack: string,
  status: SnapshotStatus,
  log: Log,
): Promise<void> {
  const known = await tx.get('volume-snapshot', status.id)
  if (known?.rack !== rack) return
  const next = nextSnapshot(known, status, tx.nowMs())
  if (next === known) return
  if (next.state !== known.state) {
    const { id, state, stateReason: reason, readBytes, sentBytes } = next
    log.info('snapshot state', { snapshot: id, state, reason, readBytes, sentBytes })
  }
  await tx.put('volume-snapshot', [known.id], next)
}
