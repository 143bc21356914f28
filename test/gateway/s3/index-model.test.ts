// The index against a model of what S3 says: random puts, copies, deletes and changes of
// versioning, after which both have the same versions in the same order. No blob of any of them
// goes, and nothing is left when all are removed.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { BlobStore } from '../../../common/blobs/blobs.ts'
import { READERS_GRACE_MS } from '../../../gateway/s3/index/garbage.ts'
import type { Versioning } from '../../../gateway/s3/index/objects.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { sqliteMaker } from '../store/stores.ts'
import {
  all,
  BUCKET,
  copyOf,
  type IndexGround,
  indexOver,
  large,
  plain,
  small,
  versionsOf,
} from './index-support.ts'

const KEYS = ['a', 'a/b', 'a\u0001', 'b'] as const
const RUNS = 40
const STEPS = 40

/** The newest first. */
type Model = Map<string, { id: string; etag: string; marker: boolean }[]>

type Step =
  | { readonly kind: 'put'; readonly key: string; readonly large: boolean }
  | { readonly kind: 'copy'; readonly key: string; readonly to: string; readonly nth: number }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'remove'; readonly key: string; readonly nth: number }
  | { readonly kind: 'tag'; readonly key: string; readonly nth: number }
  | { readonly kind: 'versioning'; readonly to: 'enabled' | 'suspended' }
  | { readonly kind: 'clock'; readonly ms: number }
  | { readonly kind: 'garbage' }

const key = fc.constantFrom(...KEYS)
const nth = fc.nat(5)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('put' as const), key, large: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('copy' as const), key, nth, to: key }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), key, nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tag' as const), key, nth }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('versioning' as const),
      to: fc.constantFrom('enabled' as const, 'suspended' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('clock' as const),
      ms: fc.integer({ min: -9, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('garbage' as const) }) },
)

/** Blobs that nobody wrote; knows which of them were deleted. */
function nowhere(): { readonly gone: Set<string>; readonly blobs: ReadonlyMap<string, BlobStore> } {
  const gone = new Set<string>()
  const local: Pick<BlobStore, 'delete'> = {
    delete: async (id) => {
      gone.add(id)
    },
  }
  return { gone, blobs: new Map([['local', local as BlobStore]]) }
}

const maker = await sqliteMaker()
after(() => maker.stop())

test('random lives of keys leave what the model has', async () => {
  const steps = fc.array(step, { minLength: 1, maxLength: STEPS, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, async (life) => {
      const ground = indexOver(await maker.make({ keep: 1 }))
      const model: Model = new Map(KEYS.map((each) => [each, []]))
      const { gone, blobs } = nowhere()
      let versioning: Versioning = 'off'
      for (const [n, one] of life.entries()) {
        if (one.kind === 'versioning') versioning = one.to
        else if (one.kind === 'clock') ground.pass(one.ms)
        else if (one.kind === 'garbage') await workOff(ground, blobs)
        else await take(ground, model, versioning, one, n)
        await compare(ground, model, gone)
      }
      await removeAll(ground, model, blobs)
    }),
    { numRuns: RUNS },
  )
})

