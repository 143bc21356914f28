// PutObject: the bytes first, then the name; whoever reads sees the old object or the new one.

import { noted } from '../events/notes.ts'
import type { Checksum } from '../index/objects.ts'
import type { S3Body, S3Call, S3Handlers, S3Inputs } from '../wire/call.ts'
import { ownerOf } from './acl.ts'
import { committed, takeBytes, WHOLE } from './bytes.ts'
import { writeCheck } from './conditions.ts'
import { dataKeyFor, etagOf, newEncryption, shownEncryption } from './encryption.ts'
import { expirationOf } from './expiration.ts'
import { lockAsked, lockOf, mustBeSummed } from './lock.ts'
import { askedOf, type ObjectParts, quoted } from './parts.ts'
import { propertiesOf, refuseWishes, shownChecksum } from './properties.ts'

type Call = S3Call<Omit<S3Inputs['PutObject'], 'Body'>>

export function putHandlers(parts: ObjectParts): S3Handlers {
  return {
    PutObject: async (call) => {
      const { bucket, key } = askedOf(call)
      refuseWishes(call.input)
      const ciphering = newEncryption(parts.sealing, bucket, call)
      const owned = ownerOf(parts, call)
      const properties = propertiesOf(call.input)
      const check = writeCheck(key, call.input)
      const body = bodyOf(call)
      const lock = lockOf(lockAsked(call), bucket, call.nowMs)
      mustBeSummed('Put Object', call, body, lock)
      // Nobody shall send gigabytes to hear that the condition did not hold before.
      if (check !== undefined) {
        const current = await parts.index.current(bucket.id, key)
        check(current, current)
      }
      using room = parts.takeRoom(bucket, { bytes: body.sizeBytes ?? 0, objects: 1 })
      const dataKey = dataKeyFor(parts.sealing, ciphering, {
        bucket: bucket.id,
        key,
        number: WHOLE,
      })
      const taken = await takeBytes(parts.blobsFor(bucket), body.bytes, dataKey)
      const { md5Hex, checksum: sum } = body.sums()
      const etag = etagOf(md5Hex, ciphering)
      const checksum: Checksum = { ...sum, type: 'FULL_OBJECT' }
      const object = {
        ...{ bucket: bucket.id, key, ...owned, etag, checksum },
        ...properties,
        ...lock,
        ...(ciphering.encryption !== undefined && { encryption: ciphering.encryption }),
        ...taken,
      }
      const options = {
        versioning: bucket.versioning,
        ...(check !== undefined && { check }),
        ...noted(call, call.isForm === true ? 'post' : 'put', key),
      }
      const { version } = await committed(parts, taken.parts, () => {
        room.fill(taken.sizeBytes)
        return parts.index.put(object, options)
      })
      return {
        output: {
          ETag: quoted(etag),
          ...shownChecksum(checksum),
          ...shownEncryption(ciphering.encryption, ciphering.customer),
          ...expirationOf(parts, bucket, version),
          ...(bucket.versioning === 'enabled' && { VersionId: version.versionId }),
        },
      }
    },
  }
}

export function bodyOf({ body }: Pick<Call, 'body'>): S3Body {
  if (body === null) throw new RangeError('an upload without a body')
  return body
}
