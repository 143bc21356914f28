// What a rack has of volumes: those that its SCs serve, and what instances are told of them.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { storedBytes } from '../../common/volume-sizes.ts'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  type SnapshotSourceSchema,
  type VolumeAttachmentSchema,
  VolumeSchema,
} from '../../proto/gen/mallee/v1/volumes_pb.js'
import { resource } from '../../proto/resources.ts'
import { isTold, writersOf } from '../ebs/attachment-life.ts'
import { presentShape } from '../ebs/modification-life.ts'
import {
  attachmentTargetIqn,
  initiatorIqn,
  LUN,
  serialOf,
  targetIqn,
  type VolumeSecrets,
} from '../ebs/names.ts'
import { limitsOf } from '../ebs/volume-types.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'

/** For the SC that has it. */
export function volumeAt(
  view: View,
  rack: string,
  id: string,
  secrets: VolumeSecrets,
): Resource | null {
  const one = view.get('volume', id)
  if (one === null || one.rack !== rack || one.host === '') return null
  const source = sourceOf(view, one)
  // Without it, it would begin as zeroes.
  if (one.snapshot !== '' && one.state === 'creating' && source === null) return null
  const value = create(VolumeSchema, {
    id,
    host: one.host,
    sizeBytes: BigInt(storedBytes(one.sizeGib, one.encrypted)),
    targetIqn: targetIqn(id),
    multiAttach: one.multiAttach,
    grants: writersOf(one).map((attachment) => ({
      attachment: attachment.id,
      generation: BigInt(attachment.generation),
      initiatorIqn: initiatorIqn(attachment.id),
      chapUser: attachment.chapUser,
      chapSecret: secrets.openChap(attachment),
      targetIqn: attachmentTargetIqn(id, attachment),
    })),
    // Its bytes stay until the SC says that nobody can write to them.
    deleted: one.state === 'deleting' && one.attachments.length === 0,
    ...(source !== null && { source }),
    encryptionKey: secrets.openVolumeKey(one),
  })
  return resource(`volume/${id}`, { case: 'volume', value })
}

function sourceOf(
  view: View,
  { snapshot, encrypted }: VolumeRecord,
): MessageInitShape<typeof SnapshotSourceSchema> | null {
  const from = snapshot === '' ? null : view.get('volume-snapshot', snapshot)
  if (from === null || from.manifest === '') return null
  return {
    snapshotId: from.id,
    manifestSha256: from.manifest,
    sizeBytes: BigInt(storedBytes(from.volumeSizeGib, from.encrypted)),
    plain: encrypted && !from.encrypted,
  }
}

/** The volumes that an instance is told of: those that its host has been granted. */
export function attachmentsOf(
  view: View,
  instance: InstanceRecord,
  secrets: VolumeSecrets,
): MessageInitShape<typeof VolumeAttachmentSchema>[] {
  // iSCSI never leaves a rack.
  const volumes = view
    .by('volume', 'instances', instance.id)
    .filter(({ rack }) => rack === instance.rack)
  return volumes.flatMap((volume) => {
    // A guest hears of what its SC has already.
    const shape = presentShape(volume)
    const { iops, throughputBytesPerS } = limitsOf(shape)
    const store = view.get('host', volume.rack, volume.host)?.status?.volumes
    return volume.attachments
      .filter((one) => one.instance === instance.id && isTold(one))
      .map((one) => ({
        volumeId: volume.id,
        attachment: one.id,
        generation: BigInt(one.generation),
        portal: store?.portal ?? '',
        ...(store?.rbd !== undefined && {
          rbd: { ...store.rbd, monitors: [...store.rbd.monitors] },
        }),
        targetIqn: attachmentTargetIqn(volume.id, one),
        lun: LUN,
        initiatorIqn: initiatorIqn(one.id),
        chapUser: one.chapUser,
        chapSecret: secrets.openChap(one),
        deviceName: one.device,
        serial: serialOf(volume.id),
        sizeBytes: BigInt(storedBytes(shape.sizeGib, false)),
        iops,
        throughputBytesPerS: BigInt(throughputBytesPerS),
        boot: one.device === instance.rootDevice,
        encryptionKey: secrets.openVolumeKey(volume),
      }))
  })
}

/** Every key that the rack may have a volume under. */
export function volumeKeys(view: View, rack: string): string[] {
  return view.by('volume', 'rack', rack).map(({ id }) => `volume/${id}`)
}
