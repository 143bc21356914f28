// Whether a bucket keeps versions of its objects: once it did, it can only pause.

import type { S3Handlers } from '../wire/call.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'
import { mustKeepVersions } from './object-lock.ts'

export function versioningHandlers(parts: BucketParts): S3Handlers {
  return {
    async GetBucketVersioning(call) {
      switch (bucketOf(call).versioning) {
        case 'off':
          return { output: {} }
        case 'enabled':
          return { output: { Status: 'Enabled' } }
        case 'suspended':
          return { output: { Status: 'Suspended' } }
      }
    },

    async PutBucketVersioning(call) {
      const { Status: status, MFADelete: mfa } = call.input.VersioningConfiguration ?? {}
      if (mfa === 'Enabled') throw notImplemented('MFA Delete')
      if (status === undefined) {
        const message = 'The Versioning element must be specified'
        throw new S3Error('IllegalVersioningConfigurationException', message, 400)
      }
      const versioning = status === 'Enabled' ? 'enabled' : 'suspended'
      await changeBucket(parts, call, (bucket) => {
        if (versioning !== 'enabled') mustKeepVersions(bucket)
        return { ...bucket, versioning }
      })
      return { output: {} }
    },
  }
}
