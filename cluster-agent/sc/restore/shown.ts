// What shows a volume as a file while its snapshot comes: a daemon of its own.

import { join } from 'node:path'
import type { Clock } from '../../../common/clock.ts'
import type { Exec } from '../../../common/exec.ts'
import { type StorageDaemonFiles, stopStorageDaemon } from '../../host/storage-daemon.ts'
import type { VolumeId } from '../volumes/backend.ts'
import { listRestores } from './ledger.ts'

export interface ShownParts {
  readonly exec: Exec
  readonly clock: Clock
  readonly ledgers: string
  readonly runDir: string
}

export function shownBy({ runDir }: Pick<ShownParts, 'runDir'>, id: VolumeId): StorageDaemonFiles {
  return { file: join(runDir, `${id}.raw`), pid: join(runDir, `${id}.pid`) }
}

/** Ends all of them; what has come stays. */
export async function hideRestores(parts: ShownParts): Promise<void> {
  for (const id of await listRestores(parts.ledgers)) {
    await stopStorageDaemon(parts, shownBy(parts, id))
  }
}
