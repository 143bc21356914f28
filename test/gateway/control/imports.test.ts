// The loop of ImportImage: whatever a gateway dies of, a task ends with one image or with a reason.

import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { type Clock, randomHex, systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import type { TakenBlob } from '../../../gateway/blobs.ts'
import {
  IMPORT_LEASE_MS,
  type ImportLoopParts,
  MAX_TRIES,
  startImports,
} from '../../../gateway/control/imports.ts'
import type { TakeSource } from '../../../gateway/s3/image-objects.ts'
import type { ImportTaskRecord } from '../../../gateway/store/image-records.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { until } from '../../../sandbox/until.ts'
import { importBytes } from '../../support/snapshot-bytes.ts'
import { ACCOUNT, DIGEST, OTHER_ACCOUNT, START_MS } from '../ec2/support.ts'
import { storeWith } from '../store/store-with.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'

const TASK = 'import-ami-0123456789abcdef0'
const SOURCE = {
  ...{ bucket: 'images', bucketId: 'b1', key: 'disk.raw', versionId: 'v1', etag: 'e' },
  sizeBytes: 1 << 20,
}
const FILE: TakenBlob = {
  ...{ sha256: DIGEST, names: [], sizeBytes: 1 << 20, virtualSizeBytes: 1 << 20 },
  ...{ format: 'raw', chunkListSha256: 'cd'.repeat(32), createdAtMs: START_MS },
}
/** Claim, one renewal and the end. */
const COMMITS = 3

/** Time that only tests move on; waits are short whatever they are. */
class TestClock implements Clock {
  #nowMs = START_MS
  readonly nowMs = (): number => this.#nowMs
  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    systemClock.sleep(Math.min(ms, 10), signal)
  pass(ms: number): void {
    this.#nowMs += ms
  }
}

interface Ground {
  readonly clock: TestClock
  readonly store: Store
  readonly state: State
  /** One more gateway; `parts` instead of the usual ones. */
  readonly gateway: (parts?: Partial<ImportLoopParts>) => { stop: () => Promise<void> }
  readonly task: (id?: string) => ImportTaskRecord
}

/** `maker` or a SQLite store of the test's own. */
async function ground(t: TestContext, maker?: StoreMaker): Promise<Ground> {
  const own = maker ?? (await sqliteMaker())
  if (maker === undefined) t.after(() => own.stop())
  const [clock, store] = [new TestClock(), await own.make()]
  const state = await openState({ store, clock, log: silentLog })
  const stops: (() => Promise<void>)[] = [() => state.close()]
  t.after(async () => {
    for (const stop of stops.reverse()) await stop()
  })
  await add(state, {})
  const usual = { state, randomHex, clock, chance: () => 0, log: silentLog, ...importBytes() }
  return {
    ...{ clock, store, state },
    gateway: (parts = {}) => {
      const loop = startImports({ ...usual, takeSource: async () => FILE, ...parts })
      stops.push(() => loop.stop())
      return loop
    },
    task: (id = TASK) => {
      const task = state.view().get('import-task', id)
      assert.ok(task)
      return task
    },
  }
}

async function add(state: State, change: Partial<ImportTaskRecord>): Promise<void> {
  const task: ImportTaskRecord = {
    ...{ id: TASK, account: ACCOUNT, description: 'mine', source: SOURCE, state: 'active' },
    ...{ progress: 0, message: 'pending', failures: 0, createdAtMs: START_MS },
    ...change,
  }
  await state.update((tx) => tx.put('import-task', [task.id], task))
}

/** Bytes that do not end until somebody lets go of them. */
const forEver: TakeSource = async (_, options) => {
  for (;;) {
    await systemClock.sleep(1)
    await options?.progress?.(0)
  }
}

async function isOver({ task }: Ground): Promise<void> {
  await until('the task is over', () => task().endedAtMs !== undefined)
}

/** From the commit `dieAt` on nothing reaches the store; that one still does when `after`. */
function mortal(
  store: Store,
  dieAt: number,
  isDone: boolean,
): { store: Store; died: () => boolean } {
  let commits = 0
  const dead = new MalleeError('StoreUnavailable', 'the gateway is dead')
  return {
    died: () => commits >= dieAt,
    store: storeWith(store, {
      get: async (key) => (commits >= dieAt ? Promise.reject(dead) : await store.get(key)),
      close: async () => undefined,
      txn: async (when, then) => {
        if (then.length > 0) commits += 1
        if (commits > dieAt) throw dead
        if (commits < dieAt) return await store.txn(when, then)
        if (isDone) await store.txn(when, then)
        throw dead
      },
    }),
  }
}

describe('a gateway dies', () => {
  const makers: StoreMaker[] = []
  before(async () => void makers.push(await sqliteMaker(), await redisMaker()))
  after(async () => {
    for (const maker of makers) await maker.stop()
  })
  for (const [n, name] of ['SQLite', 'Redis'].entries()) {
    for (let dieAt = 1; dieAt <= COMMITS; dieAt++) {
      for (const isDone of [false, true]) {
        const when = `${isDone ? 'after' : 'before'} commit ${dieAt}`
        test(`startImports ends a task with one image on ${name}, ${when}`, async (t) => {
          const on = await ground(t, makers[n])
          const { clock, store, state } = on
          const takeSource: TakeSource = async (_, options) => {
            clock.pass(IMPORT_LEASE_MS / 3)
            await options?.progress?.(0.5)
            return FILE
          }
          const dying = mortal(store, dieAt, isDone)
          const theirs = await openState({ store: dying.store, clock, log: silentLog })
          t.after(() => theirs.close())
          const first = on.gateway({ state: theirs, takeSource })
          await until('it is dead', dying.died)
          await first.stop()
          clock.pass(IMPORT_LEASE_MS + 1)
          on.gateway()
          await isOver(on)
          const { image = '', progress, worker } = on.task()
          const seen = [on.task().state, progress, worker]
          assert.deepEqual(seen, ['completed', 100, undefined])
          const view = state.view()
          assert.deepEqual([...view.all('image')], [view.get('image', image)])
          assert.equal(view.get('image', image)?.name, TASK)
          assert.notEqual(view.get('blob', DIGEST), null)
        })
      }
    }
  }
})

test('of two gateways one has a task, and the other one when that says nothing more', async (t) => {
  const on = await ground(t)
  const id = (n: number) => TASK.replace(/.$/, `${n}`)
  await add(on.state, { id: id(1) })
  const hang = Promise.withResolvers<TakenBlob>()
  let [takes, others] = [0, 0]
  try {
    on.gateway({
      takeSource: async () => {
        takes += 1
        return await hang.promise
      },
    })
    await until('it has as much as it takes', () => takes === 2)
    on.gateway({
      takeSource: async () => {
        others += 1
        return FILE
      },
    })
    on.clock.pass(IMPORT_LEASE_MS - 1)
    await add(on.state, { id: id(2) })
    await until('the other does what is free', () => on.task(id(2)).state === 'completed')
    assert.deepEqual([others, on.task(id(1)).state], [1, 'active'])
    on.clock.pass(1)
    await until('the rest is over', () => others === 3)
  } finally {
    // They come too late.
    hang.resolve(FILE)
  }
  await isOver(on)
  await until('all are over', () => on.task(id(1)).state === 'completed')
  assert.equal(on.state.view().all('image').length, 3)
})

test('a task that is cancelled while its bytes come makes no image', async (t) => {
  const on = await ground(t)
  on.gateway({ takeSource: forEver })
  await until('it has begun', () => on.task().worker !== undefined)
  await add(on.state, { ...on.task(), state: 'deleting', message: 'Cancelled' })
  await isOver(on)
  assert.deepEqual([on.task().state, on.task().message], ['deleted', 'Cancelled'])
  assert.equal(on.state.view().all('image').length, 0)
})

test('a task that is to go and whose gateway died goes when its lease is over', async (t) => {
  const on = await ground(t)
  const worker = { holder: 'dead', untilMs: START_MS + IMPORT_LEASE_MS }
  await add(on.state, { state: 'deleting', worker })
  on.gateway()
  on.clock.pass(IMPORT_LEASE_MS)
  await isOver(on)
  assert.equal(on.task().state, 'deleted')
})

for (const [why, error, message] of [
  [
    'no disk',
    new MalleeError('BadArgument', 'it is none'),
    'ClientError: Disk validation failed [it is none]',
  ],
  [
    'a full disk',
    new MalleeError('StoreFull', 'no room'),
    'ServerError: No room is left for the image.',
  ],
] as const) {
  test(`a task ends with its reason: ${why}`, async (t) => {
    const on = await ground(t)
    on.gateway({ takeSource: () => Promise.reject(error) })
    await isOver(on)
    assert.deepEqual([on.task().state, on.task().message], ['deleted', message])
  })
}

test('a name that is taken ends a task as the client’s fault', async (t) => {
  const on = await ground(t)
  on.gateway()
  await isOver(on)
  await add(on.state, {})
  await until('it is over again', () => on.task().state === 'deleted')
  assert.match(on.task().message, /^ClientError: AMI name import-ami-.* is already in use/)
})

test('what fails for another reason is tried again, later each time, and then given up', async (t) => {
  const on = await ground(t)
  const tries: number[] = []
  on.gateway({
    takeSource: async () => {
      tries.push(on.clock.nowMs())
      throw new MalleeError('Unavailable', 'the engine does not answer')
    },
  })
  await until('it was tried', () => on.task().failures === 1)
  await until('it is given up', () => {
    on.clock.pass(1_000)
    return on.task().state === 'deleted'
  })
  assert.match(on.task().message, /^ServerError: an internal error/)
  assert.equal(tries.length, MAX_TRIES)
  const [first = 0, second = 0, third = 0] = tries
  assert.ok(third - second > second - first, `${tries}`)
})

test('a gateway that stops lets go of its task at once, and the next one begins anew', async (t) => {
  const on = await ground(t)
  const first = on.gateway({ takeSource: forEver })
  await until('it has begun', () => on.task().message === 'converting')
  await first.stop()
  const { worker, failures, message } = on.task()
  assert.deepEqual([worker, failures, message], [undefined, 0, 'pending'])
  on.gateway()
  await isOver(on)
  assert.equal(on.task().state, 'completed')
})

test('an account with many tasks does not keep another one waiting', async (t) => {
  const on = await ground(t)
  const id = (n: number) => TASK.replace(/.$/, `${n}`)
  for (const n of [1, 2, 3]) await add(on.state, { id: id(n) })
  const [account, createdAtMs] = [OTHER_ACCOUNT, START_MS + 1]
  await add(on.state, { id: id(9), account, createdAtMs })
  const begun = () =>
    [...on.state.view().all('import-task')].filter(({ worker }) => worker !== undefined)
  on.gateway({ takeSource: forEver })
  await until('two have begun', () => begun().length === 2)
  assert.deepEqual(new Set(begun().map((one) => one.account)), new Set([ACCOUNT, account]))
})
