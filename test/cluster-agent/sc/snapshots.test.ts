// Snapshots of volumes that are written through the real tgtd, on a file system that shares blocks:
// they are of one moment, come to the store as a whole, and cost what changed.

import assert from 'node:assert/strict'
import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as tgt from '../../../cluster-agent/host/tgt.ts'
import { whileTgtdPauses } from '../../../cluster-agent/host/tgt-pause.ts'
import {
  reconcileSnapshots,
  type SnapshotStatus,
  type SnapshotsParts,
} from '../../../cluster-agent/sc/snapshots/reconcile.ts'
import { Uploads } from '../../../cluster-agent/sc/snapshots/uploads.ts'
import type { WantedSnapshot } from '../../../cluster-agent/sc/snapshots/wanted.ts'
import type {
  SnapshotId,
  VolumeBackend,
  VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'
import { Client } from './initiator.ts'
import { MemoryStore } from './memory-store.ts'

const PORTAL = '[::1]:3260'
const MIB = 1 << 20
const BLOCK_BYTES = 512 << 10
const SIZE_BYTES = 16 * MIB
const DISK_BYTES = 320 * MIB
/** Where the disk is mounted on the host. */
const MOUNT = '/run/xfs'

const skip = whyNoHosts() ?? false

describe('snapshots with the real tgtd', { skip }, () => {
  let dir: string
  let host: SimulatedHost
  let files: tgt.TgtdFiles
  let backend: VolumeBackend
  let store: MemoryStore
  let parts: SnapshotsParts
  let lastId = 0
  const wanted = new Map<SnapshotId, WantedSnapshot>()

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-snapshots-'))
    host = await startHost('sc', dir)
    const disk = join(dir, 'disk')
    await (await open(disk, 'w')).close()
    await truncate(disk, DISK_BYTES)
    await exec(['mkfs.xfs', '-q', '-m', 'reflink=1', disk])
    await host.exec(['mkdir', MOUNT])
    await host.exec(['mount', '-o', 'loop', disk, MOUNT])
    const { runDir } = host.paths
    files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    await tgt.startTgtd({ exec: host.exec, clock: systemClock }, files, PORTAL)
    const inner = await fileBackend(exec, `/proc/${host.pid}/root${MOUNT}`)
    // tgtd sees the disk elsewhere than we do.
    backend = { ...inner, path: (id) => join(MOUNT, 'volumes', `${id}.raw`) }
    store = new MemoryStore()
    parts = startAgent()
  })
  after(async () => {
    await parts?.uploads.close()
    if (host !== undefined) {
      await tgt.stopTgtd({ exec: host.exec, clock: systemClock }, files)
      await host.exec(['umount', MOUNT])
    }
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  /** As after a start: it knows nothing but what it finds. */
  function startAgent(): SnapshotsParts {
    const common = {
      ...{ exec, log: silentLog, backend, ledgers: join(dir, 'snapshots') },
      ...{ clock: systemClock, chance: () => 0, endOf: store.endOf },
    }
    const uploads = new Uploads({ ...common, changed: () => undefined })
    return {
      ...{ ...common, uploads },
      still: (_, run) => whileTgtdPauses({ exec: host.exec, clock: systemClock }, files, run),
      attached: () => assert.fail('blocks are shared'),
      settled: (_, run) => run(null),
    }
  }

  async function volume(): Promise<{ id: VolumeId; client: Client }> {
    lastId += 1
    const id = `vol-${String(lastId).padStart(17, '0')}` as VolumeId
    await backend.create(id, SIZE_BYTES)
    const targetIqn = `iqn.2026-01.org.mallee:${id}`
    const initiatorIqn = `iqn.2026-01.org.mallee:nc${lastId}`
    const grant = { initiatorIqn, chapUser: `user-${lastId}`, chapSecret: `secret-of-${id}` }
    await tgt.createTarget(files, { tid: lastId, iqn: targetIqn })
    await tgt.addLun(files, lastId, { lun: 1, file: backend.path(id), serial: `v${lastId}` })
    await tgt.addAccount(files, { user: grant.chapUser, secret: grant.chapSecret })
    await tgt.bindAccount(files, lastId, grant.chapUser)
    await tgt.allowInitiator(files, lastId, initiatorIqn)
    return { id, client: new Client(host, { portal: PORTAL, targetIqn, grant }) }
  }

  function want(of: VolumeId, fields: Partial<WantedSnapshot> = {}): WantedSnapshot {
    lastId += 1
    const id = `snap-${String(lastId).padStart(17, '0')}` as SnapshotId
    const none = { base: null, group: null, groupSize: 1, released: false }
    const wish = { id, volume: of, ...none, ...fields }
    wanted.set(wish.id, wish)
    return wish
  }

  async function pass(): Promise<readonly SnapshotStatus[]> {
    const { statuses, failed } = await reconcileSnapshots(parts, [...wanted.values()])
    assert.deepEqual(failed, [])
    return statuses
  }

  async function statusOf({ id }: WantedSnapshot): Promise<SnapshotStatus | undefined> {
    return (await pass()).find((one) => one.id === id)
  }

  async function completed(one: WantedSnapshot): Promise<SnapshotStatus> {
    let status: SnapshotStatus | undefined
    await until(`${one.id} is completed`, async () => {
      status = await statusOf(one)
      return status?.state === 'completed'
    })
    return status ?? assert.fail()
  }

  test('two volumes that are written in turns have snapshots of one moment', async () => {
    const [one, two] = [await volume(), await volume()]
    const group = [
      { group: 'g', groupSize: 2 },
      { group: 'g', groupSize: 2 },
    ]
    let isOver = false
    let written = 0
    const writer = async (): Promise<void> => {
      while (!isOver && written < 255) {
        written += 1
        // Twice into one volume, then into the other: each only when the one before is there.
        for (const [client, at] of [
          [one.client, 0],
          [one.client, 3 * MIB],
          [two.client, 0],
        ] as const) {
          assert.match(await client.says(`write -P ${written} ${at} 4k`), /wrote 4096/)
        }
      }
    }
    const writing = writer()
    await until('something is written', () => written > 2)
    const [first, second] = [want(one.id, group[0]), want(two.id, group[1])]
    const statuses = await pass()
    assert.deepEqual(
      statuses.map(({ state }) => state),
      ['taken', 'taken'],
    )
    const before = written
    await until('more is written', () => written > before)
    isOver = true
    await writing
    const [left, right] = [await completed(first), await completed(second)]
    const [a, b] = [await store.bytesOf(left.manifest), await store.bytesOf(right.manifest)]
    const counters = [a[0] ?? 0, a[3 * MIB] ?? 0, b[0] ?? 0] as const
    assert.ok(counters[0] > 0 && counters[0] <= before, `${counters} of ${before}`)
    // In the order of the writes, the last of which may be the one that was under way.
    const inOrder = counters[0] >= counters[1] && counters[1] >= counters[2]
    assert.ok(inOrder && counters[2] >= counters[0] - 1, String(counters))
    assert.equal(left.takenAtMs, right.takenAtMs)
    for (const { client } of [one, two]) await client.end()
  })

  test('one with a base reads and sends what changed, and is whole without it', async () => {
    const { id, client } = await volume()
    assert.match(await client.says('write -P 1 0 4M'), /wrote/)
    assert.match(await client.says('write -P 2 8M 1M'), /wrote/)
    const full = want(id)
    const first = await completed(full)
    // Blocks that are alike are sent once.
    const sums = { readBytes: 5 * MIB, sentBytes: 2 * BLOCK_BYTES, dataBytes: 5 * MIB }
    assert.deepEqual({ ...first, ...sums }, first)

    assert.match(await client.says('write -P 3 1M 4k'), /wrote/)
    assert.match(await client.says('discard 8M 1M'), /discard/)
    const base = { id: full.id, manifest: first.manifest }
    const next = want(id, { base })
    const second = await completed(next)
    assert.equal(second.readBytes, BLOCK_BYTES)
    assert.equal(second.sentBytes, BLOCK_BYTES)
    assert.equal(second.dataBytes, 4 * MIB)

    // Without the base's file all is read; what comes out is the same.
    wanted.set(full.id, { ...full, released: true })
    assert.equal((await statusOf(full))?.state, 'released')
    assert.equal(await backend.lookSnapshot(full.id), null)
    const again = await completed(want(id, { base }))
    assert.equal(again.manifest, second.manifest)
    assert.equal(again.sentBytes, 0)

    const bytes = await store.bytesOf(second.manifest)
    assert.deepEqual([bytes[0], bytes[MIB], bytes[MIB + 4096], bytes[8 * MIB]], [1, 3, 1, 0])
    wanted.delete(full.id)
    await pass()
    await client.end()
  })

  test('an agent that starts anew goes on with what the store lacks', async () => {
    const { id, client } = await volume()
    for (let n = 0; n < 8; n++) {
      assert.match(await client.says(`write -P ${100 + n} ${n * 512}k 512k`), /wrote/)
    }
    let left = 3
    store.before = (what) => {
      if (what === 'putBlock' && left-- <= 0) throw new MalleeError('Unavailable', 'Walrus is away')
    }
    const sent = store.blocksSent
    const one = want(id)
    await until('it waits', async () => (await statusOf(one))?.reason === 'Walrus is away')
    assert.equal((await statusOf(one))?.state, 'taken')
    assert.match(await client.says('write -P 9 0 4k'), /wrote/)
    await parts.uploads.close()
    parts = startAgent()
    store.before = () => undefined
    const { manifest, sentBytes } = await completed(one)
    assert.equal(sentBytes, 5 * BLOCK_BYTES)
    assert.equal(store.blocksSent - sent, 8)
    assert.equal((await store.bytesOf(manifest))[0], 100)
    await client.end()
  })

  test('one of a volume that is not here is an error, and so is one without room', async () => {
    const lost = want('vol-0123456789abcdef0' as VolumeId)
    const status = await statusOf(lost)
    assert.equal(status?.state, 'error')
    assert.match(status?.reason ?? '', /vol-0123456789abcdef0 is not here/)

    const { id, client } = await volume()
    const inner = parts
    let kept = 0
    const full = async (of: VolumeId, snapshot: SnapshotId): Promise<void> => {
      if (kept++ > 0) throw new MalleeError('StoreFull', 'there is no room')
      await backend.snapshot(of, snapshot)
    }
    parts = { ...inner, backend: { ...backend, snapshot: full } }
    const [one, two] = ['x', 'y'].map(() => want(id, { group: 'full', groupSize: 2 }))
    for (const wish of [one, two]) {
      assert.ok(wish)
      const { state, reason } = (await statusOf(wish)) ?? {}
      assert.deepEqual({ state, reason }, { state: 'error', reason: 'there is no room' })
      assert.equal(await backend.lookSnapshot(wish.id), null)
    }
    parts = inner
    assert.match(await client.says('write 0 4k'), /wrote/)
    await client.end()
  })
})
