// Program of the disk-full test, started by `unshare --mount`: fills a tiny tmpfs of its own,
// mounted at argv[2], through a SQLite store, makes room again, and prints what it saw as JSON.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'

const folder = process.argv[2] ?? ''
await exec(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder])
const ballast = join(folder, 'ballast')
writeFileSync(ballast, Buffer.alloc(1 << 20))

const file = join(folder, 'store.db')
let store = await openSqlite({ file, log: silentLog, commitsApart: true })
const acknowledged: number[] = []
let refusedCode: string | null = null
for (let n = 0; n < 1_000 && refusedCode === null; n++) refusedCode = await write(n)
const refused = acknowledged.length
const atRefusal = await look(refused)

const again = await write(refused)
rmSync(ballast)
const afterRoom = await write(refused)
const revision = await store.revision()
await store.close()
store = await openSqlite({ file, log: silentLog, commitsApart: true })
const reopened = await look(refused)
const lost = []
for (const n of acknowledged) if ((await look(n)).keys !== 3) lost.push(n)
await store.close()

const report = { refusedCode, refused, atRefusal, again, afterRoom, revision, reopened, lost }
process.stdout.write(JSON.stringify(report))

/** The code of the refusal, null when it was acknowledged. */
async function write(n: number): Promise<string | null> {
  const value = String(n).padEnd(20_000, 'x')
  const writes = ['a', 'b', 'c'].map((part) => ({ put: `${part}/${n}`, value }))
  try {
    await store.txn([], writes)
    acknowledged.push(n)
    return null
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

async function look(n: number): Promise<{ keys: number; revision: number }> {
  const found = await Promise.all(['a', 'b', 'c'].map((part) => store.get(`${part}/${n}`)))
  return { keys: found.filter((entry) => entry !== null).length, revision: await store.revision() }
}
