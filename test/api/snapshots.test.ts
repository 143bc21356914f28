// Snapshots through a whole gateway and simulated hosts: taken, complete, copied, read by EBS
// direct APIs, and gone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EBS } from '@aws-sdk/client-ebs'
import { EC2 } from '@aws-sdk/client-ec2'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, addTwoRacks, connected } from '../support/simulated-rack.ts'

test('a snapshot of a volume is completed, copied, read, and deleted', async (t) => {
  const cloud = await startCloud(t)
  const { cc } = await addTwoRacks(cloud)
  const sc = await addHost(cloud, { rack: 'a', host: 'a-sc', roles: ['sc'], parent: cc })
  await connected(cloud, [sc])
  const { accessKeyId, secretAccessKey } = cloud.init
  const options = {
    ...{ endpoint: `http://127.0.0.1:${cloud.config.apiPort}`, region: 'mallee-1' },
    credentials: { accessKeyId, secretAccessKey },
  }
  const [ec2, ebs] = [new EC2(options), new EBS(options)]
  t.after(() => {
    ec2.destroy()
    ebs.destroy()
  })
  const volume = await ec2.createVolume({ AvailabilityZone: 'mallee-1-a', Size: 1 })
  const VolumeIds = [volume.VolumeId ?? '']
  await until('the volume is available', async () => {
    const { Volumes } = await ec2.describeVolumes({ VolumeIds })
    return Volumes?.[0]?.State === 'available'
  })
  const { SnapshotId = '' } = await ec2.createSnapshot({ VolumeId: VolumeIds[0] })
  await until('the snapshot is completed', async () => {
    const { Snapshots } = await ec2.describeSnapshots({ SnapshotIds: [SnapshotId] })
    return Snapshots?.[0]?.State === 'completed'
  })
  const asked = { SourceRegion: 'mallee-1', SourceSnapshotId: SnapshotId }
  const { SnapshotId: copy = '' } = await ec2.copySnapshot(asked)
  assert.deepEqual((await ebs.listSnapshotBlocks({ SnapshotId: copy })).Blocks, [])
  for (const id of [SnapshotId, copy]) await ec2.deleteSnapshot({ SnapshotId: id })
  const { Snapshots } = await ec2.describeSnapshots({ OwnerIds: ['self'] })
  assert.deepEqual(Snapshots, [])
})
