// npm run test:ceph: volumes in a real Ceph on this machine, with QEMU's own blocks as its clients.
// Installs what a manager of Ceph needs beside the other packages. One cluster for all tests here.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { knock, resizeVolume } from '../../cluster-agent/host/qemu-volumes.ts'
import type { VolumeCeph } from '../../cluster-agent/sc/ceph/config.ts'
import { uploadJob } from '../../cluster-agent/sc/snapshots/job.ts'
import { uploadSnapshot } from '../../cluster-agent/sc/snapshots/upload.ts'
import { parseSnapshotId, type SnapshotId } from '../../cluster-agent/sc/volumes/backend.ts'
import type { WantedVolume } from '../../cluster-agent/sc/volumes/wanted.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES } from '../../common/snapshot-manifest.ts'
import { until } from '../../sandbox/until.ts'
import { MemoryStore } from '../cluster-agent/sc/memory-store.ts'
import { startImageCeph } from '../support/ceph.ts'
import { Guest } from './guest.ts'
import { CephHost, grantOf, MIB, wantedVolume } from './host.ts'
import { desiredOf, startRole } from './role.ts'

const POOL = 'volumes'
const INSTALL_MS = 600_000
const OK = /^(wrote|read) \d+\/\d+ bytes/m

const { code } = await exec(['sh', '-c', 'command -v ceph-mgr'], { okCodes: [0, 1, 127] })
if (code !== 0) {
  const install = ['apt-get', '-q', '-y', '--no-install-recommends', 'install', 'ceph-mgr']
  await exec(install, { timeoutMs: INSTALL_MS, env: { DEBIAN_FRONTEND: 'noninteractive' } })
}

const dir = await mkdtemp(join(tmpdir(), 'mallee-in-ceph-'))
const store = new MemoryStore()
let ceph: Awaited<ReturnType<typeof startImageCeph>>
let host: CephHost
let guest: Guest
let other: Guest

before(async () => {
  ceph = await startImageCeph(POOL)
  const keyring = join(dir, 'keyring')
  const caps = ['mon', 'allow *', 'osd', `allow rwx pool=${POOL}`, 'mgr', 'allow r']
  await ceph.run('ceph', 'auth', 'get-or-create', 'client.mallee', ...caps, '-o', keyring)
  host = await openHost()
  guest = await Guest.start(dir, 'guest')
  other = await Guest.start(dir, 'other')
})

after(async () => {
  await guest?.stop()
  await other?.stop()
  await host?.restores.close()
  await ceph?.stop()
  await rm(dir, { recursive: true, force: true })
})

function openHost(): Promise<CephHost> {
  return CephHost.open(dir, config(), store.endOf)
}

function config(): VolumeCeph {
  return { conf: ceph.conf, pool: POOL, user: 'mallee', keyring: join(dir, 'keyring') }
}

/** As little as a pass does when all is as it is wanted: nothing. */
async function settled(...wanted: WantedVolume[]): Promise<void> {
  host = await openHost()
  const { backend, targets } = host
  const before = await targets.look()
  await host.pass(wanted)
  assert.deepEqual(await targets.look(), before)
  for (const { id } of wanted) assert.ok(await backend.look(id))
}

test('a guest writes to its volume, an agent that starts anew changes nothing, and it grows', async () => {
  const grants = [grantOf(1, 1)] as const
  const volume = wantedVolume(1, { grants })
  const [status] = await host.pass([volume])
  assert.deepEqual([status?.state, status?.grants.length, status?.reason], ['ready', 1, ''])
  const plugged = host.attachment(volume, grants[0])
  await guest.plug(plugged)
  assert.match(await guest.io(plugged, 'write -P 7 0 1M'), OK)
  await settled(volume)
  assert.match(await guest.io(plugged, 'write -P 8 1M 1M'), OK)

  const larger = { ...volume, sizeBytes: 128 * MIB }
  await host.pass([larger])
  const grown = { ...plugged, sizeBytes: 128 * MIB }
  await resizeVolume(guest.qmp, grown)
  assert.deepEqual(await guest.volumes(), [`${volume.id}/1 ${128 * MIB}`])
  assert.match(await guest.io(plugged, 'write -P 9 127M 1M'), OK)
  assert.equal((await host.backend.look(volume.id))?.sizeBytes, 128 * MIB)
})

