// Program of the crash test: writes pairs of keys to the SQLite store of argv[2] until it is killed
// and prints the number of each acknowledged pair.

import { writeSync } from 'node:fs'
import { silentLog } from '../../common/log.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'

const WRITERS = 8

const store = await openSqlite({ file: process.argv[2] ?? '', log: silentLog, commitsApart: true })
let pair = await store.revision()
writeSync(1, 'open\n')
await Promise.all(Array.from({ length: WRITERS }, writeForEver))

async function writeForEver(): Promise<never> {
  for (;;) {
    const n = pair++
    const value = `${n}-${'x'.repeat(n % 5_000)}`
    await store.txn(
      [],
      [
        { put: `left/${n}`, value },
        { put: `right/${n}`, value },
      ],
    )
    // Synchronous: what the reader sees was acknowledged before the process died.
    writeSync(1, `${n}\n`)
  }
}
