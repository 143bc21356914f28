// Principal and NotPrincipal of a role's trust policy and of a bucket's: who may (IAM user guide,
// "AWS JSON policy elements: Principal").

import { no, ok, type Result } from '../../topology/result.ts'
import { isObject, type Json } from './json.ts'

/** Who asks. */
export interface Principal {
  readonly kind: 'root' | 'user' | 'assumed-role' | 'federated-user' | 'service' | 'anonymous'
  /** Twelve digits; of a service and of nobody none. */
  readonly account: string
  /**
   * The ARN of a user or of a session, `arn:aws:sts::<account>:assumed-role/<role>/<session>`; of
   * a service its name (`ec2.amazonaws.com`).
   */
  readonly arn: string
  /** Of a session: the ARN of its role, with the role's path. */
  readonly roleArn: string | null
}

export interface PrincipalPattern {
  /** NotPrincipal. */
  readonly negated: boolean
  readonly everyone: boolean
  readonly accounts: ReadonlySet<string>
  /** Users, roles and sessions. */
  readonly arns: ReadonlySet<string>
  readonly services: ReadonlySet<string>
}

/** How a pattern names somebody: `account` leaves it to that account's own policies. */
export type Naming = 'none' | 'account' | 'role' | 'exact' | 'everyone'

const ACCOUNT = /^\d{12}$/
const ROOT = /^arn:aws:iam::(\d{12}):root$/
const ENTITY = /^arn:aws:iam::\d{12}:(?:user|role)\/[\w+=,.@/-]+$/
const SESSION = /^arn:aws:sts::\d{12}:(?:assumed-role|federated-user)\/[\w+=,.@/-]+$/
const SERVICE = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com$/

/** Why not: the sentence of IAM. */
export function parsePrincipal(element: Json, negated: boolean): Result<PrincipalPattern> {
  const found = {
    negated,
    everyone: element === '*',
    accounts: new Set<string>(),
    arns: new Set<string>(),
    services: new Set<string>(),
  }
  if (element === '*') return ok(found)
  if (!isObject(element)) return no('Syntax errors in policy.')
  for (const [kind, values] of element) {
    const list = Array.isArray(values) ? (values as readonly Json[]) : [values]
    if (!['AWS', 'Service', 'Federated', 'CanonicalUser'].includes(kind)) {
      return no('Syntax errors in policy.')
    }
    for (const value of list) {
      if (typeof value !== 'string') return no('Syntax errors in policy.')
      if (!add(found, kind, value)) return no(`Invalid principal in policy: "${kind}":"${value}"`)
    }
  }
  const { everyone, accounts, arns, services } = found
  if (!everyone && accounts.size + arns.size + services.size === 0) return no(NO_PRINCIPALS)
  return ok(found)
}

export const NO_PRINCIPALS =
  'Invalid principal in policy: The passed in policy has a statement with no principals!'

/** Without regard to negation. The most exact naming counts. */
export function namingOf(pattern: PrincipalPattern, principal: Principal): Naming {
  const { kind, arn, account, roleArn } = principal
  if (kind === 'anonymous') return pattern.everyone ? 'everyone' : 'none'
  if (kind === 'service') {
    return pattern.services.has(arn) ? 'exact' : pattern.everyone ? 'everyone' : 'none'
  }
  if (kind !== 'root' && pattern.arns.has(arn)) return 'exact'
  if (roleArn !== null && pattern.arns.has(roleArn)) return 'role'
  if (pattern.everyone) return 'everyone'
  return pattern.accounts.has(account) ? 'account' : 'none'
}

function add(
  found: { everyone: boolean; accounts: Set<string>; arns: Set<string>; services: Set<string> },
  kind: string,
  value: string,
): boolean {
  if (kind === 'Service') {
    if (!SERVICE.test(value)) return false
    found.services.add(value)
    return true
  }
  if (kind !== 'AWS') return false
  if (value === '*') {
    found.everyone = true
    return true
  }
  const account = ACCOUNT.test(value) ? value : ROOT.exec(value)?.[1]
  if (account !== undefined) found.accounts.add(account)
  else if (ENTITY.test(value) || SESSION.test(value)) found.arns.add(value)
  else return false
  return true
}
