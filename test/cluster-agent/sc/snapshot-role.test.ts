// What a host makes of the snapshots that it is told of, and what it says of them.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { SnapshotsRole } from '../../../cluster-agent/sc/snapshots/role.ts'
import type { VolumeBackend, VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import {
  SnapshotState,
  type SnapshotStatus,
  VolumeSnapshotSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { MemoryStore } from './memory-store.ts'

const VOLUME = 'vol-00000000000000001' as VolumeId
const SIZE_BYTES = 2 << 20

describe('SnapshotsRole', () => {
  let dir: string
  let backend: VolumeBackend
  let role: SnapshotsRole
  const store = new MemoryStore()
  let isAttached = false
  let news = 0

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-snapshot-role-'))
    const files = await fileBackend(exec, join(dir, 'volumes'))
    // As where no blocks are shared, wherever this runs.
    backend = { ...files, snapshots: false }
    await backend.create(VOLUME, SIZE_BYTES)
    await writeFile(backend.path(VOLUME), Buffer.alloc(SIZE_BYTES, 7))
    role = new SnapshotsRole({
      ...{ exec, log: silentLog, host: 'sc', ledgers: join(dir, 'ledgers'), endOf: store.endOf },
      still: () => assert.fail('nobody writes'),
      attached: async () => isAttached,
      changed: () => {
        news += 1
      },
    })
  })
  after(async () => {
    await role.close()
    await rm(dir, { recursive: true, force: true })
  })

  async function pass(...wishes: MessageInitShape<typeof VolumeSnapshotSchema>[]) {
    const desired: Desired = new Map(
      wishes.map((wish) => {
        const value = create(VolumeSnapshotSchema, { host: 'sc', volumeId: VOLUME, ...wish })
        const key = `snapshot/${value.id}`
        return [key, resource(key, { case: 'volumeSnapshot', value })]
      }),
    )
    await role.pass(desired, backend, (_, run) => run(null))
  }

  function said(id: string): SnapshotStatus | undefined {
    const status = role.statuses().find(({ key }) => key === `snapshot/${id}`)
    return status?.body.case === 'volumeSnapshot' ? status.body.value : undefined
  }

  test('takes what is of its host, tells how far it is, and lets go', async () => {
    const [mine, other] = ['snap-00000000000000001', 'snap-00000000000000002']
    await pass({ id: mine }, { id: other, host: 'another' })
    assert.equal(said(other), undefined)
    assert.equal(said(mine)?.host, 'sc')
    // By the news alone, without another pass.
    await until('it is completed', () => said(mine)?.state === SnapshotState.COMPLETED)
    assert.ok(news > 0, 'told by the news')
    const { manifestSha256 = '', dataBytes, sentBytes, progressPercent } = said(mine) ?? {}
    assert.ok((await store.bytesOf(manifestSha256)).equals(Buffer.alloc(SIZE_BYTES, 7)))
    assert.deepEqual([dataBytes, sentBytes], [BigInt(SIZE_BYTES), 512n << 10n])
    assert.equal(progressPercent, 100)
    await pass({ id: mine, released: true })
    assert.equal(said(mine)?.state, SnapshotState.RELEASED)
  })

  test('one of a volume that is attached is an error where it would be copied', async () => {
    const group = { group: 'g', groupSize: 2 }
    const [one, two] = ['snap-00000000000000004', 'snap-00000000000000005']
    isAttached = true
    await pass({ id: one, ...group }, { id: two, ...group })
    for (const id of [one, two]) {
      assert.equal(said(id)?.state, SnapshotState.ERROR)
      assert.match(said(id)?.reason ?? '', /vol-00000000000000001 is attached/)
    }
    isAttached = false
    const again = { group: 'h', groupSize: 2 }
    const [three, four] = ['snap-00000000000000006', 'snap-00000000000000007']
    await pass({ id: three, ...again }, { id: four, ...again })
    for (const id of [three, four]) {
      await until(`${id} is completed`, () => said(id)?.state === SnapshotState.COMPLETED)
    }
  })

  test('says what is wrong with a wish that it cannot make out', async () => {
    const id = 'snap-00000000000000003'
    await pass({ id, volumeId: 'vol-x' })
    assert.equal(said(id)?.state, SnapshotState.ERROR)
    assert.match(said(id)?.reason ?? '', /the volume vol-x/)
  })
})
