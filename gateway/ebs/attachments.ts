// AttachVolume and DetachVolume: each one write of the volume's record. What follows is up to what
// the hosts report.

import type { VolumeAttachment } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { oneInStore } from '../ec2/ids.ts'
import { endDryRun, refuseUnknown, required } from '../ec2/input.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'
import {
  checkDeviceFree,
  checkInstanceReady,
  checkSameRack,
  checkSlots,
  checkVolumeFree,
  hasGuest,
} from './attaching.ts'
import { withAttachment, withDetached } from './attachment-life.ts'
import { checkDeviceName } from './device-names.ts'
import { newAttachmentNames } from './names.ts'
import { attachmentShown } from './volume-shape.ts'

type AttachmentHandlers = Required<Pick<Ec2Handlers, 'AttachVolume' | 'DetachVolume'>>

interface Parts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly sealer: Pick<Sealer, 'seal'>
}

interface Which {
  readonly InstanceId?: string | undefined
  readonly Device?: string | undefined
}

const ATTACH_KNOWN = new Set(['Device', 'InstanceId', 'VolumeId', 'DryRun'])
const DETACH_KNOWN = new Set([...ATTACH_KNOWN, 'Force'])
const HARMLESS = new Map<string, readonly unknown[]>([['EbsCardIndex', [0]]])

export function volumeAttachmentHandlers({ state, randomHex, sealer }: Parts): AttachmentHandlers {
  return {
    AttachVolume: async ({ caller: { account }, nowMs }, input) => {
      const id = required('VolumeId', input.VolumeId)
      const instanceId = required('InstanceId', input.InstanceId)
      const device = required('Device', input.Device || undefined)
      refuseUnknown(input, ATTACH_KNOWN, HARMLESS)
      checkDeviceName(device)
      return await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        const instance = await oneInStore(tx, 'instance', instanceId, account)
        checkInstanceReady(instance)
        checkSameRack(volume, instance)
        checkVolumeFree(volume, instanceId)
        const view = await state.fresh()
        checkDeviceFree(view, instance, device)
        checkSlots(view, instance)
        endDryRun(input)
        const next = withAttachment(volume, {
          ...newAttachmentNames(sealer, randomHex),
          ...{ instance: instanceId, host: instance.host, device, attachedAtMs: nowMs },
          deleteOnTermination: false,
        })
        await tx.put('volume', [id], next)
        // See attaching.ts.
        await tx.put('instance', [instanceId], instance)
        return shown(next, next.attachments.at(-1))
      })
    },

    DetachVolume: async ({ caller: { account } }, input) => {
      const id = required('VolumeId', input.VolumeId)
      refuseUnknown(input, DETACH_KNOWN, new Map())
      const isForced = input.Force === true
      return await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        if (input.InstanceId !== undefined) {
          await oneInStore(tx, 'instance', input.InstanceId, account)
        }
        const one = attachmentNamed(volume, input)
        const instance = await tx.get('instance', one.instance)
        const isUsed = await hasGuest(tx, instance)
        if (isUsed && instance?.rootDevice === one.device) throw isRoot(one)
        endDryRun(input)
        const next = withDetached(volume, one.id, { isForced, hasGuest: isUsed })
        if (next !== volume) await tx.put('volume', [id], next)
        return shown(
          next,
          next.attachments.find((after) => after.id === one.id),
        )
      })
    },
  }
}

function shown(volume: VolumeRecord, one: VolumeAttachmentRecord | undefined): VolumeAttachment {
  return one === undefined ? {} : attachmentShown(volume.id, one)
}

/** The one that the request means, also one that is on its way out. */
function attachmentNamed(
  { id, attachments, multiAttach }: VolumeRecord,
  { InstanceId: instance, Device: device }: Which,
): VolumeAttachmentRecord {
  if (attachments.length === 0) {
    throw new ApiError('IncorrectState', `Volume '${id}' is in the 'available' state.`)
  }
  if (multiAttach && instance === undefined) {
    const text = `The volume '${id}' can be attached to several instances: name one by InstanceId.`
    throw new ApiError('MissingParameter', text)
  }
  const found = attachments.filter(
    (one) =>
      (instance === undefined || one.instance === instance) &&
      (device === undefined || one.device === device),
  )
  const one = found.find(({ state }) => state !== 'released') ?? found[0]
  if (one !== undefined) return one
  const to = instance === undefined ? '' : ` to instance '${instance}'`
  const as = device === undefined ? '' : ` as device '${device.slice(0, 64)}'`
  const text = `The volume '${id}' is not attached${to}${as}`
  throw new ApiError('InvalidAttachment.NotFound', text)
}

function isRoot({ device, instance }: VolumeAttachmentRecord): ApiError {
  const text = `Unable to detach root volume '${device}' from instance '${instance}'`
  return new ApiError('OperationNotPermitted', text)
}
