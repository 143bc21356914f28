// The credentials with which instances act as their profiles' roles: made when there are none, and
// again half way through their time, so that a rack that is cut off has good ones for hours.

import type { RandomHex } from '../../common/clock.ts'
import { parsedIn } from '../iam/documents.ts'
import { arnOf } from '../iam/entities.ts'
import { evaluate } from '../iam/evaluate.ts'
import type { Sealer } from '../secrets.ts'
import type {
  InstanceCredentialsRecord,
  InstanceProfileRecord,
  ProfileAssociationRecord,
  RoleRecord,
} from '../store/iam-records.ts'
import type { State, View } from '../store/state.ts'
import { issueCredentials } from '../sts/credentials.ts'

/** As long as AWS' are good. */
const LIFETIME_MS = 6 * 3_600_000
const SERVICE = 'ec2.amazonaws.com'
/** Records of one transaction. */
const BATCH = 100

export interface RoleSecrets {
  readonly secretAccessKey: string
  readonly sessionToken: string
}

interface Parts {
  readonly state: State
  readonly sealer: Sealer
  readonly randomHex: RandomHex
}

/** Any number of gateways may do so at once; what one has renewed the others leave alone. */
export async function renewRoleCredentials(parts: Parts, nowMs: number): Promise<void> {
  const view = parts.state.view()
  const due = view.all('profile-association').filter((one) => isDue(view, one, nowMs))
  const kept = view.all('instance-credentials')
  const stray = kept.filter(({ instance }) => wishOf(view, instance) === null)
  for (let at = 0; at < due.length; at += BATCH) {
    const batch = due.slice(at, at + BATCH)
    await parts.state.update(async (tx) => {
      for (const { instance } of batch) {
        const now = parts.state.view()
        const association = await tx.get('profile-association', instance)
        const known = await tx.get('instance-credentials', instance)
        const wish = association === null ? null : wishOf(now, instance)
        if (wish === null || isGood(known, wish, nowMs)) continue
        const record = newCredentials(parts, wish, instance, nowMs)
        await tx.put('instance-credentials', [instance], record)
      }
    })
  }
  for (const { instance } of stray) {
    await parts.state.update(async (tx) => {
      await tx.get('profile-association', instance)
      if (wishOf(parts.state.view(), instance) !== null) return
      await tx.delete('instance-credentials', instance)
    })
  }
}

function isDue(view: View, { instance }: ProfileAssociationRecord, nowMs: number): boolean {
  const wish = wishOf(view, instance)
  return wish !== null && !isGood(view.get('instance-credentials', instance), wish, nowMs)
}

function isGood(
  record: InstanceCredentialsRecord | null,
  role: RoleRecord,
  nowMs: number,
): boolean {
  return record?.role === role.id && nowMs - record.issuedAtMs < LIFETIME_MS / 2
}

/** The role whose credentials an instance shall have; null for none. */
function wishOf(view: View, instance: string): RoleRecord | null {
  const record = view.get('instance', instance)
  if (record === null || record.state === 'terminated') return null
  const role = profileOf(view, instance)?.role ?? null
  return role !== null && trustsEc2(role) ? role : null
}

/** What an instance has: the profile, and the role in it. */
export function profileOf(
  view: View,
  instance: string,
): {
  association: ProfileAssociationRecord
  profile: InstanceProfileRecord
  role: RoleRecord | null
} | null {
  const association = view.get('profile-association', instance)
  if (association === null) return null
  const [profile] = view.by('iam-profile', 'id', association.profile)
  if (profile === undefined) return null
  const [role] = profile.role === '' ? [] : view.by('iam-role', 'id', profile.role)
  return { association, profile, role: role ?? null }
}

/** May EC2 give the role's credentials to instances? */
export function trustsEc2(role: RoleRecord): boolean {
  const resource = parsedIn(role, role.trust, 'trust')
  const sets = { identity: [], boundary: null, session: null, resource }
  return evaluate(sets, {
    action: 'sts:AssumeRole',
    resource: arnOf('iam-role', role),
    principal: { kind: 'service', account: '', arn: SERVICE, roleArn: null },
    conditions: new Map([['aws:sourceaccount', [role.account]]]),
  }).allowed
}

function newCredentials(
  { sealer, randomHex }: Parts,
  role: RoleRecord,
  instance: string,
  nowMs: number,
): InstanceCredentialsRecord {
  const expiresAtMs = nowMs + LIFETIME_MS
  const { accessKeyId, secretAccessKey, sessionToken } = issueCredentials(
    { sealer, randomHex },
    {
      ...{ account: role.account, principal: role.id, name: instance, policy: '', policyArns: [] },
      ...{ tags: {}, transitiveTagKeys: [], sourceIdentity: '', issuedAtMs: nowMs, expiresAtMs },
    },
  )
  const secrets: RoleSecrets = { secretAccessKey, sessionToken }
  const sealed = sealer.seal(JSON.stringify(secrets), contextOf(instance))
  return { instance, role: role.id, accessKeyId, sealed, issuedAtMs: nowMs, expiresAtMs }
}

/** The secrets of a record. Throws BadMessage for what was sealed for another instance. */
export function openCredentials(
  sealer: Sealer,
  { instance, sealed }: InstanceCredentialsRecord,
): RoleSecrets {
  return JSON.parse(sealer.open(sealed, contextOf(instance)))
}

function contextOf(instance: string): string {
  return `instance-credentials/${instance}`
}
