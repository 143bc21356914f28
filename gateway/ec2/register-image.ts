// RegisterImage makes an image of a file that `mallee image import` brought in, or of an object.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { kindOf } from '../boot-files.ts'
import type { BlobRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import {
  checkImageName,
  checkNameIsFree,
  insertImage,
  nameKey,
  parseImageDescription,
  ROOT_DEVICE_NAME,
} from './images.ts'
import { endDryRun, refuseUnknown, required } from './input.ts'
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
  ...['Name', 'Description', 'ImageLocation', 'KernelId', 'RamdiskId'],
  ...['TagSpecifications', 'DryRun'],
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['Architecture', ['x86_64']],
  ['VirtualizationType', ['hvm']],
  ['BootMode', ['legacy-bios']],
  ['RootDeviceName', [ROOT_DEVICE_NAME]],
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
      const imported = digestOf(view, location)
      const file = imported ?? (await takeObject(context, location, input.DryRun === true))
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
  readonly location: string
}

function parseRegister(input: Ec2Inputs['RegisterImage']): Register {
  const name = required('Name', input.Name)
  refuseUnknown(input, KNOWN, HARMLESS)
  checkImageName(name)
  const description = parseImageDescription(input.Description ?? '')
  return { name, description, location: required('ImageLocation', input.ImageLocation) }
}

async function registerImage(
  tx: Transaction,
  {
    randomHex,
    input,
    request: { name, description, location },
    taken,
    account,
    nowMs,
  }: {
    randomHex: RandomHex
    input: Ec2Inputs['RegisterImage']
    request: Register
    taken: TakenFile | null
    account: string
    nowMs: number
  },
): Promise<string> {
  const tags = parseTagSpecifications(input.TagSpecifications, ['image'])
  const blob = taken === null ? null : await tx.get('blob', taken.sha256)
  if (blob === null) {
    const text = `No file ${location} was imported, and it is no object: use bucket/key, sha256:DIGEST or the name of an imported file`
    throw new ApiError('InvalidManifest', text)
  }
  const { sha256, sizeBytes, virtualSizeBytes, format } = blob
  await keepFromRemoval(tx, 'blob', [sha256])
  const file = { sha256, sizeBytes, virtualSizeBytes, format, location }
  const asked = { kernel: input.KernelId, ramdisk: input.RamdiskId }
  const wish = withDefaults(asked, taken?.kernels ?? {})
  const kernels = await kernelsFor(tx, account, wish)
  if (kernels.kernel !== undefined && kindOf(format) !== 'machine') {
    const text = `The file ${location} is a ${format}, which starts from no kernel`
    throw new ApiError('InvalidParameterCombination', text)
  }
  const image = { account, name, description, ...file, ...kernels, createdAtMs: nowMs }
  return await insertImage(tx, randomHex, input, image, tags.get('image') ?? new Map())
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
