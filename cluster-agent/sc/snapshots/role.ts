// The SC's snapshots as a part of a host: taken in the passes of its volumes, sent meanwhile.

import { chance, systemClock } from '../../../common/clock.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import type { Status } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../../proto/resources.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import type { SnapshotId, VolumeBackend } from '../volumes/backend.ts'
import { badSnapshot, snapshotStatus } from './messages.ts'
import { reconcileSnapshots, type SnapshotsParts, snapshotStatuses } from './reconcile.ts'
import type { TakeParts } from './take.ts'
import { Uploads } from './uploads.ts'
import { parseWantedSnapshot, type WantedSnapshot } from './wanted.ts'

export interface SnapshotsOptions {
  readonly exec: Exec
  readonly log: Log
  readonly host: string
  /** Folder of the ledgers: lost, what was taken is taken anew. */
  readonly ledgers: string
  readonly still: TakeParts['still']
  readonly attached: TakeParts['attached']
  readonly endOf: (id: SnapshotId) => SnapshotBlocksEnd
  /** There is news to tell, of bytes that are sent; nothing is to be done. */
  readonly changed: () => void
}

export class SnapshotsRole {
  readonly #options: SnapshotsOptions
  #parts: SnapshotsParts | null = null
  #wanted: readonly WantedSnapshot[] = []
  #bad: readonly Status[] = []
  #statuses: readonly Status[] = []
  #telling: Promise<void> = Promise.resolve()
  #isDue = false

  constructor(options: SnapshotsOptions) {
    this.#options = options
  }

  statuses(): readonly Status[] {
    return [...this.#statuses, ...this.#bad]
  }

  /** Before volumes change: what was asked for before that is taken of what they were. */
  async pass(
    desired: Desired,
    backend: VolumeBackend,
    settled: TakeParts['settled'],
  ): Promise<void> {
    const { host } = this.#options
    const wanted: WantedSnapshot[] = []
    const bad: Status[] = []
    for (const snapshot of bodies(desired, 'volumeSnapshot')) {
      if (snapshot.host !== host) continue
      const read = parseWantedSnapshot(snapshot)
      if (read.ok) wanted.push(read.value)
      else bad.push(badSnapshot(host, snapshot, read.why))
    }
    this.#wanted = wanted
    this.#bad = bad
    this.#parts ??= this.#open(backend, settled)
    await reconcileSnapshots(this.#parts, wanted)
    this.#telling = this.#telling.then(() => this.#refresh())
    await this.#telling
  }

  async close(): Promise<void> {
    await this.#parts?.uploads.close()
    await this.#telling
  }

  #open(backend: VolumeBackend, settled: TakeParts['settled']): SnapshotsParts {
    const { exec, log, ledgers, still, attached, endOf } = this.#options
    const clock = systemClock
    const common = { exec, log, backend, ledgers, clock, chance, endOf }
    const uploads = new Uploads({ ...common, changed: () => this.#tell() })
    return { ...common, uploads, still, attached, settled }
  }

  /** One after the other: what is said is never older than what was said before. */
  #tell(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#telling = this.#telling.then(async () => {
      // What changes from now on is told by the next one.
      this.#isDue = false
      await this.#refresh()
      this.#options.changed()
    })
  }

  async #refresh(): Promise<void> {
    if (this.#parts === null) return
    const { host } = this.#options
    const statuses = await snapshotStatuses(this.#parts, this.#wanted)
    this.#statuses = statuses.map((one) => snapshotStatus(host, one))
  }
}
