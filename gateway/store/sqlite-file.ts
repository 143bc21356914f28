// The SQLite file of a store: who may open it, its mode, its schema and what its errors mean.

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError, messageOf } from '../../common/errors.ts'

/** `Mall`: how `file` and another program know whose database this is. */
const APPLICATION_ID = 0x4d_61_6c_6c
/** Another program that writes (nobody should) may hold us up for so long. */
const BUSY_TIMEOUT_MS = 1_000

// https://sqlite.org/rescode.html
const SQLITE_BUSY = 5
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26
const SQLITE_IOERR_FSYNC = 1034
const SQLITE_IOERR_SHMSIZE = 4874

/** Step n brings a file from version n to n + 1. Never edited once released, only added to. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
   CREATE TABLE kv(
     key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL
   ) WITHOUT ROWID, STRICT;
   CREATE TABLE log(
     revision INTEGER NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, value TEXT,
     PRIMARY KEY(revision, seq)
   ) WITHOUT ROWID, STRICT;`,
]

export interface OpenFile {
  /** Of the file itself, whatever leads to it. */
  readonly path: string
  readonly db: DatabaseSync
  /** Held as long as it is referenced and open; the kernel drops it when the process dies. */
  readonly lock: DatabaseSync
  readonly epoch: string
}

/**
 * Opens or makes the file, for this process alone. Throws Conflict when another gateway has it,
 * BadConfig when it is no store of ours or a newer one, StoreFull, StoreUnavailable.
 */
export function openFile(file: string, randomHex: RandomHex): OpenFile {
  const path = createPrivately(file)
  const lock = takeLock(path)
  let db: DatabaseSync | null = null
  try {
    db = connect(path)
    migrate(db, path)
    return { path, db, lock, epoch: epochOf(db, randomHex) }
  } catch (error) {
    db?.close()
    lock.close()
    throw error instanceof MalleeError ? error : explain(error, path).error
  }
}

/** Another connection to a file that this process has opened. Throws errors of node:sqlite. */
export function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000')
    // What one huge transaction made the WAL grow to is given back at the next checkpoint.
    db.exec('PRAGMA journal_size_limit = 67108864')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function createPrivately(file: string): string {
  try {
    const folder = dirname(file)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    // SQLite gives its -wal and -shm files the mode of this one.
    if (createOnce(file)) syncFolder(folder)
    const path = realpathSync(file)
    createOnce(`${path}.lock`)
    return path
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === 'ENOSPC' ? 'StoreFull' : 'BadConfig'
    throw new MalleeError(code, `${file} cannot be opened: ${messageOf(cause)}`, { cause })
  }
}

// Never opens a file that is there: closing it again would drop the POSIX locks that this process
// has on it, those of an open store too (fcntl(2)).
function createOnce(file: string): boolean {
  const isNew = !existsSync(file)
  if (isNew) closeSync(openSync(file, 'wx', 0o600))
  chmodSync(file, 0o600)
  return isNew
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

// The lock is a second database that holds nothing: SQLite's POSIX locks die with the process, and
// the store itself stays readable for a backup by the sqlite3 program.
function takeLock(path: string): DatabaseSync {
  const lockFile = `${path}.lock`
  const lock = new DatabaseSync(lockFile, { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock.close()
    throw new MalleeError(
      'Conflict',
      `another gateway uses ${path}: stop it first ("fuser ${lockFile}" names its process), ` +
        'or let both use a Redis store, which is made for replicas',
      { cause },
    )
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const version = numberOf(db, 'user_version')
  const owner = numberOf(db, 'application_id')
  if (owner !== APPLICATION_ID && (owner !== 0 || version !== 0 || !isEmpty(db))) {
    throw new MalleeError('BadConfig', `${path} is another program's database, name a new file`)
  }
  if (version > MIGRATIONS.length) {
    throw new MalleeError(
      'BadConfig',
      `${path} was written by a newer Mallee (version ${version}, this one knows ` +
        `${MIGRATIONS.length}): install that one, or restore the backup made before the upgrade`,
    )
  }
  if (version === MIGRATIONS.length) return
  db.exec('BEGIN IMMEDIATE')
  for (const step of MIGRATIONS.slice(version)) db.exec(step)
  db.exec(`PRAGMA user_version = ${MIGRATIONS.length}; PRAGMA application_id = ${APPLICATION_ID}`)
  db.exec('COMMIT')
}

function numberOf(db: DatabaseSync, pragma: string): number {
  return Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma])
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
}

// A restored backup gets its new epoch by having this row deleted: docs/store.md.
function epochOf(db: DatabaseSync, randomHex: RandomHex): string {
  db.prepare(`INSERT OR IGNORE INTO meta VALUES ('epoch', ?)`).run(randomHex(8))
  return String(db.prepare(`SELECT value FROM meta WHERE name = 'epoch'`).get()?.['value'])
}

/**
 * What an error of node:sqlite means for the store. `fatal`: what the disk holds is unknown, and
 * only opening the file again finds out (after a failed fsync the page cache may lie).
 */
export function explain(cause: unknown, path: string): { error: MalleeError; fatal: boolean } {
  const extended = (cause as { errcode?: number }).errcode ?? 0
  const primary = extended & 0xff
  const say = (code: 'BadConfig' | 'StoreFull' | 'StoreUnavailable', message: string) =>
    new MalleeError(code, message, { cause })
  if (primary === SQLITE_FULL || extended === SQLITE_IOERR_SHMSIZE) {
    return {
      error: say('StoreFull', `no room left for ${path}, nothing was written`),
      fatal: false,
    }
  }
  if (primary === SQLITE_BUSY) {
    const message = `another program holds a lock on ${path}, nothing was written`
    return { error: say('StoreUnavailable', message), fatal: false }
  }
  if (primary === SQLITE_NOTADB || primary === SQLITE_CORRUPT) {
    const message = `${path} is damaged or no SQLite file, restore the last backup`
    return { error: say('BadConfig', message), fatal: true }
  }
  const error = say('StoreUnavailable', `${path} cannot be used: ${messageOf(cause)}`)
  return { error, fatal: extended === SQLITE_IOERR_FSYNC }
}
