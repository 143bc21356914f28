// Block device mappings as requests have them, RunInstances', RegisterImage's and CreateImage's:
// their form alone. What becomes of them: mapped-devices.ts.

import type { BlockDeviceMapping } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import { refuseUnknown, required } from '../ec2/input.ts'
import { deviceKey, isDeviceName } from './device-names.ts'

/** What a request says of one device. */
export interface DeviceWish {
  /** As it was written. */
  readonly device: string
  readonly what: 'none' | 'ephemeral' | 'volume'
  /** The number of an instance store volume; 0 for anything else. */
  readonly ephemeral: number
  /** Empty for anything but a volume. */
  readonly volume: VolumeWish
}

/** What is absent is the image's, or a default. */
export interface VolumeWish {
  readonly snapshot?: string
  readonly sizeGib?: number
  readonly type?: string
  readonly iops?: number
  readonly throughputMibps?: number
  readonly encrypted?: boolean
  readonly deleteOnTermination?: boolean
}

/** EC2 user guide, "Block device mappings": ephemeral0 to ephemeral23. */
const VIRTUAL = /^ephemeral(\d|1\d|2[0-3])$/
const KNOWN = new Set(['DeviceName', 'VirtualName', 'Ebs', 'NoDevice'])
const EBS_KNOWN = new Set([
  ...['DeleteOnTermination', 'Iops', 'SnapshotId', 'VolumeSize', 'VolumeType', 'Throughput'],
  'Encrypted',
])
/** Of one request; more than an instance can have by far. */
const MAX_MAPPINGS = 64

/** Throws InvalidBlockDeviceMapping for what is no device, twice there, or two things at once. */
export function parseMappings(given: readonly BlockDeviceMapping[] | undefined): DeviceWish[] {
  const wishes = (given ?? []).map(wishOf)
  if (wishes.length > MAX_MAPPINGS) {
    throw badMapping(
      `The request maps ${wishes.length} devices; at most ${MAX_MAPPINGS} are allowed`,
    )
  }
  const seen = new Set<string>()
  for (const { device } of wishes) {
    if (seen.has(deviceKey(device))) throw badMapping(`The device '${device}' is mapped twice`)
    seen.add(deviceKey(device))
  }
  return wishes
}

export function badMapping(text: string): ApiError {
  return new ApiError('InvalidBlockDeviceMapping', text)
}

function wishOf(one: BlockDeviceMapping, i: number): DeviceWish {
  const path = `BlockDeviceMapping.${i + 1}.`
  refuseUnknown(one, KNOWN, new Map(), path)
  const device = required(`${path}DeviceName`, one.DeviceName || undefined)
  if (!isDeviceName(device)) throw badMapping(`Invalid device name ${device}`)
  const { VirtualName: virtual, Ebs: ebs, NoDevice: none } = one
  const said = [virtual, ebs, none].filter((value) => value !== undefined)
  if (said.length !== 1) {
    const text = `The device '${device}' needs exactly one of Ebs, VirtualName and NoDevice`
    throw badMapping(text)
  }
  if (ebs !== undefined)
    return { device, what: 'volume', ephemeral: 0, volume: volumeOf(ebs, path) }
  if (none !== undefined) return { device, what: 'none', ephemeral: 0, volume: {} }
  const number = VIRTUAL.exec(virtual ?? '')?.[1]
  if (number === undefined) {
    throw badMapping(`Invalid virtual name ${virtual} of '${device}': expecting ephemeral0 to 23`)
  }
  return { device, what: 'ephemeral', ephemeral: Number(number), volume: {} }
}

function volumeOf(ebs: NonNullable<BlockDeviceMapping['Ebs']>, path: string): VolumeWish {
  refuseUnknown(ebs, EBS_KNOWN, new Map(), `${path}Ebs.`)
  const wish = {
    // A client that has none sends it empty.
    snapshot: ebs.SnapshotId === '' ? undefined : ebs.SnapshotId,
    sizeGib: ebs.VolumeSize,
    type: ebs.VolumeType,
    iops: ebs.Iops,
    throughputMibps: ebs.Throughput,
    encrypted: ebs.Encrypted,
    deleteOnTermination: ebs.DeleteOnTermination,
  }
  return Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== undefined))
}
