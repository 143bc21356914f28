// Where volumes are kept on a disk that shares no blocks.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { firstSize, planGrowth } from '../../../cluster-agent/sc/volumes/image.ts'
import { exec } from '../../../common/exec.ts'
import { whyNoHosts } from '../../support/netns.ts'

const RUN = join(import.meta.dirname, 'place-run.ts')
const GIB = 2 ** 30
const inside = (availableBytes: number) => ({ sizeBytes: 8 * GIB, availableBytes })

test('firstSize is a share of the disk, no more than 8 GiB, and null where nothing fits', () => {
  assert.equal(firstSize(32 * GIB), 2 * GIB)
  assert.equal(firstSize(1000 * GIB), 8 * GIB)
  assert.equal(firstSize(GIB), GIB / 2)
  assert.equal(firstSize(GIB / 4), null)
})

for (const [what, free, roomBytes, wanted] of [
  ['enough is free', 8 * GIB, 1000 * GIB, null],
  ['guests have filled it', GIB, 1000 * GIB, 15 * GIB],
  ['a little is missing', 8 * GIB - 1, 1000 * GIB, 8.25 * GIB],
  ['the disk has as good as nothing', 0, 0.2 * GIB, null],
  ['the disk has a little', 0, 16 * GIB, 9 * GIB],
] as const) {
  test(`planGrowth when ${what}`, () => {
    const seen = { fileBytes: 8 * GIB, inside: inside(free), roomBytes }
    assert.equal(planGrowth(seen), wanted)
  })
}

test('an image is made, found again, grown and taken away', {
  skip: whyNoHosts() ?? false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-place-'))
  const [file, disk, state] = ['disk.ext4', 'disk', 'state'].map((name) => join(dir, name))
  const script = [
    `truncate -s 3G ${file}`,
    `mkfs.ext4 -qF -E nodiscard ${file}`,
    `mkdir ${disk} ${state}`,
    `mount -o loop ${file} ${disk}`,
    `exec ${process.execPath} ${RUN} ${disk} ${state}`,
  ]
  try {
    await exec(['unshare', '--mount', 'sh', '-ec', script.join('\n')], { timeoutMs: 60_000 })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
