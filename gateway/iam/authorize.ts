// The guard before every handler: what a call asks for, put to the policies of who calls.

import type { ApiError } from '../aws/api-error.ts'
import type { Caller } from '../aws/handlers.ts'
import type { ServiceName } from '../aws/model.ts'
import type { Sealer } from '../secrets.ts'
import type { View } from '../store/state.ts'
import { callerKeys } from './caller-keys.ts'
import type { Place } from './ec2-named.ts'
import { type Ask, ec2Asks } from './ec2-requests.ts'
import { type CallerPolicies, evaluate, type Principal } from './evaluate.ts'
import { policiesOf, principalOf } from './principals.ts'
import { accessDenied, type Refused, unauthorized } from './refusals.ts'
import { type Arrival, arrivalKeys } from './request-keys.ts'
import { stsAsks } from './sts-requests.ts'
import type { Context } from './templates.ts'

/** What is known of a caller for this call. */
export interface Access {
  readonly policies: CallerPolicies
  readonly principal: Principal
  /** What conditions may ask about the caller (`aws:username`); keys in lower case. */
  readonly keys: Context
}

export interface AuthorizerParts {
  readonly view: () => View
  readonly sealer: Sealer
  readonly region: string
  readonly accessOf?: (view: View, caller: Caller) => Access
}

export interface GuardedCall {
  readonly service: ServiceName
  readonly operation: string
  /** Decoded, as the SDK types it. */
  readonly input: object
  readonly caller: Caller
  readonly arrival: Omit<Arrival, 'region'>
}

/** Throws UnauthorizedOperation (EC2) or AccessDenied (others) for what policies do not allow. */
export type Authorize = (call: GuardedCall) => void

export function createAuthorizer(parts: AuthorizerParts): Authorize {
  const { sealer, region, accessOf = accessIn } = parts
  return ({ service, operation, input, caller, arrival }) => {
    const view = parts.view()
    const access = accessOf(view, caller)
    if (access.policies === 'root') return
    const asks = asksOf(service, { view, region, account: caller.account }, operation, input)
    const common = [...arrivalKeys({ ...arrival, region }), ...access.keys]
    for (const { action, resource, keys } of asks) {
      const conditions = new Map([...common, ...keys])
      const request = { action, resource, principal: access.principal, conditions }
      const decision = evaluate(access.policies, request)
      if (!decision.allowed) {
        throw refusalOf(service, sealer, { request, decision, userId: caller.userId })
      }
    }
  }
}

function accessIn(view: View, caller: Caller): Access {
  const policies = policiesOf(view, caller)
  const principal = principalOf(view, caller)
  return { policies, principal, keys: callerKeys(view, caller, principal) }
}

function asksOf(service: ServiceName, place: Place, operation: string, input: object): Ask[] {
  switch (service) {
    case 'ec2':
      return ec2Asks(place, operation, input)
    case 'sts':
      return stsAsks(operation)
    default:
      return [{ action: `${service}:${operation}`, resource: '*', keys: new Map() }]
  }
}

function refusalOf(service: ServiceName, sealer: Sealer, refused: Refused): ApiError {
  return service === 'ec2' ? unauthorized(sealer, refused) : accessDenied(refused)
}
