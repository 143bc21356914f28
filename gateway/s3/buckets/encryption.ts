// How a bucket has new objects encrypted when a request says nothing of it (S3 API reference,
// "PutBucketEncryption").

import type { BucketEncryption } from '../../store/bucket-records.ts'
import { refuseKms } from '../objects/encryption.ts'
import type { S3Handlers, S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

export interface BucketEncryptionParts extends BucketParts {
  /** Objects of buckets that say nothing are encrypted too. */
  readonly sealing: { readonly byDefault: boolean }
}

type Configuration = S3Inputs['PutBucketEncryption']['ServerSideEncryptionConfiguration']

const AES = 'AES256'
const EVERYWHERE: BucketEncryption = { algorithm: AES, bucketKey: false }

export function encryptionHandlers(parts: BucketEncryptionParts): S3Handlers {
  return {
    async GetBucketEncryption(call) {
      const { name, encryption } = bucketOf(call)
      const { algorithm, bucketKey, blocked } = inForce(parts, encryption, name)
      const rule = {
        ...(algorithm !== undefined && {
          ApplyServerSideEncryptionByDefault: { SSEAlgorithm: algorithm },
        }),
        BucketKeyEnabled: bucketKey,
        ...(blocked !== undefined && { BlockedEncryptionTypes: { EncryptionType: [blocked] } }),
      }
      return { output: { ServerSideEncryptionConfiguration: { Rules: [rule] } } }
    },

    async PutBucketEncryption(call) {
      const encryption = encryptionIn(call.input.ServerSideEncryptionConfiguration)
      await changeBucket(parts, call, (bucket) => ({ ...bucket, encryption }))
      return { output: {} }
    },

    async DeleteBucketEncryption(call) {
      await changeBucket(parts, call, ({ encryption: _, ...bucket }) => bucket)
      return { output: {}, status: 204 }
    },
  }
}

/** Throws that there is none, where nothing is encrypted unasked. */
function inForce(
  { sealing }: BucketEncryptionParts,
  own: BucketEncryption | undefined,
  BucketName: string,
): BucketEncryption {
  if (own !== undefined) return sealing.byDefault ? { ...own, algorithm: AES } : own
  if (sealing.byDefault) return EVERYWHERE
  const code = 'ServerSideEncryptionConfigurationNotFoundError'
  const message = 'The server side encryption configuration was not found'
  throw new S3Error(code, message, 404, { BucketName })
}

/** Throws MalformedXML, InvalidArgument, and for keys of KMS. */
function encryptionIn(configuration: Configuration): BucketEncryption {
  const [rule, ...more] = configuration?.Rules ?? []
  if (rule === undefined || more.length > 0) throw malformed()
  const { ApplyServerSideEncryptionByDefault: asked, BlockedEncryptionTypes: blocking } = rule
  const { SSEAlgorithm: algorithm, KMSMasterKeyID: keyId } = asked ?? {}
  if (algorithm === AES && keyId !== undefined) {
    const message =
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse'
    throw invalidArgument('KMSMasterKeyID', keyId, message)
  }
  refuseKms({ ServerSideEncryption: algorithm, SSEKMSKeyId: keyId })
  const [blocked, ...others] = blocking?.EncryptionType ?? []
  if (others.length > 0) throw malformed()
  return {
    ...(algorithm !== undefined && { algorithm: AES }),
    bucketKey: rule.BucketKeyEnabled ?? false,
    ...(blocked !== undefined && { blocked }),
  }
}
