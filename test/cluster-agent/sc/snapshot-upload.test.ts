// What of a volume is read and sent for a snapshot, and that the store then has what was there.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type Extent, parseExtents } from '../../../cluster-agent/host/filefrag.ts'
import {
  type BlockRanges,
  blocksOf,
  countOf,
  differing,
  isWithin,
  numbersOf,
  union,
  without,
} from '../../../cluster-agent/sc/snapshots/block-ranges.ts'
import { patient } from '../../../cluster-agent/sc/snapshots/patient-blocks.ts'
import {
  type UploadJob,
  type UploadStore,
  uploadSnapshot,
} from '../../../cluster-agent/sc/snapshots/upload.ts'
import type { SnapshotId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { MalleeError } from '../../../common/errors.ts'
import { SNAPSHOT_BLOCK_BYTES as BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { MemoryStore } from './memory-store.ts'

const BLOCKS = 40
const ID = 'snap-00000000000000001' as SnapshotId
const SIZE_BYTES = BLOCKS * BLOCK_BYTES
const ALL: BlockRanges = [{ from: 0, to: BLOCKS }]

describe('uploadSnapshot', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-upload-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  /** A file of blocks of these numbers; 0 is zeroes. */
  async function jobOf(blocks: readonly number[], fields: Partial<UploadJob> = {}) {
    const file = join(dir, 'snapshot')
    const bytes = contentOf(blocks)
    await writeFile(file, bytes)
    const job = { file, sizeBytes: bytes.length, data: ALL, changed: ALL, template: null }
    return { bytes, job: { ...job, ...fields } }
  }
  const options = { signal: new AbortController().signal, progress: () => undefined }

  test('sends each block once, none of zeroes, and says what it did', async () => {
    const store = new MemoryStore()
    const blocks = filled({ 0: 1, 1: 2, 17: 1, 39: 3 })
    const data = [
      { from: 0, to: 3 },
      { from: 17, to: 18 },
      { from: 39, to: 40 },
    ]
    const { bytes, job } = await jobOf(blocks, { data, changed: data })
    const percents: number[] = []
    const progress = (percent: number) => percents.push(percent)
    const sums = await uploadSnapshot(job, endsOf(store), { ...options, progress })
    assert.deepEqual(
      { ...sums, manifest: '' },
      {
        manifest: '',
        readBytes: 5 * BLOCK_BYTES,
        sentBytes: 3 * BLOCK_BYTES,
        dataBytes: 4 * BLOCK_BYTES,
      },
    )
    assert.equal(percents.at(-1), 100)
    assert.ok((await store.bytesOf(sums.manifest)).equals(bytes))
  })

  test('takes what did not change from the template, and reads only the rest', async () => {
    const store = new MemoryStore()
    const first = await jobOf(filled({ 0: 1, 1: 2, 30: 3 }))
    const { manifest } = await uploadSnapshot(first.job, endsOf(store), options)
    const changed = [
      { from: 1, to: 3 },
      { from: 30, to: 31 },
    ]
    const data = [{ from: 0, to: 3 }]
    const next = await jobOf(filled({ 0: 1, 1: 4, 2: 1 }), {
      changed,
      data,
      template: { snapshot: ID, manifest },
    })
    const sums = await uploadSnapshot(next.job, endsOf(store), options)
    assert.equal(sums.readBytes, 2 * BLOCK_BYTES)
    assert.equal(sums.sentBytes, BLOCK_BYTES)
    assert.equal(sums.dataBytes, 3 * BLOCK_BYTES)
    assert.ok((await store.bytesOf(sums.manifest)).equals(next.bytes))
    const same = await jobOf(filled({ 0: 1, 1: 4, 2: 1 }), {
      changed: [],
      data,
      template: { snapshot: ID, manifest: sums.manifest },
    })
    const nothing = await uploadSnapshot(same.job, endsOf(store), options)
    assert.deepEqual(nothing, { ...sums, readBytes: 0, sentBytes: 0 })
  })

  test('a volume of zeroes is a root without pages', async () => {
    const store = new MemoryStore()
    const { job } = await jobOf(filled({}))
    const { manifest, dataBytes } = await uploadSnapshot(job, endsOf(store), options)
    assert.equal(dataBytes, 0)
    assert.equal((await store.bytesOf(manifest)).length, SIZE_BYTES)
  })

  test('goes on when the store comes back, and says why it waits', async () => {
    const store = new MemoryStore()
    const { bytes, job } = await jobOf(filled({ 0: 1, 9: 2, 20: 3 }))
    const asked = { missing: 0, putBlock: 0, putPage: 0, putRoot: 0, root: 0, page: 0, block: 0 }
    store.before = (what) => {
      asked[what] += 1
      if (asked[what] % 2 === 1) throw new MalleeError('Unavailable', `no answer to ${what}`)
    }
    const told: (string | null)[] = []
    const end = new AbortController()
    const waits: number[] = []
    const clock = { nowMs: () => 0, sleep: async (ms: number) => void waits.push(ms) }
    const patience = {
      clock,
      chance: () => 0,
      signal: end.signal,
      told: (why: string | null) => void told.push(why),
    }
    const sums = await uploadSnapshot(
      job,
      { own: patient(store.endOf(ID), patience), endOf: store.endOf },
      options,
    )
    store.before = () => undefined
    assert.ok((await store.bytesOf(sums.manifest)).equals(bytes))
    assert.ok(told.includes('no answer to putPage'))
    assert.equal(told.at(-1), null)
    assert.ok(waits.every((ms) => ms >= 250))

    store.before = () => {
      end.abort()
      throw new MalleeError('Unavailable', 'away for ever')
    }
    await assert.rejects(
      uploadSnapshot(job, { own: patient(store.endOf(ID), patience), endOf: store.endOf }, options),
      /nobody waits/,
    )
  })

  test('what was sent before it was ended is not sent again', async () => {
    const store = new MemoryStore()
    const blocks = Array.from({ length: BLOCKS }, (_, n) => n + 1)
    const { bytes, job } = await jobOf(blocks)
    let left = 20
    store.before = (what) => {
      if (what === 'putBlock' && left-- <= 0) throw new MalleeError('BadMessage', 'the end')
    }
    await assert.rejects(uploadSnapshot(job, endsOf(store), options), /the end/)
    store.before = () => undefined
    const sums = await uploadSnapshot(job, endsOf(store), options)
    assert.equal(sums.sentBytes, (BLOCKS - 20) * BLOCK_BYTES)
    assert.equal(store.blocksSent, BLOCKS)
    assert.ok((await store.bytesOf(sums.manifest)).equals(bytes))
  })

  test('a template of which the store lost something is NotFound', async () => {
    const store = new MemoryStore()
    const first = await jobOf(filled({ 0: 1, 1: 2 }))
    const { manifest } = await uploadSnapshot(first.job, endsOf(store), options)
    for (const [digest, { length }] of store.blocks.bytes) {
      if (length === BLOCK_BYTES) store.blocks.bytes.delete(digest)
    }
    const changed = [{ from: 1, to: 2 }]
    const next = await jobOf(filled({ 0: 1, 1: 3 }), {
      changed,
      template: { snapshot: ID, manifest },
    })
    await assert.rejects(uploadSnapshot(next.job, endsOf(store), options), { code: 'NotFound' })
  })
})

describe('block ranges', () => {
  const set = fc.uniqueArray(fc.nat({ max: 50 }), { maxLength: 30 })
  test('union, without, isWithin and countOf are those of sets', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const [left, right] = [rangesOf(a), rangesOf(b)]
        assert.deepEqual(numbersIn(union(left, right)), sorted([...a, ...b]))
        assert.deepEqual(numbersIn(without(left, right)), sorted(a.filter((n) => !b.includes(n))))
        assert.equal(countOf(left), a.length)
        for (let n = 0; n <= 51; n++) assert.equal(isWithin(left, n), a.includes(n))
      }),
    )
  })

  test('differing finds what is not at the same place in both files', () => {
    // Where each unit of a file is on disk; null for a hole.
    const file = fc.array(fc.option(fc.nat({ max: 3 })), { minLength: 12, maxLength: 12 })
    fc.assert(
      fc.property(file, file, (a, b) => {
        const units = (one: (number | null)[], n: number) =>
          one[n] === null || one[n] === undefined ? null : one[n] * 100 + n
        const parts = differing(extentsOf(a), extentsOf(b))
        const found = numbersIn(blocksOf(parts, 1))
        const want = a.flatMap((_, n) => (units(a, n) === units(b, n) ? [] : [n]))
        assert.deepEqual(found, want)
      }),
    )
  })

  test('differing takes what has no place to be compared for other', () => {
    const known = { offset: 0, length: 10, physical: 50 }
    const unknown = { ...known, physical: null }
    assert.deepEqual(differing([known], [known]), [])
    assert.equal(countOf(blocksOf(differing([unknown], [unknown]), 1)), 10)
  })

  function extentsOf(units: readonly (number | null)[]): Extent[] {
    return units.flatMap((place, n) =>
      place === null ? [] : [{ offset: n, length: 1, physical: place * 100 + n }],
    )
  }
  function rangesOf(numbers: readonly number[]): BlockRanges {
    return blocksOf(
      numbers.map((offset) => ({ offset, length: 1 })),
      1,
    )
  }
  function numbersIn(ranges: BlockRanges): number[] {
    return [...numbersOf(ranges)]
  }
  function sorted(numbers: readonly number[]): number[] {
    return [...new Set(numbers)].sort((a, b) => a - b)
  }
})

