// Images: DescribeImages shows them, DeregisterImage ends them (RegisterImage: register-image.ts).
// A deregistered image stays in the store while instances run from it.

import { createHash } from 'node:crypto'
import type { DeleteSnapshotReturnCode, Image, SnapshotReturnCodes } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers } from '../aws/handlers.ts'
import { kindOf } from '../boot-files.ts'
import { type DeleteParts, deleteSnapshot } from '../ebs/delete-snapshot.ts'
import { imageState, snapshotsOf, stateShown } from '../ebs/image-states.ts'
import {
  IMAGE_DEVICE_FILTERS,
  imageMappings,
  rootDeviceName,
  rootDeviceType,
} from '../ebs/mapping-shapes.ts'
import type { ImageKind } from '../store/image-records.ts'
import type { ImageRecord, NameRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { isVisible, namedInStore, namedInView, newId, notFound } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { checkQuota } from './quotas.ts'
import { keepFromRemoval } from './removal.ts'
import { addTags, removeTags, type Tags, tagList } from './tagging.ts'

type ImageHandlers = Required<Pick<Ec2Handlers, 'DescribeImages' | 'DeregisterImage'>>

const MAX_DESCRIPTION_CHARS = 255
const NAME = /^[A-Za-z0-9()[\] ./'@_-]{3,128}$/

/** How ids of images of a kind begin. */
export const IMAGE_PREFIXES: Readonly<Record<ImageKind, string>> = {
  machine: 'ami',
  kernel: 'aki',
  ramdisk: 'ari',
}

/** By what DeleteSnapshot says. */
const RETURN_CODES: ReadonlyMap<string, SnapshotReturnCodes> = new Map([
  ['InvalidSnapshot.InUse', 'skipped'],
  ['InvalidSnapshot.NotFound', 'skipped'],
  ['AuthFailure', 'missing-permissions'],
])

const FILTERABLE: Filterable<Image> = {
  fields: {
    ...absent(
      'imds-support',
      'owner-alias',
      'platform',
      'product-code',
      'product-code.type',
      'source-image-id',
      'sriov-net-support',
    ),
    architecture: (image) => image.Architecture,
    ...IMAGE_DEVICE_FILTERS,
    'boot-mode': (image) => image.BootMode,
    'creation-date': (image) => image.CreationDate,
    description: (image) => image.Description,
    'ena-support': (image) => image.EnaSupport,
    hypervisor: (image) => image.Hypervisor,
    'image-id': (image) => image.ImageId,
    'image-type': (image) => image.ImageType,
    'is-public': (image) => image.Public,
    'kernel-id': (image) => image.KernelId,
    'manifest-location': (image) => image.ImageLocation,
    name: (image) => image.Name,
    'owner-id': (image) => image.OwnerId,
    'ramdisk-id': (image) => image.RamdiskId,
    'root-device-name': (image) => image.RootDeviceName,
    'root-device-type': (image) => image.RootDeviceType,
    'source-instance-id': (image) => image.SourceInstanceId,
    state: (image) => image.State,
    'state-reason-code': (image) => image.StateReason?.Code,
    'state-reason-message': (image) => image.StateReason?.Message,
    'virtualization-type': (image) => image.VirtualizationType,
  },
  tags: (image) => image.Tags,
}

export function imageHandlers(parts: DeleteParts): ImageHandlers {
  const { state } = parts
  return {
    DescribeImages: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const isNamed = (input.ImageIds ?? []).length > 0
      const named = imagesAsked(view, input.ImageIds ?? [], account)
      endDryRun(input)
      const images = named
        .filter((image) => isOwnedBy(image, input.Owners, account))
        .filter((image) => mayBeRunBy(image, input.ExecutableUsers, account))
        .filter((image) => isNamed || input.IncludeDeprecated === true || isListed(image, context))
        .map((image) => imageOf(view, image, account))
      const found = matching(images, input.Filters, FILTERABLE)
      const cursor = (image: Image): string => image.ImageId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeImages', input, found, cursor)
      return { Images: [...items], NextToken: nextToken }
    },

    DeregisterImage: async ({ caller: { account }, nowMs }, input) => {
      const id = required('ImageId', input.ImageId)
      const snapshots = await state.update(async (tx) => {
        const [image] = await namedInStore(tx, 'image', [id], account)
        if (image === undefined || image.account !== account) throw notFound('image', [id])
        if (image.state === 'deregistered') throw unavailable(id)
        endDryRun(input)
        await tx.put('image', [id], { ...image, state: 'deregistered' })
        await tx.delete('name', ...nameKey(account, image.name))
        await removeTags(tx, { kind: 'image', id, account }, () => true)
        return snapshotsOf(image)
      })
      if (input.DeleteAssociatedSnapshots !== true) return { Return: true }
      const results: DeleteSnapshotReturnCode[] = []
      for (const one of snapshots) {
        const ReturnCode = await deletedWith(parts, { id: one, account, nowMs })
        results.push({ SnapshotId: one, ReturnCode })
      }
      return { Return: true, DeleteSnapshotResults: results }
    },
  }
}

/** What became of a snapshot that was to go with its image; another image keeps it. */
async function deletedWith(
  parts: DeleteParts,
  snapshot: Parameters<typeof deleteSnapshot>[1],
): Promise<SnapshotReturnCodes> {
  try {
    await deleteSnapshot(parts, snapshot, {})
    return 'success'
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return RETURN_CODES.get(error.code) ?? 'client-error'
  }
}

export function unavailable(id: string): ApiError {
  return new ApiError('InvalidAMIID.Unavailable', `The image ID '${id}' is no longer available`)
}

export function checkImageName(name: string): void {
  if (NAME.test(name)) return
  const text =
    'AMI names must be between 3 and 128 characters long, and may contain only letters, ' +
    "numbers, spaces and ( ) [ ] . / - ' @ _"
  throw new ApiError('InvalidAMIName.Malformed', text)
}

export function parseImageDescription(text: string): string {
  if ([...text].length <= MAX_DESCRIPTION_CHARS) return text
  const why = `Character sets beyond ${MAX_DESCRIPTION_CHARS} characters are not supported.`
  throw badValue('Description', text.slice(0, MAX_DESCRIPTION_CHARS), why)
}

/**
 * A new private image, unless it is a dry run. Throws InvalidAMIName.Duplicate, and
 * ResourceLimitExceeded.
 */
export async function insertImage(
  tx: Transaction,
  { state, randomHex }: DeleteParts,
  input: { readonly DryRun?: boolean | undefined },
  image: Omit<ImageRecord, 'id' | 'state' | 'isPublic'>,
  tags: Tags,
): Promise<string> {
  const { account, name } = image
  await keepFromRemoval(tx, 'volume-snapshot', snapshotsOf(image))
  checkNameIsFree(name, await tx.get('name', ...nameKey(account, name)))
  await checkQuota(tx, state, account, 'images')
  const id = await newId(tx, randomHex, 'image', IMAGE_PREFIXES[kindOf(image.format)])
  endDryRun(input)
  await tx.put('name', nameKey(account, name), { name, holder: id })
  await tx.put('image', [id], { id, ...image, state: 'available', isPublic: false })
  await addTags(tx, { kind: 'image', id, account }, tags)
  return id
}

/** Throws InvalidAMIName.Duplicate. */
export function checkNameIsFree(name: string, holder: NameRecord | null): void {
  if (holder === null) return
  const text = `AMI name ${name} is already in use by AMI ${holder.holder}`
  throw new ApiError('InvalidAMIName.Duplicate', text)
}

/** The name is data of the user and may have a slash: its digest is the key. */
export function nameKey(account: string, name: string): [string, string, string] {
  return ['image', account, createHash('sha256').update(name).digest('hex')]
}

function imagesAsked(view: View, ids: readonly string[], account: string): ImageRecord[] {
  if (ids.length === 0) {
    return view
      .all('image')
      .filter((image) => image.state === 'available' && isVisible(image, account))
  }
  const images = namedInView(view, 'image', ids, account)
  const gone = images.filter((image) => image.state !== 'available').map((image) => image.id)
  if (gone.length > 0) throw notFound('image', gone)
  return images
}

/** Owner.N is account ids, `self`, or names of AWS's own (`amazon`, `aws-marketplace`). */
function isOwnedBy(image: ImageRecord, owners: string[] | undefined, account: string): boolean {
  if (owners === undefined || owners.length === 0) return true
  return owners.some((owner) => image.account === (owner === 'self' ? account : owner))
}

/** `all` is public images, `self` and ids are those that the account was given to launch. */
function mayBeRunBy(image: ImageRecord, users: string[] | undefined, account: string): boolean {
  if (users === undefined || users.length === 0) return true
  if (image.isPublic && users.includes('all')) return true
  // Whom else an image is given to is its owner's to know.
  const mine = users
    .map((user) => (user === 'self' ? account : user))
    .filter((user) => user === account || image.account === account)
  return mine.some((user) => image.sharedWith?.includes(user))
}

/** Others do not find an image any more that its owner has deprecated. */
function isListed(image: ImageRecord, { caller, nowMs }: CallContext): boolean {
  return image.account === caller.account || nowMs < (image.deprecatedAtMs ?? Infinity)
}

function imageOf(view: View, image: ImageRecord, account: string): Image {
  const kind = kindOf(image.format)
  return {
    ImageId: image.id,
    ImageLocation: image.location,
    OwnerId: image.account,
    Name: image.name,
    Description: image.description === '' ? undefined : image.description,
    CreationDate: new Date(image.createdAtMs).toISOString(),
    DeprecationTime:
      image.deprecatedAtMs == null ? undefined : new Date(image.deprecatedAtMs).toISOString(),
    ...stateShown(imageState(image, (id) => view.get('volume-snapshot', id))),
    SourceInstanceId: image.sourceInstance,
    Public: image.isPublic,
    Architecture: 'x86_64',
    ImageType: kind,
    KernelId: image.kernel,
    RamdiskId: image.ramdisk,
    BootMode: 'legacy-bios',
    EnaSupport: false,
    // AWS's value for every hypervisor that it uses now.
    Hypervisor: 'xen',
    VirtualizationType: 'hvm',
    RootDeviceType: rootDeviceType(image),
    RootDeviceName: kind === 'machine' ? rootDeviceName(image) : undefined,
    PlatformDetails: 'Linux/UNIX',
    UsageOperation: 'RunInstances',
    ProductCodes: [],
    BlockDeviceMappings: imageMappings(image),
    // Tags are their owner's, also on what others may see.
    Tags: image.account === account ? tagList(view, image.id) : [],
  }
}
