// The uploads that run in this agent, a few at a time. Each ends with its ledger saying completed,
// or is begun again: only the loss of what is kept is an end without that.

import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, messageOf } from '../../../common/errors.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import { Turns } from '../../../proto/turns.ts'
import type { SnapshotId } from '../volumes/backend.ts'
import { type JobParts, uploadJob } from './job.ts'
import { type Completed, type Taken, writeSnapshotLedger } from './ledger.ts'
import { patient } from './patient-blocks.ts'
import { uploadSnapshot } from './upload.ts'
import type { WantedSnapshot } from './wanted.ts'

export interface UploadsParts extends JobParts {
  readonly clock: Clock
  readonly chance: () => number
  /** Where the blocks of that snapshot go, or are. */
  readonly endOf: (id: SnapshotId) => SnapshotBlocksEnd
  /** Something about an upload is other than it was. */
  readonly changed: () => void
}

export interface UploadState {
  readonly progressPercent: number
  /** Why it does not go on; null when it does. */
  readonly trouble: string | null
}

interface Running {
  readonly end: AbortController
  /** Null while it waits for its turn. */
  begun: Promise<void> | null
  state: UploadState
}

const MAX_UPLOADS = 2
/** What is compared with is not there any more, is not ours any more, or is spoilt. */
const OF_OTHERS: ReadonlySet<Code | null> = new Set([
  'NotFound',
  'NotAllowed',
  'DataCorrupt',
] as const)
const RETRY_MS = { first: 1_000, last: 60_000 }

export class Uploads {
  readonly #parts: UploadsParts
  readonly #running = new Map<SnapshotId, Running>()
  readonly #turns = new Turns(MAX_UPLOADS)

  constructor(parts: UploadsParts) {
    this.#parts = parts
  }

  /** Null for one that does not run. */
  state(id: SnapshotId): UploadState | null {
    return this.#running.get(id)?.state ?? null
  }

  start(wanted: WantedSnapshot, taken: Taken): void {
    const { id } = wanted
    if (this.#running.has(id)) return
    const state = { progressPercent: 0, trouble: null }
    const running: Running = { end: new AbortController(), begun: null, state }
    this.#running.set(id, running)
    const run = async (): Promise<void> => {
      running.begun = this.#run(wanted, taken, running)
      await running.begun
    }
    void this.#turns
      .take(run)
      .catch((error: unknown) => this.#parts.log.error('snapshot', { snapshot: id, error }))
      .finally(() => {
        if (this.#running.get(id) === running) this.#running.delete(id)
        this.#parts.changed()
      })
  }

  /** Resolves when nothing of it runs any more. */
  async stop(id: SnapshotId): Promise<void> {
    const running = this.#running.get(id)
    this.#running.delete(id)
    running?.end.abort()
    await running?.begun?.catch(() => undefined)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((id) => this.stop(id)))
  }

  async #run(wanted: WantedSnapshot, taken: Taken, running: Running): Promise<void> {
    const { clock, chance, ledgers, log } = this.#parts
    const { signal } = running.end
    let alone = false
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const completed = await this.#once(wanted, taken, { running, alone })
        await writeSnapshotLedger(ledgers, wanted.id, completed)
        log.info('snapshot completed', { snapshot: wanted.id, sentBytes: completed.sentBytes })
        return
      } catch (error) {
        if (signal.aborted) return
        // Not at the first time: it may be that another gateway was asked.
        if (OF_OTHERS.has(codeOf(error)) && failures > 0) alone = true
        this.#tell(running, { trouble: messageOf(error) })
        log.error('snapshot is not sent', { snapshot: wanted.id, error })
        const ms = Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** failures)
        await clock.sleep(ms * (0.5 + chance() / 2), signal)
      }
    }
  }

  async #once(
    wanted: WantedSnapshot,
    taken: Taken,
    { running, alone }: { readonly running: Running; readonly alone: boolean },
  ): Promise<Completed> {
    const { clock, chance, endOf } = this.#parts
    const { signal } = running.end
    const job = await uploadJob(this.#parts, { wanted, sizeBytes: taken.sizeBytes, alone })
    const told = (trouble: string | null): void => this.#tell(running, { trouble })
    const patientEnd = (id: SnapshotId): SnapshotBlocksEnd =>
      patient(endOf(id), { clock, chance, signal, told })
    const store = { own: patientEnd(wanted.id), endOf: patientEnd }
    const progress = (progressPercent: number): void => {
      this.#tell(running, { progressPercent, trouble: null })
    }
    const sums = await this.#parts.backend.reading(wanted.id, (file) =>
      uploadSnapshot({ ...job, file }, store, { signal, progress }),
    )
    return { ...taken, ...sums, state: 'completed' }
  }

  #tell(running: Running, news: Partial<UploadState>): void {
    const before = running.state
    running.state = { ...before, ...news }
    const { progressPercent, trouble } = running.state
    if (progressPercent !== before.progressPercent || trouble !== before.trouble) {
      this.#parts.changed()
    }
  }
}
