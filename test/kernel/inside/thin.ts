// Inside a lone machine: volumes in a real thin pool.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { VolumeFile } from '../../../cluster-agent/sc/restore/volume-file.ts'
import type {
  ByteRange,
  SnapshotId,
  VolumeBackend,
  VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import type { Place } from '../../../cluster-agent/sc/volumes/place.ts'
import { thinPlace } from '../../../cluster-agent/sc/volumes/thin-place.ts'
import { randomHex } from '../../../common/clock.ts'
import { type Code, codeOf } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { loadModules, whyNotInside } from './kernel.ts'
import { CHUNK_BYTES as CHUNK, lvcreate, makePool } from './lvm.ts'

const DISK = '/dev/nvme2n1'
const POOL = { vg: 'vg-0', lv: 'pool' }
const [GIB, MIB] = [2 ** 30, 1 << 20]
const POOL_BYTES = 384 * MIB
/** Of an operator: beside our volumes in the pool. */
const THEIRS = 'by-hand'

describe('a thin pool of this kernel', { skip: whyNotInside }, () => {
  let dir: string
  let place: Place
  let backend: VolumeBackend
  let last = 0

  before(async () => {
    await loadModules('xfs')
    await makePool(DISK, POOL, POOL_BYTES)
    const theirs = ['--type', 'thin', '--thinpool', POOL.lv, '--virtualsize', `${GIB}b`]
    await lvcreate(...theirs, '--name', THEIRS, POOL.vg)
    await put(`/dev/${POOL.vg}/${THEIRS}`, 0, filled(1))
    dir = await mkdtemp('/var/tmp/mallee-thin-')
    await restart()
  })

  /** As after a start of the agent. */
  async function restart(): Promise<void> {
    place = thinPlace({
      ...{ exec, log: silentLog, randomHex, pool: POOL, known: join(dir, 'volume-place') },
      ...{ owner: { cloud: 'c', rack: 'a', host: 'a1' }, ledgers: join(dir, 'ledgers') },
    })
    await place.look()
    backend = await place.open()
  }

  async function volume(bytes = GIB, key?: string): Promise<VolumeId> {
    const id = `vol-${String(++last).padStart(17, '0')}` as VolumeId
    await backend.create(id, bytes, key)
    return id
  }

  async function snapshot(of: VolumeId): Promise<SnapshotId> {
    const id = `snap-${String(++last).padStart(17, '0')}` as SnapshotId
    await backend.snapshot(of, id)
    return id
  }

  function bytesOf(id: SnapshotId, at: number, length: number): Promise<Buffer> {
    return backend.reading(id, (file) => get(file, at, length))
  }

  test('a new volume is of zeroes and takes nothing; a file system goes on it and grows', async () => {
    const id = await volume()
    assert.deepEqual(await backend.look(id), { sizeBytes: GIB, usedBytes: 0 })
    assert.ok((await get(backend.path(id), GIB - MIB, MIB)).equals(Buffer.alloc(MIB)))
    await exec(['mkfs.xfs', '-q', backend.path(id)], { timeoutMs: 120_000 })
    await mkdir(join(dir, 'fs'))
    await exec(['mount', backend.path(id), join(dir, 'fs')])
    await writeFile(join(dir, 'fs/file'), filled(7))
    await backend.grow(id, 2 * GIB)
    await exec(['xfs_growfs', join(dir, 'fs')], { timeoutMs: 60_000 })
    assert.ok((await readFile(join(dir, 'fs/file'))).equals(filled(7)))
    await exec(['umount', join(dir, 'fs')])
    assert.equal((await backend.look(id))?.sizeBytes, 2 * GIB)
    await backend.remove(id)
    assert.equal(await backend.look(id), null)
  })

  test('a snapshot is of one moment while its volume is written', async () => {
    const id = await volume()
    const handle = await open(backend.path(id), 'r+')
    let isOver = false
    const writing = (async () => {
      for (let count = 1; !isOver; count++) {
        // Never the second before the first.
        for (const at of [0, 64 * MIB]) await handle.write(numbered(count), 0, 4096, at)
        await handle.datasync()
      }
    })()
    const taken: SnapshotId[] = []
    for (let n = 0; n < 3; n++) {
      await sleep(300)
      taken.push(await snapshot(id))
    }
    isOver = true
    await writing
    await handle.close()
    const seen = await Promise.all(
      taken.map(async (one) => {
        const [a, b] = [await bytesOf(one, 0, 4096), await bytesOf(one, 64 * MIB, 4096)]
        return [a.readUInt32LE(0), b.readUInt32LE(0)] as const
      }),
    )
    for (const [a, b] of seen) assert.ok(a === b || a === b + 1, `${a} and ${b}`)
    assert.ok((seen[2]?.[0] ?? 0) > (seen[0]?.[0] ?? 0))
    for (const one of taken) await backend.removeSnapshot(one)
    await backend.remove(id)
  })

  test('parts are what was written, and what changed since', async () => {
    const id = await volume()
    const path = backend.path(id)
    for (const [at, byte] of [
      [0, 1],
      [10 * MIB, 2],
      [GIB - MIB, 3],
    ] as const) {
      await put(path, at, filled(byte))
    }
    const first = await snapshot(id)
    assert.deepEqual(megabytes((await backend.parts(first, null)).data), [0, 10, 1023])
    await put(path, 10 * MIB, filled(4))
    await put(path, 20 * MIB, filled(5))
    await exec(['blkdiscard', '--offset', '0', '--length', String(MIB), path])
    const second = await snapshot(id)
    // As an agent leaves it that ended at the wrong moment.
    await exec(['dmsetup', 'message', 'vg--0-pool-tpool', '0', 'reserve_metadata_snap'])
    await restart()
    const { data, changed } = await backend.parts(second, first)
    assert.deepEqual(megabytes(changed ?? []), [0, 10, 20])
    assert.deepEqual(megabytes(data), [10, 20, 1023])
    assert.deepEqual((await backend.parts(second, second)).changed, [])
    const status = ['dmsetup', 'status', '--target', 'thin-pool', 'vg--0-pool-tpool']
    assert.match((await exec(status)).stdout, / - rw /)
    assert.ok((await bytesOf(first, 10 * MIB, MIB)).equals(filled(2)))
    assert.ok((await bytesOf(second, 0, MIB)).equals(Buffer.alloc(MIB)))
    // A clone has what its snapshot has, and goes its own way.
    const clone = `vol-${String(++last).padStart(17, '0')}` as VolumeId
    await backend.clone(clone, first, 2 * GIB)
    await put(backend.path(clone), 0, filled(9))
    assert.ok((await get(backend.path(clone), 10 * MIB, MIB)).equals(filled(2)))
    assert.ok((await get(backend.path(clone), GIB, MIB)).equals(Buffer.alloc(MIB)))
    assert.ok((await bytesOf(first, 0, MIB)).equals(filled(1)))
    for (const one of [first, second]) await backend.removeSnapshot(one)
    for (const one of [id, clone]) await backend.remove(one)
  })

  test('zeroes give room back where they are whole chunks, and are zeroes everywhere', async () => {
    const id = await volume()
    for (const at of [0, MIB]) await put(backend.path(id), at, filled(6))
    await place.look()
    const before = (await backend.look(id))?.usedBytes ?? 0
    await backend.zero(id, { offset: 4096, length: MIB })
    await place.look()
    assert.ok(((await backend.look(id))?.usedBytes ?? 0) < before)
    const want = Buffer.concat([filled(6), filled(6)]).fill(0, 4096, 4096 + MIB)
    assert.ok((await get(backend.path(id), 0, 2 * MIB)).equals(want))
    await backend.remove(id)
  })

  test('an encrypted volume has its header', async () => {
    const id = await volume(GIB + 16 * MIB, 'ab'.repeat(32))
    const key = ['--object', `secret,id=k,data=${'ab'.repeat(32)}`]
    const image = `driver=luks,key-secret=k,file.driver=host_device,file.filename=${backend.path(id)}`
    const { stdout } = await exec(['qemu-io', ...key, '-c', 'length', '--image-opts', image])
    assert.equal(stdout.trim(), '1 GiB')
    await backend.remove(id)
  })

  test('what was not active is so again, with its bytes', async () => {
    const id = await volume()
    await put(backend.path(id), 0, filled(8))
    const kept = await snapshot(id)
    await exec(['lvchange', '--activate', 'n', POOL.vg], { timeoutMs: 60_000 })
    await assert.rejects(stat(backend.path(id)))
    await restart()
    assert.ok((await place.look()).roomBytes > 0)
    assert.ok((await get(backend.path(id), 0, MIB)).equals(filled(8)))
    assert.ok((await bytesOf(kept, 0, MIB)).equals(filled(8)))
    await assert.rejects(stat(`/dev/${POOL.vg}/${THEIRS}`), 'what is not ours stays as it is')
    await exec(['lvchange', '--activate', 'y', `${POOL.vg}/${THEIRS}`])
    await backend.removeSnapshot(kept)
    await backend.remove(id)
  })

  test('a full pool gives errors to who needs more of it, and to nobody else', async () => {
    const [calm, greedy] = [await volume(), await volume()]
    await put(backend.path(calm), 0, filled(1))
    const file = await VolumeFile.open(backend.path(greedy))
    assert.equal(await file.sizeBytes(), GIB)
    const failedAt = await (async () => {
      for (let at = 0; at < GIB; at += 8 * MIB) {
        try {
          await file.write(at, Buffer.alloc(8 * MIB, 3))
        } catch {
          return at
        }
      }
      return GIB
    })()
    assert.ok(failedAt > 0 && failedAt < POOL_BYTES, `${failedAt}`)
    // What was said to be there is.
    assert.ok((await get(backend.path(greedy), failedAt - MIB, MIB)).equals(filled(3)))
    assert.equal((await place.look()).roomBytes, 0)
    await refused('StoreFull', volume())
    await refused('StoreFull', snapshot(calm))
    await put(backend.path(calm), 0, filled(2))
    assert.ok((await get(backend.path(calm), 0, MIB)).equals(filled(2)))
    await file.close()
    await backend.remove(greedy)
    assert.ok((await place.look()).roomBytes > POOL_BYTES / 2)
    await put(backend.path(calm), MIB, filled(4))
    await backend.remove(calm)
  })

  test('leaving takes what is ours and no more', async () => {
    const id = await volume()
    await place.leave()
    await assert.rejects(stat(backend.path(id)))
    assert.ok((await get(`/dev/${POOL.vg}/${THEIRS}`, 0, MIB)).equals(filled(1)))
    const { stdout } = await exec(['lvs', '--noheadings', '-o', 'lv_name,lv_tags', POOL.vg])
    assert.match(stdout, new RegExp(`${id} +mallee=c/a/a1/`))
    assert.match(stdout, /pool *\n/)
  })
})

async function refused(code: Code, done: Promise<unknown>): Promise<void> {
  await assert.rejects(done, (error) => codeOf(error) === code)
}

function filled(byte: number): Buffer {
  return Buffer.alloc(MIB, byte)
}

function numbered(count: number): Buffer {
  const bytes = Buffer.alloc(4096)
  bytes.writeUInt32LE(count)
  return bytes
}

/** The whole MiB that the ranges are, each once. */
function megabytes(ranges: readonly ByteRange[]): number[] {
  const chunks = ranges.flatMap(({ offset, length }) =>
    Array.from({ length: length / CHUNK }, (_, n) => offset / CHUNK + n),
  )
  const each = Map.groupBy(chunks, (chunk) => Math.floor((chunk * CHUNK) / MIB))
  for (const [at, some] of each) assert.equal(some.length, MIB / CHUNK, `of the MiB ${at}`)
  return [...each.keys()].sort((a, b) => a - b)
}

async function put(file: string, at: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(bytes, 0, bytes.length, at)
  await handle.sync()
  await handle.close()
}

async function get(file: string, at: number, length: number): Promise<Buffer> {
  const handle = await open(file, 'r')
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, at)
  await handle.close()
  return buffer
}
