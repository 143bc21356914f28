// What thin_delta says of two thin volumes: of a model's, and of metadata that the real tools made.

import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ChunkRange,
  isHeld,
  parseThinDelta,
} from '../../../cluster-agent/host/thin-metadata.ts'
import { exec } from '../../../common/exec.ts'
import { deltaText } from '../../support/thin-delta.ts'

const CHUNKS = 40
/** Where a chunk is in the pool; null when it is nowhere. */
const mapping = fc.array(fc.option(fc.nat({ max: 2 })), { minLength: CHUNKS, maxLength: CHUNKS })

test('parseThinDelta finds what the second has, and what is not the same', () => {
  fc.assert(
    fc.property(mapping, mapping, (a, b) => {
      check(parseThinDelta(deltaText(mapped(a), mapped(b))), a, b)
    }),
  )
})

test('parseThinDelta reads the words of the tool that is installed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-thin-delta-'))
  const [xml, metadata] = [join(dir, 'xml'), join(dir, 'metadata')]
  try {
    for (const [a, b] of fc.sample(fc.tuple(mapping, mapping), { numRuns: 8, seed: 1 })) {
      await writeFile(xml, superblock([a ?? [], b ?? []]))
      await writeFile(metadata, '')
      await truncate(metadata, 4 << 20)
      await exec(['thin_restore', '-i', xml, '-o', metadata])
      const delta = async (from: number, to: number) =>
        parseThinDelta(
          (await exec(['thin_delta', '--thin1', `${from}`, '--thin2', `${to}`, metadata])).stdout,
        )
      check(await delta(1, 2), a ?? [], b ?? [])
      check(await delta(2, 2), b ?? [], b ?? [])
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test('parseThinDelta takes nothing that is cut off or not known', () => {
  const text = deltaText(new Map([[1, 7]]), new Map([[2, 7]]))
  for (const wrong of ['', text.slice(0, -20), text.replace('left_only', 'moved')]) {
    assert.throws(() => parseThinDelta(wrong), { code: 'BadMessage' })
  }
})

test('isHeld tells a pool whose metadata is held from one that is not', () => {
  const line = (root: string) =>
    `0 819200 thin-pool 4 120/1024 496/6400 ${root} rw discard_passdown error_if_no_space - 256 \n`
  assert.equal(isHeld(line('-')), false)
  assert.equal(isHeld(line('78')), true)
  for (const wrong of ['', '0 819200 linear 254:1 0', '0 819200 thin-pool Fail', line('rw')]) {
    assert.throws(() => isHeld(wrong), { code: 'CommandFailed' })
  }
})

type Places = readonly (number | null)[]

function check(
  delta: { readonly data: readonly ChunkRange[]; readonly changed: readonly ChunkRange[] },
  a: Places,
  b: Places,
): void {
  const numbers = Array.from({ length: CHUNKS }, (_, n) => n)
  assert.deepEqual(
    listed(delta.data),
    numbers.filter((n) => b[n] !== null),
  )
  assert.deepEqual(
    listed(delta.changed),
    numbers.filter((n) => a[n] !== b[n]),
  )
}

function listed(ranges: readonly ChunkRange[]): number[] {
  return ranges
    .flatMap(({ from, count }) => Array.from({ length: count }, (_, n) => from + n))
    .sort((a, b) => a - b)
}

/** No two chunks have one place. */
function placeOf(chunk: number, place: number): number {
  return place * CHUNKS + chunk
}

function mapped(places: Places): Map<number, number> {
  return new Map(
    places.flatMap((place, n) => (place === null ? [] : [[n, placeOf(n, place)] as const])),
  )
}

/** As thin_dump(8) writes it. */
function superblock(volumes: readonly Places[]): string {
  const devices = volumes.map((places, index) => {
    const chunks = [...mapped(places)].map(
      ([chunk, place]) =>
        `<single_mapping origin_block="${chunk}" data_block="${place}" time="0"/>`,
    )
    const head = `dev_id="${index + 1}" mapped_blocks="${chunks.length}" transaction="0"`
    return `<device ${head} creation_time="0" snap_time="0">${chunks.join('')}</device>`
  })
  const of = 'time="1" transaction="1" flags="0" version="2" data_block_size="128"'
  return `<superblock uuid="" ${of} nr_data_blocks="1000">${devices.join('')}</superblock>`
}
