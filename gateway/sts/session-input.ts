// What a request for temporary credentials may ask: durations, names, policies, tags.

import { ApiError } from '../aws/api-error.ts'
import { checkTags, type Tag, type Tags } from '../iam/checks.ts'
import { checkDocument } from '../iam/documents.ts'
import { invalid, unsatisfied } from '../iam/errors.ts'
import { findPolicy } from '../iam/policies.ts'
import type { View } from '../store/state.ts'
import { packedSize, type SessionSpec } from './credentials.ts'

const MIN_SECONDS = 900
const MAX_POLICY = 2_048
const MAX_POLICY_ARNS = 10
const MAX_TAGS = 50

/** Seconds. Throws ValidationError outside of 900..most. */
export function checkDuration(seconds: number, most: number): number {
  if (seconds < MIN_SECONDS) {
    const constraint = `have value greater than or equal to ${MIN_SECONDS}`
    throw unsatisfied('durationSeconds', String(seconds), constraint)
  }
  if (seconds > most) {
    const constraint = `have value less than or equal to ${most}`
    throw unsatisfied('durationSeconds', String(seconds), constraint)
  }
  return seconds
}

/** Of a session and of its source: 2 to 64 of the characters that names have. */
export function checkSessionName(parameter: string, name: string | undefined): string {
  if (name === undefined) throw invalid(`The request must contain the parameter ${parameter}`)
  if (/^[\w+=,.@-]{2,64}$/.test(name)) return name
  throw unsatisfied(parameter, name, 'satisfy regular expression pattern: [\\w+=,.@-]{2,64}')
}

export function checkExternalId(id: string | undefined): string {
  if (id === undefined || /^[\w+=,.@:/-]{2,1224}$/.test(id)) return id ?? ''
  throw unsatisfied('externalId', id, 'satisfy regular expression pattern: [\\w+=,.@:\\/-]{2,1224}')
}

/** Throws MalformedPolicyDocument, PackedPolicyTooLarge. */
export function checkSessionPolicy(document: string | undefined): string {
  if (document === undefined) return ''
  if (document.length > MAX_POLICY) {
    throw unsatisfied('policy', document, `have length less than or equal to ${MAX_POLICY}`)
  }
  return checkDocument(document, 'session')
}

/** Managed policies of the role's account. */
export function checkPolicyArns(
  view: View,
  account: string,
  list: readonly { readonly arn?: string | undefined }[] = [],
): string[] {
  if (list.length > MAX_POLICY_ARNS) {
    throw unsatisfied('policyArns', String(list.length), `have at most ${MAX_POLICY_ARNS} items`)
  }
  return list.map(({ arn = '' }) => {
    if (findPolicy(view, account, arn) !== null) return arn
    throw new ApiError('MalformedPolicyDocument', `The policy ${arn.slice(0, 200)} does not exist.`)
  })
}

export function checkSessionTags(list: readonly Tag[] | undefined): Tags {
  if ((list?.length ?? 0) > MAX_TAGS) {
    throw unsatisfied('tags', String(list?.length), `have at most ${MAX_TAGS} items`)
  }
  return checkTags(list)
}

/** Percent of the room that a session's policies and tags take. Throws PackedPolicyTooLarge. */
export function checkPacked(spec: SessionSpec): number {
  const percent = Math.ceil(packedSize(spec) * 100)
  if (percent <= 100) return percent
  const message = `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`
  throw new ApiError('PackedPolicyTooLarge', message)
}
