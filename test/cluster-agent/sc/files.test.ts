// Volumes as files: on a file system that shares blocks between files, and on one that does not.

import assert from 'node:assert/strict'
import { mkdtemp, open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  parseSnapshotId,
  parseVolumeId,
  type SnapshotId,
  type VolumeBackend,
  type VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { type Code, codeOf } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'
import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'

const MIB = 1 << 20
/** The least that mkfs.xfs takes is 300 MB. */
const DISK_BYTES = 320 * MIB

const VOLUME = volumeId(1)
const OTHER = volumeId(2)
const SNAPSHOT = snapshotId(1)

const KEEP = ['conv=notrunc', 'status=none']

const skip = whyNoHosts() ?? false

describe('fileBackend', { skip }, () => {
  let dir: string
  let host: SimulatedHost
  /** On XFS. */
  let sharing: VolumeBackend
  /** On tmpfs. */
  let plain: VolumeBackend

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-files-'))
    host = await startHost('sc', dir)
    const disk = join(dir, 'disk')
    await (await open(disk, 'w')).close()
    await truncate(disk, DISK_BYTES)
    await exec(['mkfs.xfs', '-q', '-m', 'reflink=1', disk])
    await host.exec(['mkdir', '/run/xfs', '/run/plain'])
    await host.exec(['mount', '-o', 'loop', disk, '/run/xfs'])
    sharing = await fileBackend(exec, `/proc/${host.pid}/root/run/xfs`)
    plain = await fileBackend(exec, `/proc/${host.pid}/root/run/plain`)
  })
  after(async () => {
    await host?.exec(['umount', '/run/xfs'])
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('a new volume reads as zeroes, takes no room, grows and goes', async () => {
    assert.equal(await plain.look(VOLUME), null)
    await plain.create(VOLUME, 4 * MIB)
    assert.deepEqual(await plain.look(VOLUME), { sizeBytes: 4 * MIB, usedBytes: 0 })
    await put(plain.path(VOLUME), 0, 7)
    await plain.grow(VOLUME, 5 * MIB)
    assert.deepEqual(await plain.look(VOLUME), { sizeBytes: 5 * MIB, usedBytes: 4096 })
    assert.equal(await byteAt(plain.path(VOLUME), 0), 7)
    assert.equal(await byteAt(plain.path(VOLUME), 5 * MIB - 1), 0)
    await plain.remove(VOLUME)
    await plain.remove(VOLUME)
    assert.equal(await plain.look(VOLUME), null)
  })

  test('an encrypted one is opened by its key and by no other, with the size that is left', async () => {
    const [key, wrong] = ['ab'.repeat(32), 'ba'.repeat(32)]
    const stored = 4 * MIB + LUKS_HEADER_BYTES
    await plain.create(OTHER, stored, key)
    assert.equal((await plain.look(OTHER))?.sizeBytes, stored)
    const look = (secret: string) => {
      const object = ['--object', `secret,id=k,data=${secret}`]
      const image = `driver=luks,key-secret=k,file.filename=${plain.path(OTHER)}`
      return exec(['qemu-io', ...object, '-c', 'length', '--image-opts', image])
    }
    assert.equal((await look(key)).stdout.trim(), '4 MiB')
    await assert.rejects(look(wrong), /Invalid password/)
    await plain.remove(OTHER)
  })

  test('a snapshot keeps what a volume had, a clone begins with it, both share its room', async () => {
    await sharing.create(VOLUME, 8 * MIB)
    await put(sharing.path(VOLUME), MIB, 1)
    await sharing.snapshot(VOLUME, SNAPSHOT)
    await put(sharing.path(VOLUME), MIB, 2)
    await sharing.clone(OTHER, SNAPSHOT, 16 * MIB)
    assert.equal(await byteAt(sharing.path(OTHER), MIB), 1)
    assert.equal(await byteAt(sharing.path(VOLUME), MIB), 2)
    assert.equal((await sharing.look(OTHER))?.sizeBytes, 16 * MIB)
    await put(sharing.path(OTHER), MIB, 3)
    await sharing.removeSnapshot(SNAPSHOT)
    assert.equal(await byteAt(sharing.path(OTHER), MIB), 3)
    assert.equal(await byteAt(sharing.path(VOLUME), MIB), 2)
    for (const id of [VOLUME, OTHER]) await sharing.remove(id)
  })

  test('where blocks cannot be shared a snapshot is a copy with its holes, and needs their room', async () => {
    await host.exec(['mkdir', '/run/small'])
    await host.exec(['mount', '-t', 'tmpfs', '-o', 'size=8M', 'tmpfs', '/run/small'])
    const small = await fileBackend(exec, `/proc/${host.pid}/root/run/small`)
    await small.create(VOLUME, 64 * MIB)
    const write = (blocks: number) =>
      exec([
        'dd',
        'if=/dev/urandom',
        `of=${small.path(VOLUME)}`,
        'bs=1M',
        `count=${blocks}`,
        ...KEEP,
      ])
    await write(3)
    await put(small.path(VOLUME), 63 * MIB, 7)
    await small.snapshot(VOLUME, SNAPSHOT)
    await put(small.path(VOLUME), 63 * MIB, 8)
    const { sizeBytes, usedBytes = 0 } = (await small.lookSnapshot(SNAPSHOT)) ?? {}
    assert.equal(sizeBytes, 64 * MIB)
    assert.ok(usedBytes < 4 * MIB, `${usedBytes}`)
    await small.reading(SNAPSHOT, async (file) => {
      assert.equal(await byteAt(file, 63 * MIB), 7)
    })
    await refused('StoreFull', small.snapshot(VOLUME, snapshotId(2)))
    const folder = join(small.path(VOLUME), '../..')
    assert.deepEqual(await readdir(join(folder, 'snapshots')), [`${SNAPSHOT}.raw`])
  })

  test('a full disk is said so, and no half of a volume stays', async () => {
    await host.exec(['mkdir', '/run/full'])
    // Room for its folders and one file.
    await host.exec(['mount', '-t', 'tmpfs', '-o', 'nr_inodes=4', 'tmpfs', '/run/full'])
    const full = await fileBackend(exec, `/proc/${host.pid}/root/run/full`)
    await full.create(VOLUME, MIB)
    await refused('StoreFull', full.create(OTHER, MIB))
    assert.equal(await full.look(OTHER), null)
  })

  test('wrong sizes, ids and orders are refused', async () => {
    await sharing.create(VOLUME, 2 * MIB)
    await sharing.snapshot(VOLUME, SNAPSHOT)
    for (const size of [0, -MIB, MIB + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await refused('BadArgument', sharing.create(OTHER, size))
      await refused('BadArgument', sharing.grow(VOLUME, size))
    }
    await refused('NameTaken', sharing.create(VOLUME, MIB))
    await refused('NameTaken', sharing.clone(VOLUME, SNAPSHOT, 2 * MIB))
    await refused('NameTaken', sharing.snapshot(VOLUME, SNAPSHOT))
    await refused('BadArgument', sharing.clone(OTHER, SNAPSHOT, MIB))
    await refused('NotFound', sharing.clone(OTHER, snapshotId(2), 2 * MIB))
    await refused('NotFound', sharing.grow(OTHER, MIB))
    await refused('NotFound', sharing.snapshot(OTHER, snapshotId(2)))
    await refused('Conflict', sharing.grow(VOLUME, MIB))
    for (const id of ['../etc/passwd', 'vol-1', `${VOLUME}/..`, '']) {
      await refused('BadArgument', async () => sharing.remove(id as VolumeId))
      await refused('BadArgument', async () => sharing.removeSnapshot(id as SnapshotId))
    }
    assert.ok((await stat(sharing.path(VOLUME))).isFile())
  })
})

function volumeId(n: number): VolumeId {
  const id = parseVolumeId(`vol-${String(n).padStart(17, '0')}`)
  assert.ok(id.ok)
  return id.value
}

function snapshotId(n: number): SnapshotId {
  const id = parseSnapshotId(`snap-${String(n).padStart(17, '0')}`)
  assert.ok(id.ok)
  return id.value
}

async function refused(code: Code, done: Promise<void> | (() => Promise<void>)): Promise<void> {
  await assert.rejects(done, (error) => codeOf(error) === code)
}

async function put(file: string, at: number, byte: number): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(Buffer.alloc(4096, byte), 0, 4096, at)
  await handle.sync()
  await handle.close()
}

async function byteAt(file: string, at: number): Promise<number | undefined> {
  const handle = await open(file, 'r')
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at)
  await handle.close()
  return buffer[0]
}
