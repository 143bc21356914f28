// Lifecycle rounds against a model of what S3 says: random rules over random lives of keys leave
// what the model leaves, also where a page ends within a key.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { ObjectLock } from '../../../gateway/s3/index/objects.ts'
import type { BucketRecord, LifecycleRule } from '../../../gateway/store/bucket-records.ts'
import { sqliteMaker } from '../store/stores.ts'
import { BUCKET, type IndexGround, indexOver, plain, small, versionsOf } from './index-support.ts'
import { bucketWith, DAY_MS, gatewayOver, inSmallPages, rule } from './lifecycle-support.ts'

type Versioning = BucketRecord['versioning']

interface Version {
  readonly id: string
  readonly atMs: number
  readonly size: number
  readonly tag: string | undefined
  readonly marker: boolean
  readonly locked: boolean
}

/** By key, the newest first. */
type Model = Map<string, Version[]>

const KEYS = ['a', 'a/b', 'b', 'b/c'] as const
const RUNS = 60
const HOURS_MS = 60 * 60_000

const days = fc.integer({ min: 1, max: 3 })
const filter = fc.oneof(
  fc.record({ prefix: fc.constantFrom('', 'a', 'a/', 'b') }),
  fc.record({ tags: fc.constantFrom({ t: '1' }, { t: '2' }) }),
  fc.record({ largerThanBytes: fc.constantFrom(1, 3) }),
  fc.record({ smallerThanBytes: fc.constantFrom(2, 4) }),
  fc.record({
    ...{ form: fc.constant('and' as const), prefix: fc.constantFrom('a', 'b') },
    ...{ tags: fc.constant({ t: '1' }), smallerThanBytes: fc.constant(4) },
  }),
)
const action: fc.Arbitrary<Partial<LifecycleRule>> = fc.oneof(
  fc.record({ expiration: fc.record({ days }) }),
  fc.record({ expiration: fc.record({ markers: fc.constant(true) }) }),
  fc.record({ expiration: fc.record({ dateMs: fc.constant(1_800_057_600_000) }) }),
  fc.record({ noncurrent: fc.record({ days }) }),
  fc.record({ noncurrent: fc.record({ days, keep: fc.integer({ min: 1, max: 2 }) }) }),
)
const rules = fc.array(fc.tuple(filter, action, fc.integer({ min: 0, max: 9 })), {
  ...{ minLength: 1, maxLength: 4 },
})
const step = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'delete', 'wait', 'round', 'versioning'),
  key: fc.constantFrom(...KEYS),
  n: fc.nat(11),
})
const life = fc.record({
  mode: fc.constantFrom('off', 'versions', 'locks'),
  rules,
  steps: fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }),
})

/** In memory where there is such a folder: nothing here is about the disk. */
const maker = await sqliteMaker(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())
after(() => maker.stop())

test('random rules leave of random lives what the model leaves', async () => {
  let removed = 0
  await fc.assert(
    fc.asyncProperty(life, async ({ mode, rules: some, steps }) => {
      const ground = indexOver(await maker.make({ keep: 1 }))
      const list = some.map(([of, what, n], i) =>
        rule(`r${i}`, { ...of, ...what, isEnabled: n > 0 }),
      )
      const model: Model = new Map(KEYS.map((key) => [key, []]))
      let versioning: Versioning = mode === 'off' ? 'off' : 'enabled'
      // A version that a pause of versioning replaces may be on a page that is still to come.
      const index = mode === 'versions' ? ground.index : inSmallPages(ground.index, 2)
      const gateway = gatewayOver({ ...ground, index }, () => [bucketWith(list, versioning)])
      const round = async (): Promise<void> => {
        // The round of a day comes once: the next midnight brings another one.
        ground.pass(DAY_MS)
        await gateway.pass()
        removed += expire(model, list, versioning, ground.clock.nowMs())
        await compare(ground, model)
      }
      for (const { kind, key, n } of steps) {
        if (kind === 'wait') ground.pass(n * HOURS_MS)
        else if (kind === 'versioning') {
          if (mode === 'versions') versioning = n > 5 ? 'enabled' : 'suspended'
        } else if (kind === 'round') await round()
        else await take(ground, model, { kind, key, n, versioning, hasLocks: mode === 'locks' })
      }
      await round()
      await round()
    }),
    { numRuns: RUNS },
  )
  // Lives are random: some 80 go, seldom fewer than 50; that few says that rounds remove nothing.
  assert.ok(removed > RUNS / 6, `${removed} removed`)
})

