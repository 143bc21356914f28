// The records of IAM. Keys of users, groups, roles, profiles and policies are `<kind>/<account>/`
// and the name in lower case, as names that differ only in case are one name there; ids (`AIDA...`)
// are for ever and never given twice.

interface IamRecord {
  readonly id: string
  readonly account: string
  /** As it was given. */
  readonly name: string
  /** Begins and ends with a slash. */
  readonly path: string
  readonly createdAtMs: number
}

/** What has policies: a user, a group or a role. */
interface IdentityRecord extends IamRecord {
  /** ARNs of managed policies, in the order of their attachment. */
  readonly attached: readonly string[]
  /** Name → document as it was sent. */
  readonly inline: Readonly<Record<string, string>>
}

export interface UserRecord extends IdentityRecord {
  /** Ids of groups. */
  readonly groups: readonly string[]
  /** ARN of the policy that bounds its permissions; '' without one. */
  readonly boundary: string
  readonly tags: Readonly<Record<string, string>>
  readonly login: LoginProfile | null
}

/** How a user enters the console. */
export interface LoginProfile {
  /** `scrypt$N$r$p$salt$hash`, salt and hash in base64. */
  readonly passwordHash: string
  readonly resetRequired: boolean
  readonly createdAtMs: number
}

export type GroupRecord = IdentityRecord

export interface RoleRecord extends IdentityRecord {
  /** Who may assume it: a document as it was sent. */
  readonly trust: string
  /** ARN in it → id of the user or role that it meant: another of that name is not meant. */
  readonly trusted: Readonly<Record<string, string>>
  readonly description: string
  readonly maxSessionSeconds: number
  readonly boundary: string
  readonly tags: Readonly<Record<string, string>>
}

export interface InstanceProfileRecord extends IamRecord {
  /** Id of its role; '' without one. */
  readonly role: string
  readonly tags: Readonly<Record<string, string>>
}

export interface PolicyVersion {
  /** `v1`, `v2`, ... */
  readonly id: string
  readonly document: string
  readonly createdAtMs: number
}

/** A managed policy of an account. AWS' own are in iam/aws-policies.ts. */
export interface ManagedPolicyRecord extends IamRecord {
  readonly description: string
  readonly defaultVersion: string
  /** Five at most, the oldest first. */
  readonly versions: readonly PolicyVersion[]
  /** Of the version that is made next. */
  readonly nextVersion: number
  readonly updatedAtMs: number
  readonly tags: Readonly<Record<string, string>>
}

export interface PasswordPolicy {
  readonly minimumLength: number
  readonly requireSymbols: boolean
  readonly requireNumbers: boolean
  readonly requireUppercase: boolean
  readonly requireLowercase: boolean
  readonly allowUsersToChange: boolean
}

export interface AccessKeyRecord {
  readonly id: string
  readonly account: string
  /** Sealed with the cloud's master key, which is not in the store. */
  readonly sealedSecret: string
  /** Id of the user; absent for the account's root. */
  readonly user?: string
  readonly status: 'Active' | 'Inactive'
  readonly createdAtMs: number
}

/** Written by every change of the account's IAM, so that each sees all before it. */
export interface IamAccountRecord {
  readonly account: string
  readonly revision: number
  /** '' without one. */
  readonly alias: string
  readonly passwordPolicy: PasswordPolicy | null
}

/** When an access key last signed a request, or a session of a role; to a quarter of an hour. */
export interface KeyUseRecord {
  /** Of the key or the role. */
  readonly id: string
  readonly usedAtMs: number
  readonly service: string
  readonly region: string
}

/** What an instance gets from the metadata service to act as its profile's role. */
export interface InstanceCredentialsRecord {
  readonly instance: string
  /** Id of the role. */
  readonly role: string
  readonly accessKeyId: string
  /** Secret and session token, sealed. */
  readonly sealed: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** Which profile an instance has. Its key is the instance's id. */
export interface ProfileAssociationRecord {
  readonly id: string
  readonly account: string
  readonly instance: string
  /** Id of the instance profile. */
  readonly profile: string
  readonly atMs: number
}

/** Kind → record; a part of Records. */
export interface IamRecords {
  'access-key': AccessKeyRecord
  'key-use': KeyUseRecord
  'iam-account': IamAccountRecord
  'iam-user': UserRecord
  'iam-group': GroupRecord
  'iam-role': RoleRecord
  'iam-profile': InstanceProfileRecord
  'iam-policy': ManagedPolicyRecord
  'instance-credentials': InstanceCredentialsRecord
  'profile-association': ProfileAssociationRecord
}
