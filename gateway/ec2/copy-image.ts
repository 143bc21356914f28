// CopyImage: an image of the caller's own made of one that he may launch. Both have one file, which
// stays as long as either is there; there is one region, so it is the source's as well.

import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { ImageRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { oneInStore } from './ids.ts'
import { checkImageName, insertImage, parseImageDescription, unavailable } from './images.ts'
import { badValue, refuseUnknown, required } from './input.ts'
import { kernelsFor } from './kernels.ts'
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

export function copyImageHandler({
  state,
  randomHex,
  region,
}: NetworkParts): Required<Pick<Ec2Handlers, 'CopyImage'>> {
  return {
    CopyImage: async (context, input) => {
      const { account } = context.caller
      const name = required('Name', input.Name)
      const source = required('SourceImageId', input.SourceImageId)
      checkSource(required('SourceRegion', input.SourceRegion), region)
      refuseUnknown(input, KNOWN, HARMLESS)
      checkImageName(name)
      const tags = parseTagSpecifications(input.TagSpecifications, ['image']).get('image')
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CopyImage', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const image = await oneInStore(tx, 'image', source, account)
        if (image.state !== 'available') throw unavailable(source)
        const { sha256, sizeBytes, virtualSizeBytes, format, location, kernel, ramdisk } = image
        const { rootDevice, devices } = image
        if (sha256 !== '') await keepFromRemoval(tx, 'blob', [sha256])
        const copy = {
          ...{ account, name, createdAtMs: context.nowMs },
          ...{ sha256, sizeBytes, virtualSizeBytes, format, location },
          ...(rootDevice !== undefined && { rootDevice }),
          ...(devices !== undefined && { devices }),
          ...(await kernelsFor(tx, account, { kernel, ramdisk })),
          description: parseImageDescription(input.Description ?? image.description),
        }
        const all = await copiedTags(tx, input, image, account, tags ?? new Map())
        const made = await insertImage(tx, randomHex, input, copy, all)
        await keepAnswer(tx, use, made)
        return made
      })
      return { ImageId: id }
    },
  }
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
