// Records of snapshots and volumes for tests.

import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'

/** One that host a1 of rack a is to take of vol-1, of 8 GiB. */
export function snapshot(id: string, more: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return {
    ...{ id, account: '1', volume: 'vol-1', volumeSizeGib: 8, description: '', encrypted: false },
    ...{ state: 'pending', progressPercent: 0, rack: 'a', host: 'a1', base: '', group: '' },
    ...{ groupSize: 0, manifest: '', dataBytes: 0, readBytes: 0, sentBytes: 0, isPublic: false },
    ...{ sharedWith: [], clientToken: '', startedAtMs: 1, completedAtMs: null },
    ...{ deletedAtMs: null, released: false, ...more },
  }
}
