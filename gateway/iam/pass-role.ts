// iam:PassRole: who gives a role to a service, that is to an instance by its profile, must be
// allowed to (IAM user guide, "Grant a user permissions to pass a role to an AWS service").

import type { View } from '../store/state.ts'
import { asKeys } from './ec2-keys.ts'
import type { Ask } from './ec2-requests.ts'
import { arnOf, findEntity } from './entities.ts'

/** As requests name an instance profile. */
export interface ProfileName {
  readonly Arn?: string | undefined
  readonly Name?: string | undefined
}

/** The ARN of an instance profile of the account; null when there is none of that name. */
export function profileArn(view: View, account: string, asked: ProfileName): string | null {
  const profile = profileOf(view, account, asked)
  return profile === null ? null : arnOf('iam-profile', profile)
}

/** Nothing to ask of a profile that is not there or has no role: the handler will say so. */
export function profileAsks(view: View, account: string, asked: ProfileName): Ask[] {
  const profile = profileOf(view, account, asked)
  const [role] = profile === null ? [] : view.by('iam-role', 'id', profile.role)
  return role === undefined ? [] : [passAsk(arnOf('iam-role', role))]
}

export function passAsk(role: string): Ask {
  const keys = asKeys({ 'iam:PassedToService': 'ec2.amazonaws.com' })
  return { action: 'iam:PassRole', resource: role, keys }
}

function profileOf(
  view: View,
  account: string,
  { Arn: arn = '', Name: asked = '' }: ProfileName,
): ReturnType<typeof findEntity<'iam-profile'>> {
  // An empty name is none, as it is to the handler.
  const name = asked === '' ? arn.slice(arn.lastIndexOf('/') + 1) : asked
  const found = name === '' ? null : findEntity(view, 'iam-profile', { account, name })
  const isMeant = found !== null && (arn === '' || arnOf('iam-profile', found) === arn)
  return isMeant ? found : null
}
