// Volumes and their attachments as EC2 shows them.

import type { Volume, VolumeAttachment } from '@aws-sdk/client-ec2'
import { tagList } from '../ec2/tagging.ts'
import { zoneIdOf, zoneName } from '../ec2/zones.ts'
import type { View } from '../store/state.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'
import { presentShape } from './modification-life.ts'

export type ShownVolumeState = 'creating' | 'available' | 'in-use' | 'deleting' | 'error'

export function volumeShown(view: View, region: string, volume: VolumeRecord): Volume {
  const { id, account, rack, encrypted, snapshot, createdAtMs } = volume
  const { sizeGib, type, iops, throughputMibps, multiAttach } = presentShape(volume)
  return {
    VolumeId: id,
    VolumeArn: `arn:aws:ec2:${region}:${account}:volume/${id}`,
    OwnerId: account,
    Size: sizeGib,
    VolumeType: type,
    Iops: iops ?? undefined,
    Throughput: throughputMibps ?? undefined,
    MultiAttachEnabled: multiAttach,
    Encrypted: encrypted,
    SnapshotId: snapshot,
    AvailabilityZone: zoneName(region, rack),
    AvailabilityZoneId: zoneIdOf(view, region, rack),
    State: shownState(volume),
    CreateTime: new Date(createdAtMs),
    Attachments: volume.attachments.map((one) => attachmentShown(id, one)),
    Tags: tagList(view, id),
  }
}

export function attachmentShown(volume: string, one: VolumeAttachmentRecord): VolumeAttachment {
  return {
    VolumeId: volume,
    InstanceId: one.instance,
    Device: one.device,
    // One that nobody can write by any more is on its way out still.
    State: one.state === 'released' ? 'detaching' : one.state,
    AttachTime: new Date(one.attachedAtMs),
    DeleteOnTermination: one.deleteOnTermination,
  }
}

export function shownState({ state, attachments }: VolumeRecord): ShownVolumeState {
  if (state !== 'ready') return state
  return attachments.length > 0 ? 'in-use' : 'available'
}
