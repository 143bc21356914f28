// Kernel and ramdisk images (aki-…, ari-…): which ones an image or an instance starts from.

import { ApiError } from '../aws/api-error.ts'
import { kindOf } from '../boot-files.ts'
import { imageState, snapshotsOf } from '../ebs/image-states.ts'
import type { ImageKind } from '../store/image-records.ts'
import type { ImageRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { namedInStore } from './ids.ts'
import { IMAGE_PREFIXES, unavailable } from './images.ts'

export interface KernelIds {
  readonly kernel?: string
  readonly ramdisk?: string
}

/** As a request names them, or a manifest; '' and undefined for none. */
export interface KernelsAsked {
  readonly kernel?: string | undefined
  readonly ramdisk?: string | undefined
}

/** What is asked for before what is there already. */
export function withDefaults(asked: KernelsAsked, known: KernelsAsked): KernelsAsked {
  return { kernel: asked.kernel || known.kernel, ramdisk: asked.ramdisk || known.ramdisk }
}

/**
 * Throws InvalidAMIID.Malformed for an id of another kind, InvalidAMIID.NotFound for one that the
 * account may not launch, and InvalidParameterCombination for a ramdisk alone.
 */
export async function kernelsFor(
  tx: Transaction,
  account: string,
  { kernel = '', ramdisk = '' }: KernelsAsked,
): Promise<KernelIds> {
  if (kernel !== '') await imageOfKind(tx, account, kernel, 'kernel')
  if (ramdisk !== '') await imageOfKind(tx, account, ramdisk, 'ramdisk')
  if (kernel === '' && ramdisk !== '') {
    const text = `The ramdisk '${ramdisk}' needs a kernel: the request must contain a KernelId`
    throw new ApiError('InvalidParameterCombination', text)
  }
  return {
    ...(kernel === '' ? {} : { kernel }),
    ...(ramdisk === '' ? {} : { ramdisk }),
  }
}

/** An image that the account may launch. */
export async function imageOfKind(
  tx: Transaction,
  account: string,
  id: string,
  kind: ImageKind,
): Promise<ImageRecord> {
  const prefix = IMAGE_PREFIXES[kind]
  if (!id.startsWith(`${prefix}-`)) {
    const text = `Invalid id: "${id}" (expecting "${prefix}-...")`
    throw new ApiError('InvalidAMIID.Malformed', text)
  }
  const [image] = await namedInStore(tx, 'image', [id], account)
  if (image === undefined || image.state !== 'available' || kindOf(image.format) !== kind) {
    throw unavailable(id)
  }
  await checkImageReady(tx, image)
  return image
}

/** Throws InvalidAMIID.Unavailable for one that cannot be launched, or not yet. */
export async function checkImageReady(tx: Transaction, image: ImageRecord): Promise<void> {
  const found = new Map<string, SnapshotRecord | null>()
  for (const id of snapshotsOf(image)) found.set(id, await tx.get('volume-snapshot', id))
  const { state } = imageState(image, (id) => found.get(id) ?? null)
  if (state !== 'available') throw unavailable(image.id)
}
