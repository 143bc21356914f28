// Who owns what is in a bucket, and the bucket's access control list (S3 user guide, "Controlling
// ownership of objects and disabling ACLs for your bucket").

import { aclIn, notWithOwnership } from '../acl/asked.ts'
import { aclOf, hasAcls, isOwnersOnly, shownGrants } from '../acl/grants.ts'
import type { S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, canonicalId, changeBucket } from './bucket.ts'

export function aclHandlers(parts: BucketParts): S3Handlers {
  return {
    async GetBucketAcl(call) {
      const bucket = bucketOf(call)
      const ID = canonicalId(bucket.account)
      const { acl: _, ...unlisted } = bucket
      const acl = aclOf(hasAcls(bucket) ? bucket : unlisted)
      return { output: { Owner: { ID }, Grants: shownGrants(acl) } }
    },

    async PutBucketAcl(call) {
      const view = await parts.state.fresh()
      const { account } = bucketOf(call)
      const parties = { view, owner: account, bucketOwner: account }
      await changeBucket(parts, call, (bucket) => {
        const acl = aclIn(parties, bucket, call.input)
        const { acl: _, ...rest } = bucket
        return { ...rest, ...(!isOwnersOnly(acl, account) && { acl }) }
      })
      return { output: {} }
    },

    async GetBucketOwnershipControls(call) {
      const { name, ownership = 'BucketOwnerEnforced' } = bucketOf(call)
      if (ownership === 'none') {
        const message = 'The bucket ownership controls were not found'
        const fields = { BucketName: name }
        throw new S3Error('OwnershipControlsNotFoundError', message, 404, fields)
      }
      return { output: { OwnershipControls: { Rules: [{ ObjectOwnership: ownership }] } } }
    },

    async PutBucketOwnershipControls(call) {
      const [rule, ...more] = call.input.OwnershipControls?.Rules ?? []
      const ownership = rule?.ObjectOwnership
      if (ownership === undefined || more.length > 0) throw malformed()
      await changeBucket(parts, call, (bucket) => {
        if (!hasAcls({ ownership }) && bucket.acl !== undefined) throw notWithOwnership()
        return { ...bucket, ownership }
      })
      return { output: {} }
    },

    async DeleteBucketOwnershipControls(call) {
      await changeBucket(parts, call, (bucket) => ({ ...bucket, ownership: 'none' }))
      return { output: {}, status: 204 }
    },
  }
}
