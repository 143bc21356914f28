// An image whose root is a snapshot: what its record has in place of a file.

import { GIB } from '../../common/volume-sizes.ts'
import type { ImageDevice, ImageRecord } from '../store/image-records.ts'
import { deviceKey } from './device-names.ts'
import { badMapping } from './mappings.ts'

/** What RegisterImage takes when the request does not say (EC2 API reference). */
export const USUAL_ROOT = '/dev/sda1'

type SnapshotImage = Required<
  Pick<ImageRecord, 'rootDevice' | 'devices' | 'sha256' | 'sizeBytes' | 'virtualSizeBytes'>
> & { readonly format: 'raw' }

/** Throws InvalidBlockDeviceMapping unless the root is among the devices, and has a snapshot. */
export function snapshotImage(devices: readonly ImageDevice[], asked: string): SnapshotImage {
  const root = devices.find(({ device }) => deviceKey(device) === deviceKey(asked))
  if (root === undefined) {
    throw badMapping(`No block device is mapped to the root device '${asked}'`)
  }
  const { device: rootDevice, volume } = root
  if (volume === null || volume.snapshot === '') {
    throw badMapping(`The root device '${rootDevice}' needs an Ebs.SnapshotId`)
  }
  return imageOfVolumes(devices, rootDevice, volume.sizeGib)
}

/** Has no file. */
export function imageOfVolumes(
  devices: readonly ImageDevice[],
  rootDevice: string,
  sizeGib: number,
): SnapshotImage {
  const virtualSizeBytes = sizeGib * GIB
  return { rootDevice, devices, sha256: '', sizeBytes: 0, virtualSizeBytes, format: 'raw' }
}
