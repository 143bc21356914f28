// What only the SQLite store promises: one process, a private file, nothing half written when the
// process is killed or the disk is full.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { Compacted, type Store } from '../../../gateway/store/store.ts'

const WRITER = fileURLToPath(import.meta.resolve('../../support/store-writer.ts'))
const KILLS = 3
const PAIRS_BEFORE_KILL = 300

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mallee-sqlite-'))
  file = join(folder, 'store.db')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const open = (): Promise<Store> => openSqlite({ file, log: silentLog })
const openApart = (): Promise<Store> => openSqlite({ file, log: silentLog, commitsApart: true })

test('openSqlite keeps values, versions, epoch and log over a restart', async () => {
  const first = await open()
  await first.txn([], [{ put: 'a', value: '1' }])
  await first.txn([], [{ put: 'b', value: '2' }])
  const epoch = await first.epoch()
  await first.close()
  const second = await open()
  assert.equal(await second.epoch(), epoch)
  assert.equal(await second.revision(), 2)
  assert.deepEqual(await second.get('a'), { key: 'a', value: '1', version: 1, created: 1 })
  const stop = new AbortController()
  for await (const changes of second.watch('', 1, stop.signal)) {
    assert.deepEqual(changes, [{ revision: 2, key: 'b', value: '2' }])
    break
  }
  await second.close()
})

test('openSqlite makes files that only their owner reads, also from a wider one', async () => {
  const first = await open()
  await first.txn([], [{ put: 'a', value: '1' }])
  for (const name of [file, `${file}-wal`, `${file}-shm`, `${file}.lock`]) {
    assert.equal((await stat(name)).mode & 0o777, 0o600, name)
  }
  await first.close()
  await chmod(file, 0o644)
  const second = await open()
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await second.close()
})

test('openSqlite refuses a file that is open already and says what to do', async () => {
  const first = await open()
  await assert.rejects(open(), (error) => {
    assert.equal(codeOf(error), 'Conflict')
    assert.match(messageOf(error), /another gateway uses .*store\.db: stop it first .*Redis/)
    return true
  })
  // Being refused has not dropped the lock: another process is refused as well.
  await assert.rejects(exec([process.execPath, WRITER, file]), /another gateway uses/)
  await first.close()
  await (await open()).close()
})

test('openSqlite refuses the file of a newer version and leaves it as it is', async () => {
  await (await open()).close()
  const db = new DatabaseSync(file)
  db.exec('PRAGMA user_version = 99')
  db.close()
  await assert.rejects(open(), (error) => {
    assert.equal(codeOf(error), 'BadConfig')
    assert.match(messageOf(error), /newer Mallee \(version 99/)
    return true
  })
})

for (const [what, make] of [
  ['a database of another program', "CREATE TABLE t(x); INSERT INTO t VALUES ('theirs')"],
  ['a database with another application id', 'PRAGMA application_id = 42'],
] as const) {
  test(`openSqlite refuses ${what}`, async () => {
    const db = new DatabaseSync(file)
    db.exec(make)
    db.close()
    await assert.rejects(open(), /another program's database/)
  })
}

test('openSqlite refuses a file that is no database', async () => {
  await exec(['cp', '/bin/ls', file])
  await assert.rejects(open(), (error) => codeOf(error) === 'BadConfig')
})

test('the log is cut at its bound and the newest revision survives', async () => {
  const first = await openSqlite({ file, log: silentLog, keep: 50 })
  for (let i = 0; i < 500; i++) await first.txn([], [{ put: 'k', value: String(i) }])
  await first.close()
  const db = new DatabaseSync(file, { readOnly: true })
  const rows = Number(db.prepare('SELECT count(*) AS n FROM log').get()?.['n'])
  db.close()
  assert.ok(rows >= 50 && rows <= 55, `${rows} rows`)
  const second = await open()
  assert.equal(await second.revision(), 500)
  await second.close()
})

test('a store that nobody watches keeps the newest revision and no log', async () => {
  const first = await openSqlite({ file, log: silentLog, keep: 3 })
  for (let i = 1; i <= 3; i++) await first.txn([], [{ put: 'k', value: String(i) }])
  await first.close()
  const second = await openSqlite({ file, log: silentLog, keep: 0 })
  const writes = [{ put: 'a', value: 'once' }, { del: 'k' }]
  assert.deepEqual(await second.txn([], writes), { ok: true, revision: 4 })
  assert.deepEqual(await second.txn([], [{ del: 'k' }]), { ok: true, revision: 4 })
  const stop = new AbortController()
  const watching = collect(second.watch('', 4, stop.signal))
  await assert.rejects(collect(second.watch('', 3, stop.signal)), Compacted)
  await second.txn([], [{ put: 'b', value: '2' }])
  await assert.rejects(watching, Compacted)
  await second.close()
  const db = new DatabaseSync(file, { readOnly: true })
  const rows = db.prepare('SELECT revision, key, value FROM log').all()
  db.close()
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    [{ revision: 5, key: '', value: null }],
  )
  const third = await openSqlite({ file, log: silentLog, keep: 0 })
  assert.equal(await third.revision(), 5)
  assert.equal((await third.get('a'))?.version, 4)
  await third.close()
})

test('a backup taken by the sqlite3 way while the store is in use is whole', async () => {
  const store = await open()
  await store.txn([], [{ put: 'a', value: '1' }])
  const copy = join(folder, 'copy.db')
  const db = new DatabaseSync(file, { readOnly: true })
  db.exec(`VACUUM INTO '${copy}'`)
  db.close()
  await store.txn([], [{ put: 'a', value: '2' }])
  await store.close()
  const restored = await openSqlite({ file: copy, log: silentLog })
  assert.equal((await restored.get('a'))?.value, '1')
  await restored.close()
})

test('a restored store without its epoch row has a new epoch', async () => {
  const store = await open()
  const epoch = await store.epoch()
  await store.close()
  const db = new DatabaseSync(file)
  db.exec("DELETE FROM meta WHERE name = 'epoch'")
  db.close()
  const restored = await open()
  assert.match(await restored.epoch(), /^[0-9a-f]{16}$/)
  assert.notEqual(await restored.epoch(), epoch)
  await restored.close()
})

test('kill -9 loses nothing acknowledged, halves nothing and frees the lock', async () => {
  const acknowledged = new Set<number>()
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, [WRITER, file], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    let lines = 0
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        if (line === 'open') {
          await assert.rejects(open(), (error) => codeOf(error) === 'Conflict')
          continue
        }
        acknowledged.add(Number(line))
        lines += 1
        if (lines === PAIRS_BEFORE_KILL) child.kill('SIGKILL')
      }
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    assert.ok(lines >= PAIRS_BEFORE_KILL)
    await checkPairs(acknowledged)
  }
})

