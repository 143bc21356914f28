// Managed policies, an account's own and AWS': how an ARN finds one, and who has it.

import { ApiError } from '../aws/api-error.ts'
import type { ManagedPolicyRecord, PolicyVersion } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { AWS_POLICIES, awsPolicyTimeMs } from './aws-policies.ts'
import type { Tags } from './checks.ts'
import { arnOf, entitiesOf } from './entities.ts'
import { notThere, unsatisfied } from './errors.ts'

/** Of either owner. */
export interface ManagedPolicy {
  readonly arn: string
  readonly id: string
  readonly name: string
  readonly path: string
  readonly description: string
  readonly defaultVersion: string
  readonly versions: readonly PolicyVersion[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly tags: Tags
  /** Null for AWS'. */
  readonly record: ManagedPolicyRecord | null
}

const ARN = /^arn:aws:iam::(?:aws|\d{12}):policy\/[\u0021-\u007e]+$/

const MIN_ARN = 20

const awsManaged = new Map(
  AWS_POLICIES.map((one): [string, ManagedPolicy] => {
    const arn = `arn:aws:iam::aws:policy${one.path}${one.name}`
    const createdAtMs = awsPolicyTimeMs()
    const versions = [{ id: 'v1', document: one.document, createdAtMs }]
    const times = { createdAtMs, updatedAtMs: createdAtMs }
    return [arn, { ...one, ...times, arn, defaultVersion: 'v1', versions, tags: {}, record: null }]
  }),
)

/** Kept by record, as every call of its owners looks it up. */
const shapes = new WeakMap<ManagedPolicyRecord, ManagedPolicy>()

/**
 * Throws NoSuchEntity when the account has none of that ARN, InvalidInput for what is no ARN and
 * ValidationError for what is too short to be one.
 */
export function managedPolicy(view: View, account: string, arn: string): ManagedPolicy {
  if (arn.length < MIN_ARN) {
    throw unsatisfied('policyArn', arn, `have length greater than or equal to ${MIN_ARN}`)
  }
  if (!ARN.test(arn)) throw new ApiError('InvalidInput', `ARN ${arn.slice(0, 200)} is not valid.`)
  const found = findPolicy(view, account, arn)
  if (found === null) throw notThere(`Policy ${arn} does not exist or is not attachable.`)
  return found
}

export function findPolicy(view: View, account: string, arn: string): ManagedPolicy | null {
  const aws = awsManaged.get(arn)
  if (aws !== undefined) return aws
  const name = arn.slice(arn.lastIndexOf('/') + 1)
  const record = view.get('iam-policy', account, name.toLowerCase())
  const found = record === null ? null : ofRecord(record)
  return found?.arn === arn ? found : null
}

export function ofRecord(record: ManagedPolicyRecord): ManagedPolicy {
  const known = shapes.get(record)
  if (known !== undefined) return known
  const shape = { ...record, arn: arnOf('iam-policy', record), record }
  shapes.set(record, shape)
  return shape
}

export function awsPolicies(): readonly ManagedPolicy[] {
  return [...awsManaged.values()]
}

export interface Attachments {
  /** ARN → users, groups and roles that have it. */
  readonly attached: ReadonlyMap<string, number>
  /** ARN → users and roles that it bounds. */
  readonly bounds: ReadonlyMap<string, number>
}

/** Of all policies of an account at once. */
export function attachmentsOf(view: View, account: string): Attachments {
  const attached = new Map<string, number>()
  const bounds = new Map<string, number>()
  const add = (counts: Map<string, number>, arn: string): void => {
    counts.set(arn, (counts.get(arn) ?? 0) + 1)
  }
  for (const group of entitiesOf(view, 'iam-group', account)) {
    for (const arn of group.attached) add(attached, arn)
  }
  for (const kind of ['iam-user', 'iam-role'] as const) {
    for (const one of entitiesOf(view, kind, account)) {
      for (const arn of one.attached) add(attached, arn)
      if (one.boundary !== '') add(bounds, one.boundary)
    }
  }
  return { attached, bounds }
}

export function defaultDocument({ versions, defaultVersion }: ManagedPolicy): string {
  return versions.find(({ id }) => id === defaultVersion)?.document ?? ''
}
