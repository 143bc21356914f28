// Records of snapshots and volumes for tests.

import assert from 'node:assert/strict'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { keepSnapshots } from '../../../gateway/control/snapshot-keeping.ts'
import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'
import type { MemorySnapshots } from '../../support/snapshot-bytes.ts'
import { type Cloud, REGION, START_MS } from '../ec2/support.ts'
import { setVolume } from './support.ts'

export const ZONE = `${REGION}-a`

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

export async function volume(
  cloud: Cloud,
  state: 'creating' | 'ready' = 'ready',
  more: object = {},
): Promise<string> {
  const made = await cloud.call('CreateVolume', { AvailabilityZone: ZONE, Size: 8, ...more })
  const id = made.VolumeId ?? ''
  await setVolume(cloud.state, id, { state })
  return id
}

export function imageVolume(snapshot: string) {
  const shape = { sizeGib: 8, type: 'gp3', iops: null, throughputMibps: null } as const
  return { snapshot, ...shape, encrypted: false, deleteOnTermination: true }
}

export async function taken(cloud: Cloud, VolumeId: string): Promise<string> {
  return (await cloud.call('CreateSnapshot', { VolumeId })).SnapshotId ?? ''
}

export async function complete(
  cloud: Cloud,
  id: string,
  manifest = 'ab'.repeat(32),
): Promise<void> {
  const done = { state: 'completed', progressPercent: 100, completedAtMs: START_MS } as const
  await setSnapshot(cloud, id, { ...done, manifest })
}

/** Of 8 GiB of zeroes, which the snapshot holds. */
export async function emptyManifest(bytes: MemorySnapshots, id: string): Promise<string> {
  return (await bytes.completeStaged(id, null, 8 * 2 ** 30)).manifest
}

export async function described(cloud: Cloud, SnapshotIds: string[]) {
  return (await cloud.call('DescribeSnapshots', { SnapshotIds })).Snapshots ?? []
}

export async function setSnapshot(
  cloud: Cloud,
  id: string,
  change: Partial<SnapshotRecord>,
): Promise<void> {
  await cloud.state.update(async (tx) => {
    const record = await tx.get('volume-snapshot', id)
    assert.ok(record)
    await tx.put('volume-snapshot', [id], { ...record, ...change })
  })
}

export function recordOf(cloud: Cloud, id: string | undefined): SnapshotRecord {
  const record = cloud.state.view().get('volume-snapshot', id ?? '')
  assert.ok(record)
  return record
}

/** One pass of what becomes of snapshots by itself. */
export async function keep({ state }: Cloud, bytes: MemorySnapshots): Promise<void> {
  await keepSnapshots({ state, bytes, clock: systemClock, log: silentLog })
}
