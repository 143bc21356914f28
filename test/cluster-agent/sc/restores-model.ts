// The volumes of a modelled host that begin as snapshots: what is shown of them, and what has come.

import assert from 'node:assert/strict'
import type { SeenRestore } from '../../../cluster-agent/sc/restore/restores.ts'
import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'

export class RestoresModel {
  readonly #restores = new Map<VolumeId, SeenRestore>()

  get(id: VolumeId): SeenRestore | undefined {
    return this.#restores.get(id)
  }

  has(id: VolumeId): boolean {
    return this.#restores.has(id)
  }

  begin(id: VolumeId, hasFile: boolean): void {
    assert.ok(!hasFile, 'begun too late')
    this.#restores.set(id, { whole: false, shownBytes: null })
  }

  /** All of its snapshot has come. */
  come(id: VolumeId): void {
    this.#set(id, { whole: true })
  }

  /** What shows it ends by itself. */
  hide(id: VolumeId): void {
    this.#set(id, { shownBytes: null })
  }

  show(id: VolumeId, shownBytes: number | null): void {
    assert.ok(this.has(id), 'nothing to show')
    this.#set(id, { shownBytes })
  }

  end(id: VolumeId, isDeleted: boolean): void {
    assert.ok(isDeleted || this.get(id)?.whole === true, 'ended before all is here')
    this.#restores.delete(id)
  }

  #set(id: VolumeId, change: Partial<SeenRestore>): void {
    const restore = this.#restores.get(id)
    if (restore !== undefined) this.#restores.set(id, { ...restore, ...change })
  }
}
