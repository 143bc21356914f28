// Volumes in a thin pool, of a fake LVM: what is asked of it, and what is never touched.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type {
  SnapshotId,
  VolumeBackend,
  VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import { NO_GRANTS, writeLedger } from '../../../cluster-agent/sc/volumes/ledger.ts'
import type { Place } from '../../../cluster-agent/sc/volumes/place.ts'
import { thinPlace } from '../../../cluster-agent/sc/volumes/thin-place.ts'
import { type Code, codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { FakeLvm } from './fake-lvm.ts'

const GIB = 2 ** 30
const MIB = 1 << 20
const CHUNK = 65_536
const MARK = `mallee=c/a/a1/${'0'.repeat(32)}`
const VOLUME = `vol-${'1'.repeat(17)}` as VolumeId
const OTHER = `vol-${'2'.repeat(17)}` as VolumeId
const SNAPSHOT = `snap-${'1'.repeat(17)}` as SnapshotId
const LATER = `snap-${'2'.repeat(17)}` as SnapshotId

describe('a thin pool', () => {
  let dir: string
  let lvm: FakeLvm

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-thin-'))
    lvm = new FakeLvm()
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  /** As after a start of the agent. */
  function placeNow(host = 'a1'): Place {
    return thinPlace({
      ...{ exec: lvm.exec, log: silentLog, randomHex: (bytes) => '0'.repeat(bytes * 2) },
      ...{ pool: { vg: 'vg0', lv: 'pool' }, owner: { cloud: 'c', rack: 'a', host } },
      ...{ known: join(dir, 'volume-place'), ledgers: join(dir, 'ledgers') },
    })
  }

  async function opened(): Promise<VolumeBackend> {
    const place = placeNow()
    await place.look()
    return place.open()
  }

  test('is marked, and fails writes that it has no room for', async () => {
    const seen = await placeNow().look()
    assert.deepEqual(lvm.pool.tags, [MARK])
    assert.equal(lvm.pool.whenFull, 'error')
    assert.equal(seen.snapshots, true)
    assert.equal(seen.sizeBytes, GIB)
    // Metadata has less left than data.
    assert.equal(seen.roomBytes, Math.floor(GIB * 0.85))
    lvm.lines = []
    await placeNow().look()
    assert.deepEqual(lvm.lines.length, 1)
  })

  test('is asked once in a pass, however many volumes there are', async () => {
    const place = placeNow()
    const backend = await place.open()
    for (let n = 0; n < 50; n++) lvm.add(`vol-${String(n).padStart(17, '0')}`, { tags: [MARK] })
    lvm.lines = []
    await place.look()
    await place.open()
    for (let n = 0; n < 50; n++) {
      const id = `vol-${String(n).padStart(17, '0')}` as VolumeId
      assert.equal((await backend.look(id))?.sizeBytes, 4 * MIB)
      assert.equal(await backend.lookSnapshot(SNAPSHOT), null)
    }
    assert.equal(lvm.lines.length, 1)
  })

  test('has volumes that are made, grown, copied and taken away', async () => {
    const backend = await opened()
    assert.equal(await backend.look(VOLUME), null)
    await backend.create(VOLUME, GIB)
    lvm.write(VOLUME, 0, 16)
    await backend.grow(VOLUME, 2 * GIB)
    await backend.grow(VOLUME, 2 * GIB)
    assert.equal((await backend.look(VOLUME))?.sizeBytes, 2 * GIB)
    await backend.snapshot(VOLUME, SNAPSHOT)
    assert.equal(lvm.lv(SNAPSHOT).isReadOnly, true)
    lvm.write(VOLUME, 0, 4)
    await backend.clone(OTHER, SNAPSHOT, 3 * GIB)
    assert.equal(lvm.lv(OTHER).isReadOnly, false)
    assert.equal((await backend.look(OTHER))?.sizeBytes, 3 * GIB)
    assert.deepEqual(lvm.lv(OTHER).chunks, lvm.lv(SNAPSHOT).chunks)
    assert.deepEqual(
      [...lvm.volumes.values()].map(({ tags }) => tags),
      [[MARK], [MARK], [MARK]],
    )
    assert.equal(backend.path(VOLUME), `/dev/vg0/${VOLUME}`)
    assert.equal(await backend.reading(SNAPSHOT, async (file) => file), `/dev/vg0/${SNAPSHOT}`)
    for (const id of [VOLUME, VOLUME, OTHER]) await backend.remove(id)
    await backend.removeSnapshot(SNAPSHOT)
    assert.equal(lvm.volumes.size, 0)
  })

  test('gets an encrypted volume its name when it has its header', async () => {
    const backend = await opened()
    await backend.create(VOLUME, GIB + 16 * MIB, 'ab'.repeat(32))
    const of = lvm.lines.filter((line) => /^(cryptsetup|lvrename|sync)/.test(line))
    assert.match(of[0] ?? '', new RegExp(`/dev/vg0/${VOLUME}.new$`))
    assert.deepEqual(of.slice(1), [
      `sync /dev/vg0/${VOLUME}.new`,
      `lvrename vg0 ${VOLUME}.new ${VOLUME}`,
    ])
    assert.ok(lvm.lines.every((line) => !line.includes('abab')))
    // What an agent did not complete is nobody's.
    lvm.add(`${OTHER}.new`, { tags: [MARK] })
    lvm.add('by-hand.new')
    assert.equal(await (await opened()).look(OTHER), null)
    assert.deepEqual([...lvm.volumes.keys()], [VOLUME, 'by-hand.new'])
  })

  test('keeps what has not its mark', async () => {
    const backend = await opened()
    lvm.add(VOLUME)
    lvm.add(OTHER, { tags: [MARK], pool: 'another' })
    lvm.add(SNAPSHOT, { tags: [MARK], pool: null, kind: 'linear' })
    for (const id of [VOLUME, OTHER]) {
      assert.equal(await backend.look(id), null)
      await refused('NameTaken', backend.create(id, GIB))
      await refused('NotFound', backend.grow(id, GIB))
      await backend.remove(id)
    }
    await backend.removeSnapshot(SNAPSHOT)
    assert.equal(lvm.volumes.size, 3)
    lvm.reboot()
    await opened()
    assert.deepEqual(lvm.count('lvchange --activate'), 1)
    assert.equal(lvm.lv(VOLUME).isActive, false)
  })

  test('refuses wrong sizes, ids and orders', async () => {
    const backend = await opened()
    await backend.create(VOLUME, GIB)
    await backend.snapshot(VOLUME, SNAPSHOT)
    for (const size of [0, -MIB, MIB + 1, Number.NaN, 5 * MIB]) {
      await refused('BadArgument', backend.create(OTHER, size))
      await refused('BadArgument', backend.grow(VOLUME, size))
    }
    await refused('NameTaken', backend.create(VOLUME, GIB))
    await refused('NameTaken', backend.clone(VOLUME, SNAPSHOT, GIB))
    await refused('NameTaken', backend.snapshot(VOLUME, SNAPSHOT))
    await refused('BadArgument', backend.clone(OTHER, SNAPSHOT, GIB / 2))
    await refused('NotFound', backend.clone(OTHER, LATER, GIB))
    await refused('NotFound', backend.snapshot(OTHER, LATER))
    await refused('Conflict', backend.grow(VOLUME, GIB / 2))
    for (const id of ['../etc', 'pool', `${VOLUME}/..`, '', '--all']) {
      await refused('BadArgument', backend.remove(id as VolumeId))
      await refused('BadArgument', backend.create(id as VolumeId, GIB))
      assert.throws(() => backend.path(id as VolumeId), { code: 'BadArgument' })
    }
  })

  test('without room for data or metadata, or out of order, takes nothing new', async () => {
    const place = placeNow()
    const backend = await place.open()
    await backend.create(VOLUME, GIB)
    for (const change of [
      { metadataPercent: '96.00' },
      { health: 'out_of_data' },
      { health: 'metadata_read_only' },
    ]) {
      const before = { ...lvm.pool }
      Object.assign(lvm.pool, change)
      assert.equal((await place.look()).roomBytes, 0)
      await refused('StoreFull', backend.create(OTHER, GIB))
      await refused('StoreFull', backend.snapshot(VOLUME, SNAPSHOT))
      Object.assign(lvm.pool, before)
    }
    await place.look()
    lvm.write(VOLUME, 0, GIB / CHUNK)
    // It got full since the look.
    await refused('StoreFull', backend.create(OTHER, GIB))
    await place.look()
    assert.equal((await backend.space()).roomBytes, 0)
    assert.deepEqual([...lvm.volumes.keys()], [VOLUME])
  })

  test('says which parts of a snapshot have bytes, and which changed', async () => {
    const backend = await opened()
    await backend.create(VOLUME, GIB)
    lvm.write(VOLUME, 0, 4)
    lvm.write(VOLUME, GIB / CHUNK - 1, 1)
    await backend.snapshot(VOLUME, SNAPSHOT)
    const end = { offset: GIB - CHUNK, length: CHUNK }
    assert.deepEqual(await backend.parts(SNAPSHOT, null), {
      data: [{ offset: 0, length: 4 * CHUNK }, end],
      changed: null,
    })
    lvm.write(VOLUME, 1, 1)
    lvm.write(VOLUME, 8, 2)
    lvm.lv(VOLUME).chunks.delete(3)
    await backend.snapshot(VOLUME, LATER)
    // A crash of an agent left it so.
    lvm.isHeld = true
    const [parts] = await Promise.all([
      backend.parts(LATER, SNAPSHOT),
      backend.parts(SNAPSHOT, null),
    ])
    assert.deepEqual(parts.changed, [
      { offset: CHUNK, length: CHUNK },
      { offset: 3 * CHUNK, length: CHUNK },
      { offset: 8 * CHUNK, length: 2 * CHUNK },
    ])
    assert.equal(parts.data.length, 5)
    assert.equal(lvm.isHeld, false)
    await refused('NotFound', backend.parts(LATER, `snap-${'3'.repeat(17)}` as SnapshotId))
    lvm.hasDelta = false
    await refused('NotSupported', backend.parts(SNAPSHOT, null))
    assert.equal(lvm.isHeld, false)
  })

  test('is active again after a reboot, and one broken volume keeps no other', async () => {
    const first = await opened()
    await first.create(VOLUME, GIB)
    await first.create(OTHER, GIB)
    await first.snapshot(VOLUME, SNAPSHOT)
    lvm.reboot()
    lvm.broken.add(OTHER)
    const place = placeNow()
    // Before any is active the pool does not say what it has.
    assert.ok((await place.look()).roomBytes > 0)
    const backend = await place.open()
    assert.deepEqual(
      [VOLUME, SNAPSHOT].map((id) => lvm.lv(id).isActive),
      [true, true],
    )
    await refused('Unavailable', backend.look(OTHER))
    assert.equal((await backend.look(VOLUME))?.sizeBytes, GIB)
    lvm.broken.clear()
    await (await place.open()).look(OTHER)
    assert.equal(lvm.lv(OTHER).isActive, true)
  })

  for (const [what, why, breaks] of [
    ['no lvm2', /lvm2 is not installed/, () => (lvm.isInstalled = false)],
    [
      'no zeroing',
      /does not zero new chunks.*lvchange --zero y vg0\/pool/,
      () => (lvm.pool.zero = ''),
    ],
    ['ignored discards', /ignores discards/, () => (lvm.pool.discards = 'ignore')],
    ['large extents', /extents of vg0 have 33554432 bytes/, () => (lvm.extentBytes = 32 * MIB)],
    [
      "another's mark",
      /mark of host b1 of rack b of cloud c:.*--deltag mallee=c\/b\/b1\/00 vg0\/pool/,
      () => lvm.pool.tags.push('mallee=c/b/b1/00'),
    ],
    ['two marks', /several marks/, () => lvm.pool.tags.push(MARK, 'mallee=c/b/b1/00')],
  ] as const) {
    test(`with ${what} is refused and stays as it is`, async () => {
      breaks()
      const tags = [...lvm.pool.tags]
      await assert.rejects(placeNow().look(), why)
      await assert.rejects(placeNow().open(), why)
      assert.deepEqual(lvm.pool.tags, tags)
      assert.equal(lvm.count('lvchange'), 0)
    })
  }

  test('is not taken for another, nor another for it, once it has volumes', async () => {
    const backend = await opened()
    await backend.create(VOLUME, GIB)
    await writeLedger(join(dir, 'ledgers'), VOLUME, NO_GRANTS)
    lvm.pool.tags = []
    await assert.rejects(placeNow().look(), /vg0\/pool is not where the volumes are: it has not/)
    lvm.pool.tags = [`mallee=c/a/a1/${'f'.repeat(32)}`]
    await assert.rejects(placeNow().look(), /it has the mark of others/)
    lvm.pool.tags = [MARK]
    assert.notEqual(await (await opened()).look(VOLUME), null)
  })

  test('is free for others when its host leaves', async () => {
    const place = placeNow()
    await (await place.open()).create(VOLUME, GIB)
    await place.leave()
    assert.deepEqual(lvm.pool.tags, [])
    assert.equal(lvm.lv(VOLUME).isActive, false)
    await place.leave()
    await rm(join(dir, 'volume-place'))
    await placeNow('a2').look()
    assert.deepEqual(lvm.pool.tags, [MARK.replace('a1', 'a2')])
  })
})

async function refused(code: Code, done: Promise<unknown>): Promise<void> {
  await assert.rejects(done, (error) => codeOf(error) === code)
}
