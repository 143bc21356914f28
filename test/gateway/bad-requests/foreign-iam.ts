// For each action of IAM and STS: what a second account asks with names and ARNs of the first's
// things, and what it is told.

import { policyDocument, trustOf } from '../iam/world.ts'

/** A code, or what is accepted because it is of the caller's own things of that name. */
export type Told = RegExp | 'own'
export type Ask = readonly [input: object, told: Told]
export type Asks = Readonly<Record<string, readonly Ask[]>>

export interface Theirs {
  readonly account: string
  readonly policyArn: string
  readonly roleArn: string
  readonly userKey: string
  readonly encoded: string
}

/** The caller has user `bob`, group `mine`, role and profile `own`, and this policy. */
export interface Own {
  readonly policyArn: string
}

const NONE = /^NoSuchEntity$/
/** AWS tells of a foreign ARN that there is no such thing, or that nobody gave access to it. */
const DENIED = /^(?:NoSuchEntity|AccessDenied)$/
const USER = { UserName: 'alice' }
const GROUP = { GroupName: 'staff' }
const ROLE = { RoleName: 'web' }
const PROFILE = { InstanceProfileName: 'web' }
const DOCUMENT = { PolicyDocument: policyDocument('ec2:Describe*') }
const INLINE = { PolicyName: 'inline' }
const TAGS = { Tags: [{ Key: 'a', Value: 'b' }] }
const KEYS = { TagKeys: ['a'] }
const OWN = 'own'

/** A user, a group and a role have these alike. */
function attachments(
  kind: 'User' | 'Group' | 'Role',
  theirs: object,
  own: object,
  arns: { readonly theirs: object; readonly own: object },
): Asks {
  return {
    [`Attach${kind}Policy`]: [
      [{ ...theirs, ...arns.own }, NONE],
      [{ ...own, ...arns.theirs }, DENIED],
    ],
    [`Detach${kind}Policy`]: [
      [{ ...theirs, ...arns.own }, NONE],
      [{ ...own, ...arns.theirs }, DENIED],
    ],
    [`Put${kind}Policy`]: [[{ ...theirs, ...INLINE, ...DOCUMENT }, NONE]],
    [`Get${kind}Policy`]: [[{ ...theirs, ...INLINE }, NONE]],
    [`Delete${kind}Policy`]: [[{ ...theirs, ...INLINE }, NONE]],
    [`List${kind}Policies`]: [[theirs, NONE]],
    [`ListAttached${kind}Policies`]: [[theirs, NONE]],
  }
}

