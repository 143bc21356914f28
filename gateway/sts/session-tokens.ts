// Temporary credentials for users and roots themselves, and whose a key is.

import { ApiError } from '../aws/api-error.ts'
import type { StsHandlers } from '../aws/handlers.ts'
import { unsatisfied } from '../iam/errors.ts'
import { accountOfKey, newCredentials, type SessionSpec } from './credentials.ts'
import type { StsParts } from './index.ts'
import { checkDuration } from './session-input.ts'

const USER_SECONDS = 129_600
const ROOT_SECONDS = 3_600
const DEFAULT_SECONDS = 43_200

export function sessionTokenHandlers(parts: StsParts): StsHandlers {
  return {
    GetSessionToken: ({ caller, nowMs }, input) => {
      if (caller.session !== undefined) {
        const message = 'Cannot call GetSessionToken with session credentials'
        throw new ApiError('AccessDenied', message, 403)
      }
      if (input.SerialNumber !== undefined || input.TokenCode !== undefined) {
        const message = 'Multi-factor authentication is not supported by this cloud.'
        throw new ApiError('UnsupportedOperation', message)
      }
      const { account, userId } = caller
      const wanted = checkDuration(input.DurationSeconds ?? DEFAULT_SECONDS, USER_SECONDS)
      // A root gets an hour, whatever it asks for.
      const seconds = userId === account ? Math.min(wanted, ROOT_SECONDS) : wanted
      const spec: SessionSpec = {
        ...{ account, principal: userId, name: '', policy: '', policyArns: [], tags: {} },
        ...{ transitiveTagKeys: [], sourceIdentity: '', issuedAtMs: nowMs },
        expiresAtMs: nowMs + seconds * 1000,
      }
      return {
        Credentials: newCredentials(parts, spec),
      }
    },

    GetAccessKeyInfo: (_, { AccessKeyId: id = '' }) => {
      if (!/^\w{16,128}$/.test(id)) {
        const constraint = 'satisfy regular expression pattern: [\\w]{16,128}'
        throw unsatisfied('accessKeyId', id, constraint)
      }
      const view = parts.state.view()
      const account = view.get('access-key', id)?.account ?? accountOfKey(id) ?? ''
      if (view.get('account', account) !== null) return { Account: account }
      throw new ApiError('ValidationError', `There is no access key ${id}.`)
    },
  }
}
