// The handlers of STS.

import type { RandomHex } from '../../common/clock.ts'
import type { StsHandlers } from '../aws/handlers.ts'
import type { Sealer } from '../secrets.ts'
import type { State } from '../store/state.ts'
import { assumeRoleHandler } from './assume-role.ts'
import { authorizationMessageHandlers } from './authorization-messages.ts'
import { sessionTokenHandlers } from './session-tokens.ts'

export interface StsParts {
  readonly state: State
  readonly sealer: Sealer
  readonly randomHex: RandomHex
}

export function stsHandlers(parts: StsParts): StsHandlers {
  return {
    GetCallerIdentity: ({ caller: { account, userArn, userId } }) => ({
      Account: account,
      Arn: userArn,
      UserId: userId,
    }),
    AssumeRole: assumeRoleHandler(parts),
    ...sessionTokenHandlers(parts),
    ...authorizationMessageHandlers(parts),
  }
}
