// What every store promises, asked of each in turn: SQLite, committed here and in a thread of its
// own, and a real redis-server.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { codeOf } from '../../../common/errors.ts'
import { MAX_TRANSACTION_KEYS } from '../../../gateway/store/limits.ts'
import { type Change, Compacted, type Store } from '../../../gateway/store/store.ts'
import { redisMaker, type StoreMaker, sqliteApartMaker, sqliteMaker } from './stores.ts'

for (const [name, makerOf] of [
  ['SQLite', () => sqliteMaker()],
  ['SQLite, committed apart', sqliteApartMaker],
  ['Redis', redisMaker],
] as const) {
  describe(name, () => {
    let maker: StoreMaker
    let store: Store
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<Store> => {
      store = await maker.make()
      return store
    }

    test('get answers null, then value with version and creation', async () => {
      await fresh()
      assert.equal(await store.get('a/1'), null)
      const first = await put(store, 'a/1', 'x:y')
      const second = await put(store, 'a/1', 'é\u{1f600}')
      assert.deepEqual(await store.get('a/1'), {
        key: 'a/1',
        value: 'é\u{1f600}',
        version: second,
        created: first,
      })
    })

    test('txn writes everything in one revision when all conditions hold', async () => {
      await fresh()
      const first = await put(store, 'a/1', 'old')
      const result = await store.txn(
        [
          { key: 'a/1', version: first },
          { key: 'a/2', version: 0 },
        ],
        [{ put: 'a/2', value: 'new' }, { del: 'a/1' }],
      )
      assert.deepEqual(result, { ok: true, revision: first + 1 })
      assert.equal(await store.get('a/1'), null)
      assert.equal((await store.get('a/2'))?.version, first + 1)
    })

    test('txn writes nothing and names the key when a condition is broken', async () => {
      await fresh()
      const version = await put(store, 'a/1', 'old')
      const writes = [{ put: 'a/2', value: 'new' }, { del: 'a/1' }]
      for (const wrong of [0, version - 1, version + 1]) {
        const when = [
          { key: 'none', version: 0 },
          { key: 'a/1', version: wrong },
        ]
        assert.deepEqual(await store.txn(when, writes), { ok: false, key: 'a/1', version })
        assert.deepEqual(await store.txn(when, []), { ok: false, key: 'a/1', version })
      }
      assert.equal(await store.get('a/2'), null)
      assert.equal(await store.revision(), version)
    })

    test('the newest revision is not before anything that was read', async () => {
      await fresh()
      const writing = store.txn([], [{ put: 'a/1', value: 'x' }])
      await new Promise((resolve) => setImmediate(resolve))
      let seen = await store.get('a/1')
      // Without a turn of events in between: who commits apart has not been heard of then.
      for (const endMs = Date.now() + 10_000; seen === null && Date.now() < endMs; ) {
        seen = await store.get('a/1')
      }
      assert.ok((await store.revision()) >= (seen ?? assert.fail('it is not there')).version)
      assert.equal((await writing).ok, true)
    })

    test('txn makes no revision when it changes nothing', async () => {
      await fresh()
      const revision = await put(store, 'a/1', 'x')
      assert.deepEqual(await store.txn([{ key: 'a/1', version: revision }], []), {
        ok: true,
        revision,
      })
      assert.deepEqual(await store.txn([], [{ del: 'none' }]), { ok: true, revision })
      assert.deepEqual((await store.txn([], [{ del: 'a/1' }, { del: 'none' }])).ok, true)
      assert.deepEqual(await changesFrom(store, '', revision, 1), [
        [{ revision: revision + 1, key: 'a/1', value: null }],
      ])
    })

    test('a key created again after its deletion has a new creation', async () => {
      await fresh()
      await put(store, 'a', '1')
      await store.txn([], [{ del: 'a' }])
      const again = await put(store, 'a', '2')
      assert.equal((await store.get('a'))?.created, again)
    })

    test('of fifty transactions that all want one key one wins', async () => {
      await fresh()
      const wishes = Array.from({ length: 50 }, (_, i) =>
        store.txn([{ key: 'lock', version: 0 }], [{ put: 'lock', value: String(i) }]),
      )
      const results = await Promise.all(wishes)
      assert.equal(results.filter((result) => result.ok).length, 1)
      const winner = results.findIndex((result) => result.ok)
      assert.equal((await store.get('lock'))?.value, String(winner))
    })

    test('list goes through a prefix in byte order, page by page', async () => {
      await fresh()
      const keys = ['p/', 'p/a', 'p/a/b', 'p/b', 'p/~', 'p/é', 'p/\uffff', 'p/\u{1f600}']
      const others = ['o', 'p', 'p0', 'q/a']
      const writes = [...others, ...keys].reverse().map((key) => ({ put: key, value: `<${key}>` }))
      await store.txn([], writes)
      const found: string[] = []
      let after: string | undefined
      for (let pages = 0; pages < 20; pages++) {
        const page = await store.list('p/', { limit: 3, ...(after === undefined ? {} : { after }) })
        found.push(...page.entries.map((entry) => entry.key))
        assert.ok(page.entries.every(({ key, value }) => value === `<${key}>`))
        assert.equal(page.revision, await store.revision())
        after = page.entries.at(-1)?.key
        if (!page.more) break
      }
      assert.deepEqual(found, keys)
      const all = (await store.list('')).entries.map((entry) => entry.key)
      assert.deepEqual(all, [...others.slice(0, 2), ...keys, 'p0', 'q/a'].sort(byBytes))
    })

    test('watch shows past and coming changes of a prefix, one array per revision', async () => {
      await fresh()
      const r1 = await write(store, [
        { put: 'a/1', value: 'x' },
        { put: 'a/2', value: 'y' },
      ])
      await put(store, 'b/1', 'other')
      const watching = changesFrom(store, 'a/', 0, 3)
      const r2 = await write(store, [{ del: 'a/2' }, { put: 'b/2', value: 'other' }])
      const r3 = await put(store, 'a/1', 'z')
      assert.deepEqual(await watching, [
        [
          { revision: r1, key: 'a/1', value: 'x' },
          { revision: r1, key: 'a/2', value: 'y' },
        ],
        [{ revision: r2, key: 'a/2', value: null }],
        [{ revision: r3, key: 'a/1', value: 'z' }],
      ])
      assert.deepEqual(await changesFrom(store, 'a/', r2, 1), [
        [{ revision: r3, key: 'a/1', value: 'z' }],
      ])
    })

    test('watch keeps the order of a thousand concurrent writers', async () => {
      await fresh()
      const watching = changesFrom(store, '', 0, 1000)
      await Promise.all(Array.from({ length: 1000 }, (_, i) => put(store, `k/${i}`, String(i))))
      const revisions = (await watching).map((changes) => changes[0]?.revision)
      assert.deepEqual(
        revisions,
        Array.from({ length: 1000 }, (_, i) => i + 1),
      )
    })

    test('a watch that falls behind shows every revision or says that it was compacted', async () => {
      store = await maker.make({ keep: 10 })
      const stop = new AbortController()
      const watchers = Array.from({ length: 4 }, async () => {
        let seen = await store.revision()
        for await (const changes of store.watch('', seen, stop.signal)) {
          seen += 1
          assert.equal(changes[0]?.revision, seen)
        }
      })
      const ends = watchers.map((watcher) => watcher.catch((error: unknown) => error))
      const writes = Array.from({ length: 3000 }, (_, i) => put(store, 'k', String(i)))
      await Promise.all(writes)
      stop.abort()
      for (const error of await Promise.all(ends)) {
        assert.ok(error === undefined || error instanceof Compacted, String(error))
      }
    })

    test('watch ends without an error when it is aborted', async () => {
      await fresh()
      const stop = new AbortController()
      const watching = collect(store.watch('', 0, stop.signal), 1)
      stop.abort()
      assert.deepEqual(await watching, [])
    })

    test('watch throws Compacted from before the log and from beyond its end', async () => {
      store = await maker.make({ keep: 100 })
      for (let i = 0; i < 1000; i++) void put(store, 'k', String(i))
      const revision = await put(store, 'k', 'last')
      await assert.rejects(changesFrom(store, '', 1, 1), Compacted)
      await assert.rejects(changesFrom(store, '', revision + 1, 1), Compacted)
      const last = await changesFrom(store, '', revision - 50, 50)
      assert.equal(last.at(-1)?.[0]?.revision, revision)
    })

    test('the largest allowed transaction goes through, a larger one does not', async () => {
      await fresh()
      const writes = Array.from({ length: MAX_TRANSACTION_KEYS }, (_, i) => ({
        put: `k/${i}`,
        value: 'v',
      }))
      const when = writes.map((op) => ({ key: op.put, version: 0 }))
      assert.ok((await store.txn(when, writes)).ok)
      const [changes] = await changesFrom(store, 'k/', 0, 1)
      assert.equal(changes?.length, MAX_TRANSACTION_KEYS)
      await assert.rejects(
        store.txn([], [...writes, { del: 'more' }]),
        (error) => codeOf(error) === 'BadArgument',
      )
    })

    for (const [what, op] of [
      ['an empty key', { put: '', value: 'x' }],
      ['a key of 4 KiB', { put: 'k'.repeat(4096), value: 'x' }],
      ['half a character', { put: 'k\ud800', value: 'x' }],
      ['a value of 2 MiB', { put: 'k', value: 'x'.repeat(2 << 20) }],
    ] as const) {
      test(`txn refuses ${what}`, async () => {
        await fresh()
        await assert.rejects(store.txn([], [op]), (error) => codeOf(error) === 'BadArgument')
        assert.equal(await store.revision(), 0)
      })
    }

    test('txn refuses to write one key twice', async () => {
      await fresh()
      const twice = store.txn([], [{ put: 'k', value: 'x' }, { del: 'k' }])
      await assert.rejects(twice, (error) => codeOf(error) === 'BadArgument')
    })

    test('epoch stays the same, and a closed store says that it is closed', async () => {
      await fresh()
      const epoch = await store.epoch()
      assert.match(epoch, /^[0-9a-f]{16}$/)
      await put(store, 'k', 'v')
      assert.equal(await store.epoch(), epoch)
      await store.close()
      await store.close()
      await assert.rejects(store.get('k'), /closed/)
      await assert.rejects(put(store, 'k', 'v'), /closed/)
    })
  })
}

async function put(store: Store, key: string, value: string): Promise<number> {
  return await write(store, [{ put: key, value }])
}

async function write(store: Store, ops: Parameters<Store['txn']>[1]): Promise<number> {
  const result = await store.txn([], ops)
  assert.ok(result.ok)
  return result.revision
}

async function changesFrom(
  store: Store,
  prefix: string,
  from: number,
  count: number,
): Promise<(readonly Change[])[]> {
  const stop = new AbortController()
  try {
    return await collect(store.watch(prefix, from, stop.signal), count)
  } finally {
    stop.abort()
  }
}

async function collect<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) {
    found.push(item)
    if (found.length === count) break
  }
  return found
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
