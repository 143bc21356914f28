// CopyImage: an image of the caller's own made of one that he may launch. Both have one file, which
// stays as long as either is there, or snapshots of their own with the same bytes; there is one
// region, so it is the source's as well.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { SnapshotHolds } from '../ebs/chunks/snapshot-bytes.ts'
import { type CopyWish, finishCopy, insertCopy } from '../ebs/copy-snapshot.ts'
import { imageState, snapshotsOf } from '../ebs/image-states.ts'
import type { Sealer } from '../secrets.ts'
import type { ImageRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { isVisible, oneInStore } from './ids.ts'
import { checkImageName, insertImage, parseImageDescription, unavailable } from './images.ts'
import { badValue, refuseUnknown, required } from './input.ts'
import { kernelsFor } from './kernels.ts'
import { checkQuotaFor } from './quotas.ts'
import { keepFromRemoval } from './removal.ts'
import { isSystemTag, parseTagSpecifications, type Tags, tagsOf } from './tagging.ts'

const KNOWN = new Set([
  'Name',
  'SourceImageId',
  'SourceRegion',
  'Description',
  'ClientToken',
  'CopyImageTags',
  'TagSpecifications',
  'DryRun',
])
const HARMLESS = new Map<string, readonly unknown[]>([['Encrypted', [false]]])

export interface CopyParts extends NetworkParts {
  readonly sealer: Sealer
  readonly holds: SnapshotHolds
}

export function copyImageHandler(parts: CopyParts): Required<Pick<Ec2Handlers, 'CopyImage'>> {
  const { state, region, holds } = parts
  return {
    CopyImage: async (context, input) => {
      const { account } = context.caller
      const name = required('Name', input.Name)
      const source = required('SourceImageId', input.SourceImageId)
      checkSource(required('SourceRegion', input.SourceRegion), region)
      refuseUnknown(input, KNOWN, HARMLESS)
      checkImageName(name)
      const asked = parseTagSpecifications(input.TagSpecifications, ['image', 'volume-snapshot'])
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CopyImage', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const image = await oneInStore(tx, 'image', source, account)
        await checkAvailable(tx, image)
        const { sha256, sizeBytes, virtualSizeBytes, format, location, kernel, ramdisk } = image
        const { rootDevice } = image
        const copied = `Copied for ${name} from ${source}`
        const tags = asked.get('volume-snapshot') ?? new Map()
        const wish = { account, description: copied, tags, nowMs: context.nowMs }
        const devices = await copiedDevices(tx, parts, image, wish)
        if (sha256 !== '') await keepFromRemoval(tx, 'blob', [sha256])
        const copy = {
          ...{ account, name, createdAtMs: context.nowMs },
          ...{ sha256, sizeBytes, virtualSizeBytes, format, location },
          ...(rootDevice !== undefined && { rootDevice }),
          ...(devices !== undefined && { devices }),
          ...(await kernelsFor(tx, account, { kernel, ramdisk })),
          description: parseImageDescription(input.Description ?? image.description),
        }
        const all = await copiedTags(tx, input, image, account, asked.get('image') ?? new Map())
        const made = await insertImage(tx, parts, input, copy, all)
        await keepAnswer(tx, use, made)
        return made
      })
      await finishCopies(state, holds, id)
      return { ImageId: id }
    },
  }
}

/** Throws InvalidAMIID.Unavailable. */
async function checkAvailable(tx: Transaction, image: ImageRecord): Promise<void> {
  const snapshots = new Map<string, SnapshotRecord | null>()
  for (const id of snapshotsOf(image)) snapshots.set(id, await tx.get('volume-snapshot', id))
  const { state } = imageState(image, (id) => snapshots.get(id) ?? null)
  if (image.state !== 'available' || state !== 'available') throw unavailable(image.id)
}

/**
 * The same devices over copies of their snapshots, which have no bytes yet. Who is to own the bytes
 * must be able to use the snapshots, not only to launch the image ("Copy an Amazon EC2 AMI", EC2
 * user guide).
 */
async function copiedDevices(
  tx: Transaction,
  parts: CopyParts,
  { devices, ...image }: ImageRecord,
  wish: CopyWish,
): Promise<ImageRecord['devices']> {
  const { account } = wish
  const sources = snapshotsOf({ ...(devices !== undefined && { devices }) })
  const wanted = { made: 0, wanted: sources.length }
  if (sources.length > 0) await checkQuotaFor(tx, parts.state, account, 'snapshots', wanted)
  const copies = new Map<string, string>()
  for (const id of sources) {
    const from = await tx.get('volume-snapshot', id)
    if (from === null || !isVisible(from, account)) throw noStorage(image.id)
    copies.set(id, (await insertCopy(tx, parts, from, wish)).id)
  }
  return devices?.map((device) => {
    const { volume } = device
    if (volume === null) return device
    return { ...device, volume: { ...volume, snapshot: copies.get(volume.snapshot) ?? '' } }
  })
}

/** Whoever made them and died before they had bytes leaves them to control/snapshot-keeping.ts. */
async function finishCopies(state: State, holds: SnapshotHolds, id: string): Promise<void> {
  const view = await state.fresh()
  const image = view.get('image', id)
  for (const one of image === null ? [] : snapshotsOf(image)) {
    const copy = view.get('volume-snapshot', one)
    if (copy?.state === 'pending' && copy.origin?.kind === 'copy') {
      await finishCopy(state, holds, copy)
    }
  }
}

function noStorage(id: string): ApiError {
  const text = `You do not have permission to access the storage of the image '${id}'`
  return new ApiError('InvalidRequest', text)
}

/** The request's tags before the source's, which only its owner can copy. */
async function copiedTags(
  tx: Transaction,
  { CopyImageTags: copies }: Ec2Inputs['CopyImage'],
  image: ImageRecord,
  account: string,
  asked: Tags,
): Promise<Tags> {
  if (copies !== true || image.account !== account) return asked
  const kept = [...tagsOf(await tx.get('tags', image.id))].filter(([key]) => !isSystemTag(key))
  return new Map([...kept, ...asked])
}

function checkSource(source: string, region: string): void {
  if (source !== region) throw badValue('SourceRegion', source, `This cloud has only ${region}.`)
}
