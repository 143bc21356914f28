// Volumes to ask wrong things about: one that nobody has, one that a running instance has, one that
// is made still, and one in the other zone. And snapshots: complete, pending, and locked.

import assert from 'node:assert/strict'
import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'
import { putSnapshot, setVolume } from '../ebs/support.ts'
import { REGION } from '../ec2/support.ts'
import type { Credentials, World } from '../iam/world.ts'

export async function ebsThings(world: World, as: Credentials, running: string) {
  const ec2 = world.ec2(as)
  const account = world.state.view().get('access-key', as.accessKeyId)?.account
  assert.ok(account)
  const create = async (zone: string): Promise<string> => {
    const { VolumeId } = await ec2.createVolume({ AvailabilityZone: `${REGION}-${zone}`, Size: 1 })
    assert.ok(VolumeId)
    return VolumeId
  }
  const newVolume = await create('a')
  const [volume, usedVolume, farVolume] = [await create('a'), await create('a'), await create('b')]
  for (const id of [volume, usedVolume, farVolume]) {
    await setVolume(world.state, id, { state: 'ready' })
  }
  await ec2.attachVolume({ VolumeId: usedVolume, InstanceId: running, Device: '/dev/sdf' })
  const put = async (more: Partial<SnapshotRecord>): Promise<string> =>
    (await putSnapshot(world.state, { account, ...more })).id
  const snapshot = await put({})
  const pendingSnapshot = await put({ state: 'pending', manifest: '' })
  const lock = { mode: 'compliance', createdAtMs: 0, coolOffUntilMs: null } as const
  const lockedSnapshot = await put({
    ...{ encrypted: true, sealedKey: 'sealed', lock: { ...lock, expiresAtMs: 2 ** 42 } },
  })
  return {
    ...{ newVolume, volume, usedVolume, farVolume },
    ...{ snapshot, pendingSnapshot, lockedSnapshot },
  }
}
