// GetFederationToken: a user, or the root, gives somebody else a part of what it may itself.

import { ApiError } from '../aws/api-error.ts'
import type { StsHandlers } from '../aws/handlers.ts'
import { unsatisfied } from '../iam/errors.ts'
import { newCredentials, type SessionSpec } from './credentials.ts'
import type { StsParts } from './index.ts'
import {
  checkDuration,
  checkPacked,
  checkPolicyArns,
  checkSessionName,
  checkSessionPolicy,
  checkSessionTags,
} from './session-input.ts'

const MAX_SECONDS = 129_600
const DEFAULT_SECONDS = 43_200
const ROOT_SECONDS = 3_600
const MAX_NAME = 32

export function federationTokenHandler(
  parts: StsParts,
): NonNullable<StsHandlers['GetFederationToken']> {
  return ({ caller, nowMs }, input) => {
    if (caller.session !== undefined) {
      const message = 'Cannot call GetFederationToken with session credentials'
      throw new ApiError('AccessDenied', message, 403)
    }
    const { account, userId } = caller
    const name = checkSessionName('name', input.Name)
    if (name.length > MAX_NAME) {
      throw unsatisfied('name', name, `have length less than or equal to ${MAX_NAME}`)
    }
    const wanted = checkDuration(input.DurationSeconds ?? DEFAULT_SECONDS, MAX_SECONDS)
    // A root gets an hour, whatever it asks for.
    const seconds = userId === account ? Math.min(wanted, ROOT_SECONDS) : wanted
    const spec: SessionSpec = {
      ...{ account, principal: userId, name, federatedBy: userId },
      policy: checkSessionPolicy(input.Policy),
      policyArns: checkPolicyArns(parts.state.view(), account, input.PolicyArns),
      tags: checkSessionTags(input.Tags),
      ...{ transitiveTagKeys: [], sourceIdentity: '', issuedAtMs: nowMs },
      expiresAtMs: nowMs + seconds * 1000,
    }
    const packed = checkPacked(spec)
    return {
      Credentials: newCredentials(parts, spec),
      FederatedUser: {
        FederatedUserId: `${account}:${name}`,
        Arn: `arn:aws:sts::${account}:federated-user/${name}`,
      },
      PackedPolicySize: packed,
    }
  }
}
