// What a restored volume is written to, as a file and as a block device whose room ends behind the
// page cache: a loop device of a sparse file on a full disk does as a thin volume of a full pool,
// but for the code of its error.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VolumeFile } from '../../../cluster-agent/sc/restore/volume-file.ts'
import { exec } from '../../../common/exec.ts'
import { whyNoHosts } from '../../support/netns.ts'

const MIB = 1 << 20
const SIZE_BYTES = 16 * MIB

test('VolumeFile fails the writes that a block device has no room for, and no others', {
  skip: whyNoHosts() ?? false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-volume-file-'))
  const [disk, file] = [join(dir, 'disk'), join(dir, 'disk/file')]
  let device = ''
  try {
    await exec(['mkdir', disk])
    await exec(['mount', '-t', 'tmpfs', '-o', `size=${4 * MIB}`, 'tmpfs', disk])
    await exec(['truncate', '-s', String(SIZE_BYTES), file])
    device = (await exec(['losetup', '--find', '--show', file])).stdout.trim()
    const volume = await VolumeFile.open(device)
    try {
      assert.equal(await volume.sizeBytes(), SIZE_BYTES)
      const some = Buffer.alloc(MIB, 7)
      await Promise.all([volume.write(0, some), volume.write(8 * MIB, some)])
      // The first one is alone in its round; of the others it is not known which had the rest.
      const writes = [1, 2, 3, 4, 5].map((at) => volume.write(at * MIB, Buffer.alloc(MIB, 9)))
      const ends = await Promise.allSettled(writes)
      const [first, ...others] = ends.map(({ status }) => status)
      assert.equal(first, 'fulfilled')
      assert.deepEqual([...new Set(others)], ['rejected'])
      // What was told is told once, and what was there stays.
      await volume.sync()
      await volume.write(8 * MIB, Buffer.alloc(4096, 8))
      assert.ok((await volume.read(0, MIB)).equals(some))
      assert.deepEqual([...(await volume.read(8 * MIB + 4095, 2))], [8, 7])
    } finally {
      await volume.close()
    }
  } finally {
    if (device !== '') await exec(['losetup', '--detach', device])
    await exec(['umount', disk], { okCodes: [0, 1, 32] })
    rmSync(dir, { recursive: true, force: true })
  }
})
