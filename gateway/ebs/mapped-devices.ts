// What an instance gets: the devices of its image with the changes that a request asks for (EC2
// user guide, "Block device mappings for volumes on Amazon EC2 instances").

import { ApiError } from '../aws/api-error.ts'
import { notFound, oneInStore } from '../ec2/ids.ts'
import type { ImageDevice, ImageRecord, ImageVolume } from '../store/image-records.ts'
import type { Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { deviceKey } from './device-names.ts'
import { ROOT_DEVICE_NAME } from './mapping-shapes.ts'
import { badMapping, type DeviceWish, type VolumeWish } from './mappings.ts'
import { shapeOf } from './volume-types.ts'

interface Parts {
  readonly tx: Transaction
  readonly account: string
}

/**
 * The image's devices, changed, then those that the request adds. Throws InvalidBlockDeviceMapping
 * for what a root cannot be, InvalidSnapshot.NotFound, IncorrectState of a snapshot, and what a
 * volume of such a size and type is refused with.
 */
export async function devicesFor(
  parts: Parts,
  { devices = [], rootDevice }: Pick<ImageRecord, 'devices' | 'rootDevice'>,
  wishes: readonly DeviceWish[],
): Promise<ImageDevice[]> {
  const left = new Map(wishes.map((wish) => [deviceKey(wish.device), wish]))
  const made: (ImageDevice | null)[] = []
  if (rootDevice === undefined && left.has(deviceKey(ROOT_DEVICE_NAME))) {
    const text = `The root device ${ROOT_DEVICE_NAME} of the image is on the instance's host: `
    throw badMapping(`${text}no other can be mapped to it`)
  }
  for (const device of devices) {
    const wish = left.get(deviceKey(device.device))
    left.delete(deviceKey(device.device))
    if (wish !== undefined && device.device === rootDevice) checkRoot(device, wish)
    made.push(wish === undefined ? device : await mapped(parts, wish, device))
  }
  for (const wish of left.values()) made.push(await mapped(parts, wish, null))
  const all = made.filter((one) => one !== null)
  checkEphemerals(all)
  return all
}

/** A snapshot that volumes can be made of. */
export function checkCompleted({ id, state, deletedAtMs }: SnapshotRecord): void {
  if (deletedAtMs !== null) throw notFound('volume-snapshot', [id])
  if (state === 'completed') return
  throw new ApiError('IncorrectState', `The snapshot '${id}' is ${state}, not completed`)
}

/** For the root only size, type and DeleteOnTermination can be changed. */
function checkRoot({ device, volume }: ImageDevice, wish: DeviceWish): void {
  if (wish.what !== 'volume') {
    throw badMapping(
      `The root device '${device}' is a volume: it cannot be left out or on the host`,
    )
  }
  const { snapshot } = wish.volume
  if (snapshot === undefined || snapshot === volume?.snapshot) return
  throw badMapping(`The snapshot of the root device '${device}' cannot be changed: ${snapshot}`)
}

async function mapped(
  parts: Parts,
  { device, what, ephemeral, volume }: DeviceWish,
  known: ImageDevice | null,
): Promise<ImageDevice | null> {
  if (what === 'none') return null
  const name = known?.device ?? device
  if (what === 'ephemeral') return { device: name, ephemeral, volume: null }
  return {
    device: name,
    ephemeral: null,
    volume: await volumeFor(parts, device, volume, known?.volume ?? null),
  }
}

async function volumeFor(
  parts: Parts,
  device: string,
  wish: VolumeWish,
  known: ImageVolume | null,
): Promise<ImageVolume> {
  const isKnown = wish.snapshot === undefined || wish.snapshot === known?.snapshot
  const base = isKnown ? known : null
  const snapshot = await snapshotFor(parts, wish.snapshot ?? base?.snapshot ?? '', isKnown)
  const sizeGib = wish.sizeGib ?? base?.sizeGib ?? snapshot?.volumeSizeGib
  if (sizeGib === undefined) {
    const text = `The request must contain the parameter size or snapshotId (of '${device}')`
    throw new ApiError('MissingParameter', text)
  }
  if (snapshot !== null && sizeGib < snapshot.volumeSizeGib) {
    throw badMapping(
      `Volume of size ${sizeGib}GB is smaller than snapshot '${snapshot.id}', expect size >= ` +
        `${snapshot.volumeSizeGib}GB`,
    )
  }
  const isOfType = wish.type === undefined || wish.type === base?.type
  const iops = wish.iops ?? (isOfType ? base?.iops : null) ?? undefined
  const throughputMibps =
    wish.throughputMibps ?? (isOfType ? base?.throughputMibps : null) ?? undefined
  const { type } = shapeOf({ type: wish.type ?? base?.type, sizeGib, iops, throughputMibps })
  return {
    snapshot: snapshot?.id ?? '',
    ...{ sizeGib, type, iops: iops ?? null, throughputMibps: throughputMibps ?? null },
    encrypted: encryptionOf(device, wish, snapshot?.encrypted ?? base?.encrypted ?? false),
    // EC2 user guide, "Preserve data when an instance is terminated": at a launch by API.
    deleteOnTermination: wish.deleteOnTermination ?? base?.deleteOnTermination ?? true,
  }
}

/** Who may launch an image may have volumes of its snapshots, whoever's they are. */
async function snapshotFor(
  { tx, account }: Parts,
  id: string,
  isKnown: boolean,
): Promise<SnapshotRecord | null> {
  if (id === '') return null
  const snapshot = isKnown
    ? await tx.get('volume-snapshot', id)
    : await oneInStore(tx, 'volume-snapshot', id, account)
  if (snapshot === null) throw notFound('volume-snapshot', [id])
  checkCompleted(snapshot)
  return snapshot
}

function encryptionOf(device: string, { encrypted }: VolumeWish, isOfSource: boolean): boolean {
  if (isOfSource && encrypted === false) {
    throw badMapping(`The volume of '${device}' cannot be unencrypted: its snapshot is encrypted`)
  }
  return encrypted ?? isOfSource
}

/** Those of an instance are numbered from 0. */
function checkEphemerals(devices: readonly ImageDevice[]): void {
  const numbers = devices.flatMap(({ ephemeral }) => ephemeral ?? []).toSorted((a, b) => a - b)
  for (const [i, number] of numbers.entries()) {
    if (number === i) continue
    const text =
      number < i ? `ephemeral${number} is mapped twice` : `nothing is mapped to ephemeral${i}`
    throw badMapping(`Instance store volumes are numbered from 0 on: ${text}`)
  }
}
