// The policies of a user, a group or a role one by one, with what they are called: for who asks
// which of them decides something.

import { ApiError } from '../aws/api-error.ts'
import type { GroupRecord, RoleRecord, UserRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { arnOf, type EntityKind, entitiesOf } from './entities.ts'
import { notThere } from './errors.ts'
import { defaultDocument, findPolicy } from './policies.ts'

export interface PolicySource {
  readonly id: string
  /** As the API names it. */
  readonly type: 'user' | 'group' | 'role' | 'aws-managed' | 'user-managed' | 'none'
  readonly document: string
}

export interface SourcedEntity {
  readonly kind: 'user' | 'group' | 'role'
  readonly record: UserRecord | GroupRecord | RoleRecord
  readonly identity: readonly PolicySource[]
  /** Null without one. */
  readonly boundary: PolicySource | null
}

const ARN = /^arn:aws:iam::(\d{12}):(user|group|role)\/[\u0021-\u007e]+$/
const KINDS = { user: 'iam-user', group: 'iam-group', role: 'iam-role' } as const

/** Throws InvalidInput for what is no ARN of these, NoSuchEntity when the account has none. */
export function sourcedEntity(view: View, account: string, arn: string): SourcedEntity {
  const [, owner, kind] = ARN.exec(arn) ?? []
  if (kind === undefined) {
    const message = `Invalid Entity Arn: ${arn.slice(0, 200)} does not clearly define entity type and name.`
    throw new ApiError('InvalidInput', message)
  }
  const record = owner === account ? find(view, KINDS[kind as 'user'], account, arn) : null
  if (record === null) throw notThere(`The entity with ARN ${arn} cannot be found.`)
  return entityWith(view, kind as SourcedEntity['kind'], record)
}

function find(view: View, kind: EntityKind, account: string, arn: string) {
  const found = entitiesOf(view, kind, account).find((one) => arnOf(kind, one) === arn)
  return (found ?? null) as SourcedEntity['record'] | null
}

function entityWith(
  view: View,
  kind: SourcedEntity['kind'],
  record: SourcedEntity['record'],
): SourcedEntity {
  const groups =
    'groups' in record ? record.groups.flatMap((id) => view.by('iam-group', 'id', id)) : []
  const identity = [
    ...policiesOf(view, kind, record),
    ...groups.flatMap((group) => policiesOf(view, 'group', group)),
  ]
  const arn = 'boundary' in record ? record.boundary : ''
  const [boundary = null] = arn === '' ? [] : managed(view, record.account, arn)
  return { kind, record, identity, boundary }
}

function policiesOf(
  view: View,
  type: SourcedEntity['kind'],
  { account, inline, attached }: SourcedEntity['record'],
): PolicySource[] {
  return [
    ...Object.entries(inline).map(([id, document]) => ({ id, type, document })),
    ...attached.flatMap((arn) => managed(view, account, arn)),
  ]
}

function managed(view: View, account: string, arn: string): PolicySource[] {
  const policy = findPolicy(view, account, arn)
  if (policy === null) return []
  const type = policy.record === null ? 'aws-managed' : 'user-managed'
  return [{ id: policy.name, type, document: defaultDocument(policy) }]
}
