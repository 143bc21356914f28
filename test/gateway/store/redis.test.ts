// What only the Redis store promises: fit servers, no lost fail-over, no password in the log, and
// several gateways at once. Against real servers.

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { openStore } from '../../../gateway/store/open.ts'
import { openRedis, type RedisOptions } from '../../../gateway/store/redis.ts'
import { Compacted, type Store } from '../../../gateway/store/store.ts'
import { until } from '../../../sandbox/until.ts'
import { startRedis, type TestRedis, type TestRedisOptions } from '../../support/redis.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function server(options: TestRedisOptions = {}): Promise<TestRedis> {
  const redis = await startRedis(options)
  cleanUps.push(redis.stop)
  return redis
}

async function open(redis: TestRedis, options: Partial<RedisOptions> = {}): Promise<Store> {
  const store = await openRedis({ url: redis.url, namespace: 'test', log: silentLog, ...options })
  cleanUps.push(() => store.close())
  return store
}

async function put(store: Store, key: string, value: string): Promise<number> {
  const result = await store.txn([], [{ put: key, value }])
  assert.ok(result.ok)
  return result.revision
}

for (const [settings, sentence] of [
  [{ 'maxmemory-policy': 'allkeys-lru' }, /set maxmemory-policy noeviction/],
  [{ appendonly: 'no' }, /\(appendonly no\): set appendonly yes and appendfsync always/],
  [{ appendfsync: 'no' }, /set appendfsync always/],
] as const) {
  test(`openRedis refuses a server with ${JSON.stringify(settings)}`, async () => {
    const redis = await server({ settings: settings as Record<string, string> })
    await assert.rejects(open(redis), (error) => {
      assert.equal(codeOf(error), 'BadConfig')
      assert.match(messageOf(error), sentence)
      return true
    })
  })
}

test('openRedis takes a volatile server when it is told so, with a URL too', async () => {
  const redis = await server({ settings: { appendonly: 'no' } })
  await put(await open(redis, { allowVolatile: true }), 'a', '1')
  const store = await openStore(`${redis.url}/0?namespace=test&volatile=1`, { log: silentLog })
  assert.equal((await store.get('a'))?.value, '1')
  await store.close()
})

test('openRedis refuses a replica', async () => {
  const primary = await server()
  const replica = await server({ settings: { replicaof: `127.0.0.1 ${primary.port}` } })
  await assert.rejects(open(replica), /is a slave: name the address that follows the primary/)
})

test('no password reaches log or error, whatever fails', async () => {
  const password = 'hunter2hunter2'
  const redis = await server({ settings: { requirepass: password } })
  const lines: string[] = []
  const store = await open(redis, { log: listLog(lines) })
  const stop = new AbortController()
  const watching = drain(store.watch('', 0, stop.signal))
  await put(store, 'a', '1')
  await redis.command('CONFIG', 'SET', 'requirepass', `${password}-new`)
  await redis.kill()
  await until('the watch broke', () => lines.length > 0)
  const errors: unknown[] = []
  errors.push(await put(store, 'a', 'sealed-secret').catch((error: unknown) => error))
  stop.abort()
  await watching
  const wrong = redis.url.replace(password, `${password}x`)
  await redis.restart()
  errors.push(await open(redis, { url: wrong }).catch((error: unknown) => error))
  for (const error of errors) assert.equal(codeOf(error), 'StoreUnavailable')
  const everything = lines.join('\n') + errors.map((error) => deepText(error)).join('\n')
  assert.match(everything, /WRONGPASS|ECONNREFUSED/)
  assert.doesNotMatch(everything, /hunter2|sealed-secret/)
})

test('txn fails at once without a server, and works again with it', async () => {
  const redis = await server()
  const store = await open(redis)
  await put(store, 'a', '1')
  await redis.kill()
  const startedMs = systemClock.nowMs()
  await assert.rejects(put(store, 'a', '2'), (error) => codeOf(error) === 'StoreUnavailable')
  assert.ok(systemClock.nowMs() - startedMs < 2_000)
  await redis.restart()
  let revision = 0
  await until('the store writes', async () => {
    revision = await put(store, 'a', '3').catch(() => 0)
    return revision > 0
  })
  assert.equal(revision, 2)
})

test('txn on a server that hangs ends as unknown and is not sent again', async () => {
  const redis = await server()
  const store = await open(redis)
  await put(store, 'a', '1')
  await redis.hangDuring(async () => {
    await assert.rejects(put(store, 'a', '2'), (error) => {
      assert.equal(codeOf(error), 'StoreUnavailable')
      assert.match(messageOf(error), /outcome unknown/)
      return true
    })
  })
  // The server finds the write in its socket and runs it, once, though nobody waits any more.
  await until('the late write', async () => (await store.get('a'))?.value === '2')
  assert.equal(await put(store, 'a', '3'), 3)
})

