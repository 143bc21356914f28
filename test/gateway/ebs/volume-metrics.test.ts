// What operators see of volumes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../../gateway/metrics.ts'
import type { HostRecord } from '../../../gateway/store/records.ts'
import type { VolumeAttachmentRecord } from '../../../gateway/store/volume-records.ts'
import { host, startView } from '../control/records.ts'
import { volume } from '../control/volume-changes.ts'
import { snapshot } from './snapshot-support.ts'

const ATTACHED: VolumeAttachmentRecord = {
  ...{ id: 'att-1', generation: 1, instance: 'i-1', host: 'a1', device: '/dev/sdf' },
  ...{ deleteOnTermination: false, state: 'attached', granted: true, attachedAtMs: 0 },
  ...{ chapUser: 'att-1', sealedChapSecret: 's' },
}

const DONE = { state: 'completed', completedAtMs: 2, dataBytes: 9 } as const

test('metrics count volumes and attachments by state and rack, and those in trouble', async () => {
  const stuck = { ...ATTACHED, id: 'att-2', state: 'attaching', trouble: 'no slot' } as const
  const view = startView(
    ['volume/vol-1', volume('vol-1', { attachments: [ATTACHED] })],
    ['volume/vol-2', volume('vol-2', { attachments: [stuck] })],
    ['volume/vol-3', volume('vol-3', { sizeGib: 4, usedBytes: 4_096, missingBytes: 10 })],
    ['volume/vol-4', volume('vol-4', { state: 'error' })],
    ['volume-snapshot/snap-1', snapshot('snap-1')],
    ['volume-snapshot/snap-2', snapshot('snap-2', { takenAtMs: 2 })],
    ['volume-snapshot/snap-3', snapshot('snap-3', { ...DONE, readBytes: 7, sentBytes: 5 })],
    ['volume-snapshot/snap-4', snapshot('snap-4', { state: 'error' })],
    ['volume-snapshot/snap-5', snapshot('snap-5', { ...DONE, host: '', readBytes: 7 })],
    ['volume-snapshot/snap-6', snapshot('snap-6', { ...DONE, deletedAtMs: 3 })],
    ['host/a/a1', storing('a', 9)],
    // One that served some and serves none now.
    ['host/b/b1', storing('b', 0)],
  )
  const metrics = createMetrics()
  metrics.setVolumes(view)
  const { text } = await metrics.scrape()
  for (const line of [
    'mallee_volumes{rack="a",state="in-use"} 2',
    'mallee_volumes{rack="a",state="available"} 1',
    'mallee_volumes{rack="a",state="error"} 1',
    'mallee_volumes_gib{rack="a",state="in-use"} 16',
    'mallee_volumes_gib{rack="a",state="available"} 4',
    'mallee_volume_used_bytes{rack="a"} 4096',
    'mallee_volume_missing_bytes{rack="a"} 10',
    'mallee_volume_restores{rack="a"} 1',
    'mallee_snapshot_uploads{rack="a",state="waiting"} 1',
    'mallee_snapshot_uploads{rack="a",state="sending"} 1',
    'mallee_snapshot_uploads{rack="a",state="completed"} 1',
    'mallee_snapshot_uploads{rack="a",state="failed"} 1',
    'mallee_snapshot_upload_bytes{rack="a",what="read"} 7',
    'mallee_snapshot_upload_bytes{rack="a",what="sent"} 5',
    'mallee_snapshot_upload_bytes{rack="a",what="data"} 9',
    'mallee_volume_attachments{state="attached"} 1',
    'mallee_volume_attachments{state="attaching"} 1',
    'mallee_volume_attachments{state="released"} 0',
    'mallee_volume_attachments_in_trouble 1',
    'mallee_volume_hosts{rack="a",serves="yes"} 1',
    'mallee_volume_hosts{rack="b",serves="no"} 1',
    'mallee_volume_store_bytes{rack="a",what="size"} 9',
    'mallee_volume_store_bytes{rack="a",what="room"} 9',
  ]) {
    assert.ok(text.includes(line), line)
  }
})

function storing(rack: string, bytes: number): HostRecord {
  const one = host(rack, `${rack}1`, 1, '')
  const store = { portal: '[fd00::1]:3260', backend: 'files', snapshots: true }
  const volumes = { ...store, sizeBytes: bytes, roomBytes: bytes }
  return { ...one, roles: ['sc'], ...(one.status && { status: { ...one.status, volumes } }) }
}
