// A cloud whose callers are users with policies: what a test gives them, and what they then may.

import type { TestContext } from 'node:test'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type {
  Authorized,
  Ec2Handlers,
  Ec2Inputs,
  Ec2Outputs,
} from '../../../gateway/aws/handlers.ts'
import { type Authorize, createAuthorizer } from '../../../gateway/iam/authorize.ts'
import type { CallerPolicies, PolicySets } from '../../../gateway/iam/evaluate.ts'
import type { Sealer } from '../../../gateway/secrets.ts'
import { testSealer } from '../../support/sealer.ts'
import { ACCOUNT, type Cloud, openCloud, REGION, START_MS } from '../ec2/support.ts'
import { type Elements, type Keys, policyOf } from './matrix.ts'

export const USER = {
  account: ACCOUNT,
  userArn: `arn:aws:iam::${ACCOUNT}:user/alice`,
  userId: 'AIDAAAAAAAAAAAAAAAAAA',
  accessKeyId: 'AKIAAAAAAAAAAAAAAAAA',
}

export interface Guarded {
  readonly cloud: Cloud
  readonly sealer: Sealer
  readonly authorize: Authorize
  /** Calls as a user with these policies: the guard first, then the handler. */
  readonly as: (statements: Elements | readonly Elements[], keys?: Keys) => As
  /** The same with boundary and session. */
  readonly within: (policies: CallerPolicies, keys?: Keys) => As
}

/** Resolves with the answer; `denied <action> <resource>` when the guard refuses. */
export type As = <K extends keyof Ec2Handlers & keyof Ec2Inputs>(
  action: K,
  input: Ec2Inputs[K],
  /** What somebody else does between the guard and the handler. */
  meanwhile?: () => Promise<unknown>,
) => Promise<Ec2Outputs[K] | string>

export async function guarded(t: TestContext): Promise<Guarded> {
  const cloud = await openCloud(t)
  const sealer = await testSealer(t)
  const now: { policies: CallerPolicies; keys: Keys } = { policies: 'root', keys: {} }
  const authorize = createAuthorizer({
    ...{ state: cloud.state, sealer, region: REGION },
    accessOf: (_, { account, userArn }) => ({
      policies: now.policies,
      principal: { kind: 'user', account, arn: userArn, roleArn: null },
      keys: new Map(
        Object.entries(now.keys).map(([key, value]) => [
          key.toLowerCase(),
          typeof value === 'string' ? [value] : value,
        ]),
      ),
    }),
  })
  const within =
    (policies: CallerPolicies, keys: Keys = {}): As =>
    async (action, input, meanwhile) => {
      now.policies = policies
      now.keys = keys
      const arrival = { sourceIp: '203.0.113.9', userAgent: 'test', secure: false, nowMs: START_MS }
      const call = { operation: action, input: input as object, caller: USER, arrival }
      const said = await saidOf(authorize({ service: 'ec2', ...call }))
      if (typeof said === 'string') return said
      await meanwhile?.()
      return await cloud.call(action, input, { authorized: said })
    }
  return {
    cloud,
    sealer,
    authorize,
    within,
    as: (statements, keys) => within(setsOf(statements), keys),
  }
}

export function setsOf(statements: Elements | readonly Elements[]): PolicySets {
  return { identity: [policyOf(statements)], boundary: null, session: null, resource: null }
}

/** `denied <action> <resource>`, the resource without what all have in common. */
async function saidOf(guard: ReturnType<Authorize>): Promise<string | Authorized | undefined> {
  try {
    return await guard
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'UnauthorizedOperation') throw error
    const found = /to perform: (\S+)(?: on resource: (\S+))? (?:because|with) /.exec(error.message)
    if (found === null) throw error
    const [, action, resource = '*'] = found
    return `denied ${action} ${resource.replace(/^arn:aws:ec2:[^:]*:\d*:/, '')}`
  }
}

export const OK = 'allowed'

/** `allowed` when the handler answered; what the guard said; or the handler's own refusal. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    const answer = await call
    return typeof answer === 'string' ? answer : OK
  } catch (error) {
    if (error instanceof ApiError) return error.code
    throw error
  }
}
