// Block device mappings as EC2 shows them: those of images, and what an instance has. Instance
// store volumes are shown of images alone, as AWS does.

import type { BlockDeviceMapping, Image, InstanceBlockDeviceMapping } from '@aws-sdk/client-ec2'
import type { Field } from '../ec2/filters.ts'
import { compareText } from '../ec2/paging.ts'
import type { ImageDevice, ImageRecord } from '../store/image-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { VolumeAttachmentRecord } from '../store/volume-records.ts'

/** Where a guest sees the disk of its host that it boots from: virtio-blk's first one. */
export const ROOT_DEVICE_NAME = '/dev/vda'

interface Rooted {
  readonly rootDevice?: string
}

/** The device that an instance boots from: a volume's, or the disk of its host. */
export function rootDeviceName({ rootDevice }: Rooted): string {
  return rootDevice ?? ROOT_DEVICE_NAME
}

export function rootDeviceType({ rootDevice }: Rooted): 'ebs' | 'instance-store' {
  return rootDevice === undefined ? 'instance-store' : 'ebs'
}

/** Of an instance: its volumes, that it boots from first, then by device. */
export function instanceMappings(
  view: View,
  { id, rootDevice }: InstanceRecord,
): InstanceBlockDeviceMapping[] {
  const rank = (device: string): string => `${device === rootDevice ? 0 : 1}${device}`
  return view
    .by('volume', 'instances', id)
    .flatMap((volume) =>
      volume.attachments
        .filter(({ instance, state }) => instance === id && state !== 'released')
        .map((attachment) => ({ volume: volume.id, attachment })),
    )
    .toSorted((a, b) => compareText(rank(a.attachment.device), rank(b.attachment.device)))
    .map(({ volume, attachment }) => mappingOf(volume, attachment))
}

function mappingOf(volume: string, one: VolumeAttachmentRecord): InstanceBlockDeviceMapping {
  return {
    DeviceName: one.device,
    Ebs: {
      VolumeId: volume,
      Status: one.state === 'released' ? 'detaching' : one.state,
      AttachTime: new Date(one.attachedAtMs),
      DeleteOnTermination: one.deleteOnTermination,
    },
  }
}

export function imageMappings({
  devices = [],
}: Pick<ImageRecord, 'devices'>): BlockDeviceMapping[] {
  return devices.map(imageMapping)
}

function imageMapping({ device, ephemeral, volume }: ImageDevice): BlockDeviceMapping {
  if (volume === null) return { DeviceName: device, VirtualName: `ephemeral${ephemeral}` }
  return {
    DeviceName: device,
    Ebs: {
      SnapshotId: volume.snapshot === '' ? undefined : volume.snapshot,
      VolumeSize: volume.sizeGib,
      VolumeType: volume.type,
      Iops: volume.iops ?? undefined,
      Throughput: volume.throughputMibps ?? undefined,
      Encrypted: volume.encrypted,
      DeleteOnTermination: volume.deleteOnTermination,
    },
  }
}

/** Filters of DescribeImages. */
export const IMAGE_DEVICE_FILTERS: Readonly<Record<string, Field<Image>>> = {
  'block-device-mapping.delete-on-termination': ofDevices((one) => one.Ebs?.DeleteOnTermination),
  'block-device-mapping.device-name': ofDevices((one) => one.DeviceName),
  'block-device-mapping.encrypted': ofDevices((one) => one.Ebs?.Encrypted),
  'block-device-mapping.snapshot-id': ofDevices((one) => one.Ebs?.SnapshotId),
  'block-device-mapping.volume-size': ofDevices((one) => one.Ebs?.VolumeSize),
  'block-device-mapping.volume-type': ofDevices((one) => one.Ebs?.VolumeType),
}

function ofDevices<T extends string | number | boolean | undefined>(
  field: (one: BlockDeviceMapping) => T,
): Field<Image> {
  return (image) => image.BlockDeviceMappings?.map(field)
}
