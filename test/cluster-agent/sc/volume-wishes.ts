// What tests wish for of volumes.

import assert from 'node:assert/strict'
import {
  parseSnapshotId,
  parseVolumeId,
  type SnapshotId,
  type VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import type { Grant, WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'

export const MIB = 1 << 20
/** The last one has several writers. */
export const VOLUMES = 3
export const SOURCE = { snapshot: snapshotId(), manifest: 'ab'.repeat(32) }

export function wishOf(n: number): WantedVolume {
  const id = idOf(n)
  return {
    id,
    sizeBytes: 64 * MIB,
    targetIqn: `iqn.2026-01.org.mallee:${id}`,
    multiAttach: n === VOLUMES - 1,
    grants: [],
    deleted: false,
    // The second one begins as a snapshot.
    source: n === 1 ? { ...SOURCE, sizeBytes: 32 * MIB } : null,
  }
}

function snapshotId(): SnapshotId {
  const id = parseSnapshotId(`snap-${'0'.repeat(17)}`)
  assert.ok(id.ok)
  return id.value
}

export function idOf(n: number): VolumeId {
  const id = parseVolumeId(`vol-${String(n + 1).padStart(17, '0')}`)
  assert.ok(id.ok)
  return id.value
}

export function grantOf(id: VolumeId, generation: number): Grant {
  return {
    attachment: `a${generation}`,
    generation,
    // Two attachments out of three come from the same host.
    initiatorIqn: `iqn.2026-01.org.mallee:nc${generation % 2}`,
    chapUser: `${id}-a${generation}`,
    chapSecret: `secret-of-${id}-${generation}`,
  }
}

/** With a target of its own. */
export function ownOf(id: VolumeId, generation: number): Grant {
  const targetIqn = `iqn.2026-01.org.mallee:${generation}:${id}`
  return { ...grantOf(id, generation), targetIqn }
}
