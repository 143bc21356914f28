// What a caller reads whom policies refuse: a sentence that names action, resource and reason, and
// for EC2 the whole matter, sealed (IAM user guide, "Troubleshoot access denied error messages").

import { MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Sealer } from '../secrets.ts'
import { type AccessRequest, type Decision, reasonOf } from './evaluate.ts'
import type { Context } from './templates.ts'

export interface Refused {
  readonly request: AccessRequest
  /** All that conditions could ask. */
  readonly conditions: Context
  readonly decision: Decision
  /** Of the caller. */
  readonly userId: string
}

/** Of the conditions in a sealed message: more would make the answer's headline unreadable. */
const MAX_CHARACTERS = 12_000

/** UnauthorizedOperation of EC2. */
export function unauthorized(sealer: Sealer, refused: Refused): ApiError {
  const { account } = refused.request.principal
  const sealed = sealer.seal(JSON.stringify(messageOf(refused)), contextOf(account))
  const text = `You are not authorized to perform this operation. ${sentence(refused)}. Encoded authorization failure message: ${sealed}`
  return new ApiError('UnauthorizedOperation', text, 403)
}

/** AccessDenied of all other services. */
export function accessDenied(refused: Refused): ApiError {
  return new ApiError('AccessDenied', sentence(refused), 403)
}

/** What `unauthorized` sealed, as JSON; null when it was for another account, or is none at all. */
export function openMessage(sealer: Sealer, account: string, encoded: string): string | null {
  try {
    return sealer.open(encoded, contextOf(account))
  } catch (error) {
    if (error instanceof MalleeError && error.code === 'BadMessage') return null
    throw error
  }
}

function sentence({ request, decision }: Refused): string {
  const { action, resource, principal } = request
  const about = resource === '*' ? '' : ` on resource: ${resource}`
  const reason = reasonOf(decision, action)
  return `User: ${principal.arn} is not authorized to perform: ${action}${about} ${reason}`
}

/** In the form that DecodeAuthorizationMessage documents. */
function messageOf({ request, conditions, decision, userId }: Refused): object {
  const { action, resource, principal } = request
  const items = conditionsOf(conditions)
  const statements = decision.matched.map(({ source, policy, sid, effect }) => ({
    statementId: sid,
    effect: effect.toUpperCase(),
    sourcePolicyType: source,
    sourcePolicyNumber: policy,
  }))
  return {
    allowed: false,
    explicitDeny: decision.refusal === 'explicit',
    matchedStatements: { items: statements },
    failures: { items: [] },
    context: {
      principal: { id: userId, arn: principal.arn },
      action,
      resource,
      conditions: { items },
    },
  }
}

/** As many as fit. */
function conditionsOf(conditions: Context): object[] {
  let left = MAX_CHARACTERS
  const items: object[] = []
  for (const [key, values] of conditions) {
    left -= key.length + values.reduce((sum, value) => sum + value.length, 0)
    if (left < 0) break
    items.push({ key, values: { items: values.map((value) => ({ value })) } })
  }
  return items
}

function contextOf(account: string): string {
  return `authorization-message/${account}`
}
