// Images that users bring: the bytes of an object, or those that a bundle's manifest names, become
// an image file, under no name that others could use.

import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf, MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import { type TakenBlob, takeBlob } from '../blobs.ts'
import type { BundledKind } from '../bundles/manifest.ts'
import { diskFormatOf, FORMAT_BYTES, foreignFormatOf } from '../disk-formats.ts'
import { keepImageFile } from '../ec2/image-files.ts'
import type { FindObject, ReasonedRefusal } from '../ec2/import-image.ts'
import type { TakeObject } from '../ec2/register-image.ts'
import type { ImageSource } from '../store/image-records.ts'
import type { State } from '../store/state.ts'
import type { Guard } from './buckets/access.ts'
import { type BundleParts, bundledImage, isManifest, manifestIn, partKey } from './image-bundles.ts'
import type { ReadObject } from './index/objects.ts'
import { bytesOf } from './objects/bytes.ts'

export interface ImageObjectParts extends BundleParts {
  readonly state: State
  readonly guard: Guard
  readonly region: string
  readonly clock: Clock
  readonly randomHex: RandomHex
  /** Where image files are. */
  readonly blobsDir: string
}

interface TakeOptions {
  /** What it must be; absent: whatever it is. */
  readonly format?: 'raw' | 'qcow2'
  /** Called with the share of the bytes that is there; they wait for it, and end if it throws. */
  readonly progress?: (share: number) => Promise<void>
}

/**
 * Makes an image file of an object's very version. Throws BadArgument for what no guest can boot
 * from and for a version that is gone, StoreFull when the disk is, and what `progress` throws.
 */
export type TakeSource = (source: ImageSource, options?: TakeOptions) => Promise<TakenBlob>

const LOCATION = /^(?:s3:\/\/)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s
const UNIQUE_BYTES = 8

export function findObjects(parts: ImageObjectParts): FindObject {
  const { state, index } = parts
  return async (context, location, refused) => {
    const [, bucket = '', key = ''] = LOCATION.exec(location) ?? []
    if (bucket === '') return null
    await mayRead(parts, context, { bucket, key }, refused)
    const { id } = (await state.fresh()).get('bucket', bucket) ?? { id: '' }
    const version = await index.current(id, key)
    if (version === null || version.isDeleteMarker) {
      throw refused('NoSuchKey: The specified key does not exist.')
    }
    if (version.encryption?.by === 'customer') {
      throw refused('It is encrypted with a key of its own, which this cloud lacks.')
    }
    const { versionId, etag, sizeBytes } = version
    const source = { bucket, bucketId: id, key, versionId, etag, sizeBytes }
    if (!isManifest(key)) return source
    return { ...source, sizeBytes: await checkBundle(parts, context, source, refused) }
  }
}

export function takeSources(parts: ImageObjectParts): TakeSource {
  return async (source, options = {}) => {
    const image = await imageOf(parts, source)
    const { kind, kernel, ramdisk } = image
    if (kind !== 'machine' || (kernel ?? ramdisk) !== undefined) {
      const what = kind === 'machine' ? 'an image that has a kernel of its own' : `a ${kind}`
      throw new MalleeError('BadArgument', `it is a bundle of ${what}: RegisterImage takes it`)
    }
    return await takeImage(parts, source, image, options)
  }
}

async function takeImage(
  { clock, randomHex, blobsDir }: ImageObjectParts,
  { bucket, key }: ImageSource,
  image: ImageBytes,
  { format, progress = async () => undefined }: TakeOptions,
): Promise<TakenBlob> {
  const { kind } = image
  const all = watched(image, progress)
  const bytes = kind === 'machine' ? checked(all, format) : all
  const about = { nowMs: clock.nowMs(), unique: randomHex(UNIQUE_BYTES), kind }
  return { ...(await takeBlob(blobsDir, `${bucket}/${key}`, bytes, about)), names: [] }
}

export function takeObjects(parts: ImageObjectParts): TakeObject {
  const find = findObjects(parts)
  return async (context, location, isDry) => {
    const refused: ReasonedRefusal = (why) =>
      new ApiError('InvalidManifest', `The object ${location} cannot be an image. ${why}`)
    const source = await find(context, location, refused)
    if (source === null) return null
    if (isDry) return 'dry'
    try {
      const image = await imageOf(parts, source)
      const blob = await takeImage(parts, source, image, {})
      const { sha256 } = await parts.state.update((tx) => keepImageFile(tx, blob))
      return { sha256, kernels: image }
    } catch (error) {
      if (codeOf(error) !== 'BadArgument' && codeOf(error) !== 'Conflict') throw error
      throw refused((error as Error).message)
    }
  }
}

