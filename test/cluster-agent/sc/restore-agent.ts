// An agent that serves one volume which begins as a snapshot, in the test's process or, to be
// killed, as a program of its own: argv[2] is what it is to do, as JSON; it prints a status a line.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Restores } from '../../../cluster-agent/sc/restore/restores.ts'
import { uploadSnapshot } from '../../../cluster-agent/sc/snapshots/upload.ts'
import type { SnapshotId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import {
  reconcileVolumes,
  type VolumeStatus,
  type VolumesParts,
} from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { tgtTargets } from '../../../cluster-agent/sc/volumes/tgt.ts'
import { parseWantedVolume, type WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { type Exec, exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import { MemoryStore } from './memory-store.ts'

export const SNAPSHOT = 'snap-00000000000000001' as SnapshotId

export interface AgentWish {
  /** Of a simulated host, outside. */
  readonly hostPid: number
  readonly stateDir: string
  readonly runDir: string
  readonly portal: string
  /** What the snapshot has. */
  readonly file: string
  /** Blocks that the store gives; null for all. Of the others it says that it is away. */
  readonly given: readonly number[] | null
  /** Blocks that come with other bytes. */
  readonly spoilt: readonly number[]
  /** The volume is encrypted, and the snapshot is not. */
  readonly isPlain?: true
  readonly volume: Omit<WantedVolume, 'source' | 'id'> & { readonly id: string }
}

export class RestoreAgent {
  readonly parts: VolumesParts
  readonly restores: Restores
  readonly wanted: WantedVolume
  readonly store: MemoryStore

  private constructor(
    parts: VolumesParts,
    restores: Restores,
    { wanted, store }: { readonly wanted: WantedVolume; readonly store: MemoryStore },
  ) {
    this.parts = parts
    this.restores = restores
    this.wanted = wanted
    this.store = store
  }

  static async open(wish: AgentWish): Promise<RestoreAgent> {
    const { hostPid, stateDir, runDir, portal, volume } = wish
    const inHost: Exec = (argv, options) =>
      exec(['nsenter', `--target=${hostPid}`, '--all', '--', ...argv], options)
    const store = new MemoryStore()
    const sizeBytes = readFileSync(wish.file).length
    const all = [{ from: 0, to: sizeBytes / SNAPSHOT_BLOCK_BYTES }]
    const { manifest } = await uploadSnapshot(
      { file: wish.file, sizeBytes, data: all, changed: all, template: null },
      { own: store.endOf(SNAPSHOT), endOf: store.endOf },
      { signal: new AbortController().signal, progress: () => undefined },
    )
    const isPlain = wish.isPlain === true ? ({ isPlain: true } as const) : {}
    const source = { snapshot: SNAPSHOT, manifest, sizeBytes, ...isPlain }
    const wanted = parseWantedVolume({ ...volume, source })
    if (!wanted.ok) throw new Error(wanted.why)
    const backend = await fileBackend(exec, stateDir)
    const restores = await Restores.open({
      ...{ exec: inHost, clock: systemClock, chance: () => 0, log: silentLog, backend },
      ledgers: join(stateDir, 'restores'),
      runDir: join(runDir, 'restores'),
      bootId: '0'.repeat(36),
      endOf: (id) => given(store.endOf(id), wish),
      changed: () => undefined,
    })
    const files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    const parts = {
      ...{ randomHex, log: silentLog, backend, portal, restores },
      ledgers: join(stateDir, 'ledgers'),
      targets: tgtTargets({ exec: inHost, clock: systemClock, files }),
    }
    return new RestoreAgent(parts, restores, { wanted: wanted.value, store })
  }

  async pass(change: Partial<WantedVolume> = {}): Promise<VolumeStatus> {
    const { statuses, failed } = await reconcileVolumes(this.parts, [{ ...this.wanted, ...change }])
    const [status] = statuses
    if (status === undefined || failed > 0) throw new Error(`it failed: ${status?.reason}`)
    return status
  }
}

function given(end: SnapshotBlocksEnd, { given: some, spoilt }: AgentWish): SnapshotBlocksEnd {
  return {
    ...end,
    block: async (index) => {
      if (some?.includes(index) === false) throw new MalleeError('Unavailable', 'Walrus is away')
      const bytes = Uint8Array.from(await end.block(index))
      if (spoilt.includes(index)) bytes[7] = (bytes[7] ?? 0) ^ 1
      return bytes
    },
  }
}

if (import.meta.main) {
  const agent = await RestoreAgent.open(JSON.parse(process.argv[2] ?? '') as AgentWish)
  for (;;) {
    process.stdout.write(`${JSON.stringify(await agent.pass())}\n`)
    await sleep(100)
  }
}
