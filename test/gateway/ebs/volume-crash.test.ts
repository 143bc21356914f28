// The gateway dies before or after each of its steps of the life of a volume and its snapshot, and
// of an image of an instance, whose guest is stopped for it: the next one goes on, no guest stays
// stopped, and what is deleted leaves nothing.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { keepSnapshots } from '../../../gateway/control/snapshot-keeping.ts'
import { tendImaging } from '../../../gateway/ebs/imaging.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { testSealer } from '../../support/sealer.ts'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import { outcome } from '../ec2/race-support.ts'
import { type Cloud, openCloud, REGION, run } from '../ec2/support.ts'
import { withImage } from './boot-support.ts'
import { modelRacks } from './model-racks.ts'
import { type Death, liveAndDie, mortalBytes, mortalStore } from './mortal.ts'

const MOST_STEPS = 60

/** A cloud that dies when it is told to, its hosts, and its keeping of snapshots. */
async function openMortal(t: TestContext, open: (openStore: OpenStore) => Promise<Cloud>) {
  let death: Death | null = null
  const now = () => death
  const memory = memorySnapshots()
  const bytes = mortalBytes(memory, now)
  const openStore: OpenStore = async (file) =>
    mortalStore(await openSqlite({ file, log: silentLog }), now)
  const cloud = await open(openStore)
  const racks = modelRacks(() => cloud.state)
  const sealer = await testSealer(t)
  return {
    ...{ cloud, racks, memory },
    set: (next: Death | null) => {
      death = next
    },
    /** One host, once. */
    host: async (host: string) => racks.hear('a', await racks.work('a', host)),
    keep: () => keepSnapshots({ state: cloud.state, bytes, clock: systemClock, log: silentLog }),
    tend: () =>
      tendImaging({
        ...{ state: cloud.state, randomHex, sealer, log: silentLog },
        clock: systemClock,
      }),
    snapshots: () =>
      cloud.state
        .view()
        .all('volume-snapshot')
        .filter(({ volume, deletedAtMs }) => volume !== '' && deletedAtMs === null),
    /** Done before, and its answer lost: the same again finds nothing. */
    end: async (call: Promise<unknown>, notFound: string) => {
      const code = await outcome(call)
      assert.ok(code === 'accepted' || code === notFound, code)
    },
  }
}

type OpenStore = (file: string) => Promise<Store>

test('a gateway that dies at any step of a volume and its snapshot', async (t) => {
  const mortal = await openMortal(t, (openStore) => openCloud(t, { racks: ['a'], openStore }))
  const { cloud, racks, memory, set, host, keep, snapshots, end } = mortal
  let life = 1
  const volumes = () => cloud.state.view().all('volume')
  const volumeId = () => volumes()[0]?.id ?? ''
  const acts = [
    () =>
      cloud.call('CreateVolume', {
        ...{ AvailabilityZone: `${REGION}-a`, Size: 1, ClientToken: `life-${life}` },
      }),
    () => host('a0'),
    async () => {
      assert.equal(volumes()[0]?.state, 'ready')
      if (snapshots().length > 0) return
      await cloud.call('CreateSnapshot', { VolumeId: volumeId() })
    },
    () => host('a0'),
    async () => {
      const [snapshot] = snapshots()
      assert.equal(snapshot?.state ?? 'deleted', snapshot === undefined ? 'deleted' : 'completed')
      for (const { id: SnapshotId } of snapshots()) {
        await end(cloud.call('DeleteSnapshot', { SnapshotId }), 'InvalidSnapshot.NotFound')
      }
    },
    () => host('a0'),
    keep,
    async () => {
      if (volumeId() === '') return
      await end(cloud.call('DeleteVolume', { VolumeId: volumeId() }), 'InvalidVolume.NotFound')
    },
    () => host('a0'),
  ]
  const deaths = await liveAndDie(MOST_STEPS, set, {
    acts,
    check: async () => {
      assert.ok(volumes().length <= 1 && snapshots().length <= 1)
    },
    restart: () => cloud.restart(),
    over: async (where) => {
      await racks.settle()
      await keep()
      await racks.settle()
      assert.deepEqual([...volumes()], [], where)
      assert.deepEqual([...cloud.state.view().all('volume-snapshot')], [], where)
      assert.deepEqual([...memory.memory.manifests], [], where)
      life += 1
    },
  })
  // Made and ready; taken and complete; deleted in three commits, its bytes and record; the volume.
  assert.ok(deaths >= 2 * 10, `${deaths}`)
})

for (const NoReboot of [false, true]) {
  test(`a gateway that dies at any step of CreateImage, NoReboot=${NoReboot}`, async (t) => {
    const mortal = await openMortal(t, async (openStore) => {
      const data = { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 2 } }
      return (await withImage(t, [data], { openStore })).cloud
    })
    const { cloud, racks, set, host, keep, tend, snapshots, end } = mortal
    const view = () => cloud.state.view()
    const [image] = view().all('image')
    const [id = ''] = await run(cloud, { ImageId: image?.id })
    await racks.settle()
    const instance = () => view().get('instance', id)
    const ownHost = instance()?.host ?? ''
    assert.equal(instance()?.state, 'running')
    const made = () =>
      view()
        .all('image')
        .filter(({ name, state }) => name === 'kept' && state === 'available')
    const acts = [
      async () => {
        const asked = { InstanceId: id, Name: 'kept', NoReboot }
        const code = await outcome(cloud.call('CreateImage', asked))
        if (made().length > 0 && code !== 'accepted') {
          assert.ok(code === 'IncorrectState' || code === 'InvalidAMIName.Duplicate', code)
        } else assert.equal(code, 'accepted')
      },
      () => host(ownHost),
      tend,
      () => host('a0'),
      tend,
      () => host(ownHost),
      () => host(ownHost),
      async () => {
        const { Images } = await cloud.call('DescribeImages', { Owners: ['self'] })
        const kept = Images?.find(({ Name }) => Name === 'kept')
        if (kept === undefined) return
        assert.equal(kept.State, 'available')
        assert.equal(snapshots().length, 2)
        assert.equal(new Set(snapshots().map(({ group }) => group)).size, 1)
        assert.deepEqual([instance()?.state, instance()?.imaging], ['running', undefined])
        const ImageId = kept.ImageId ?? ''
        await end(cloud.call('DeregisterImage', { ImageId }), 'InvalidAMIID.Unavailable')
      },
      async () => {
        for (const { id: SnapshotId } of snapshots()) {
          await end(cloud.call('DeleteSnapshot', { SnapshotId }), 'InvalidSnapshot.NotFound')
        }
      },
      () => host('a0'),
      keep,
    ]
    let starts = 0
    const deaths = await liveAndDie(MOST_STEPS, set, {
      acts,
      check: async () => {
        const [one, ...more] = made()
        assert.deepEqual(more, [])
        const isHeld = instance()?.imaging?.image === one?.id && one !== undefined
        if (one?.making !== undefined) assert.ok(isHeld, 'nobody would make it')
        else if (one !== undefined) assert.equal(snapshots().length, 2)
      },
      restart: () => cloud.restart(),
      over: async (where) => {
        await racks.settle()
        await keep()
        await racks.settle()
        assert.deepEqual(snapshots(), [], where)
        assert.deepEqual(made(), [], where)
        assert.deepEqual([instance()?.state, instance()?.imaging], ['running', undefined], where)
        assert.equal(instance()?.startCount ?? 0, NoReboot ? 0 : starts + 1, where)
        starts = instance()?.startCount ?? 0
      },
    })
    assert.ok(deaths >= 2 * (NoReboot ? 8 : 12), `${deaths}`)
  })
}