test('parseExtents reads what filefrag says, and no reserved room', () => {
  const text = `Filesystem type is: 58465342
File size of c is 67108864 (16384 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:      768..     769:        280..       281:      2:        768: shared
   1:      770..     770:        795..       795:      1:        282:
   2:      771..    1279:        283..       791:    509:        796: unwritten,shared
   3:     2000..    2000:          0..         0:      1:             last,unknown_loc,delalloc
c: 3 extents found
`
  assert.deepEqual(parseExtents(text), [
    { offset: 768 * 4096, length: 2 * 4096, physical: 280 * 4096 },
    { offset: 770 * 4096, length: 4096, physical: 795 * 4096 },
    { offset: 2000 * 4096, length: 4096, physical: null },
  ])
  assert.deepEqual(parseExtents('q: 0 extents found\n'), [])
  assert.throws(() => parseExtents(text.slice(0, -20)), { code: 'BadMessage' })
})

function endsOf({ endOf }: MemoryStore): UploadStore {
  return { own: endOf(ID), endOf }
}

function filled(blocks: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: BLOCKS }, (_, n) => blocks[n] ?? 0)
}

function contentOf(blocks: readonly number[]): Buffer {
  return Buffer.concat(blocks.map((n) => Buffer.alloc(BLOCK_BYTES, n)))
}
