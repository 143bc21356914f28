// The SQL of the embedded store, prepared once.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Change, Entry } from './store.ts'

type Prepared<Name extends string> = Readonly<Record<Name, StatementSync>>

export type ReadStatements = Prepared<'get' | 'listFrom' | 'listAfter' | 'changes' | 'ends'>
export type WriteStatements = Prepared<
  'begin' | 'commit' | 'rollback' | 'version' | 'put' | 'remove' | 'append' | 'cut' | 'ends'
>

/** It asks twice: SQLite looks at one end of an index for a lone min or max, else at all. */
const ENDS = `SELECT (SELECT min(revision) FROM log) AS first,
                     (SELECT max(revision) FROM log) AS last`

export function prepareReads(db: DatabaseSync): ReadStatements {
  return {
    get: entries(db, 'WHERE key = ?'),
    // One lower bound each: of two SQLite takes the first, and walks from there to the second.
    listFrom: entries(db, 'WHERE key >= ? AND key < ? ORDER BY key LIMIT ?'),
    listAfter: entries(db, 'WHERE key > ? AND key < ? ORDER BY key LIMIT ?'),
    changes: db.prepare(
      `SELECT revision, key, value FROM log
       WHERE revision > ? AND revision <= ? AND key >= ? AND key < ? ORDER BY revision, seq`,
    ),
    ends: db.prepare(ENDS),
  }
}

/** As arrays: the objects that node:sqlite makes of rows are slow. */
function entries(db: DatabaseSync, where: string): StatementSync {
  const statement = db.prepare(`SELECT key, value, version, created FROM kv ${where}`)
  statement.setReturnArrays(true)
  return statement
}

/** Of a row of `get`, `listFrom` or `listAfter`. */
export function entryOf(row: unknown): Entry {
  const [key, value, version, created] = row as [string, string, number, number]
  return { key, value, version, created }
}

export function prepareWrites(db: DatabaseSync): WriteStatements {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    version: db.prepare('SELECT version FROM kv WHERE key = ?'),
    put: db.prepare(
      `INSERT INTO kv VALUES (?, ?, ?, ?)
       ON CONFLICT(key) DO UPDATE SET value = excluded.value, version = excluded.version`,
    ),
    remove: db.prepare('DELETE FROM kv WHERE key = ?'),
    append: db.prepare('INSERT INTO log VALUES (?, ?, ?, ?)'),
    cut: db.prepare('DELETE FROM log WHERE revision <= ?'),
    ends: db.prepare(ENDS),
  }
}

/** Rows in order of revision as one array per revision. */
export function* byRevision(rows: readonly Change[]): Iterable<readonly Change[]> {
  let group: Change[] = []
  for (const { revision, key, value } of rows) {
    if (group[0] !== undefined && group[0].revision !== revision) {
      yield group
      group = []
    }
    group.push({ revision, key, value })
  }
  if (group.length > 0) yield group
}
