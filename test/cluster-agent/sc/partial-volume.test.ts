// A volume of which some blocks are here: what is read is always what the snapshot has and what was
// written since, also after an agent or the whole host has gone.

import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Gate } from '../../../cluster-agent/sc/restore/gate.ts'
import { Marks } from '../../../cluster-agent/sc/restore/marks.ts'
import { PartialVolume } from '../../../cluster-agent/sc/restore/partial-volume.ts'
import { SourceBlocks } from '../../../cluster-agent/sc/restore/source-blocks.ts'
import { uploadSnapshot } from '../../../cluster-agent/sc/snapshots/upload.ts'
import type { SnapshotId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { exec } from '../../../common/exec.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { MemoryStore } from './memory-store.ts'

const ID = 'snap-00000000000000001' as SnapshotId
const BLOCKS = 6
const SOURCE_BYTES = BLOCKS * SNAPSHOT_BLOCK_BYTES
/** It grew behind its snapshot's end. */
const SIZE_BYTES = SOURCE_BYTES + SNAPSHOT_BLOCK_BYTES
const NEVER = new AbortController().signal

interface Action {
  readonly kind: 'write' | 'zero' | 'read' | 'bring' | 'kill' | 'reboot'
  /** In eighths of a block. */
  readonly from: number
  readonly length: number
}

const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom(
    ...(['write', 'write', 'zero', 'read', 'bring', 'kill', 'reboot'] as const),
  ),
  from: fc.nat({ max: (BLOCKS + 1) * 8 - 1 }),
  length: fc.integer({ min: 1, max: 24 }),
})

describe('PartialVolume', () => {
  let dir: string
  let manifest: string
  const store = new MemoryStore()
  const source = Buffer.alloc(SOURCE_BYTES)
  let count = 0

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-partial-'))
    for (let block = 0; block < BLOCKS; block++) {
      // One of zeroes.
      source.fill(block === 2 ? 0 : block + 1, block * SNAPSHOT_BLOCK_BYTES)
    }
    const file = join(dir, 'source')
    await writeFile(file, source)
    const all = [{ from: 0, to: BLOCKS }]
    const job = { file, sizeBytes: SOURCE_BYTES, data: all, changed: all, template: null }
    const ends = { own: store.endOf(ID), endOf: store.endOf }
    const sums = await uploadSnapshot(job, ends, { signal: NEVER, progress: () => undefined })
    manifest = sums.manifest
  })
  after(() => rm(dir, { recursive: true, force: true }))

  function openVolume(n: number, boot: number): Promise<PartialVolume> {
    const file = join(dir, `${n}.raw`)
    return PartialVolume.open({
      file,
      marks: {
        durable: join(dir, `${n}.durable`),
        fleeting: join(dir, `${n}.fleeting`),
        bootId: String(boot).padStart(36, '0'),
      },
      blocks: new SourceBlocks(
        { snapshot: ID, manifest, sizeBytes: SOURCE_BYTES },
        store.endOf(ID),
      ),
      punch: async (offset, length) => {
        await exec(['fallocate', '-p', '-o', `${offset}`, '-l', `${length}`, file])
      },
      touched: () => undefined,
    })
  }

  test('is what its snapshot has and what was written, whatever comes in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 20 }), async (actions) => {
        count += 1
        const want = Buffer.concat([source, Buffer.alloc(SIZE_BYTES - SOURCE_BYTES)])
        await writeFile(join(dir, `${count}.raw`), '')
        await truncate(join(dir, `${count}.raw`), SIZE_BYTES)
        let boot = 1
        let volume = await openVolume(count, boot)
        for (const [n, { kind, from, length: eighths }] of actions.entries()) {
          const offset = (from * SNAPSHOT_BLOCK_BYTES) / 8
          const length = Math.min((eighths * SNAPSHOT_BLOCK_BYTES) / 8, SIZE_BYTES - offset)
          if (kind === 'write') {
            const bytes = Buffer.alloc(length, 100 + n)
            await volume.write(offset, bytes, NEVER)
            bytes.copy(want, offset)
          } else if (kind === 'zero') {
            await volume.zero(offset, length, NEVER)
            want.fill(0, offset, offset + length)
          } else if (kind === 'read') {
            const bytes = await volume.read(offset, length, NEVER)
            assert.ok(bytes.equals(want.subarray(offset, offset + length)))
          } else if (kind === 'bring') {
            await volume.bring(Math.floor(from / 8))
          } else {
            // A reboot loses what was not flushed; a kill does not.
            if (kind === 'reboot') {
              await volume.flush()
              boot += 1
            }
            await volume.close()
            volume = await openVolume(count, boot)
          }
        }
        assert.ok((await volume.read(0, SIZE_BYTES, NEVER)).equals(want))
        assert.equal(volume.missingBytes, 0)
        await volume.close()
        await rm(join(dir, `${count}.raw`))
      }),
      { numRuns: 40 },
    )
  })

  test('a write that nobody waits for any more changes nothing later', async () => {
    const n = 1_000
    await writeFile(join(dir, `${n}.raw`), '')
    await truncate(join(dir, `${n}.raw`), SIZE_BYTES)
    const volume = await openVolume(n, 1)
    const [end, held] = [new AbortController(), Promise.withResolvers<void>()]
    const bring = store.endOf
    const slow = new SourceBlocks(
      { snapshot: ID, manifest, sizeBytes: SOURCE_BYTES },
      {
        ...bring(ID),
        block: async (index) => {
          await held.promise
          return bring(ID).block(index)
        },
      },
    )
    await volume.close()
    const late = await PartialVolume.open({
      ...{ file: join(dir, `${n}.raw`), blocks: slow, touched: () => undefined },
      marks: {
        durable: join(dir, `${n}.durable`),
        fleeting: join(dir, `${n}.fleeting`),
        bootId: '1'.repeat(36),
      },
      punch: async () => undefined,
    })
    const writing = late.write(0, Buffer.alloc(4096, 99), end.signal)
    end.abort()
    await assert.rejects(writing, { code: 'Unavailable' })
    held.resolve()
    assert.ok((await late.read(0, 4096, NEVER)).equals(source.subarray(0, 4096)))
    await late.close()
  })
})