test('a watch goes on over a cut connection and misses nothing', async () => {
  const redis = await server()
  const store = await open(redis)
  const seen: number[] = []
  const stop = new AbortController()
  const watching = (async () => {
    for await (const changes of store.watch('', 0, stop.signal)) {
      seen.push(changes[0]?.revision ?? 0)
    }
  })()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) await put(store, 'k', String(i))
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal')
    await until('the store answers', async () => (await store.get('k').catch(() => null)) !== null)
  }
  const last = await put(store, 'k', 'last')
  await until('the watch has seen everything', () => seen.at(-1) === last)
  assert.deepEqual(
    seen,
    Array.from({ length: last }, (_, i) => i + 1),
  )
  stop.abort()
  await watching
})

test('a server that lost writes means a new epoch for all, whoever writes first', async () => {
  const redis = await server()
  const [one, two] = [await open(redis), await open(redis)]
  for (let i = 0; i < 5; i++) await put(one, 'a', String(i))
  const epoch = await one.epoch()
  assert.equal(await two.epoch(), epoch)
  await redis.remember()
  for (let i = 0; i < 5; i++) await put(one, 'lost', String(i))
  assert.equal(await one.revision(), 10)
  const stop = new AbortController()
  const watching = assert.rejects(drain(one.watch('', 10, stop.signal)), Compacted)

  await redis.rollBack()
  // The other one has not seen revision 10, and takes the counter past it.
  await until('two answers', async () => (await two.get('a').catch(() => null)) !== null)
  for (let i = 0; i < 10; i++) await put(two, 'b', String(i))
  assert.equal(await two.revision(), 15)
  assert.notEqual(await two.epoch(), epoch)
  await watching
  await until('one answers', async () => (await one.get('a').catch(() => null)) !== null)
  assert.equal(await one.revision(), 15)
  assert.equal(await one.epoch(), await two.epoch())
})

test('txn for the old epoch is refused with nothing written', async () => {
  const redis = await server()
  const [one, two] = [await open(redis), await open(redis)]
  await put(one, 'a', '1')
  const epoch = await one.epoch()
  await redis.command('FLUSHALL')
  assert.equal(await two.revision(), 0)
  await assert.rejects(put(one, 'a', '2'), (error) => codeOf(error) === 'Conflict')
  assert.equal(await two.get('a'), null)
  assert.notEqual(await one.epoch(), epoch)
  assert.equal(await one.epoch(), await two.epoch())
  assert.equal(await put(one, 'a', '2'), 1)
})

test('a server out of memory refuses with StoreFull, and works again with room', async () => {
  const redis = await server()
  const store = await open(redis)
  await put(store, 'a', '1')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  const writes = [{ put: 'b', value: '2' }, { del: 'a' }]
  await assert.rejects(store.txn([], writes), (error) => codeOf(error) === 'StoreFull')
  assert.equal(await store.get('b'), null)
  assert.equal((await store.get('a'))?.value, '1')
  assert.equal(await store.revision(), 1)
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  assert.ok((await store.txn([], writes)).ok)
})

test('with replicas wanted a write is acknowledged when they have it, else unknown', async () => {
  const primary = await server()
  const replica = await server({ settings: { replicaof: `127.0.0.1 ${primary.port}` } })
  const store = await open(primary, { replicas: { count: 1, timeoutMs: 4_000 } })
  await until('the replica is in sync', async () =>
    /state=online/.test(String(await primary.command('INFO', 'replication'))),
  )
  await Promise.all(Array.from({ length: 100 }, (_, i) => put(store, `k/${i}`, 'v')))
  assert.equal(await replica.command('HLEN', '{test}:kv'), 100)
  await replica.kill()
  await assert.rejects(put(store, 'k', 'v'), /only 0 of 1 replicas have it \(outcome unknown\)/)
})

for (const [url, sentence] of [
  ['mysql://x', /neither redis/],
  ['nonsense', /neither sqlite/],
  ['sqlite:relative.db', /no absolute path/],
  ['redis://h/zero', /zero is no number/],
  ['redis://h/0?replica=1', /replica is no setting/],
  ['redis://h/0?replicas=x', /replicas=x is no number/],
  ['redis://h/0?namespace=A', /"A" is no namespace/],
  ['unix:/', /no host or socket/],
] as const) {
  test(`openStore refuses ${url}`, async () => {
    await assert.rejects(openStore(url, { log: silentLog }), (error) => {
      assert.equal(codeOf(error), 'BadConfig')
      assert.match(messageOf(error), sentence)
      return true
    })
  })
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

function listLog(lines: string[]): Log {
  const add = (event: string, fields = {}): void => void lines.push(`${event} ${deepText(fields)}`)
  return { debug: add, info: add, warn: add, error: add, with: () => listLog(lines) }
}

/** Everything that a log could print of a value: own properties of errors and their causes too. */
function deepText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const names = Object.getOwnPropertyNames(value)
  return names.map((name) => `${name}=${deepText(Reflect.get(value, name))}`).join(' ')
}
