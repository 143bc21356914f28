// Records of volumes and snapshots in states that only hosts bring them to.

import assert from 'node:assert/strict'
import { randomHex } from '../../../common/clock.ts'
import type { State } from '../../../gateway/store/state.ts'
import type {
  SnapshotRecord,
  VolumeAttachmentRecord,
  VolumeRecord,
} from '../../../gateway/store/volume-records.ts'
import { ACCOUNT, START_MS } from '../ec2/support.ts'

export async function setVolume(
  state: State,
  id: string,
  change: Partial<VolumeRecord>,
): Promise<void> {
  await state.update(async (tx) => {
    const volume = await tx.get('volume', id)
    assert.ok(volume)
    await tx.put('volume', [id], { ...volume, ...change })
  })
}

/** To an instance that needs no record; says the attachment. */
export async function attach(
  state: State,
  id: string,
  change: Partial<VolumeAttachmentRecord>,
): Promise<VolumeAttachmentRecord> {
  const made: VolumeAttachmentRecord = {
    ...{ id: `att-${randomHex(9).slice(1)}`, generation: 1, instance: `i-${'1'.repeat(17)}` },
    ...{ host: 'a1', device: '/dev/sdf', deleteOnTermination: false, state: 'attached' },
    ...{ granted: true, attachedAtMs: START_MS, chapUser: 'user', sealedChapSecret: 'sealed' },
    ...change,
  }
  const volume = state.view().get('volume', id)
  assert.ok(volume)
  await setVolume(state, id, {
    generation: made.generation,
    attachments: [...volume.attachments, made],
    instances: [...volume.instances, made.instance],
  })
  return made
}

export async function putSnapshot(
  state: State,
  change: Partial<SnapshotRecord>,
): Promise<SnapshotRecord> {
  const id = `snap-${randomHex(9).slice(1)}`
  const made: SnapshotRecord = {
    ...{ id, account: ACCOUNT, volume: '', volumeSizeGib: 8, description: '', encrypted: false },
    ...{ state: 'completed', progressPercent: 100, rack: '', host: '', base: '', group: '' },
    ...{ groupSize: 1, manifest: 'ab'.repeat(32), dataBytes: 0, readBytes: 0, sentBytes: 0 },
    ...{ isPublic: false, sharedWith: [], clientToken: '', startedAtMs: START_MS },
    ...{ completedAtMs: START_MS, deletedAtMs: null, released: true },
    ...change,
  }
  await state.update((tx) => tx.put('volume-snapshot', [id], made))
  return made
}