describe('Marks', () => {
  test('what is not on the disk is known to the next agent and not to the next boot', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mallee-marks-'))
    const files = (boot: string) => ({
      ...{ durable: join(dir, 'durable'), fleeting: join(dir, 'fleeting') },
      bootId: boot.repeat(36),
    })
    const has = async (boot: string): Promise<number[]> => {
      const marks = await Marks.open(files(boot), 20)
      await marks.close()
      return Array.from({ length: 20 }, (_, n) => n).filter((n) => marks.has(n))
    }
    const marks = await Marks.open(files('a'), 20)
    await marks.set([3, 4])
    await assert.rejects(
      marks.keep(() => Promise.reject(new Error('EIO'))),
      /EIO/,
    )
    await marks.keep(async () => undefined)
    await marks.set([17])
    assert.equal(marks.missing, 17)
    assert.deepEqual(marks.ranges(), [
      { from: 0, to: 3 },
      { from: 5, to: 17 },
      { from: 18, to: 20 },
    ])
    await marks.close()
    assert.deepEqual(await has('a'), [3, 4, 17])
    assert.deepEqual(await has('b'), [3, 4])
    await rm(dir, { recursive: true })
  })
})

test('Gate lets one be alone, when those who are in have gone', async () => {
  const gate = new Gate()
  const said: string[] = []
  const first = Promise.withResolvers<void>()
  const among = gate.among(() => first.promise.then(() => void said.push('among')))
  const alone = gate.alone(async () => void said.push('alone'))
  const later = gate.among(async () => void said.push('later'))
  first.resolve()
  await Promise.all([among, alone, later])
  assert.deepEqual(said, ['among', 'alone', 'later'])
})
