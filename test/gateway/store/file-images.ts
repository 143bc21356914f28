// What a gateway that dies between any two writes of SQLite leaves: copies of the store's files,
// taken before each write, and what the next gateway finds in them.

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { StatementSync } from 'node:sqlite'
import type { TestContext } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { View } from '../../../gateway/store/state.ts'

export interface FileImages {
  /** Files, in the order in which they were taken. */
  readonly taken: readonly string[]
  /** One more, as it is now. */
  readonly take: () => void
  /** No more are taken. */
  readonly end: () => void
}

/** Takes an image of `file` before each write to any store of this process. */
export async function fileImages(t: TestContext, file: string): Promise<FileImages> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-images-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const taken: string[] = []
  const take = (): void => {
    const folder = join(dir, `${taken.length}`)
    mkdirSync(folder)
    // In a process of its own: to close the file here would drop the locks of the open store.
    execFileSync('cp', [file, `${file}-wal`, folder])
    taken.push(join(folder, basename(file)))
  }
  const real = StatementSync.prototype.run
  const watched = t.mock.method(
    StatementSync.prototype,
    'run',
    function (this: StatementSync, ...values: Parameters<typeof real>) {
      take()
      return real.apply(this, values)
    },
  )
  return { taken, take, end: () => watched.mock.restore() }
}

/** What the next gateway would find in an image. */
export async function inImage<T>(image: string, look: (view: View) => T): Promise<T> {
  const store = await openSqlite({ file: image, log: silentLog, randomHex })
  const state = await openState({ store, clock: systemClock, log: silentLog })
  try {
    return look(state.view())
  } finally {
    await state.close()
    await store.close()
  }
}
