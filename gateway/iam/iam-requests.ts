// What a call to IAM asks policies for (Service Authorization Reference, "Actions, resources, and
// condition keys for AWS Identity and Access Management").

import { principalOfArn } from './documents.ts'
import { asKeys, type Keys, requestTagKeys } from './ec2-keys.ts'
import { textsAt } from './ec2-members.ts'
import type { Place } from './ec2-named.ts'
import type { Ask } from './ec2-requests.ts'
import { arnOf, type EntityKind, findEntity } from './entities.ts'
import { passAsk } from './pass-role.ts'
import { findPolicy } from './policies.ts'
import type { Access } from './principals.ts'

type Type = 'user' | 'group' | 'role' | 'instance-profile' | 'policy'

const MEMBERS = {
  user: 'UserName',
  group: 'GroupName',
  role: 'RoleName',
  'instance-profile': 'InstanceProfileName',
} as const
const KINDS: Readonly<Record<keyof typeof MEMBERS, EntityKind>> = {
  user: 'iam-user',
  group: 'iam-group',
  role: 'iam-role',
  'instance-profile': 'iam-profile',
}

/** Actions by what they are about; those that are not here have no resource. */
const TABLE: Readonly<Record<Type, string>> = {
  user: `
    AttachUserPolicy ChangePassword CreateAccessKey CreateLoginProfile CreateUser DeleteAccessKey
    DeleteLoginProfile DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy DetachUserPolicy
    GetAccessKeyLastUsed GetLoginProfile GetUser GetUserPolicy ListAccessKeys
    ListAttachedUserPolicies ListGroupsForUser ListUserPolicies ListUserTags
    PutUserPermissionsBoundary PutUserPolicy TagUser UntagUser UpdateAccessKey UpdateLoginProfile
    UpdateUser`,
  group: `
    AddUserToGroup AttachGroupPolicy CreateGroup DeleteGroup DeleteGroupPolicy DetachGroupPolicy
    GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy
    RemoveUserFromGroup UpdateGroup`,
  role: `
    AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy
    DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole
    ListRolePolicies ListRoleTags PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole
    UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription`,
  'instance-profile': `
    AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile
    ListInstanceProfileTags RemoveRoleFromInstanceProfile TagInstanceProfile
    UntagInstanceProfile`,
  policy: `
    CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion
    ListEntitiesForPolicy ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy
    UntagPolicy`,
}

const TYPES = new Map(
  (Object.keys(TABLE) as Type[]).flatMap((type) =>
    TABLE[type]
      .trim()
      .split(/\s+/)
      .map((action): [string, Type] => [action, type]),
  ),
)

/** They are about the user, group or role whose ARN they have. */
const BY_ARN = new Set(['SimulatePrincipalPolicy', 'GetContextKeysForPrincipalPolicy'])

export function iamAsks(place: Place, access: Access, action: string, input: object): Ask[] {
  const type = TYPES.get(action)
  const named = `iam:${action}`
  if (BY_ARN.has(action)) {
    const [arn = '*'] = textsAt(input, 'PolicySourceArn')
    return [{ action: named, resource: arn, keys: recordKeys(principalOfArn(place.view, arn)) }]
  }
  if (type === undefined) return [{ action: named, resource: '*', keys: new Map() }]
  const { arn, keys } = targetOf(place, access, type, action, input)
  const tags = tagsIn(input)
  const gone = textsAt(input, 'TagKeys')
  const asked: Keys = new Map([
    ...keys,
    ...requestTagKeys(tags),
    ...asKeys(policyValues(input)),
    ...(gone.length === 0 ? [] : [['aws:tagkeys', gone] as const]),
  ])
  const asks: Ask[] = [{ action: named, resource: arn, keys: asked }]
  // Who makes something with tags must be allowed to tag it too.
  if (action.startsWith('Create') && tags.size > 0) {
    asks.push({ action: `iam:Tag${action.slice('Create'.length)}`, resource: arn, keys: asked })
  }
  if (action === 'AddRoleToInstanceProfile') asks.push(...passedRole(place, input))
  const moved = movedTo(place, type, action, input)
  if (moved !== null) asks.push({ action: named, resource: moved, keys: asked })
  return asks
}

