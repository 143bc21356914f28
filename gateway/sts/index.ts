// The handlers of STS.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, StsHandlers } from '../aws/handlers.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import { assumeRoleHandler } from './assume-role.ts'
import { authorizationMessageHandlers } from './authorization-messages.ts'
import { federationTokenHandler } from './federation-token.ts'
import { sessionTokenHandlers } from './session-tokens.ts'

export interface StsParts {
  readonly state: State
  readonly sealer: Sealer
  readonly randomHex: RandomHex
}

export function stsHandlers(parts: StsParts): StsHandlers {
  return withoutFederated({
    GetCallerIdentity: ({ caller: { account, userArn, userId } }) => ({
      Account: account,
      Arn: userArn,
      UserId: userId,
    }),
    AssumeRole: assumeRoleHandler(parts),
    GetFederationToken: federationTokenHandler(parts),
    ...sessionTokenHandlers(parts),
    ...authorizationMessageHandlers(parts),
  })
}

/** Federated users may ask who they are, and nothing else (API reference, GetFederationToken). */
function withoutFederated(handlers: StsHandlers): StsHandlers {
  const guarded = Object.entries(handlers).map(([action, handler]) => {
    const call = handler as (context: CallContext, input: never) => unknown
    return [
      action,
      (context: CallContext, input: never) => {
        const isFederated = context.caller.session?.federatedBy !== undefined
        if (!isFederated || action === 'GetCallerIdentity') return call(context, input)
        const message = `Cannot call ${action} with session credentials`
        throw new ApiError('AccessDenied', message, 403)
      },
    ]
  })
  return Object.fromEntries(guarded)
}
