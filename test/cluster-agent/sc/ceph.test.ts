// Volumes in Ceph against a model of it: who may write, who is thrown out, and what an agent that
// died in the middle leaves to the next one. npm run test:ceph has the same with a real one.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { volumesInCeph } from '../../../cluster-agent/sc/ceph/open.ts'
import type { SnapshotId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { reconcileVolumes, type VolumeStatus } from '../../../cluster-agent/sc/volumes/reconcile.ts'
import type { VolumeTargets } from '../../../cluster-agent/sc/volumes/targets.ts'
import type { WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { grantOf, MIB, wantedVolume } from '../../ceph/host.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'
import { FakeCeph } from './fake-ceph.ts'

const CONFIG = { conf: '/c.conf', pool: 'volumes', user: 'mallee', keyring: '/k' }
const SNAPSHOTS = ['1', '2'].map((n) => `snap-${n.padStart(17, '0')}` as SnapshotId)
/** Every pass is a minute later: what a cluster says is asked anew. */
const MINUTE_MS = 61_000

describe('volumes in Ceph', () => {
  let dir: string
  let ceph: FakeCeph
  let nowMs = 0

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-ceph-test-'))
    ceph = new FakeCeph({ ...CONFIG, namespace: 'cloud' })
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  /** As after a start. */
  function open() {
    const sleep = async (ms: number): Promise<void> => {
      nowMs += ms
    }
    const clock = { nowMs: () => nowMs, sleep }
    const paths = { stateDir: dir, runDir: join(dir, 'run'), configFile: join(dir, 'agent.json') }
    const own = { exec: ceph.exec, clock, log: silentLog, paths, cloud: 'cloud' }
    return volumesInCeph(own, CONFIG)
  }

  async function pass(
    wanted: WantedVolume,
    {
      place,
      targets,
    }: { place: ReturnType<typeof open>['place']; targets: VolumeTargets } = open(),
  ): Promise<VolumeStatus & { readonly steps: number }> {
    nowMs += MINUTE_MS
    const { statuses, steps } = await reconcileVolumes(
      {
        ...{ randomHex, log: silentLog, targets, backend: await place.open() },
        ...{
          ledgers: join(dir, 'volume-ledgers'),
          portal: '192.0.2.9:3300',
          restores: NO_RESTORES,
        },
      },
      [wanted],
    )
    return { ...(statuses[0] ?? assert.fail('nothing was said')), steps }
  }

  test('an attachment is a user of one image, and a second pass does nothing', async () => {
    const volume = wantedVolume(1, { grants: [grantOf(1, 1)] })
    const status = await pass(volume)
    assert.deepEqual([status.state, status.reason, status.grants.length], ['ready', '', 1])
    assert.ok(ceph.mayWrite(ceph.open(entity(volume), volume.id)))
    const { caps, key } = ceph.users.get(entity(volume)) ?? assert.fail()
    const images = [
      ...(caps['osd']?.matchAll(/pool=\S+ (namespace=\S+ )?object_prefix \S+/g) ?? []),
    ]
    assert.ok(images.length > 4 && !caps['osd']?.includes('profile'))
    assert.equal(Buffer.from(key, 'base64').length, 28)
    assert.equal((await pass(volume)).steps, 0)
    assert.ok(!ceph.ran.some((line) => line.includes(volume.grants[0]?.chapSecret ?? '')))
    assert.ok(!ceph.ran.some((line) => line.includes(key)))
  })

  test('who is replaced is locked out, also a process that is cut off from the monitors', async () => {
    const [first, second] = [grantOf(1, 1), grantOf(1, 2)]
    const volume = wantedVolume(1, { grants: [first] })
    await pass(volume)
    const seen = ceph.open(entity(volume), volume.id)
    await pass(volume)
    // It is seen no more when it is to go.
    const client = ceph.clients.get(seen) ?? assert.fail()
    client.isConnected = false
    const now = ceph.open(entity(volume), volume.id)
    const next = { ...volume, grants: [second] }
    const status = await pass(next)
    assert.deepEqual(
      status.grants.map(({ generation }) => generation),
      [2],
    )
    assert.deepEqual(
      [seen, now].map((one) => ceph.mayWrite(one)),
      [false, false],
    )
    assert.ok(!ceph.users.has(entity(volume)))
    const other = ceph.open(entity(next), volume.id)
    assert.match((await pass(volume)).reason, /generation 1 is past/)
    assert.ok(ceph.mayWrite(other))
  })

  test('a process of a user that is gone is locked out whenever it comes back, and once', async () => {
    const volume = wantedVolume(1, { grants: [grantOf(1, 1)] })
    await pass(volume)
    const address = ceph.open(entity(volume), volume.id)
    const client = ceph.clients.get(address) ?? assert.fail()
    client.isConnected = false
    ceph.clients.delete(address)
    const host = open()
    await pass({ ...volume, grants: [] }, host)
    assert.ok(!ceph.blocklist.includes(address))
    ceph.clients.set(address, { ...client, isConnected: true })
    await pass({ ...volume, grants: [] }, host)
    await pass({ ...volume, grants: [] }, host)
    assert.deepEqual(ceph.blocklist, [address])
  })

  test('wherever an agent dies while it throws somebody out, the next one goes on', async () => {
    for (const dieBefore of [
      'ceph auth caps',
      'ceph tell',
      'ceph osd blocklist',
      'rbd status',
      'ceph auth rm',
    ]) {
      ceph = new FakeCeph({ ...CONFIG, namespace: 'cloud' })
      const n = dieBefore.length
      const volume = wantedVolume(n, { grants: [grantOf(n, 1)] })
      await pass(volume)
      const address = ceph.open(entity(volume), volume.id)
      const next = { ...volume, grants: [grantOf(n, 2)] }
      const host = open()
      await host.targets.look()
      ceph.dieBefore = dieBefore
      await pass(next, host).catch(() => undefined)
      assert.ok(!ceph.users.has(entity(next)), `${dieBefore}: two may write`)
      ceph.dieBefore = null
      assert.equal((await pass(next)).grants[0]?.generation, 2)
      assert.ok(!ceph.mayWrite(address), `${dieBefore}: the old one may write`)
      assert.ok(!ceph.users.has(entity(volume)))
    }
  })

  test('one of two is thrown out alone, and the volume grows under the other', async () => {
    const grants = [grantOf(1, 1), grantOf(1, 2)] as const
    const volume = wantedVolume(1, { grants, multiAttach: true })
    await pass(volume)
    const [one, two] = grants.map((grant) => ceph.open(userOf(grant), volume.id))
    assert.ok(one !== undefined && two !== undefined)
    const next = { ...volume, grants: [grants[1]], sizeBytes: 128 * MIB }
    assert.equal((await pass(next)).sizeBytes, 128 * MIB)
    assert.deepEqual(
      [one, two].map((address) => ceph.mayWrite(address)),
      [false, true],
    )
  })

  test('snapshots outlive their volume, and take its image along when they go', async () => {
    const volume = wantedVolume(1)
    const { place } = open()
    await pass(volume)
    const backend = await place.open()
    for (const id of SNAPSHOTS) await backend.snapshot(volume.id, id)
    const [first, second] = SNAPSHOTS
    assert.ok(first !== undefined && second !== undefined)
    await refused('NameTaken', backend.snapshot(volume.id, first))
    const { changed } = await backend.parts(second, first)
    assert.deepEqual(changed, [{ offset: MIB, length: MIB }])
    assert.equal((await pass({ ...volume, deleted: true })).state, 'deleted')
    nowMs += MINUTE_MS
    assert.equal((await backend.lookSnapshot(second))?.sizeBytes, volume.sizeBytes)
    assert.equal(await backend.look(volume.id), null)
    for (const id of SNAPSHOTS) await backend.removeSnapshot(id)
    assert.equal(ceph.images.size, 0)
    await backend.removeSnapshot(first)
  })

  test('volumes are made whole or not at all, and only where there is room', async () => {
    const { id } = wantedVolume(1)
    ceph.dieBefore = 'rbd mv'
    const backend = await open().place.open()
    await refused('CommandFailed', backend.create(id, 64 * MIB))
    assert.equal(await backend.look(id), null)
    ceph.dieBefore = null
    await backend.create(id, 64 * MIB)
    await refused('NameTaken', backend.create(id, 64 * MIB))
    await refused('Conflict', backend.grow(id, 32 * MIB))
    await refused('BadArgument', backend.grow(id, 32 * MIB + 1))
    nowMs += MINUTE_MS
    ceph.roomBytes = 0
    await refused('StoreFull', backend.grow(id, 128 * MIB))
    await refused('StoreFull', backend.create(wantedVolume(2).id, MIB))
  })

  test('several volumes that are in use have no moment, and those that are not have', async () => {
    const volume = wantedVolume(1, { grants: [grantOf(1, 1)] })
    await pass(volume)
    const { targets } = open()
    assert.equal(await targets.still([volume.id], async () => 7), 7)
    ceph.open(entity(volume), volume.id)
    await refused(
      'NotSupported',
      targets.still([volume.id], async () => 7),
    )
  })

  test('another cluster is not taken for the one that has the volumes', async () => {
    await pass(wantedVolume(1))
    ceph.fsid = 'another'
    await refused('Unavailable', open().place.look())
  })
})

function entity({ grants: [grant] }: WantedVolume): string {
  return userOf(grant ?? assert.fail('nobody has it'))
}

function userOf({ chapUser }: { readonly chapUser: string }): string {
  return `client.mallee.${chapUser}`
}

async function refused(code: string, done: Promise<unknown>): Promise<void> {
  await assert.rejects(done, (error) => codeOf(error) === code)
}