/** The ARN of what the call is about, and what its record tells conditions. */
function targetOf(
  place: Place,
  access: Access,
  type: Type,
  action: string,
  input: object,
): { arn: string; keys: Keys } {
  const { view, account } = place
  const [path = '/'] = action.startsWith('Create') ? textsAt(input, 'Path') : []
  if (type === 'policy') {
    const [arn] = textsAt(input, 'PolicyArn')
    const [name = '*'] = textsAt(input, 'PolicyName')
    if (arn === undefined) return { arn: iamArn(account, type, path, name), keys: new Map() }
    return { arn, keys: recordKeys(findPolicy(view, account, arn)) }
  }
  const [asked] = textsAt(input, MEMBERS[type])
  const name = action === 'GetAccessKeyLastUsed' ? keyOwner(place, input) : asked
  // Without a name a call is about its caller.
  if (name === undefined) return { arn: access.principal.arn, keys: new Map() }
  const kind = KINDS[type]
  const found = findEntity(view, kind, { account, name })
  if (found === null) return { arn: iamArn(account, type, path, name), keys: new Map() }
  return { arn: arnOf(kind, found), keys: recordKeys(found) }
}

function iamArn(account: string, type: Type, path: string, name: string): string {
  return `arn:aws:iam::${account}:${type}${path}${name}`
}

function recordKeys(record: object | null): Keys {
  const { tags = {}, boundary = '' } = (record ?? {}) as {
    tags?: Readonly<Record<string, string>>
    boundary?: string
  }
  const keys = asKeys({ 'iam:PermissionsBoundary': boundary })
  for (const [key, value] of Object.entries(tags)) {
    keys.set(`aws:resourcetag/${key.toLowerCase()}`, [value])
    keys.set(`iam:resourcetag/${key.toLowerCase()}`, [value])
  }
  return keys
}

/** Which policy is attached, which boundary is set: what the request says counts. */
function policyValues(input: object): Record<string, string | null> {
  const [policy = null] = textsAt(input, 'PolicyArn')
  const [boundary] = textsAt(input, 'PermissionsBoundary')
  return {
    'iam:PolicyARN': policy,
    ...(boundary === undefined ? {} : { 'iam:PermissionsBoundary': boundary }),
  }
}

function tagsIn(input: object): Map<string, string> {
  const { Tags: tags = [] } = input as { Tags?: readonly { Key?: string; Value?: string }[] }
  return new Map(tags.map(({ Key = '', Value = '' }) => [Key, Value]))
}

/** Who renames or moves must be allowed to where it goes, too. */
function movedTo(place: Place, type: Type, action: string, input: object): string | null {
  if ((action !== 'UpdateUser' && action !== 'UpdateGroup') || type === 'policy') return null
  const [name = ''] = textsAt(input, MEMBERS[type])
  const [newName = name] = textsAt(input, `New${MEMBERS[type]}`)
  const [newPath] = textsAt(input, 'NewPath')
  if (newPath === undefined && newName === name) return null
  const found = findEntity(place.view, KINDS[type], { account: place.account, name })
  return iamArn(place.account, type, newPath ?? found?.path ?? '/', newName)
}

/** Whose key it is. */
function keyOwner({ view, account }: Place, input: object): string | undefined {
  return textsAt(input, 'AccessKeyId').flatMap((id) => {
    const key = view.get('access-key', id)
    if (key?.account !== account || key.user === undefined) return []
    return view.by('iam-user', 'id', key.user).map(({ name }) => name)
  })[0]
}

function passedRole({ view, account }: Place, input: object): Ask[] {
  return textsAt(input, 'RoleName').flatMap((name) => {
    const role = findEntity(view, 'iam-role', { account, name })
    return role === null ? [] : [passAsk(arnOf('iam-role', role))]
  })
}
