// The handlers of STS.

import type { StsHandlers } from '../aws/handlers.ts'

export function stsHandlers(): StsHandlers {
  return {
    GetCallerIdentity: ({ caller: { account, userArn, userId } }) => ({
      Account: account,
      Arn: userArn,
      UserId: userId,
    }),
  }
}
