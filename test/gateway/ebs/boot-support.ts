// A cloud with an image whose root is a snapshot, and what its instances have.

import type { TestContext } from 'node:test'
import type { BlockDeviceMapping, Instance } from '@aws-sdk/client-ec2'
import { type Cloud, type CloudOptions, openCloud } from '../ec2/support.ts'
import { putSnapshot } from './support.ts'

/** A cloud of one rack with an image whose root is a snapshot of 8 GiB, and a second volume. */
export async function withImage(
  t: TestContext,
  more: readonly BlockDeviceMapping[] = [],
  options: CloudOptions = {},
) {
  const cloud = await openCloud(t, { racks: ['a', 'b'], ...options })
  const { id: snapshot } = await putSnapshot(cloud.state, {})
  const { ImageId: image = '' } = await cloud.call('RegisterImage', {
    Name: 'of a snapshot',
    RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshot } }, ...more],
  })
  return { cloud, snapshot, image }
}

export async function shown(cloud: Cloud, id: string): Promise<Instance | undefined> {
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0]
}

/** `/dev/sdf 8 gp2` of each volume of an instance, in the order that is shown. */
export async function volumesOf(cloud: Cloud, id: string): Promise<string[]> {
  const devices = (await shown(cloud, id))?.BlockDeviceMappings ?? []
  return devices.map(({ DeviceName: device, Ebs: ebs }) => {
    const volume = cloud.state.view().get('volume', ebs?.VolumeId ?? '')
    return [device, volume?.sizeGib, volume?.type, ebs?.DeleteOnTermination].join(' ')
  })
}
