// RegisterImage makes an image of a file that `mallee image import` brought in, of an object, or of
// a snapshot.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { kindOf } from '../boot-files.ts'
import { devicesFor } from '../ebs/mapped-devices.ts'
import { ROOT_DEVICE_NAME } from '../ebs/mapping-shapes.ts'
import { type DeviceWish, parseMappings } from '../ebs/mappings.ts'
import { snapshotImage, USUAL_ROOT } from '../ebs/snapshot-image.ts'
import type { BlobRecord, ImageRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import {
  checkImageName,
  checkNameIsFree,
  insertImage,
  nameKey,
  parseImageDescription,
} from './images.ts'
import { endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { type KernelsAsked, kernelsFor, withDefaults } from './kernels.ts'
import { keepFromRemoval } from './removal.ts'
import { parseTagSpecifications } from './tagging.ts'

/**
 * Brings the bytes of an object (`bucket/key`) in as an image file; a bundle may also say what the
 * image starts from. Null when the text names no bucket that is there. Throws ApiError for what the
 * caller may not read, and for what no guest can boot from. `isDry`: looks whether it might, and
 * brings nothing in.
 */
export type TakeObject = (
  context: CallContext,
  location: string,
  isDry: boolean,
) => Promise<TakenFile | 'dry' | null>

export interface TakenFile {
  readonly sha256: string
  readonly kernels: KernelsAsked
}

export interface RegisterParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly takeObject: TakeObject
}

const BY_DIGEST = /^sha256:([0-9a-f]{64})$/

const KNOWN = new Set([
  ...['Name', 'Description', 'ImageLocation', 'KernelId', 'RamdiskId', 'BlockDeviceMappings'],
  ...['RootDeviceName', 'TagSpecifications', 'DryRun'],
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['Architecture', ['x86_64']],
  ['VirtualizationType', ['hvm']],
  ['BootMode', ['legacy-bios']],
  // It says that the image has a driver for a device that no instance here has.
  ['EnaSupport', [true, false]],
])

export function registerImageHandler(
  parts: RegisterParts,
): Required<Pick<Ec2Handlers, 'RegisterImage'>> {
  const { state, takeObject } = parts
  return {
    RegisterImage: async (context, input) => {
      const { caller, nowMs } = context
      const request = parseRegister(input)
      const { name, location } = request
      const view = await state.fresh()
      // Bytes that nobody gets an image of are not worth their while.
      checkNameIsFree(name, view.get('name', ...nameKey(caller.account, name)))
      const imported = location === null ? null : digestOf(view, location)
      const isObject = location !== null && imported === null
      const file = isObject ? await takeObject(context, location, input.DryRun === true) : imported
      if (file === 'dry') endDryRun(input)
      const taken = typeof file === 'string' ? { sha256: file, kernels: {} } : file
      const ask = { ...parts, input, request, taken, account: caller.account, nowMs }
      return { ImageId: await state.update((tx) => registerImage(tx, ask)) }
    },
  }
}

interface Register {
  readonly name: string
  readonly description: string
  /** null: its root is a snapshot. */
  readonly location: string | null
  readonly rootDevice: string
  readonly devices: readonly DeviceWish[]
}

function parseRegister(input: Ec2Inputs['RegisterImage']): Register {
  const name = required('Name', input.Name)
  refuseUnknown(input, KNOWN, HARMLESS)
  checkImageName(name)
  const description = parseImageDescription(input.Description ?? '')
  const devices = parseMappings(input.BlockDeviceMappings)
  const isOfSnapshot = input.ImageLocation === undefined && devices.length > 0
  const location = isOfSnapshot ? null : required('ImageLocation', input.ImageLocation)
  const rootDevice = input.RootDeviceName ?? (isOfSnapshot ? USUAL_ROOT : ROOT_DEVICE_NAME)
  if (!isOfSnapshot && rootDevice !== ROOT_DEVICE_NAME) {
    throw unsupported(`The root device ${rootDevice} of an image that is a file`)
  }
  return { name, description, location, rootDevice, devices }
}

async function registerImage(
  tx: Transaction,
  {
    input,
    request,
    taken,
    account,
    nowMs,
    ...parts
  }: RegisterParts & {
    input: Ec2Inputs['RegisterImage']
    request: Register
    taken: TakenFile | null
    account: string
    nowMs: number
  },
): Promise<string> {
  const { name, description } = request
  const tags = parseTagSpecifications(input.TagSpecifications, ['image'])
  const file =
    request.location === null
      ? await ofSnapshot(tx, account, request)
      : await ofFile(tx, account, { ...request, location: request.location }, taken)
  const asked = { kernel: input.KernelId, ramdisk: input.RamdiskId }
  const wish = withDefaults(asked, taken?.kernels ?? {})
  const kernels = await kernelsFor(tx, account, wish)
  if (kernels.kernel !== undefined && kindOf(file.format) !== 'machine') {
    const text = `The file ${file.location} is a ${file.format}, which starts from no kernel`
    throw new ApiError('InvalidParameterCombination', text)
  }
  const image = { account, name, description, ...file, ...kernels, createdAtMs: nowMs }
  return await insertImage(tx, parts, input, image, tags.get('image') ?? new Map())
}

type Content = Omit<
  ImageRecord,
  'id' | 'account' | 'name' | 'description' | 'state' | 'isPublic' | 'createdAtMs'
>

async function ofSnapshot(
  tx: Transaction,
  account: string,
  { name, rootDevice, devices: wishes }: Register,
): Promise<Content> {
  const devices = await devicesFor({ tx, account }, { devices: [], rootDevice }, wishes)
  return { ...snapshotImage(devices, rootDevice), location: `${account}/${name}` }
}

async function ofFile(
  tx: Transaction,
  account: string,
  { location, devices: wishes }: Register & { readonly location: string },
  taken: TakenFile | null,
): Promise<Content> {
  const blob = taken === null ? null : await tx.get('blob', taken.sha256)
  if (blob === null) {
    const text = `No file ${location} was imported, and it is no object: use bucket/key, sha256:DIGEST or the name of an imported file`
    throw new ApiError('InvalidManifest', text)
  }
  const { sha256, sizeBytes, virtualSizeBytes, format } = blob
  await keepFromRemoval(tx, 'blob', [sha256])
  const devices = await devicesFor({ tx, account }, {}, wishes)
  return {
    ...{ sha256, sizeBytes, virtualSizeBytes, format, location },
    ...(devices.length > 0 && { devices }),
  }
}

/** `sha256:DIGEST`, or the name under which a file came; of several the newest. */
function digestOf(view: View, location: string): string | null {
  const digest = BY_DIGEST.exec(location)?.[1]
  if (digest !== undefined) return digest
  const named = view.all('blob').filter((blob) => blob.names.includes(location))
  const newest = named.reduce<BlobRecord | null>(
    (best, blob) => (best === null || blob.createdAtMs > best.createdAtMs ? blob : best),
    null,
  )
  return newest?.sha256 ?? null
}
