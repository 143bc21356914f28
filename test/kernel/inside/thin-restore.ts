// Inside a lone machine: a snapshot of a thin volume goes to a store, and comes back into others
// that are used meanwhile.

import assert from 'node:assert/strict'
import { mkdtemp, open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Restores } from '../../../cluster-agent/sc/restore/restores.ts'
import { uploadJob } from '../../../cluster-agent/sc/snapshots/job.ts'
import { writeSnapshotLedger } from '../../../cluster-agent/sc/snapshots/ledger.ts'
import { uploadSnapshot } from '../../../cluster-agent/sc/snapshots/upload.ts'
import type { WantedSnapshot } from '../../../cluster-agent/sc/snapshots/wanted.ts'
import type {
  SnapshotId,
  VolumeBackend,
  VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import type { Place } from '../../../cluster-agent/sc/volumes/place.ts'
import { thinPlace } from '../../../cluster-agent/sc/volumes/thin-place.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'
import { memoryBlocks } from '../../support/snapshot-blocks.ts'
import { loadModules, whyNotInside } from './kernel.ts'
import { makePool } from './lvm.ts'

const POOL = { vg: 'vg1', lv: 'pool' }
const [GIB, MIB] = [2 ** 30, 1 << 20]
const FILL_MS = 120_000
const VOLUME = `vol-${'1'.repeat(17)}` as VolumeId
const FIRST = `snap-${'1'.repeat(17)}` as SnapshotId
const SECOND = `snap-${'2'.repeat(17)}` as SnapshotId

describe('snapshots of a thin pool of this kernel', { skip: whyNotInside }, () => {
  const store = memoryBlocks()
  let dir: string
  let place: Place
  let backend: VolumeBackend
  let restores: Restores
  let manifest = ''

  before(async () => {
    await makePool('/dev/nvme3n1', POOL, 256 * MIB)
    await loadModules('fuse')
    dir = await mkdtemp('/var/tmp/mallee-restore-')
    place = thinPlace({
      ...{ exec, log: silentLog, randomHex, pool: POOL, known: join(dir, 'volume-place') },
      ...{ owner: { cloud: 'c', rack: 'a', host: 'a1' }, ledgers: join(dir, 'ledgers') },
    })
    backend = await place.open()
    restores = await Restores.open({
      ...{ exec, clock: systemClock, chance: () => 0, log: silentLog, backend },
      ...{ ledgers: join(dir, 'restores'), runDir: '/run/restores', bootId: '0'.repeat(36) },
      endOf: store.end,
      changed: () => undefined,
    })
  })
  after(() => restores?.close())

  async function upload(id: SnapshotId, base: WantedSnapshot['base']) {
    const wanted = { id, volume: VOLUME, base, group: null, groupSize: 1, released: false }
    const parts = { log: silentLog, backend, ledgers: join(dir, 'snapshots') }
    const job = await uploadJob(parts, { wanted, sizeBytes: GIB, alone: false })
    const options = { signal: new AbortController().signal, progress: () => undefined }
    const sums = await backend.reading(id, (file) =>
      uploadSnapshot({ ...job, file }, { own: store.end(id), endOf: store.end }, options),
    )
    const taken = { state: 'completed', takenAtMs: 1, sizeBytes: GIB, ...sums } as const
    await writeSnapshotLedger(parts.ledgers, id, taken)
    return sums
  }

  test('the first reads what has bytes, the next one what changed', async () => {
    await backend.create(VOLUME, GIB)
    for (const at of [0, 100, 1023]) await put(backend.path(VOLUME), at * MIB, filled(at))
    await backend.snapshot(VOLUME, FIRST)
    const first = await upload(FIRST, null)
    assert.equal(first.readBytes, 3 * MIB)
    await put(backend.path(VOLUME), 100 * MIB, filled(7))
    await backend.snapshot(VOLUME, SECOND)
    const second = await upload(SECOND, { id: FIRST, manifest: first.manifest })
    assert.equal(second.readBytes, MIB)
    // Each of the three MiB is of two blocks that are alike; zeroes are none.
    assert.equal(second.dataBytes, 2 * MIB)
    manifest = second.manifest
  })

  test('a volume of it is used while it comes, and is whole then', async () => {
    const id = `vol-${'2'.repeat(17)}` as VolumeId
    await restores.begin(id, { snapshot: SECOND, manifest, sizeBytes: GIB })
    await backend.create(id, 2 * GIB)
    await restores.show(id)
    const shown = restores.file(id)
    assert.ok((await get(shown, 1023 * MIB)).equals(filled(1023)))
    await put(shown, 100 * MIB, filled(9))
    await until('it is whole', async () => (await restores.look(id))?.whole === true, {
      timeoutMs: FILL_MS,
    })
    assert.ok((await get(shown, 100 * MIB)).equals(filled(9)))
    await restores.end(id)
    assert.ok((await get(backend.path(id), 100 * MIB)).equals(filled(9)))
    assert.ok((await get(backend.path(id), 1023 * MIB)).equals(filled(1023)))
    await place.look()
    // Zeroes of the snapshot take nothing.
    assert.ok(((await backend.look(id))?.usedBytes ?? GIB) < 8 * MIB)
    await backend.remove(id)
  })

  test('one that the pool has no room for waits, with no byte that is not right', async () => {
    const greedy = `vol-${'3'.repeat(17)}` as VolumeId
    const id = `vol-${'4'.repeat(17)}` as VolumeId
    for (const one of [greedy, id]) await backend.create(one, GIB)
    const fill = ['dd', 'if=/dev/zero', `of=${backend.path(greedy)}`, 'bs=1M', 'oflag=direct']
    await exec(fill, { okCodes: [1], timeoutMs: FILL_MS })
    await restores.begin(id, { snapshot: SECOND, manifest, sizeBytes: GIB })
    await restores.look(id)
    await until('it says so', async () => restores.status(id).trouble !== null, {
      timeoutMs: FILL_MS,
    })
    assert.match(restores.status(id).trouble ?? '', /its pool may be full/)
    assert.equal((await restores.look(id))?.whole, false)
    assert.ok(restores.status(id).missingBytes > 0)
    await backend.remove(greedy)
    await until('it is whole', async () => (await restores.look(id))?.whole === true, {
      timeoutMs: FILL_MS,
    })
    await restores.end(id)
    assert.ok((await get(backend.path(id), 1023 * MIB)).equals(filled(1023)))
    assert.ok((await get(backend.path(id), 100 * MIB)).equals(filled(7)))
  })
})

function filled(byte: number): Buffer {
  return Buffer.alloc(MIB, byte % 256)
}

async function put(file: string, at: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(bytes, 0, bytes.length, at)
  await handle.sync()
  await handle.close()
}

async function get(file: string, at: number): Promise<Buffer> {
  const handle = await open(file, 'r')
  const { buffer } = await handle.read(Buffer.alloc(MIB), 0, MIB, at)
  await handle.close()
  return buffer
}
