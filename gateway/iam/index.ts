// All IAM actions that this cloud answers. What is not here answers UnsupportedOperation.

import { ApiError } from '../aws/api-error.ts'
import type { CallContext, IamHandlers } from '../aws/handlers.ts'
import { iamAccountHandlers } from './account.ts'
import { attachmentHandlers } from './attachments.ts'
import { boundaryHandlers } from './boundaries.ts'
import type { IamParts } from './entities.ts'
import { groupHandlers } from './groups.ts'
import { inlinePolicyHandlers } from './inline-policies.ts'
import { instanceProfileHandlers } from './instance-profiles.ts'
import { keyHandlers } from './keys.ts'
import { loginHandlers } from './logins.ts'
import { managedPolicyHandlers } from './managed-policies.ts'
import { roleHandlers } from './roles.ts'
import { simulationHandlers } from './simulate.ts'
import { tagHandlers } from './tags.ts'
import { userHandlers } from './users.ts'

export function iamHandlers(parts: IamParts): IamHandlers {
  return withoutTokens({
    ...userHandlers(parts),
    ...groupHandlers(parts),
    ...keyHandlers(parts),
    ...roleHandlers(parts),
    ...instanceProfileHandlers(parts),
    ...managedPolicyHandlers(parts),
    ...attachmentHandlers(parts),
    ...inlinePolicyHandlers(parts),
    ...boundaryHandlers(parts),
    ...tagHandlers(parts),
    ...loginHandlers(parts),
    ...iamAccountHandlers(parts),
    ...simulationHandlers(parts),
  })
}

/**
 * Credentials of GetSessionToken may not call IAM, as at AWS without a second factor, and those of
 * GetFederationToken never. Those of a role may.
 */
function withoutTokens(handlers: IamHandlers): IamHandlers {
  const guarded = Object.entries(handlers).map(([action, handler]) => {
    const call = handler as (context: CallContext, input: never) => unknown
    return [
      action,
      (context: CallContext, input: never) => {
        const { session, userId } = context.caller
        const isRole = userId.includes(':') && session?.federatedBy === undefined
        if (session === undefined || isRole) return call(context, input)
        const message = 'The security token included in the request is invalid'
        throw new ApiError('InvalidClientTokenId', message, 403)
      },
    ]
  })
  return Object.fromEntries(guarded)
}
