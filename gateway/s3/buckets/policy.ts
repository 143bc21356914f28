// The policy of a bucket: who, also of other accounts, may do what with it (S3 user guide, "Bucket
// policies for Amazon S3").

import { parsedIn, principalOfArn } from '../../iam/documents.ts'
import { type ParsedPolicy, parsePolicy } from '../../iam/policy.ts'
import type { BucketPolicy, BucketRecord } from '../../store/bucket-records.ts'
import type { View } from '../../store/state.ts'
import type { S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'
import { isPublic } from './public-access.ts'

/** Bytes. */
const MAX_POLICY = 20_480
const ENTITY = /^arn:aws:iam::\d{12}:(?:user|role)\//

export function policyHandlers(parts: BucketParts): S3Handlers {
  const { state } = parts
  return {
    async PutBucketPolicy(call) {
      const { name, publicAccess } = bucketOf(call)
      const policy = checkPolicy(await state.fresh(), name, call.input.Policy ?? '')
      if (publicAccess?.blockPolicy === true && isPublic(parsedOf(policy))) throw blocked()
      await changeBucket(parts, call, (bucket) => {
        if (bucket.publicAccess?.blockPolicy === true && isPublic(parsedOf(policy))) {
          throw blocked()
        }
        return { ...bucket, policy }
      })
      return { output: {}, status: 204 }
    },

    async GetBucketPolicy(call) {
      return { output: { Policy: policyOf(bucketOf(call)).document } }
    },

    async GetBucketPolicyStatus(call) {
      const policy = policyOf(bucketOf(call))
      return { output: { PolicyStatus: { IsPublic: isPublic(parsedOf(policy)) } } }
    },

    async DeleteBucketPolicy(call) {
      await changeBucket(parts, call, ({ policy: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}

/** Parsed once as long as the record lives. */
export function parsedOf(policy: BucketPolicy): ParsedPolicy {
  return parsedIn(policy, policy.document, 'bucket')
}

function policyOf({ name, policy }: BucketRecord): BucketPolicy {
  if (policy !== undefined) return policy
  const fields = { BucketName: name }
  throw new S3Error('NoSuchBucketPolicy', 'The bucket policy does not exist', 404, fields)
}

/** Throws MalformedPolicy in S3's words. */
function checkPolicy(view: View, bucket: string, document: string): BucketPolicy {
  if (!document.startsWith('{')) {
    throw malformed("Policies must be valid JSON and the first byte must be '{'")
  }
  if (Buffer.byteLength(document) > MAX_POLICY) {
    throw malformed('Policy exceeds the maximum allowed document size.')
  }
  const parsed = parsePolicy(document, 'bucket')
  if (!parsed.ok) throw malformed(parsed.why)
  const { statements } = parsed.value
  for (const { actions, resources } of statements) {
    const isOfS3 = actions.every((action) => startOf(action) === '' || /^s3:/.test(startOf(action)))
    if (!isOfS3) throw malformed('Policy has invalid action')
    if (!(resources ?? []).every(({ source }) => isAbout(source, bucket))) {
      throw malformed('Policy has invalid resource')
    }
  }
  const principals = statements.flatMap(({ principal }) => [...(principal?.arns ?? [])])
  const accounts = statements.flatMap(({ principal }) => [...(principal?.accounts ?? [])])
  if (accounts.some((account) => view.get('account', account) === null)) throw nobody()
  const meant = [...new Set(principals)].flatMap((arn) => {
    const found = principalOfArn(view, arn)
    if (found === null && ENTITY.test(arn)) throw nobody()
    return found === null ? [] : [[arn, found.id] as const]
  })
  return { document, principals: Object.fromEntries(meant) }
}

/** What an action begins with, up to its first wildcard: `*` alone is for every service. */
function startOf(action: ParsedPolicy['statements'][number]['actions'][number]): string {
  const [first] = action
  return first !== undefined && 'text' in first ? first.text : ''
}

function isAbout(resource: string, bucket: string): boolean {
  const arn = `arn:aws:s3:::${bucket}`
  return resource === arn || resource === `${arn}*` || resource.startsWith(`${arn}/`)
}

function nobody(): S3Error {
  return malformed('Invalid principal in policy')
}

function malformed(message: string): S3Error {
  return new S3Error('MalformedPolicy', message, 400)
}

function blocked(): S3Error {
  const message =
    'Access Denied: public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.'
  return new S3Error('AccessDenied', message, 403)
}