/** As GetObject asks, in EC2's words. */
async function mayRead(
  { guard, region }: ImageObjectParts,
  { caller, arrival, nowMs }: CallContext,
  { bucket, key }: Pick<ImageSource, 'bucket' | 'key'>,
  refused: ReasonedRefusal,
): Promise<void> {
  const from = arrival ?? { sourceIp: '', userAgent: '', secure: false, region, nowMs }
  try {
    await guard({ operation: 'GetObject', bucket, key, input: {}, caller, arrival: from })
  } catch (error) {
    if (!(error instanceof ApiError) || error.status >= 500) throw error
    throw refused(`${error.code}: ${error.message}`)
  }
}

/** Of the image in it. Its parts are read for the caller: that they may is asked of each. */
async function checkBundle(
  parts: ImageObjectParts,
  context: CallContext,
  source: ImageSource,
  refused: ReasonedRefusal,
): Promise<number> {
  const { bucket, key } = source
  const found = await read(parts, source)
  const manifest = await manifestIn(parts, found).catch((error: unknown) => {
    throw codeOf(error) === 'BadArgument' ? refused((error as Error).message) : error
  })
  const { account } = context.caller
  if (manifest.account !== account) {
    throw refused(`It was bundled for the account ${manifest.account}, not for ${account}.`)
  }
  for (const { name } of manifest.parts) {
    await mayRead(parts, context, { bucket, key: partKey(key, name) }, refused)
  }
  return manifest.sizeBytes
}

async function read(
  { index }: ImageObjectParts,
  { bucket, bucketId, key, versionId, etag }: ImageSource,
): Promise<ReadObject> {
  const found = await index.read(bucketId, key, versionId)
  if (found !== null && found.version.etag === etag) return found
  throw new MalleeError('BadArgument', `the object ${bucket}/${key} is gone or another one`)
}

interface ImageBytes extends BundledKind {
  readonly sizeBytes: number
  readonly bytes: AsyncIterable<Uint8Array>
}

async function imageOf(parts: ImageObjectParts, source: ImageSource): Promise<ImageBytes> {
  const found = await read(parts, source)
  if (!isManifest(source.key)) {
    const { sizeBytes } = found.version
    const bytes = bytesOf(parts, found, { start: 0, end: sizeBytes }, null)
    return { kind: 'machine', sizeBytes, bytes }
  }
  const manifest = await manifestIn(parts, found)
  const { sizeBytes, kind, kernel, ramdisk } = manifest
  return { sizeBytes, kind, kernel, ramdisk, bytes: bundledImage(parts, found.version, manifest) }
}

async function* watched(
  { sizeBytes, bytes: image }: ImageBytes,
  progress: NonNullable<TakeOptions['progress']>,
): AsyncGenerator<Uint8Array> {
  let doneBytes = 0
  for await (const bytes of image) {
    yield bytes
    doneBytes += bytes.length
    await progress(doneBytes / sizeBytes)
  }
}

/** Looks at the first bytes before it passes on any. */
async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  format: TakeOptions['format'],
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | null = new Uint8Array()
  for await (const chunk of bytes) {
    if (head !== null) {
      head = Buffer.concat([head, chunk])
      if (head.length < FORMAT_BYTES) continue
      checkFormat(head, format)
      yield head
      head = null
    } else yield chunk
  }
  if (head === null) return
  checkFormat(head, format)
  yield head
}

function checkFormat(head: Uint8Array, wanted: TakeOptions['format']): void {
  const foreign = foreignFormatOf(head)
  if (foreign !== null) {
    const why = `it is a disk of the format ${foreign}: convert it to raw or qcow2 first (qemu-img convert)`
    throw new MalleeError('BadArgument', why)
  }
  const format = diskFormatOf(head)
  if (wanted === undefined || wanted === format) return
  throw new MalleeError('BadArgument', `it is a disk of the format ${format}, not ${wanted}`)
}
