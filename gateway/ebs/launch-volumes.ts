// The volumes that are made with an instance: in the launch's own transaction, so that there are
// all of them or no instance.

import { storedBytes } from '../../common/volume-sizes.ts'
import type { Tags } from '../ec2/tagging.ts'
import type { ImageDevice } from '../store/image-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { withAttachment } from './attachment-life.ts'
import { newAttachmentNames } from './names.ts'
import { newVolume, type VolumeTransaction } from './new-volume.ts'
import { chooseVolumePlace, noPlace, volumePlaces } from './volume-places.ts'

type MadeFor = Pick<InstanceRecord, 'id' | 'account' | 'rack' | 'host'>

/** Racks where one instance's volumes find a place. Throws InsufficientVolumeCapacity for none. */
export function racksWithStores(
  view: View,
  racks: readonly string[],
  devices: readonly ImageDevice[],
  overcommit: number | undefined,
): readonly string[] {
  const sizes = devices.flatMap(({ volume }) => volume ?? [])
  const [largest] = sizes.toSorted((a, b) => b.sizeGib - a.sizeGib)
  if (largest === undefined) return racks
  const reasons: string[] = []
  const found = racks.filter((rack) => {
    const bytes = storedBytes(largest.sizeGib, largest.encrypted)
    const chosen = chooseVolumePlace(volumePlaces(view, rack), bytes, overcommit)
    if ('reasons' in chosen) reasons.push(...chosen.reasons)
    return 'host' in chosen
  })
  if (found.length > 0) return found
  throw noPlace(largest.sizeGib, reasons)
}

/** Makes and attaches them; their snapshots are whoever's image has them. */
export async function launchVolumes(
  parts: VolumeTransaction,
  instance: MadeFor,
  devices: readonly ImageDevice[],
  { tags, nowMs }: { readonly tags: Tags; readonly nowMs: number },
): Promise<void> {
  for (const { device, volume: ask } of devices) {
    if (ask === null) continue
    const { snapshot, sizeGib, type, iops, throughputMibps, encrypted } = ask
    const volume = await newVolume(parts, {
      ...{ account: instance.account, rack: instance.rack, snapshot, isOfImage: true },
      wish: {
        ...{ sizeGib, type },
        iops: iops ?? undefined,
        throughputMibps: throughputMibps ?? undefined,
      },
      ...{ encrypted, tags, clientToken: '', nowMs },
    })
    const attached = withAttachment(volume, {
      ...newAttachmentNames(parts.sealer, parts.randomHex),
      ...{ instance: instance.id, host: instance.host, device },
      ...{ deleteOnTermination: ask.deleteOnTermination, attachedAtMs: nowMs },
    })
    await parts.tx.put('volume', [volume.id], attached)
  }
}
