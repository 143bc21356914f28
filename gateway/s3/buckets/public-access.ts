// What makes a bucket public, and the switches against it (S3 user guide, "Blocking public access
// to your Amazon S3 storage"). New buckets have all of them on, as AWS's.

import type { ParsedPolicy, Statement } from '../../iam/policy.ts'
import type { PublicAccessBlock } from '../../store/bucket-records.ts'
import type { S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

/** Of a bucket that was just made. */
export const ALL_BLOCKED: PublicAccessBlock = {
  ...{ blockAcls: true, ignoreAcls: true, blockPolicy: true, restrict: true },
}

/** A condition on one of these that names values makes a statement for everyone not public. */
const NARROWING: ReadonlySet<string> = new Set([
  ...['aws:principalaccount', 'aws:principalarn', 'aws:sourceaccount', 'aws:sourcearn'],
  ...['aws:sourceip', 'aws:sourceowner', 'aws:sourcevpc', 'aws:sourcevpce', 'aws:userid'],
  ...['aws:username', 's3:dataaccesspointaccount', 's3:dataaccesspointarn'],
])
const EQUALITY = /^(?:String|Arn)(?:Equals|Like|EqualsIgnoreCase)$|^IpAddress$/i

export function publicAccessHandlers(parts: BucketParts): S3Handlers {
  return {
    async GetPublicAccessBlock(call) {
      const { name, publicAccess } = bucketOf(call)
      if (publicAccess === undefined) {
        const message = 'The public access block configuration was not found'
        const code = 'NoSuchPublicAccessBlockConfiguration'
        throw new S3Error(code, message, 404, { BucketName: name })
      }
      const { blockAcls, ignoreAcls, blockPolicy, restrict } = publicAccess
      return {
        output: {
          PublicAccessBlockConfiguration: {
            ...{ BlockPublicAcls: blockAcls, IgnorePublicAcls: ignoreAcls },
            ...{ BlockPublicPolicy: blockPolicy, RestrictPublicBuckets: restrict },
          },
        },
      }
    },

    async PutPublicAccessBlock(call) {
      const { PublicAccessBlockConfiguration: asked = {} } = call.input
      const publicAccess = {
        blockAcls: asked.BlockPublicAcls ?? false,
        ignoreAcls: asked.IgnorePublicAcls ?? false,
        blockPolicy: asked.BlockPublicPolicy ?? false,
        restrict: asked.RestrictPublicBuckets ?? false,
      }
      await changeBucket(parts, call, (bucket) => ({ ...bucket, publicAccess }))
      return { output: {} }
    },

    async DeletePublicAccessBlock(call) {
      await changeBucket(parts, call, ({ publicAccess: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}

/** Does any statement allow something to everyone, whoever and wherever they are? */
export function isPublic(policy: ParsedPolicy): boolean {
  return policy.statements.some(
    (statement) => statement.effect === 'Allow' && isForEveryone(statement),
  )
}

function isForEveryone({ principal, callConditions, conditions }: Statement): boolean {
  if (principal === null || !(principal.everyone || principal.negated)) return false
  return ![...callConditions, ...conditions].some(
    ({ key, operator, ifExists, negated }) =>
      NARROWING.has(key) && EQUALITY.test(operator) && !ifExists && !negated,
  )
}
