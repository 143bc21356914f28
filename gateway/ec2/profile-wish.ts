// The instance profile that a request names, by ARN or by name.

import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import { arnOf, findEntity } from '../iam/entities.ts'
import type { InstanceProfileRecord } from '../store/iam-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { badValue } from './input.ts'

/** As EC2's requests have it. */
export interface ProfileWish {
  readonly Arn?: string | undefined
  readonly Name?: string | undefined
}

/** '' and absent are none. Throws InvalidParameterCombination for both at once. */
export function parseProfileWish(wish: ProfileWish | undefined): ProfileWish | null {
  const { Arn: arn = '', Name: name = '' } = wish ?? {}
  if (arn !== '' && name !== '') {
    const text =
      "The parameter 'iamInstanceProfile.name' may not be used in combination with " +
      "'iamInstanceProfile.arn'"
    throw new ApiError('InvalidParameterCombination', text)
  }
  return arn === '' && name === '' ? null : { Arn: arn, Name: name }
}

/**
 * The profile, which is there as long as the transaction is. Throws InvalidParameterValue for one
 * that is not or has no role, Unavailable when its role is not the one that the guard asked about.
 */
export async function profileFor(
  tx: Transaction,
  view: View,
  { caller: { account }, authorized }: CallContext,
  { Arn: arn = '', Name: name = '' }: ProfileWish,
): Promise<InstanceProfileRecord> {
  const named = name === '' ? arn.slice(arn.lastIndexOf('/') + 1) : name
  const found = findEntity(view, 'iam-profile', { account, name: named })
  const profile = found === null ? null : await tx.get('iam-profile', account, named.toLowerCase())
  if (profile === null || (name === '' && arnOf('iam-profile', profile) !== arn)) {
    throw name === ''
      ? badValue('iamInstanceProfile.arn', arn, 'Invalid IAM Instance Profile ARN')
      : badValue('iamInstanceProfile.name', name, 'Invalid IAM Instance Profile name')
  }
  if (profile.role === '') {
    const why = 'IAM Instance Profile has no associated IAM Roles'
    throw badValue(name === '' ? 'iamInstanceProfile.arn' : 'iamInstanceProfile.name', named, why)
  }
  const [role] = view.by('iam-role', 'id', profile.role)
  if (authorized === undefined || (role && authorized.roles.has(arnOf('iam-role', role)))) {
    return profile
  }
  // A client repeats the request, and the guard asks about the role that it is now.
  const text = `The instance profile '${named}' got another role meanwhile. Try again.`
  throw new ApiError('Unavailable', text, 503)
}
