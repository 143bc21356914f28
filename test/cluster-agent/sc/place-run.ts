// Run by place.test.ts in a mount namespace of its own, with a folder on a disk that shares no
// blocks: what it mounts ends with it.

import assert from 'node:assert/strict'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  parseSnapshotId,
  parseVolumeId,
  type VolumeBackend,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import { NO_GRANTS, writeLedger } from '../../../cluster-agent/sc/volumes/ledger.ts'
import { closePlace, type Place, volumePlace } from '../../../cluster-agent/sc/volumes/place.ts'
import { randomHex } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'

const [, , disk = '', state = ''] = process.argv
const [folder, ledgers] = [join(disk, 'volumes'), join(state, 'ledgers')]
const image = join(folder, 'volumes.xfs')
const MIB = 1 << 20

const id = parseVolumeId(`vol-${'1'.repeat(17)}`)
const snapshot = parseSnapshotId(`snap-${'1'.repeat(17)}`)
assert.ok(id.ok && snapshot.ok)

/** As after a start. */
function placeNow(): Place {
  const known = join(state, 'volume-place')
  return volumePlace({ exec, log: silentLog, randomHex, folder, known, ledgers })
}

async function devices(): Promise<string[]> {
  const argv = ['losetup', '--associated', image, '--noheadings', '--output=NAME']
  return (await exec(argv)).stdout.split('\n').filter((line) => line !== '')
}

// Nothing is made before there is a volume; that snapshots will work is told.
const before = await placeNow().look()
assert.equal(before.snapshots, true)
assert.equal(await stat(image).catch(() => null), null)

const first = placeNow()
const [backend, again] = await Promise.all([first.open(), first.open()])
assert.deepEqual([backend.snapshots, again.snapshots], [true, true])
await backend.create(id.value, 64 * MIB)
await writeLedger(ledgers, id.value, NO_GRANTS)
const file = backend.path(id.value)
await writeFile(file, Buffer.alloc(MIB, 7), { flag: 'r+' })
await backend.snapshot(id.value, snapshot.value)
const made = await stat(image)
assert.ok(made.blocks * 512 >= made.size, 'it is allocated')
assert.equal((await devices()).length, 1)

// An agent that starts anew finds the mount; after a reboot it makes it again, with one device.
await hasVolume(await placeNow().open())
await exec(['umount', join(folder, 'mounted')])
assert.deepEqual(await devices(), [])
await hasVolume(await placeNow().open())
await exec(['mount', '-o', 'loop', image, await other()])
await exec(['umount', join(folder, 'mounted')])
await hasVolume(await placeNow().open())
assert.equal((await devices()).length, 1)

// It grows while volumes fill it, as far as the disk has room.
const size = (await stat(image)).size
const space = await backend.space()
await exec(['fallocate', '--length', String(size - 100 * MIB), file])
const grown = await (await placeNow().open()).space()
assert.ok((await stat(image)).size > size)
assert.ok(grown.roomBytes < space.roomBytes)
await exec(['fallocate', '--length', String(900 * MIB), join(disk, 'filler')])
await placeNow().open()
await assert.rejects(
  exec(['fallocate', '--length', String(4 * 1024 * MIB), `${file}x`]),
  /No space/,
)
await writeFile(file, Buffer.alloc(MIB, 8), { flag: 'r+' })
await exec(['sync', file])
await rm(`${file}x`)

// Another folder under the same name has no volumes, and gets none.
await exec(['umount', await other()])
await closePlace(exec, folder)
assert.deepEqual(await devices(), [])
await exec(['mount', '-t', 'tmpfs', 'tmpfs', folder])
await assert.rejects(placeNow().open(), /is not where the volumes are: it has not their mark/)
await exec(['umount', folder])
await hasVolume(await placeNow().open())

async function hasVolume(at: VolumeBackend): Promise<void> {
  assert.ok(id.ok)
  assert.notEqual(await at.look(id.value), null)
}

async function other(): Promise<string> {
  const path = join(state, 'other')
  await mkdir(path, { recursive: true })
  return path
}