test('one who is replaced writes nothing any more, hears errors, and stays out for ever', async () => {
  const [first, second] = [grantOf(2, 1), grantOf(2, 2)]
  const volume = wantedVolume(2, { grants: [first] })
  await host.pass([volume])
  const old = host.attachment(volume, first)
  await guest.plug(old)
  assert.match(await guest.io(old, 'write -P 1 0 4M'), OK)

  await host.pass([{ ...volume, grants: [second] }])
  assert.match(await guest.io(old, 'write -P 2 0 4M'), /failed/)
  assert.match(await guest.io(old, 'read 0 4k'), /failed/)
  // The machine can still be asked, and lets go of the disk.
  assert.ok((await guest.volumes()).includes(`${volume.id}/1 ${64 * MIB}`))
  await assert.rejects(knock(exec, old, dir), /cannot be reached/)

  const now = host.attachment(volume, second)
  await other.plug(now)
  assert.match(await other.io(now, 'read -P 1 0 4M'), OK)
  assert.match(await other.io(now, 'write -P 3 0 4M'), OK)
  const [status] = await host.pass([{ ...volume, grants: [first] }])
  assert.match(status?.reason ?? '', /generation 1 is past/)
  assert.match(await other.io(now, 'read -P 3 0 4M'), OK)
  assert.match(await guest.io(old, 'write -P 2 0 4M'), /failed/)
  await assert.rejects(knock(exec, old, dir), /cannot be reached/)
  // Its key opens no other volume.
  const stranger = { ...now, rbd: host.attachment(wantedVolume(1), second).rbd }
  await assert.rejects(knock(exec, stranger, dir), /cannot be reached/)
})

test('an agent that dies while it throws somebody out, goes on with it', async () => {
  const volume = wantedVolume(3, { grants: [grantOf(3, 1)] })
  await host.pass([volume])
  const plugged = host.attachment(volume, volume.grants[0] ?? assert.fail())
  await guest.plug(plugged)
  assert.match(await guest.io(plugged, 'write -P 1 0 1M'), OK)
  const { chapUser } = volume.grants[0] ?? assert.fail()
  const caps = [
    'mon',
    'allow r',
    'osd',
    `allow r pool=${POOL} namespace=test object_prefix rbd_id.${volume.id}`,
  ]
  await ceph.run('ceph', 'auth', 'caps', `client.mallee.${chapUser}`, ...caps)
  host = await openHost()
  const [status] = await host.pass([{ ...volume, grants: [] }])
  assert.deepEqual(status?.grants, [])
  assert.match(await guest.io(plugged, 'write -P 2 0 1M'), /failed/)
  assert.ok(!(await ceph.run('ceph', 'auth', 'ls')).includes(chapUser))
})

test('one of two writers is thrown out alone', async () => {
  const grants = [grantOf(4, 1), grantOf(4, 2)] as const
  const volume = wantedVolume(4, { grants, multiAttach: true })
  await host.pass([volume])
  const [one, two] = grants.map((grant) => host.attachment(volume, grant))
  assert.ok(one !== undefined && two !== undefined)
  await guest.plug(one)
  await other.plug(two)
  assert.match(await guest.io(one, 'write -P 1 0 1M'), OK)
  assert.match(await other.io(two, 'write -P 2 1M 1M'), OK)
  assert.match(await guest.io(one, 'read -P 2 1M 1M'), OK)
  await host.pass([{ ...volume, grants: [grants[1]] }])
  assert.match(await guest.io(one, 'write -P 3 0 1M'), /failed/)
  assert.match(await other.io(two, 'read -P 1 0 1M'), OK)
  assert.match(await other.io(two, 'write -P 4 0 1M'), OK)
})

test('an encrypted volume is its key away from bytes that say nothing', async () => {
  const encryptionKey = '5'.repeat(64)
  const grants = [grantOf(5, 1)] as const
  const volume = wantedVolume(5, { grants, encryptionKey, sizeBytes: 80 * MIB })
  await host.pass([volume])
  const plugged = host.attachment(volume, grants[0], { encryptionKey })
  await guest.plug(plugged)
  assert.match(await guest.io(plugged, 'write -P 6 0 1M'), OK)
  assert.match(await guest.io(plugged, 'read -P 6 0 1M'), OK)
  assert.ok((await guest.volumes()).includes(`${volume.id}/1 ${64 * MIB}`))
})

test('snapshots go to the store, the second with what changed, and outlive their volume', async () => {
  const grants = [grantOf(6, 1)] as const
  const volume = wantedVolume(6, { grants })
  await host.pass([volume])
  const plugged = host.attachment(volume, grants[0])
  await other.plug(plugged)
  assert.match(await other.io(plugged, 'write -P 1 0 8M'), OK)
  await host.backend.snapshot(volume.id, snapshotId(1))
  assert.match(await other.io(plugged, 'write -P 2 4M 1M'), OK)
  await host.backend.snapshot(volume.id, snapshotId(2))
  assert.match(await other.io(plugged, 'write -P 3 0 8M'), OK)
  const { data, changed } = await host.backend.parts(snapshotId(2), snapshotId(1))
  assert.deepEqual([sum(data), sum(changed ?? [])], [8 * MIB, MIB])
  const expected = Buffer.alloc(64 * MIB)
  expected.fill(1, 0, 8 * MIB)
  assert.deepEqual(await store.bytesOf(await upload(snapshotId(1))), expected)
  expected.fill(2, 4 * MIB, 5 * MIB)
  assert.deepEqual(await store.bytesOf(await upload(snapshotId(2))), expected)

  const [gone] = await host.pass([{ ...volume, grants: [], deleted: true }])
  assert.equal(gone?.state, 'deleted')
  assert.deepEqual(await store.bytesOf(await upload(snapshotId(2))), expected)
  for (const n of [1, 2]) await host.backend.removeSnapshot(snapshotId(n))
  assert.ok(!(await ceph.run('rbd', 'ls', '-p', POOL, '--namespace', 'test')).includes(volume.id))
})

