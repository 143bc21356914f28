// Whether a volume goes onto an instance, and AWS's errors when it does not. An instance's record
// is written with every volume that comes to it: who counts its volumes and devices meets there.

import { ApiError } from '../aws/api-error.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'
import { writersOf } from './attachment-life.ts'
import { deviceKey } from './device-names.ts'
import { ROOT_DEVICE_NAME } from './mapping-shapes.ts'

/** Of a guest, beside its first interface: HOTPLUG_PORTS of cluster-agent/host/qemu.ts. */
export const SLOTS = 16
/** EC2 user guide, "Attach an EBS volume to multiple EC2 instances". */
const MAX_INSTANCES = 16

export interface VolumeOn {
  readonly volume: string
  readonly attachment: VolumeAttachmentRecord
}

/** What an instance has, and what it is getting or losing; not what was released. */
export function volumesOn(view: View, instance: string): VolumeOn[] {
  return view.by('volume', 'instances', instance).flatMap((volume) =>
    writersOf(volume)
      .filter((attachment) => attachment.instance === instance)
      .map((attachment) => ({ volume: volume.id, attachment })),
  )
}

/** Throws AttachmentLimitExceeded when the guest has no slot for one more device. */
export function checkSlots(view: View, { id, interfaces, ephemeral = [] }: InstanceRecord): void {
  const used = volumesOn(view, id).length + ephemeral.length + Math.max(interfaces.length - 1, 0)
  if (used < SLOTS) return
  const text =
    `The instance ${id} has ${used} volumes and network interfaces beside its first ` +
    `interface, which is the most.`
  throw new ApiError('AttachmentLimitExceeded', text)
}

/** Throws InvalidParameterValue for a device that the instance has something on. */
export function checkDeviceFree(view: View, instance: InstanceRecord, device: string): void {
  const { id, rootDevice, ephemeral = [] } = instance
  // Where a root volume was that is detached, the next one comes.
  const taken = [
    ...(rootDevice === undefined ? [ROOT_DEVICE_NAME] : []),
    ...ephemeral.map((one) => one.device),
    ...volumesOn(view, id).map(({ attachment }) => attachment.device),
  ]
  if (!taken.some((one) => deviceKey(one) === deviceKey(device))) return
  const text = `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`
  throw new ApiError('InvalidParameterValue', text)
}

/** Throws what AWS answers when the volume is not to be had. */
export function checkVolumeFree(volume: VolumeRecord, instance: string): void {
  const { id, state, attachments, multiAttach } = volume
  if (state !== 'ready') {
    throw new ApiError('IncorrectState', `The volume '${id}' is ${state} and not 'available'.`)
  }
  const mine = attachments.some((one) => one.instance === instance)
  if (mine || (!multiAttach && attachments.length > 0)) {
    const what = mine ? `the instance ${instance}` : 'an instance'
    throw new ApiError('VolumeInUse', `${id} is already attached to ${what}`)
  }
  if (attachments.length < MAX_INSTANCES) return
  const text = `The volume '${id}' is attached to ${MAX_INSTANCES} instances, which is the most.`
  throw new ApiError('AttachmentLimitExceeded', text)
}

/** Throws IncorrectState for an instance that neither runs nor is stopped. */
export function checkInstanceReady({ id, state }: InstanceRecord): void {
  if (state === 'running' || state === 'stopped') return
  throw new ApiError('IncorrectState', `Instance '${id}' is not 'running': it is ${state}.`)
}

/** Throws InvalidVolume.ZoneMismatch: iSCSI leaves no rack. */
export function checkSameRack(volume: VolumeRecord, instance: InstanceRecord): void {
  if (volume.rack === instance.rack) return
  const text = `The volume '${volume.id}' is not in the same availability zone as instance '${instance.id}'`
  throw new ApiError('InvalidVolume.ZoneMismatch', text)
}

/** May a guest use what is attached to it? */
export async function hasGuest(tx: Transaction, instance: InstanceRecord | null): Promise<boolean> {
  if (instance === null || instance.state === 'stopped' || instance.state === 'terminated') {
    return false
  }
  return (await tx.get('host', instance.rack, instance.host)) !== null
}