export function iamAsks(theirs: Theirs, own: Own): Asks {
  const arns = { theirs: { PolicyArn: theirs.policyArn }, own: { PolicyArn: own.policyArn } }
  const policy = arns.theirs
  const boundary = { PermissionsBoundary: theirs.policyArn }
  const key = { AccessKeyId: theirs.userKey }
  const document = { AssumeRolePolicyDocument: trustOf({ AWS: theirs.account }) }
  const theirUser = `arn:aws:iam::${theirs.account}:user/alice`
  const [ActionNames, PolicyInputList] = [['ec2:DescribeVpcs'], [DOCUMENT.PolicyDocument]]
  const [bob, mine, ownRole] = [{ UserName: 'bob' }, { GroupName: 'mine' }, { RoleName: 'own' }]
  return {
    ...attachments('User', USER, bob, arns),
    ...attachments('Group', GROUP, mine, arns),
    ...attachments('Role', ROLE, ownRole, arns),
    // Names are an account's own.
    CreateUser: [
      [{ UserName: 'new', ...boundary }, DENIED],
      [{ UserName: 'staff' }, OWN],
    ],
    CreateGroup: [[{ GroupName: 'web' }, OWN]],
    CreateRole: [[{ RoleName: 'new', ...document, ...boundary }, DENIED]],
    CreateInstanceProfile: [[{ InstanceProfileName: 'alice' }, OWN]],
    CreatePolicy: [[{ PolicyName: 'reader', ...DOCUMENT }, OWN]],
    GetUser: [[USER, NONE]],
    UpdateUser: [[{ ...USER, NewPath: '/x/' }, NONE]],
    DeleteUser: [[USER, NONE]],
    TagUser: [[{ ...USER, ...TAGS }, NONE]],
    UntagUser: [[{ ...USER, ...KEYS }, NONE]],
    ListUserTags: [[USER, NONE]],
    ListGroupsForUser: [[USER, NONE]],
    CreateAccessKey: [[USER, NONE]],
    ListAccessKeys: [[USER, NONE]],
    UpdateAccessKey: [
      [{ ...USER, ...key, Status: 'Inactive' }, NONE],
      [{ ...bob, ...key, Status: 'Inactive' }, NONE],
      [{ ...key, Status: 'Inactive' }, NONE],
    ],
    DeleteAccessKey: [
      [{ ...USER, ...key }, NONE],
      [{ ...bob, ...key }, NONE],
      [key, NONE],
    ],
    GetAccessKeyLastUsed: [[key, DENIED]],
    CreateLoginProfile: [[{ ...USER, Password: 'Mallee-and-Eucalyptus-1' }, NONE]],
    GetLoginProfile: [[USER, NONE]],
    UpdateLoginProfile: [[{ ...USER, Password: 'Mallee-and-Eucalyptus-1' }, NONE]],
    DeleteLoginProfile: [[USER, NONE]],
    PutUserPermissionsBoundary: [
      [{ ...USER, PermissionsBoundary: own.policyArn }, NONE],
      [{ ...bob, ...boundary }, DENIED],
    ],
    DeleteUserPermissionsBoundary: [[USER, NONE]],
    GetGroup: [[GROUP, NONE]],
    UpdateGroup: [[{ ...GROUP, NewPath: '/x/' }, NONE]],
    DeleteGroup: [[GROUP, NONE]],
    AddUserToGroup: [
      [{ ...mine, ...USER }, NONE],
      [{ ...GROUP, ...bob }, NONE],
    ],
    RemoveUserFromGroup: [
      [{ ...mine, ...USER }, NONE],
      [{ ...GROUP, ...bob }, NONE],
    ],
    GetRole: [[ROLE, NONE]],
    UpdateRole: [[{ ...ROLE, Description: 'x' }, NONE]],
    UpdateRoleDescription: [[{ ...ROLE, Description: 'x' }, NONE]],
    UpdateAssumeRolePolicy: [[{ ...ROLE, PolicyDocument: trustOf({ AWS: theirs.account }) }, NONE]],
    DeleteRole: [[ROLE, NONE]],
    TagRole: [[{ ...ROLE, ...TAGS }, NONE]],
    UntagRole: [[{ ...ROLE, ...KEYS }, NONE]],
    ListRoleTags: [[ROLE, NONE]],
    PutRolePermissionsBoundary: [
      [{ ...ROLE, PermissionsBoundary: own.policyArn }, NONE],
      [{ ...ownRole, ...boundary }, DENIED],
    ],
    DeleteRolePermissionsBoundary: [[ROLE, NONE]],
    ListInstanceProfilesForRole: [[ROLE, NONE]],
    GetInstanceProfile: [[PROFILE, NONE]],
    DeleteInstanceProfile: [[PROFILE, NONE]],
    AddRoleToInstanceProfile: [
      [{ ...PROFILE, ...ownRole }, NONE],
      [{ InstanceProfileName: 'own', ...ROLE }, NONE],
    ],
    RemoveRoleFromInstanceProfile: [
      [{ ...PROFILE, ...ownRole }, NONE],
      [{ InstanceProfileName: 'own', ...ROLE }, NONE],
    ],
    TagInstanceProfile: [[{ ...PROFILE, ...TAGS }, NONE]],
    UntagInstanceProfile: [[{ ...PROFILE, ...KEYS }, NONE]],
    ListInstanceProfileTags: [[PROFILE, NONE]],
    GetPolicy: [[policy, DENIED]],
    DeletePolicy: [[policy, DENIED]],
    CreatePolicyVersion: [[{ ...policy, ...DOCUMENT }, DENIED]],
    GetPolicyVersion: [[{ ...policy, VersionId: 'v1' }, DENIED]],
    DeletePolicyVersion: [[{ ...policy, VersionId: 'v1' }, DENIED]],
    SetDefaultPolicyVersion: [[{ ...policy, VersionId: 'v1' }, DENIED]],
    ListPolicyVersions: [[policy, DENIED]],
    TagPolicy: [[{ ...policy, ...TAGS }, DENIED]],
    UntagPolicy: [[{ ...policy, ...KEYS }, DENIED]],
    ListPolicyTags: [[policy, DENIED]],
    ListEntitiesForPolicy: [[policy, DENIED]],
    SimulatePrincipalPolicy: [
      [{ PolicySourceArn: theirUser, ActionNames }, NONE],
      [{ PolicySourceArn: theirs.roleArn, ActionNames }, NONE],
    ],
    SimulateCustomPolicy: [
      [{ PolicyInputList, ActionNames, CallerArn: theirUser }, /^InvalidInput$/],
    ],
    GetContextKeysForPrincipalPolicy: [[{ PolicySourceArn: theirUser }, NONE]],
    GetContextKeysForCustomPolicy: [[{ PolicyInputList }, OWN]],
    // An alias is the whole cloud's.
    CreateAccountAlias: [[{ AccountAlias: 'first' }, /^EntityAlreadyExists$/]],
    DeleteAccountAlias: [[{ AccountAlias: 'first' }, NONE]],
    ListAccountAliases: [[{}, OWN]],
    // About the caller's account alone.
    ChangePassword: [[{ OldPassword: 'x', NewPassword: 'y' }, /./]],
    UpdateAccountPasswordPolicy: [[{ MinimumPasswordLength: 9 }, OWN]],
    GetAccountPasswordPolicy: [[{}, OWN]],
    DeleteAccountPasswordPolicy: [[{}, OWN]],
    GetAccountSummary: [[{}, OWN]],
    GetAccountAuthorizationDetails: [[{}, OWN]],
    ListUsers: [[{}, OWN]],
    ListGroups: [[{}, OWN]],
    ListRoles: [[{}, OWN]],
    ListInstanceProfiles: [[{}, OWN]],
    ListPolicies: [[{}, OWN]],
  }
}

export function stsAsks(theirs: Theirs): Asks {
  return {
    AssumeRole: [[{ RoleArn: theirs.roleArn, RoleSessionName: 'walker' }, /^AccessDenied$/]],
    DecodeAuthorizationMessage: [
      [{ EncodedMessage: theirs.encoded }, /^InvalidAuthorizationMessageException$/],
    ],
    // As with AWS, whose key it is can be asked by everybody.
    GetAccessKeyInfo: [[{ AccessKeyId: theirs.userKey }, OWN]],
    GetCallerIdentity: [[{}, OWN]],
    GetSessionToken: [[{}, OWN]],
    GetFederationToken: [
      [{ Name: 'guest' }, OWN],
      [{ Name: 'guest', PolicyArns: [{ arn: theirs.policyArn }] }, /^MalformedPolicyDocument$/],
    ],
  }
}
