// ModifyInstanceAttribute of an instance's block devices: whether each goes with it.

import type { InstanceBlockDeviceMappingSpecification } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import { refuseUnknown, required } from '../ec2/input.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { writersOf } from './attachment-life.ts'
import { deviceKey } from './device-names.ts'
import { volumesIn } from './moving.ts'

const KNOWN = new Set(['DeviceName', 'Ebs'])
const EBS_KNOWN = new Set(['DeleteOnTermination', 'VolumeId'])

/**
 * Throws InvalidInstanceAttributeValue for a device that has no volume, or another one than named.
 */
export async function setDevices(
  {
    tx,
    state,
    record,
  }: {
    readonly tx: Transaction
    readonly state: State
    readonly record: InstanceRecord
  },
  devices: readonly InstanceBlockDeviceMappingSpecification[],
): Promise<void> {
  const volumes = new Map((await volumesIn(tx, state, record.id)).map((one) => [one.id, one]))
  for (const [i, { DeviceName: device, Ebs: ebs, ...more }] of devices.entries()) {
    const path = `BlockDeviceMapping.${i + 1}.`
    refuseUnknown(more, KNOWN, new Map(), path)
    const name = required(`${path}DeviceName`, device || undefined)
    refuseUnknown(ebs ?? {}, EBS_KNOWN, new Map(), `${path}Ebs.`)
    const goes = required(`${path}Ebs.DeleteOnTermination`, ebs?.DeleteOnTermination)
    const isMeant = (one: { readonly instance: string; readonly device: string }) =>
      one.instance === record.id && deviceKey(one.device) === deviceKey(name)
    const volume = [...volumes.values()].find((one) => writersOf(one).some(isMeant))
    if (volume === undefined || (ebs?.VolumeId ?? volume.id) !== volume.id) {
      const of = volume === undefined ? '' : ` with the volume ${ebs?.VolumeId}`
      const text = `No device is currently mapped at ${name}${of}`
      throw new ApiError('InvalidInstanceAttributeValue', text)
    }
    const meant = new Set(writersOf(volume).filter(isMeant))
    const attachments = volume.attachments.map((one) =>
      meant.has(one) ? { ...one, deleteOnTermination: goes } : one,
    )
    const next = { ...volume, attachments }
    volumes.set(volume.id, next)
    await tx.put('volume', [volume.id], next)
  }
}
