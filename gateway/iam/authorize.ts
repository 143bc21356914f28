// The guard before every handler: what a call asks for, put to the policies of who calls.

import type { ApiError } from '../aws/api-error.ts'
import type { Caller } from '../aws/handlers.ts'
import type { ServiceName } from '../aws/model.ts'
import type { Sealer } from '../secrets.ts'
import type { View } from '../store/state.ts'
import type { Place } from './ec2-named.ts'
import { type Ask, ec2Asks, runAsks } from './ec2-requests.ts'
import { evaluate } from './evaluate.ts'
import { iamAsks } from './iam-requests.ts'
import { type Access, accessOf as recordedAccess } from './principals.ts'
import { accessDenied, type Refused, unauthorized } from './refusals.ts'
import { type Arrival, arrivalKeys } from './request-keys.ts'
import { stsAsks } from './sts-requests.ts'

export interface AuthorizerParts {
  readonly view: () => View
  readonly sealer: Sealer
  readonly region: string
  /** In place of what the records say. */
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
  const { sealer, region, accessOf = recordedAccess } = parts
  return ({ service, operation, input, caller, arrival }) => {
    const view = parts.view()
    const access = accessOf(view, caller)
    if (access.policies === 'root') return
    const asks = asksOf(
      service,
      { view, region, account: caller.account },
      access,
      operation,
      input,
    )
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

function asksOf(
  service: ServiceName,
  place: Place,
  access: Access,
  operation: string,
  input: object,
): Ask[] {
  switch (service) {
    case 'ec2':
      return ec2Asks(place, operation, input)
    case 'iam':
      return iamAsks(place, access, operation, input)
    case 'sts':
      return stsAsks(operation)
    case 'autoscaling':
      return [...anyOf(service, operation), ...templateRuns(place, input)]
    default:
      return anyOf(service, operation)
  }
}

function anyOf(service: ServiceName, operation: string): Ask[] {
  return [{ action: `${service}:${operation}`, resource: '*', keys: new Map() }]
}

/** Who lets a group launch from a template must be allowed to launch from it (Auto Scaling). */
function templateRuns(place: Place, input: object): Ask[] {
  const { LaunchTemplate: template, MixedInstancesPolicy: mixed } = input as {
    LaunchTemplate?: object
    MixedInstancesPolicy?: { LaunchTemplate?: { LaunchTemplateSpecification?: object } }
  }
  const named = [template, mixed?.LaunchTemplate?.LaunchTemplateSpecification]
  return named.flatMap((one) => (one === undefined ? [] : runAsks(place, { LaunchTemplate: one })))
}

function refusalOf(service: ServiceName, sealer: Sealer, refused: Refused): ApiError {
  return service === 'ec2' ? unauthorized(sealer, refused) : accessDenied(refused)
}
