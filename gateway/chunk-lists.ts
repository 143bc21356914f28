// Makes the chunk lists of image files that an older gateway took in: once, beside everything else.
// Until then hosts that do not have such an image wait for it.

import type { Log } from '../common/log.ts'
import { makeChunkList } from './blobs.ts'
import type { State } from './store/state.ts'

interface Parts {
  readonly state: State
  readonly blobsDir: string
  readonly log: Log
}

/** Returns what ends it; that waits for the file under way. */
export function startChunkLists(parts: Parts): () => Promise<void> {
  const end = new AbortController()
  const done = makeAll(parts, end.signal)
  return async () => {
    end.abort()
    await done
  }
}

async function makeAll({ state, blobsDir, log }: Parts, signal: AbortSignal): Promise<void> {
  const old = [...state.view().all('blob')].filter((one) => one.chunkListSha256 === undefined)
  for (const { sha256 } of old) {
    if (signal.aborted) return
    try {
      const chunkListSha256 = await makeChunkList(blobsDir, sha256, signal)
      // The file of another gateway is that one's.
      if (chunkListSha256 === null) continue
      await state.update(async (tx) => {
        const known = await tx.get('blob', sha256)
        if (known !== null) await tx.put('blob', [sha256], { ...known, chunkListSha256 })
      })
      log.info('chunk list made', { sha256 })
    } catch (error) {
      log.error('chunk list not made', { sha256, error })
    }
  }
}
