// What an instance gets of its host's disk: the one that it boots from, unless that is a volume,
// and its instance store volumes. Together they are as large as its type says.

import type { InstanceTypeSpec } from '../ec2/instance-types.ts'
import type { ImageDevice, ImageRecord } from '../store/image-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import { badMapping } from './mappings.ts'

export interface HostDisks {
  /** 0: it boots from a volume. */
  readonly rootGib: number
  readonly ephemeral: NonNullable<InstanceRecord['ephemeral']>
}

/**
 * Instance store volumes share evenly what the image leaves. Throws InvalidBlockDeviceMapping when
 * that is less than a GiB for each.
 */
export function hostDisks(
  { id, rootDevice, virtualSizeBytes }: ImageRecord,
  devices: readonly ImageDevice[],
  type: Pick<InstanceTypeSpec, 'name' | 'diskGib'>,
): HostDisks {
  const wanted = devices
    .flatMap(({ device, ephemeral }) => (ephemeral === null ? [] : [{ device, ephemeral }]))
    .toSorted((a, b) => a.ephemeral - b.ephemeral)
  const imageGib = rootDevice === undefined ? Math.ceil(virtualSizeBytes / 2 ** 30) : 0
  if (wanted.length === 0) {
    return { rootGib: rootDevice === undefined ? type.diskGib : 0, ephemeral: [] }
  }
  const sizeGib = Math.floor((type.diskGib - imageGib) / wanted.length)
  if (sizeGib < 1) {
    const text = `The disk of ${type.name} has ${type.diskGib} GiB, of which ${id} needs ${imageGib}`
    throw badMapping(`${text}: there is no room for ${wanted.length} instance store volumes`)
  }
  return { rootGib: imageGib, ephemeral: wanted.map(({ device }) => ({ device, sizeGib })) }
}

/** Of the host's disk, in GiB. */
export function hostGib({ rootGib, ephemeral }: HostDisks): number {
  return rootGib + ephemeralGib(ephemeral)
}

export function ephemeralGib(ephemeral: InstanceRecord['ephemeral'] = []): number {
  return ephemeral.reduce((sum, { sizeGib }) => sum + sizeGib, 0)
}
