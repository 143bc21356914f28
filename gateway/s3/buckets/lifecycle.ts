// The lifecycle rules of a bucket: put, shown, taken away. The loop of the keeper does what they
// say (keeping/lifecycle.ts).

import type { RandomHex } from '../../../common/clock.ts'
import type { S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'
import { checkRules, shownRule } from './lifecycle-rules.ts'

const ID_BYTES = 16
const USUAL_SIZE = 'all_storage_classes_128K'

export function lifecycleHandlers(
  parts: BucketParts & { readonly randomHex: RandomHex },
): S3Handlers {
  return {
    async PutBucketLifecycleConfiguration(call) {
      const { LifecycleConfiguration, TransitionDefaultMinimumObjectSize } = call.input
      const minimumSize = TransitionDefaultMinimumObjectSize ?? USUAL_SIZE
      const asked = LifecycleConfiguration?.Rules ?? []
      const rules = checkRules(asked, () => parts.randomHex(ID_BYTES))
      const lifecycle = { rules, minimumSize }
      await changeBucket(parts, call, (bucket) => ({ ...bucket, lifecycle }))
      return { output: { TransitionDefaultMinimumObjectSize: minimumSize } }
    },

    async GetBucketLifecycleConfiguration(call) {
      const { name, lifecycle } = bucketOf(call)
      if (lifecycle === undefined) {
        const message = 'The lifecycle configuration does not exist'
        throw new S3Error('NoSuchLifecycleConfiguration', message, 404, { BucketName: name })
      }
      const { rules, minimumSize = USUAL_SIZE } = lifecycle
      return {
        output: {
          Rules: rules.map(shownRule),
          TransitionDefaultMinimumObjectSize: minimumSize,
        },
      }
    },

    async DeleteBucketLifecycle(call) {
      await changeBucket(parts, call, ({ lifecycle: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}
