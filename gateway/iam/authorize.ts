// The guard before every handler: what a call asks for, put to the policies of who calls.

import { ApiError } from '../aws/api-error.ts'
import type { Authorized, Caller } from '../aws/handlers.ts'
import type { ServiceName } from '../aws/model.ts'
import { meaningsOf, type VersionAsked } from '../ec2/launch-template-names.ts'
import type { Sealer } from '../secrets.ts'
import type { State, View } from '../store/state.ts'
import { ebsAsks } from './ebs-requests.ts'
import { ec2Arn, keysOf } from './ec2-keys.ts'
import type { Place } from './ec2-named.ts'
import { type Ask, ec2Asks } from './ec2-requests.ts'
import { templatesNamed } from './ec2-run-instances.ts'
import { elbAsks } from './elb-requests.ts'
import { evaluate } from './evaluate.ts'
import { iamAsks } from './iam-requests.ts'
import { type Access, accessOf as recordedAccess } from './principals.ts'
import { accessDenied, type Refused, unauthorized } from './refusals.ts'
import { type Arrival, arrivalKeys } from './request-keys.ts'
import { scalingAsks, scalingTemplates } from './scaling-requests.ts'
import { stsAsks } from './sts-requests.ts'

export interface AuthorizerParts {
  readonly state: Pick<State, 'view' | 'fresh'>
  readonly sealer: Sealer
  readonly region: string
  /** In place of what the records say. */
  readonly accessOf?: (view: View, caller: Caller) => Access
}

/** A serial console is asked for in the name of a service that has no other action here. */
type GuardedService = ServiceName | 'ec2-instance-connect' | 'ebs'

export interface GuardedCall {
  readonly service: GuardedService
  readonly operation: string
  /** Decoded, as the SDK types it. */
  readonly input: object
  readonly caller: Caller
  readonly arrival: Omit<Arrival, 'region'>
}

/**
 * Throws UnauthorizedOperation (EC2) or AccessDenied (others) for what policies do not allow.
 * Answers what it asked them about; undefined when the caller needs no policies.
 */
export type Authorize = (call: GuardedCall) => Promise<Authorized | undefined>

export function createAuthorizer(parts: AuthorizerParts): Authorize {
  const { state, sealer, region, accessOf = recordedAccess } = parts
  return async ({ service, operation, input, caller, arrival }) => {
    const { account } = caller
    const named = templatesIn(service, operation, input)
    // A version that another gateway just made is the latest one here as well. What follows happens
    // at once: the templates mean the same to the questions and in the answer.
    const view = named.length > 0 ? await state.fresh() : state.view()
    if (view.get('account', account)?.blockedAtMs !== undefined) throw blocked(service)
    const access = accessOf(view, caller)
    if (access.policies === 'root') return undefined
    const templates = meaningsOf(view, account, named)
    const asks = asksOf(service, { view, region, account }, access, operation, input)
    const ofCall = arrivalKeys({ ...arrival, region })
    for (const ask of asks) {
      const { action, resource } = ask
      // No key is in two of them. What a resource has is looked up for a condition that asks.
      const get = (key: string) => ofCall.get(key) ?? access.keys.get(key) ?? ask.keys.get(key)
      const request = { action, resource, principal: access.principal, conditions: { get } }
      const decision = evaluate(access.policies, request)
      if (!decision.allowed) {
        const conditions = new Map([...ofCall, ...access.keys, ...ask.keys])
        const refused = { request, conditions, decision, userId: caller.userId }
        throw refusalOf(service, sealer, refused)
      }
    }
    const passed = asks.filter(({ action }) => action === 'iam:PassRole')
    return { templates, roles: new Set(passed.map(({ resource }) => resource)) }
  }
}

/** EC2 API reference, "Common client errors". */
function blocked(service: GuardedService): ApiError {
  const text = 'Your account is currently blocked. Contact the operator of this cloud.'
  return new ApiError(service === 'ec2' ? 'Blocked' : 'AccessDenied', text, 403)
}

function asksOf(
  service: GuardedService,
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
      return stsAsks(place, operation, input)
    case 'autoscaling':
      return scalingAsks(place, operation, input)
    case 'elasticloadbalancing':
      return elbAsks(place, operation, input)
    case 'ebs':
      return ebsAsks(place, operation, input)
    case 'ec2-instance-connect':
      return [instanceAsk(place, `${service}:${operation}`, input)]
    default:
      return anyOf(service, operation)
  }
}

/** The launch templates whose meaning is not to change between the guard and the handler. */
function templatesIn(service: GuardedService, operation: string, input: object): VersionAsked[] {
  if (service === 'autoscaling') return scalingTemplates(input)
  return service === 'ec2' ? templatesNamed(operation, input) : []
}

function anyOf(service: GuardedService, operation: string): Ask[] {
  return [{ action: `${service}:${operation}`, resource: '*', keys: new Map() }]
}

function instanceAsk(place: Place, action: string, input: object): Ask {
  const { InstanceId: id } = input as { readonly InstanceId: string }
  const resource = ec2Arn(place, 'instance', id)
  return { action, resource, keys: keysOf(place, 'instance', id) }
}

function refusalOf(service: GuardedService, sealer: Sealer, refused: Refused): ApiError {
  return service === 'ec2' ? unauthorized(sealer, refused) : accessDenied(refused)
}
