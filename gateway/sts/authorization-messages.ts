// DecodeAuthorizationMessage: what a refusal of EC2 sealed, for who may read it.

import { ApiError } from '../aws/api-error.ts'
import type { StsHandlers } from '../aws/handlers.ts'
import { openMessage } from '../iam/refusals.ts'
import type { Sealer } from '../secrets.ts'

/** STS API reference: 1 to 10240 characters. */
const MAX_CHARACTERS = 1 << 16

export function authorizationMessageHandlers({
  sealer,
}: {
  sealer: Sealer
}): Required<Pick<StsHandlers, 'DecodeAuthorizationMessage'>> {
  return {
    DecodeAuthorizationMessage: ({ caller }, { EncodedMessage: encoded = '' }) => {
      const isShort = encoded.length <= MAX_CHARACTERS
      const message = isShort ? openMessage(sealer, caller.account, encoded) : null
      if (message === null) {
        const text = 'The encoded authorization message is not one of this account, or was changed.'
        throw new ApiError('InvalidAuthorizationMessageException', text)
      }
      return { DecodedMessage: message }
    },
  }
}