async function take(
  { index, clock }: IndexGround,
  model: Model,
  one: { kind: string; key: string; n: number; versioning: Versioning; hasLocks: boolean },
): Promise<void> {
  const { kind, key, n, versioning, hasLocks } = one
  const atMs = clock.nowMs()
  const tag = n % 3 === 0 ? undefined : String(n % 3)
  const size = (n % 4) + 1
  const locked = hasLocks && n > 7
  if (kind === 'put') {
    const lock: ObjectLock = locked ? { legalHold: true } : {}
    const object = small(key, 'x'.repeat(size), { ...(tag && { tags: { t: tag } }), ...lock })
    const { version } = await index.put(object, { versioning })
    push(model, key, { id: version.versionId, atMs, size, tag, marker: false, locked })
    return
  }
  const { marker } = await index.remove(BUCKET, key, plain(versioning))
  if (marker === null) model.set(key, [])
  else push(model, key, markerAt(marker.versionId, atMs))
}

function push(model: Model, key: string, version: Version): void {
  const others = model.get(key) ?? []
  const kept = version.id === 'null' ? others.filter(({ id }) => id !== 'null') : others
  model.set(key, [version, ...kept])
}

function markerAt(id: string, atMs: number): Version {
  return { id, atMs, size: 0, tag: undefined, marker: true, locked: false }
}

/** A round of S3's: how many versions went. What becomes a marker has the id '?' here. */
function expire(
  model: Model,
  all: readonly LifecycleRule[],
  versioning: Versioning,
  nowMs: number,
): number {
  const list = all.filter(({ isEnabled }) => isEnabled)
  let removed = 0
  for (const [key, versions] of model) {
    const isDue = (one: Version, due: (each: LifecycleRule) => number | undefined): boolean =>
      list.some((each) => means(each, key, one) && (due(each) ?? Number.MAX_VALUE) <= nowMs)
    const left = versions.filter((one, i) => {
      const newer = versions[i - 1]
      if (newer === undefined) return true
      const goes = isDue(one, ({ noncurrent }) =>
        noncurrent === undefined || i - 1 < (noncurrent.keep ?? 0)
          ? undefined
          : midnight(newer.atMs + noncurrent.days * DAY_MS),
      )
      return !goes || one.locked
    })
    const [head] = versions
    const expires =
      head !== undefined &&
      isDue(head, ({ expiration: { days: after, dateMs, markers } = {} }) => {
        if (head.marker && markers === true) return 0
        return after === undefined ? dateMs : midnight(head.atMs + after * DAY_MS)
      })
    if (expires && head.marker && versions.length === 1) left.shift()
    removed += versions.length - left.length
    model.set(key, left)
    if (expires && !head.marker) {
      if (versioning === 'off') model.set(key, [])
      else push(model, key, markerAt(versioning === 'enabled' ? '?' : 'null', nowMs))
      removed += 1
    }
  }
  return removed
}

function means(one: LifecycleRule, key: string, { size, tag, marker }: Version): boolean {
  const { prefix = '', tags, largerThanBytes: larger, smallerThanBytes: smaller } = one
  const isPlain = tags === undefined && larger === undefined && smaller === undefined
  if (!key.startsWith(prefix) || (marker && !isPlain)) return false
  const isTagged = tags === undefined || tags['t'] === tag
  return isTagged && (larger === undefined || size > larger) && size < (smaller ?? 99)
}

function midnight(ms: number): number {
  const date = new Date(ms)
  date.setUTCHours(24, 0, 0, 0)
  return date.getTime()
}

async function compare({ index }: IndexGround, model: Model): Promise<void> {
  const found = await versionsOf(index, 1_000)
  const want = KEYS.flatMap((key) =>
    (model.get(key) ?? []).map(({ id, size, marker }) => [key, id, size, marker] as const),
  )
  assert.deepEqual(
    found.map(({ key, sizeBytes, isDeleteMarker }) => [key, sizeBytes, isDeleteMarker]),
    want.map(([key, , size, marker]) => [key, size, marker]),
  )
  for (const [i, [key, id]] of want.entries()) {
    const { versionId = '' } = found[i] ?? {}
    if (id !== '?') assert.equal(versionId, id, key)
    const versions = model.get(key) ?? []
    model.set(
      key,
      versions.map((one) => (one.id === '?' && id === '?' ? { ...one, id: versionId } : one)),
    )
  }
}