async function take(
  { index }: IndexGround,
  model: Model,
  versioning: Versioning,
  one: Exclude<Step, { kind: 'versioning' | 'clock' | 'garbage' }>,
  n: number,
): Promise<void> {
  const versions = model.get(one.key) ?? []
  const isNull = versioning !== 'enabled'
  const dropNull = (): void => {
    const at = versions.findIndex(({ id }) => id === 'null')
    if (at >= 0) versions.splice(at, 1)
  }
  const version =
    versions.length === 0 ? undefined : versions[('nth' in one ? one.nth : 0) % versions.length]
  if (one.kind === 'put') {
    const object = one.large ? large(one.key, `e${n}`) : small(one.key, `e${n}`)
    const { version: made } = await index.put(object, { versioning })
    if (isNull) dropNull()
    versions.unshift({ id: made.versionId, etag: `e${n}`, marker: false })
    assert.equal(made.versionId === 'null', isNull)
  } else if (one.kind === 'copy') {
    const source = version && (await index.version(BUCKET, one.key, version.id))
    if (!source || source.parts.length === 0) return
    const copy = copyOf(source, one.to, `e${n}`)
    const { version: made } = await index.put(copy, { versioning })
    assert.equal(made.parts[0]?.blob.id, source.parts[0]?.blob.id)
    const copies = model.get(one.to) ?? []
    const replaced = isNull ? copies.findIndex(({ id }) => id === 'null') : -1
    if (replaced >= 0) copies.splice(replaced, 1)
    copies.unshift({ id: made.versionId, etag: `e${n}`, marker: false })
  } else if (one.kind === 'delete') {
    const { marker } = await index.remove(BUCKET, one.key, plain(versioning))
    if (isNull) dropNull()
    if (versioning === 'off') assert.equal(marker, null)
    else versions.unshift({ id: marker?.versionId ?? '', etag: '', marker: true })
  } else if (version !== undefined && one.kind === 'remove') {
    const removal = { ...plain(versioning), versionId: version.id }
    const { removed } = await index.remove(BUCKET, one.key, removal)
    assert.equal(removed?.etag, version.etag)
    versions.splice(versions.indexOf(version), 1)
  } else if (version !== undefined) {
    const etag = `${version.etag}t`
    await index.amend(BUCKET, one.key, version.id, (before) => ({ ...before, etag }))
    version.etag = etag
  }
}

async function compare(
  { index }: IndexGround,
  model: Model,
  gone: ReadonlySet<string>,
): Promise<void> {
  const want = KEYS.flatMap((each) =>
    (model.get(each) ?? []).map(({ id, etag, marker }, i) => [each, id, etag, marker, i === 0]),
  )
  const byOrder = (order: readonly string[]) =>
    want.toSorted(([a], [b]) => order.indexOf(String(a)) - order.indexOf(String(b)))
  const sorted = byOrder(['a', 'a\u0001', 'a/b', 'b'])
  for (const limit of [2, 1_000]) {
    const found = (await versionsOf(index, limit)).map((one) => [
      ...[one.key, one.versionId, one.etag, one.isDeleteMarker, one.isLatest],
    ])
    assert.deepEqual(found, sorted)
  }
  const live = sorted.filter(([, , , marker, isLatest]) => isLatest === true && marker === false)
  const { entries } = await index.list(BUCKET, all())
  assert.deepEqual(
    entries.map((one) => [one.key, one.versionId, one.etag]),
    live.map((one) => one.slice(0, 3)),
  )
  for (const [each, versions] of model) {
    assert.equal((await index.current(BUCKET, each))?.versionId, versions[0]?.id)
    for (const { id, etag, marker } of versions) {
      const found = await index.read(BUCKET, each, id)
      assert.equal(found?.version.etag, etag)
      const pieces = (found?.version.parts.length ?? 0) + (found?.inline === null ? 0 : 1)
      assert.equal(pieces, marker ? 0 : 1)
      for (const { blob } of found?.version.parts ?? []) assert.ok(!gone.has(blob.id))
    }
  }
}

async function removeAll(
  ground: IndexGround,
  model: Model,
  blobs: ReadonlyMap<string, BlobStore>,
): Promise<void> {
  const { index, store } = ground
  for (const [each, versions] of model) {
    for (const { id } of versions) {
      await index.remove(BUCKET, each, { ...plain('enabled'), versionId: id })
    }
  }
  assert.equal(await index.isEmpty(BUCKET), true)
  await workOff(ground, blobs)
  assert.deepEqual((await store.list('')).entries, [])
}

async function workOff(
  { store, clock, randomHex, pass }: IndexGround,
  blobs: ReadonlyMap<string, BlobStore>,
): Promise<void> {
  pass(READERS_GRACE_MS + 1_000)
  assert.equal((await workOffGarbage({ store, blobs, clock, randomHex })).trouble, null)
}
