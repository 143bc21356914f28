// All actions of snapshots, made of what they need.

import type { SnapshotHolds } from './chunks/snapshot-bytes.ts'
import { copySnapshotHandler } from './copy-snapshot.ts'
import { deleteSnapshotHandler } from './delete-snapshot.ts'
import { describeSnapshotHandlers } from './describe-snapshots.ts'
import { snapshotAttributeHandlers } from './snapshot-attributes.ts'
import { snapshotLockHandlers } from './snapshot-locks.ts'
import { snapshotPublicAccessHandlers } from './snapshot-public-access.ts'
import { createSnapshotHandlers, type SnapshotParts } from './snapshots.ts'

export function snapshotHandlers(parts: SnapshotParts & { readonly holds: SnapshotHolds }) {
  return {
    ...createSnapshotHandlers(parts),
    ...copySnapshotHandler(parts),
    ...deleteSnapshotHandler(parts),
    ...describeSnapshotHandlers(parts),
    ...snapshotAttributeHandlers(parts),
    ...snapshotLockHandlers(parts),
    ...snapshotPublicAccessHandlers(parts),
  }
}
