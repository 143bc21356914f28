// Manifests of snapshots: one form, limits, and what a change, a walk and a comparison cost.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { buildManifest, inOrder, type NewRoot } from '../../common/snapshot-build.ts'
import {
  blocksIn,
  decodePage,
  decodeRoot,
  ENTRIES_PER_PAGE,
  encodePage,
  encodeRoot,
  isZeroBlock,
  MAX_PAGE_BYTES,
  MAX_SNAPSHOT_BYTES,
  type ManifestPage,
  type ManifestRoot,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../../common/snapshot-manifest.ts'
import {
  blocksFrom,
  differences,
  findBlock,
  findPage,
  type LoadPage,
  lastBlock,
} from '../../common/snapshot-walk.ts'

const BRANCH = ENTRIES_PER_PAGE * ENTRIES_PER_PAGE
const LAST = MAX_SNAPSHOT_BYTES / SNAPSHOT_BLOCK_BYTES - 1
const digest = (n: number): string => sha256Of(Buffer.from(String(n)))

/** Blocks of a volume by index, as the numbers that their digests are of. */
type Blocks = Map<number, number>

/** Pages by digest, and how often each was asked for. */
class Pages {
  readonly pages = new Map<string, Uint8Array>()
  loads = 0
  readonly load: LoadPage = async ({ sha256 }) => {
    this.loads += 1
    const bytes = this.pages.get(sha256)
    assert.ok(bytes !== undefined, `${sha256} is there`)
    return decodePage(bytes)
  }

  async build(base: ManifestRoot | null, sizeBytes: number, changes: Blocks): Promise<NewRoot> {
    const all = [...changes].map(([index, n]) => ({ index, sha256: n === 0 ? null : digest(n) }))
    const making = buildManifest(base, sizeBytes, inOrder(all), this.load)
    for (;;) {
      const { done, value } = await making.next()
      if (done) return value
      const { kind, entries } = decodePage(value.bytes)
      assert.equal(kind, value.kind)
      // What it lists is there before it.
      if (kind === 'branch') for (const one of entries) assert.ok(this.pages.has(one.sha256))
      this.pages.set(value.sha256, value.bytes)
    }
  }

  async blocks(root: ManifestRoot, from = 0): Promise<[number, string][]> {
    const found: [number, string][] = []
    for await (const { index, sha256 } of blocksFrom(root, from, this.load)) {
      found.push([index, sha256])
    }
    return found
  }
}

/** Few leaves, so that changes meet, far apart and at the ends of everything. */
const anIndex = fc.oneof(
  fc.integer({ min: 0, max: 3 * ENTRIES_PER_PAGE }),
  fc.integer({ min: BRANCH - 3, max: BRANCH + 3 }),
  fc.constantFrom(0, ENTRIES_PER_PAGE - 1, ENTRIES_PER_PAGE, 5 * BRANCH + 17, LAST),
)
const someBlocks = fc
  .array(fc.tuple(anIndex, fc.integer({ min: 0, max: 3 })), { maxLength: 12 })
  .map((pairs): Blocks => new Map(pairs))

function applied(before: Blocks, changes: Blocks): Blocks {
  const all = [...before, ...changes].sort(([a], [b]) => a - b)
  return new Map([...new Map(all)].filter(([, n]) => n !== 0))
}

function listed(blocks: Blocks, from = 0): [number, string][] {
  const all = [...blocks].filter(([index, n]) => n !== 0 && index >= from)
  return all.sort(([a], [b]) => a - b).map(([index, n]) => [index, digest(n)])
}

describe('a manifest', () => {
  test('of changes over a base is that of the whole, and says every block', async () => {
    await fc.assert(
      fc.asyncProperty(someBlocks, someBlocks, anIndex, async (first, changes, from) => {
        const pages = new Pages()
        const base = await pages.build(null, MAX_SNAPSHOT_BYTES, first)
        const next = await pages.build(base.root, MAX_SNAPSHOT_BYTES, changes)
        const all = applied(new Map(first), changes)
        const whole = await pages.build(null, MAX_SNAPSHOT_BYTES, all)
        assert.equal(next.sha256, whole.sha256)
        assert.equal(blocksIn(next.root), all.size)
        assert.deepEqual(await pages.blocks(next.root), listed(all))
        assert.deepEqual(await pages.blocks(next.root, from), listed(all, from))
        assert.equal(await lastBlock(next.root, pages.load), [...all.keys()].at(-1) ?? null)
        const one = all.get(from)
        const found = await findBlock(next.root, from, pages.load)
        assert.equal(found, one === undefined ? null : digest(one))
      }),
      { numRuns: 60 },
    )
  })

  test('differs from another one in exactly the blocks that differ', async () => {
    await fc.assert(
      fc.asyncProperty(someBlocks, someBlocks, anIndex, async (a, b, from) => {
        const pages = new Pages()
        const [one, other] = [
          await pages.build(null, MAX_SNAPSHOT_BYTES, a),
          await pages.build(null, MAX_SNAPSHOT_BYTES, b),
        ]
        const wanted = [...new Set([...a.keys(), ...b.keys()])]
          .sort((x, y) => x - y)
          .map((index) => {
            const of = (blocks: Blocks): string | null =>
              (blocks.get(index) ?? 0) === 0 ? null : digest(blocks.get(index) ?? 0)
            return { index, before: of(a), after: of(b) }
          })
          .filter(({ index, before, after }) => index >= from && before !== after)
        const found = []
        for await (const d of differences(one.root, other.root, from, pages.load)) found.push(d)
        assert.deepEqual(found, wanted)
      }),
      { numRuns: 60 },
    )
  })

  test('of a large volume costs what changed: to make, to compare, to ask', async () => {
    const pages = new Pages()
    const sizeBytes = 2 ** 40
    const first: Blocks = new Map()
    for (let leaf = 0; leaf < 2048; leaf += 8) first.set(leaf * ENTRIES_PER_PAGE + 3, 1)
    const base = await pages.build(null, sizeBytes, first)
    const before = pages.pages.size
    pages.loads = 0
    const next = await pages.build(base.root, sizeBytes, new Map([[7, 2]]))
    assert.deepEqual([pages.pages.size - before, pages.loads], [2, 2], 'a leaf and a branch')
    pages.loads = 0
    const found = []
    for await (const one of differences(base.root, next.root, 0, pages.load)) found.push(one)
    assert.deepEqual(found, [{ index: 7, before: null, after: digest(2) }])
    assert.equal(pages.loads, 4)
    pages.loads = 0
    await findBlock(next.root, 7, pages.load)
    assert.equal(pages.loads, 2)
    // The same written again is no new page.
    const again = await pages.build(next.root, sizeBytes, new Map([[7, 2]]))
    assert.equal(again.sha256, next.sha256)
    assert.equal(pages.pages.size - before, 2)
  })

  test('refuses changes out of order, behind the end, and a volume that shrank', async () => {
    const pages = new Pages()
    const size = 4 * SNAPSHOT_BLOCK_BYTES
    const bad = { code: 'BadArgument' }
    await assert.rejects(pages.build(null, size, new Map([[4, 1]])), bad)
    await assert.rejects(pages.build(null, size, new Map([[-1, 1]])), bad)
    await assert.rejects(pages.build(null, size + 1, new Map()), bad)
    await assert.rejects(pages.build(null, 2 * MAX_SNAPSHOT_BYTES, new Map()), bad)
    const { root } = await pages.build(null, size, new Map([[3, 1]]))
    await assert.rejects(pages.build(root, size / 2, new Map()), bad)
    async function* twice() {
      yield* [1, 1].map((index) => ({ index, sha256: digest(1) }))
    }
    await assert.rejects(buildManifest(null, size, twice(), pages.load).next(), bad)
  })

  test('whose page is not what its parent says is named', async () => {
    const pages = new Pages()
    const { root } = await pages.build(null, MAX_SNAPSHOT_BYTES, new Map([[5, 1]]))
    const leaf = await findPage(root, 'leaf', 0, pages.load)
    assert.ok(leaf !== null)
    const other = encodePage({ kind: 'leaf', entries: [2, 3].map(entry) })
    pages.pages.set(leaf.sha256, other.bytes)
    await assert.rejects(pages.blocks(root), { code: 'DataCorrupt', message: /leaf .* 2 blocks/ })
  })
})

function entry(number: number) {
  return { number, sha256: digest(number), blocks: 1 }
}

describe('pages and roots', () => {
  const full: ManifestPage = {
    kind: 'branch',
    entries: Array.from({ length: ENTRIES_PER_PAGE }, (_, n) => ({ ...entry(n), blocks: n + 1 })),
  }
  const root: ManifestRoot = { sizeBytes: MAX_SNAPSHOT_BYTES, entries: [0, 7, 128].map(entry) }

  test('come back as they were, up to their limits', () => {
    const page = encodePage(full)
    assert.equal(page.bytes.length, MAX_PAGE_BYTES)
    assert.deepEqual(decodePage(page.bytes), full)
    assert.deepEqual(decodeRoot(encodeRoot(root).bytes), root)
    const empty: ManifestRoot = { sizeBytes: SNAPSHOT_BLOCK_BYTES, entries: [] }
    assert.deepEqual(decodeRoot(encodeRoot(empty).bytes), empty)
  })

  test('that cannot be are refused when they are made', () => {
    const bad = { code: 'BadArgument' }
    const page = (entries: ManifestPage['entries']) => () => encodePage({ kind: 'leaf', entries })
    for (const entries of [
      [],
      [entry(1), entry(1)],
      [entry(2), entry(1)],
      [entry(ENTRIES_PER_PAGE)],
      [{ ...entry(1), blocks: 2 }],
      [{ ...entry(1), sha256: 'AB'.repeat(32) }],
    ]) {
      assert.throws(page(entries), bad)
    }
    assert.throws(() => encodeRoot({ ...root, entries: [entry(129)] }), bad)
    assert.throws(() => encodeRoot({ sizeBytes: SNAPSHOT_BLOCK_BYTES, entries: [entry(1)] }), bad)
  })

  test('of bytes that were changed are refused, or are others in their one form', () => {
    const samples = [encodePage(full), encodePage({ kind: 'leaf', entries: [entry(9)] })]
    const all = [...samples.map(({ bytes }) => bytes), encodeRoot(root).bytes]
    const edit = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.nat(80) })
    fc.assert(
      fc.property(fc.constantFrom(...all), edit, (given, { at, to, cut }) => {
        const bytes = Buffer.from(given.subarray(0, given.length - (cut > 40 ? 0 : cut)))
        if (bytes.length > 0) bytes[at % bytes.length] = to
        for (const [decode, encode] of [
          [decodePage, encodePage],
          [decodeRoot, encodeRoot],
        ] as const) {
          let found: ManifestPage & ManifestRoot
          try {
            found = decode(bytes) as ManifestPage & ManifestRoot
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'BadMessage')
            continue
          }
          assert.ok(bytes.equals(encode(found).bytes))
        }
      }),
    )
  })

  test('a block of zeroes is known', () => {
    const block = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)
    assert.ok(isZeroBlock(block))
    assert.ok(!isZeroBlock(block.subarray(1)))
    block[SNAPSHOT_BLOCK_BYTES - 1] = 1
    assert.ok(!isZeroBlock(block))
  })
})