test('a volume of a snapshot is given out when all of it is there', async () => {
  const manifest = await upload(snapshotId(3), async () => {
    const from = wantedVolume(7, { grants: [grantOf(7, 1)] })
    await host.pass([from])
    const plugged = host.attachment(from, from.grants[0] ?? assert.fail())
    await guest.plug(plugged)
    assert.match(await guest.io(plugged, 'write -P 5 3M 2M'), OK)
    await host.backend.snapshot(from.id, snapshotId(3))
  })
  const grants = [grantOf(8, 1)] as const
  const source = { snapshot: snapshotId(3), manifest, sizeBytes: 64 * MIB }
  const volume = wantedVolume(8, { grants, source })
  const [begun] = await host.pass([volume])
  assert.deepEqual(begun?.grants, [])
  await until('all of it is there', async () => {
    const [status] = await host.pass([volume])
    return status?.missingBytes === 0 && status.grants.length === 1
  })
  const plugged = host.attachment(volume, grants[0])
  await other.plug(plugged)
  assert.match(await other.io(plugged, 'read -P 5 3M 2M'), OK)
  assert.match(await other.io(plugged, 'read -P 0 5M 59M'), OK)
  assert.match(await other.io(plugged, 'write -P 6 0 1M'), OK)
})

test('a second host of the pool does what it is told, and nothing to the volumes of the first', async () => {
  const grant = grantOf(9, 1)
  const first = wantedVolume(9, { grants: [grant] })
  await host.pass([first])
  const plugged = host.attachment(first, grant)
  await guest.plug(plugged)
  const role = await startRole(join(dir, 'second'), config(), { host: 'sc2', endOf: store.endOf })
  const [id, snapshot] = [wantedVolume(10).id, snapshotId(10)]
  const volume = {
    ...{ id, host: 'sc2', sizeBytes: BigInt(64 * MIB), targetIqn: wantedVolume(10).targetIqn },
    grants: [{ ...grantOf(10, 1), generation: 1n }],
  }
  let desired = desiredOf(volume)
  const said = async (key: string) => {
    await role.pass(desired)
    return role.statuses().find((one) => one.key === key)?.body.value
  }
  try {
    assert.match(JSON.stringify(await said(`volume/${id}`), bigints), /"grants":\[\{[^\]]+\}\]/)
    desired = desiredOf(volume, [{ id: snapshot, host: 'sc2', volumeId: id }])
    await until('the snapshot is in the store', async () =>
      /"progressPercent":100/.test(JSON.stringify(await said(`snapshot/${snapshot}`), bigints)),
    )
    const { portal, backend, rbd } = role.store() ?? {}
    assert.deepEqual([backend, rbd?.pool, rbd?.namespace], ['rbd', POOL, 'test'])
    assert.equal(rbd?.monitors[0], portal)
    assert.match(await guest.io(plugged, 'write -P 1 0 1M'), OK)
    await role.removeAll()
    assert.match(await guest.io(plugged, 'read -P 1 0 1M'), OK)
  } finally {
    await role.close()
  }
})

test('a machine can be asked while Ceph does not answer', async () => {
  ceph.signalDisk('SIGSTOP')
  try {
    assert.ok((await guest.volumes()).length > 0)
  } finally {
    ceph.signalDisk('SIGCONT')
  }
})

async function upload(id: SnapshotId, before?: () => Promise<void>): Promise<string> {
  await before?.()
  const { backend } = host
  const sizeBytes = (await backend.lookSnapshot(id))?.sizeBytes ?? assert.fail('no snapshot')
  const wanted = { id, volume: wantedVolume(6).id, base: null, group: null, groupSize: 1 }
  const parts = { exec, log: silentLog, backend, ledgers: join(dir, 'snapshots') }
  const wish = { wanted: { ...wanted, released: false }, sizeBytes, alone: true }
  const job = await uploadJob(parts, wish)
  assert.equal(sizeBytes % SNAPSHOT_BLOCK_BYTES, 0)
  const options = { signal: new AbortController().signal, progress: () => undefined }
  const ends = { own: store.endOf(id), endOf: store.endOf }
  const sums = await backend.reading(id, (file) => uploadSnapshot({ ...job, file }, ends, options))
  return sums.manifest
}

function snapshotId(n: number): SnapshotId {
  const id = parseSnapshotId(`snap-${String(n).padStart(17, '0')}`)
  assert.ok(id.ok)
  return id.value
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function sum(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((all, { length }) => all + length, 0)
}
