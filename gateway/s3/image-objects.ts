// Images that users bring: the bytes of an object become an image file, under no name that others
// could use.

import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import { type TakenBlob, takeBlob } from '../blobs.ts'
import type { TakeObject } from '../ec2/register-image.ts'
import type { BlobRecord } from '../store/records.ts'
import type { State } from '../store/state.ts'
import type { Guard } from './buckets/access.ts'
import { bytesOf } from './objects/bytes.ts'
import type { ObjectParts } from './objects/parts.ts'

export interface ImageObjectParts extends Pick<ObjectParts, 'index' | 'storeOf' | 'sealing'> {
  readonly state: State
  readonly guard: Guard
  readonly region: string
  readonly clock: Clock
  readonly randomHex: RandomHex
  /** Where image files are. */
  readonly blobsDir: string
}

const LOCATION = /^(?:s3:\/\/)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s
const UNIQUE_BYTES = 8

export function takeObjects(parts: ImageObjectParts): TakeObject {
  const { state, index, clock, randomHex, blobsDir } = parts
  return async (context, location, isDry) => {
    const [, bucket = '', key = ''] = LOCATION.exec(location) ?? []
    if (bucket === '') return null
    await mayRead(parts, context, bucket, key)
    const { id } = (await state.fresh()).get('bucket', bucket) ?? { id: '' }
    const found = await index.read(id, key, null)
    if (found === null || found.version.isDeleteMarker) {
      throw refused(location, 'NoSuchKey: The specified key does not exist.')
    }
    if (found.version.encryption?.by === 'customer') {
      throw refused(location, 'It is encrypted with a key of its own, which this cloud lacks.')
    }
    if (isDry) return 'dry'
    const bytes = bytesOf(parts, found, { start: 0, end: found.version.sizeBytes }, null)
    const about = { nowMs: clock.nowMs(), unique: randomHex(UNIQUE_BYTES) }
    const blob = await takeBlob(blobsDir, location, bytes, about).catch((error: unknown) => {
      if (codeOf(error) !== 'BadArgument') throw error
      throw refused(location, (error as Error).message)
    })
    return await keep(state, { ...blob, names: [] })
  }
}

/** As GetObject asks, in EC2's words. */
async function mayRead(
  { guard, region }: ImageObjectParts,
  { caller, arrival, nowMs }: CallContext,
  bucket: string,
  key: string,
): Promise<void> {
  const from = arrival ?? { sourceIp: '', userAgent: '', secure: false, region, nowMs }
  try {
    await guard({ operation: 'GetObject', bucket, key, input: {}, caller, arrival: from })
  } catch (error) {
    if (!(error instanceof ApiError) || error.status >= 500) throw error
    throw refused(`${bucket}/${key}`, `${error.code}: ${error.message}`)
  }
}

async function keep(state: State, blob: TakenBlob): Promise<BlobRecord> {
  return await state.update(async (tx) => {
    const known = await tx.get('blob', blob.sha256)
    if (known?.chunkListSha256 !== undefined) return known
    const { chunkListSha256 } = blob
    const next = known === null ? blob : { ...known, chunkListSha256 }
    await tx.put('blob', [blob.sha256], next)
    return next
  })
}

function refused(location: string, why: string): ApiError {
  return new ApiError('InvalidManifest', `The object ${location} cannot be an image. ${why}`)
}
