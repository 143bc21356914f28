// The volumes of this host that begin as snapshots and have not come as a whole. Each is shown as a
// file by a daemon of its own, which asks this agent for it: touched bytes come first, the others
// meanwhile. What is here, and the daemons, outlive this agent.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../common/clock.ts'
import { isThere } from '../../../common/durable-file.ts'
import { type Code, MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import {
  type StorageDaemonFiles,
  startStorageDaemon,
  stopStorageDaemon,
  storageDaemonPid,
} from '../../host/storage-daemon.ts'
import { type NbdExport, NbdServer } from '../../images/nbd-server.ts'
import { patient } from '../snapshots/patient-blocks.ts'
import type { TakeParts } from '../snapshots/take.ts'
import type { SnapshotId, VolumeBackend, VolumeId } from '../volumes/backend.ts'
import type { SnapshotSource } from '../volumes/wanted.ts'
import { blocksFor } from './encrypted-blocks.ts'
import { volumeExport } from './export.ts'
import { Fill } from './fill.ts'
import {
  listRestores,
  type RestoreLedger,
  readRestore,
  removeRestore,
  writeRestore,
} from './ledger.ts'
import { type MarkFiles, removeMarks } from './marks.ts'
import { PartialVolume } from './partial-volume.ts'
import { shownBy } from './shown.ts'
import { SourceBlocks } from './source-blocks.ts'

/** Of a gateway that does not know us yet, as it, or we, have just begun. */
const WAITS_FOR: ReadonlySet<Code | null> = new Set(['NotAllowed'] as const)
/** Of what is missing: every change is a report. */
const TOLD_STEPS = 64

export interface RestoresParts {
  readonly exec: Exec
  readonly clock: Clock
  readonly chance: () => number
  readonly log: Log
  readonly backend: Pick<VolumeBackend, 'path' | 'zero' | 'hold' | 'release'>
  /** Folder of the ledgers: lost, what is missing of a volume reads as zeroes. */
  readonly ledgers: string
  /** Gone after a reboot (a tmpfs): sockets, what daemons show, and what is not on the disk yet. */
  readonly runDir: string
  readonly bootId: string
  readonly endOf: (id: SnapshotId) => SnapshotBlocksEnd
  /** There is something to tell, or all of a volume is here. */
  readonly changed: () => void
}

export interface SeenRestore {
  /** All of it is in the volume's own file. */
  readonly whole: boolean
  /** As which size it is shown now; null when it is not. */
  readonly shownBytes: number | null
}

interface Open {
  readonly volume: PartialVolume
  readonly end: AbortController
  readonly filled: Promise<void>
  sizeBytes: number
  trouble: string | null
  /** Aborts what waits now. */
  patience: AbortController
}

export class Restores {
  readonly #parts: RestoresParts
  readonly #open = new Map<VolumeId, Open>()
  /** Bytes of the snapshots of volumes that are not whole, whether they are served or not. */
  readonly #awaited = new Map<VolumeId, number>()
  #server: NbdServer | null = null

  private constructor(parts: RestoresParts) {
    this.#parts = parts
  }

  /** Goes on with all that there are. */
  static async open(parts: RestoresParts): Promise<Restores> {
    const restores = new Restores(parts)
    await mkdir(parts.runDir, { recursive: true, mode: 0o700 })
    for (const id of await listRestores(parts.ledgers)) {
      await restores.#resume(id).catch((error: unknown) => {
        parts.log.error('volume is not restored', { volume: id, error })
      })
    }
    // Not before: a daemon that comes back asks at once.
    restores.#server = await NbdServer.listen({
      path: socketOf(parts),
      find: (name) => restores.#export(name),
      names: () => [...restores.#open.keys()],
      log: parts.log,
    })
    return restores
  }

  /** What serves it as long as it is not whole. */
  file(id: VolumeId): string {
    return this.#daemon(id).file
  }

  /** Null for a volume that is in its own file, and nowhere else. */
  async look(id: VolumeId): Promise<SeenRestore | null> {
    const ledger = await readRestore(this.#parts.ledgers, id)
    if (ledger === null) return null
    await this.#resume(id)
    const pid = await storageDaemonPid(this.#parts.exec, this.#daemon(id))
    return { whole: ledger.whole, shownBytes: pid === null ? null : ledger.shownBytes }
  }

  /** Of a volume whose file is not there yet; what comes is encrypted by the key. Durable. */
  async begin(id: VolumeId, source: SnapshotSource, encryptionKey?: string): Promise<void> {
    await this.#close(id)
    await removeMarks(this.#marks(id))
    const key = encryptionKey === undefined ? {} : { encryptionKey }
    const ledger: RestoreLedger = { version: 1, source, ...key, whole: false, shownBytes: 0 }
    await writeRestore(this.#parts.ledgers, id, ledger)
  }

  /** Shows it; what showed it before ends. */
  async show(id: VolumeId): Promise<void> {
    const { ledgers } = this.#parts
    await this.#resume(id)
    const [ledger, open] = [await readRestore(ledgers, id), this.#open.get(id)]
    if (ledger === null || open === undefined) throw new MalleeError('NotFound', `${id} is whole`)
    open.sizeBytes = await open.volume.sizeBytes()
    await stopStorageDaemon(this.#parts, this.#daemon(id))
    // Before it runs: one of another size would pass for it.
    await writeRestore(ledgers, id, { ...ledger, shownBytes: open.sizeBytes })
    const source = { socket: socketOf(this.#parts), name: id }
    await startStorageDaemon(this.#parts, this.#daemon(id), source)
  }

  /** Who waits for its blocks gets an error: a session that is to end would wait with them. */
  interrupt(id: VolumeId): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    open.patience.abort()
    open.patience = new AbortController()
  }

  /** Nobody uses what is shown any more: that ends, and what is known of it goes. */
  async end(id: VolumeId): Promise<void> {
    await stopStorageDaemon(this.#parts, this.#daemon(id))
    await this.#close(id)
    await this.#parts.backend.release(id)
    await removeMarks(this.#marks(id))
    await removeRestore(this.#parts.ledgers, id)
    this.#awaited.delete(id)
  }

  /**
   * For a status; nothing is missing of any other volume. Something is until it is written down
   * that all is here: who hears of nothing may let the snapshot go.
   */
  status(id: VolumeId): { readonly missingBytes: number; readonly trouble: string | null } {
    const open = this.#open.get(id)
    const least = this.#awaited.get(id)
    if (least === undefined) return { missingBytes: 0, trouble: null }
    const missingBytes = Math.max(open?.volume.missingBytes ?? least, SNAPSHOT_BLOCK_BYTES)
    return { missingBytes, trouble: open?.trouble ?? null }
  }

  readonly settled: TakeParts['settled'] = async (id, run) => {
    if ((await readRestore(this.#parts.ledgers, id)) === null) return run(null)
    await this.#resume(id)
    const open = this.#open.get(id)
    return open === undefined ? run(null) : open.volume.settled(run)
  }

  /** Guests wait from now on, until the next agent. */
  async close(): Promise<void> {
    // First those who ask, so that nobody hears of the end.
    const closed = this.#server?.close()
    for (const { end } of this.#open.values()) end.abort()
    await closed
    for (const id of [...this.#open.keys()]) await this.#close(id)
  }

  /** Serves and fills it, if its file is there. */
  async #resume(id: VolumeId): Promise<void> {
    if (this.#open.has(id)) return
    const { backend, endOf, clock, chance, ledgers } = this.#parts
    const ledger = await readRestore(ledgers, id)
    const file = backend.path(id)
    if (ledger === null || ledger.whole) this.#awaited.delete(id)
    else this.#awaited.set(id, ledger.source.sizeBytes)
    if (ledger === null) return
    await backend.hold(id)
    if (!(await isThere(file))) return
    const end = new AbortController()
    const { signal } = end
    // Who asks waits for the store, as for a slow disk.
    const told = (trouble: string | null): void => this.#tell(id, trouble)
    const own = new SourceBlocks(
      ledger.whole ? { ...ledger.source, sizeBytes: 0 } : ledger.source,
      patient(endOf(ledger.source.snapshot), { clock, chance, signal, told, waitsFor: WAITS_FOR }),
    )
    const blocks = await blocksFor(own, file, ledger.encryptionKey)
    let fill: Fill | null = null
    const volume = await PartialVolume.open({
      ...{ file, marks: this.#marks(id), blocks },
      punch: (offset, length) => backend.zero(id, { offset, length }),
      touched: (block) => fill?.touched(block),
    })
    let toldSteps = 0
    const progress = (): void => {
      const now = Math.floor((volume.missingBytes * TOLD_STEPS) / ledger.source.sizeBytes)
      if (now !== toldSteps) this.#parts.changed()
      toldSteps = now
    }
    fill = new Fill(volume, blocks, { clock, signal, told, progress })
    const sizeBytes = await volume.sizeBytes()
    const filled = ledger.whole ? Promise.resolve() : this.#fill(id, fill, signal)
    this.#open.set(id, {
      volume,
      end,
      filled,
      sizeBytes,
      trouble: null,
      patience: new AbortController(),
    })
  }

  async #fill(id: VolumeId, fill: Fill, signal: AbortSignal): Promise<void> {
    await fill.run()
    if (signal.aborted) return
    try {
      const ledger = await readRestore(this.#parts.ledgers, id)
      if (ledger !== null) {
        const { encryptionKey: _, ...rest } = ledger
        await writeRestore(this.#parts.ledgers, id, { ...rest, whole: true })
      }
      this.#awaited.delete(id)
      this.#parts.log.info('volume is whole', { volume: id })
    } catch (error) {
      this.#tell(id, messageOf(error))
      this.#parts.log.error('volume is whole, and that is not kept', { volume: id, error })
    }
    this.#parts.changed()
  }

  #tell(id: VolumeId, trouble: string | null): void {
    const open = this.#open.get(id)
    if (open === undefined || open.trouble === trouble) return
    open.trouble = trouble
    if (trouble !== null) this.#parts.log.warn('volume waits for its snapshot', { id, trouble })
    this.#parts.changed()
  }

  async #close(id: VolumeId): Promise<void> {
    const open = this.#open.get(id)
    if (open === undefined) return
    this.#open.delete(id)
    open.end.abort()
    await open.filled
    await open.volume.close()
  }

  #export(name: string): NbdExport | null {
    const [id, open] = [...this.#open].find(([one]) => one === name) ?? []
    if (id === undefined || open === undefined) return null
    return volumeExport(open.volume, {
      sizeBytes: open.sizeBytes,
      patience: () => open.patience.signal,
      told: (trouble) => this.#tell(id, trouble),
    })
  }

  #daemon(id: VolumeId): StorageDaemonFiles {
    return shownBy(this.#parts, id)
  }

  #marks(id: VolumeId): MarkFiles {
    const { ledgers, runDir, bootId } = this.#parts
    return {
      durable: join(ledgers, `${id}.have`),
      fleeting: join(runDir, `${id}.have`),
      bootId,
    }
  }
}

function socketOf({ runDir }: Pick<RestoresParts, 'runDir'>): string {
  return join(runDir, 'nbd.sock')
}
