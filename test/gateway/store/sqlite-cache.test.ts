// What the SQLite store keeps of what it read: never what is being written, and not without bounds.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { EntryCache } from '../../../gateway/store/sqlite-cache.ts'

const entry = (key: string, value = 'x') => ({ key, value, version: 1, created: 1 })

test('an entry is known until somebody begins to write it, and absence is an entry', () => {
  const cache = new EntryCache()
  assert.equal(cache.get('a'), undefined)
  cache.add('a', entry('a'))
  cache.add('b', null)
  assert.deepEqual(cache.get('a'), entry('a'))
  assert.equal(cache.get('b'), null)
  cache.begin([{ del: 'a' }, { put: 'b', value: 'y' }])
  assert.equal(cache.get('a'), undefined)
  assert.equal(cache.get('b'), undefined)
})

test('what is read while a write is under way is not kept, until the last one has ended', () => {
  const cache = new EntryCache()
  const ops = [{ put: 'a', value: 'y' }]
  cache.begin(ops)
  cache.begin(ops)
  cache.add('a', entry('a'))
  cache.end(ops)
  cache.add('a', entry('a'))
  assert.equal(cache.get('a'), undefined)
  cache.end(ops)
  cache.add('a', entry('a'))
  assert.deepEqual(cache.get('a'), entry('a'))
})

test('what nobody asks for goes, what is asked for stays', () => {
  const cache = new EntryCache(10_000)
  cache.add('hot', entry('hot'))
  cache.add('cold', entry('cold'))
  for (let n = 0; n < 100; n++) {
    cache.add(`k/${n}`, entry(`k/${n}`, 'x'.repeat(1_000)))
    assert.notEqual(cache.get('hot'), undefined, `after ${n}`)
  }
  assert.equal(cache.get('cold'), undefined)
  assert.equal(cache.get('k/0'), undefined)
})

test('readers beside writers see versions that only go up, and each writer its own', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-cache-'))
  const file = join(dir, 'store.db')
  const store = await openSqlite({ file, log: silentLog, commitsApart: true })
  let isOver = false
  const read = async (): Promise<void> => {
    for (let seen = 0; !isOver; ) {
      const version = (await store.get('k'))?.version ?? 0
      assert.ok(version >= seen, `${version} after ${seen}`)
      seen = version
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const write = async (_: unknown, n: number): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      const result = await store.txn([], [{ put: 'k', value: `${n}` }])
      const version = (await store.get('k'))?.version ?? 0
      assert.ok(result.ok && version >= result.revision)
    }
  }
  const readers = Array.from({ length: 4 }, read)
  await Promise.all(Array.from({ length: 4 }, write))
  isOver = true
  await Promise.all(readers)
  await store.close()
  await rm(dir, { recursive: true, force: true })
})