test('what commits apart stops nobody else, and a close waits for it', async () => {
  const store = await openApart()
  await store.txn([], [{ put: 'a', value: '1' }])
  const other = new DatabaseSync(file)
  other.exec('BEGIN IMMEDIATE')
  const order: string[] = []
  const written = store.txn([], [{ put: 'a', value: '2' }]).then(() => order.push('written'))
  await setImmediate()
  assert.equal((await store.get('a'))?.value, '1')
  const look = await store.txn([{ key: 'a', version: 1 }], [])
  assert.deepEqual(look, { ok: true, revision: 1 })
  const closed = store.close().then(() => order.push('closed'))
  await assert.rejects(store.txn([], [{ put: 'a', value: '3' }]), /closed/)
  order.push('released')
  other.exec('ROLLBACK')
  other.close()
  await Promise.all([written, closed])
  assert.deepEqual(order, ['released', 'written', 'closed'])
  const second = await open()
  assert.equal((await second.get('a'))?.value, '2')
  await second.close()
})

test('when the thread that commits dies, the outcome is unknown and the next one works', async () => {
  const store = await openApart()
  await rename(file, `${file}.aside`)
  await mkdir(file)
  const lost = [1, 2].map((n) => store.txn([], [{ put: 'a', value: `${n}` }]))
  for (const each of lost) {
    await assert.rejects(each, (error) => {
      assert.equal(codeOf(error), 'StoreUnavailable')
      assert.match(messageOf(error), /thread that writes .*store\.db is gone \(outcome unknown\)/)
      return true
    })
  }
  await rmdir(file)
  await rename(`${file}.aside`, file)
  assert.deepEqual(await store.txn([], [{ put: 'a', value: '3' }]), { ok: true, revision: 1 })
  assert.equal((await store.get('a'))?.value, '3')
  await store.close()
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

async function checkPairs(acknowledged: ReadonlySet<number>): Promise<void> {
  const store = await open()
  const left = await everything(store, 'left/')
  assert.deepEqual(await everything(store, 'right/'), left)
  for (const n of acknowledged) assert.ok(left.has(`${n}`), `${n} was acknowledged and is lost`)
  await store.close()
}

async function everything(store: Store, prefix: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (let after: string | undefined; ; ) {
    const page = await store.list(prefix, after === undefined ? {} : { after })
    for (const { key, value } of page.entries) found.set(key.slice(prefix.length), value)
    after = page.entries.at(-1)?.key
    if (!page.more) return found
  }
}

test('a full disk refuses with StoreFull, writes nothing, and works again with room', async () => {
  const program = fileURLToPath(import.meta.resolve('../../support/disk-full.ts'))
  const { stdout } = await exec(['unshare', '--mount', process.execPath, program, folder], {
    timeoutMs: 30_000,
  })
  const report = JSON.parse(stdout)
  assert.equal(report.refusedCode, 'StoreFull')
  assert.ok(report.refused > 3, `the disk was full after ${report.refused} transactions`)
  assert.deepEqual(report.atRefusal, { keys: 0, revision: report.refused })
  assert.equal(report.again, 'StoreFull')
  assert.equal(report.afterRoom, null)
  assert.equal(report.revision, report.refused + 1)
  assert.deepEqual(report.reopened, { keys: 3, revision: report.refused + 1 })
  assert.deepEqual(report.lost, [])
})
