// Snapshots of a host that is a model: its volumes are all zeroes, so each snapshot is complete
// with an empty manifest, which is put into the store as a real one is.

import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import { encodeRoot, SNAPSHOT_BLOCK_BYTES } from '../../common/snapshot-manifest.ts'
import { type Status, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import {
  SnapshotState,
  type SnapshotStatus,
  SnapshotStatusSchema,
  type VolumeSnapshot,
} from '../../proto/gen/mallee/v1/volumes_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'

export interface SimulatedSnapshotsOptions {
  readonly host: string
  readonly clock: Clock
  /** Brings the root of a snapshot's manifest to the store; absent where there is none. */
  readonly putRoot?: (snapshot: string, root: Uint8Array) => Promise<void>
}

type Fields = Partial<Pick<SnapshotStatus, 'manifestSha256' | 'progressPercent' | 'reason'>>

export class SimulatedSnapshots {
  readonly #options: SimulatedSnapshotsOptions
  readonly #kept = new Map<string, SnapshotStatus>()

  constructor(options: SimulatedSnapshotsOptions) {
    this.#options = options
  }

  /** Throws what `putRoot` throws: the snapshot is taken then, and goes on at the next pass. */
  async follow(desired: Desired): Promise<void> {
    for (const [id, { state }] of this.#kept) {
      const isOver = state === SnapshotState.RELEASED && !desired.has(`snapshot/${id}`)
      if (isOver) this.#kept.delete(id)
    }
    const sizes = new Map(bodies(desired, 'volume').map((one) => [one.id, Number(one.sizeBytes)]))
    for (const one of bodies(desired, 'volumeSnapshot')) {
      if (one.host === this.#options.host) await this.#go(one, sizes.get(one.volumeId))
    }
  }

  statuses(): Status[] {
    return [...this.#kept.values()].map((value) =>
      create(StatusSchema, {
        key: `snapshot/${value.id}`,
        body: { case: 'volumeSnapshot', value },
      }),
    )
  }

  clear(): void {
    this.#kept.clear()
  }

  async #go({ id, volumeId, released }: VolumeSnapshot, sizeBytes: number | undefined) {
    if (released) {
      this.#say(id, SnapshotState.RELEASED, {})
      return
    }
    const known = this.#kept.get(id)?.state ?? SnapshotState.UNSPECIFIED
    const isOver = known !== SnapshotState.UNSPECIFIED && known !== SnapshotState.TAKEN
    if (isOver) return
    if (sizeBytes === undefined || sizeBytes % SNAPSHOT_BLOCK_BYTES !== 0) {
      this.#say(id, SnapshotState.ERROR, { reason: `there is no volume ${volumeId} here` })
      return
    }
    this.#say(id, SnapshotState.TAKEN, {})
    const root = encodeRoot({ sizeBytes, entries: [] })
    await this.#options.putRoot?.(id, root.bytes)
    const done = { progressPercent: 100, manifestSha256: root.sha256 }
    this.#say(id, SnapshotState.COMPLETED, done)
  }

  #say(id: string, state: SnapshotState, fields: Fields): void {
    const { host, clock } = this.#options
    const takenAtMs = this.#kept.get(id)?.takenAtMs ?? BigInt(clock.nowMs())
    const bytes = { readBytes: 0n, sentBytes: 0n, dataBytes: 0n }
    const value = create(SnapshotStatusSchema, { id, host, state, takenAtMs, ...bytes, ...fields })
    this.#kept.set(id, value)
  }
}
