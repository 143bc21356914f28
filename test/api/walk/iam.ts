// The walk through all of IAM: an account's people, what runs under a role, and policies on both.

import { type Row, steps } from './row.ts'

const READ = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: ['ec2:Describe*', 'iam:ChangePassword', 'sts:*'], Resource: '*' },
  ],
})
const READ_LESS = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'ec2:DescribeVpcs', Resource: '*' }],
})
const TRUST = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } },
  ],
})
const TRUST_USERS = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      ...{ Effect: 'Allow', Action: 'sts:AssumeRole' },
      Principal: { AWS: 'arn:aws:iam::<account>:root', Service: 'ec2.amazonaws.com' },
    },
  ],
})
const OWN = JSON.stringify({
  Version: '2012-10-17',
  Statement: {
    Effect: 'Allow',
    Action: 'iam:GetUser',
    Resource: `arn:aws:iam::*:user/\${aws:username}`,
  },
})
const READ_ONLY = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess'
const BOUNDARY = { PermissionsBoundary: READ_ONLY }
const [ANN, STAFF, WALK] = [{ UserName: 'ann' }, { GroupName: 'staff' }, { RoleName: 'walk' }]
const POLICY = { PolicyArn: '<policy>' }
const PROFILE = { InstanceProfileName: 'walk' }
const TAG = { Tags: [{ Key: 'part', Value: 'é' }] }
const UNTAG = { TagKeys: ['part'] }
const TAGGED = { want: { 'Tags.0.Value': 'é' } }
const INLINE = { PolicyName: 'inline', PolicyDocument: READ_LESS }

const PEOPLE: readonly Row[] = [
  ['CreateAccountAlias', { AccountAlias: 'walk-<account>' }],
  ['ListAccountAliases', {}, { want: { 'AccountAliases.0': 'walk-<account>' } }],
  ['UpdateAccountPasswordPolicy', { MinimumPasswordLength: 12, AllowUsersToChangePassword: true }],
  ['GetAccountPasswordPolicy', {}, { want: { 'PasswordPolicy.MinimumPasswordLength': 12 } }],
  [
    'CreatePolicy',
    { PolicyName: 'walk', PolicyDocument: READ, Description: 'of the walk' },
    { want: { 'Policy.DefaultVersionId': 'v1' }, keep: { policy: 'Policy.Arn' } },
  ],
  ['GetPolicy', POLICY, { wait: 'policy_exists' }],
  [
    'CreatePolicyVersion',
    { ...POLICY, PolicyDocument: READ_LESS },
    { want: { 'PolicyVersion.VersionId': 'v2' } },
  ],
  ['SetDefaultPolicyVersion', { ...POLICY, VersionId: 'v2' }],
  ['ListPolicyVersions', POLICY, { want: { 'Versions.length': 2 } }],
  ['GetPolicyVersion', { ...POLICY, VersionId: 'v1' }, { want: { 'PolicyVersion.Document': '*' } }],
  ['SetDefaultPolicyVersion', { ...POLICY, VersionId: 'v1' }],
  ['DeletePolicyVersion', { ...POLICY, VersionId: 'v2' }],
  ['TagPolicy', { ...POLICY, ...TAG }],
  ['ListPolicyTags', POLICY, TAGGED],
  ['UntagPolicy', { ...POLICY, ...UNTAG }],
  ['GetPolicy', POLICY, { want: { 'Policy.PolicyName': 'walk' } }],
  ['ListPolicies', {}, { want: { 'Policies.*.Arn': READ_ONLY } }],
  ['CreateUser', { ...ANN, Path: '/walk/' }, { want: { 'User.Path': '/walk/' } }],
  ['GetUser', ANN, { wait: 'user_exists' }],
  ['GetUser', ANN, { want: { 'User.Arn': 'arn:aws:iam::<account>:user/walk/ann' } }],
  ['TagUser', { ...ANN, ...TAG }],
  ['ListUserTags', ANN, TAGGED],
  ['UntagUser', { ...ANN, ...UNTAG }],
  ['UpdateUser', { ...ANN, NewPath: '/' }],
  ['ListUsers', {}, { want: { 'Users.0.Path': '/' } }],
  ['AttachUserPolicy', { ...ANN, ...POLICY }],
  ['ListAttachedUserPolicies', ANN, { want: { 'AttachedPolicies.0.PolicyArn': '<policy>' } }],
  ['PutUserPolicy', { ...ANN, ...INLINE }],
  ['GetUserPolicy', { ...ANN, PolicyName: 'inline' }, { want: { PolicyDocument: '*' } }],
  ['ListUserPolicies', ANN, { want: { 'PolicyNames.0': 'inline' } }],
  ['PutUserPermissionsBoundary', { ...ANN, ...BOUNDARY }],
  ['DeleteUserPermissionsBoundary', ANN],
  [
    'CreateAccessKey',
    ANN,
    { keep: { annId: 'AccessKey.AccessKeyId', annSecret: 'AccessKey.SecretAccessKey' } },
  ],
  ['UpdateAccessKey', { ...ANN, AccessKeyId: '<annId>', Status: 'Inactive' }],
  ['ListAccessKeys', ANN, { want: { 'AccessKeyMetadata.0.Status': 'Inactive' } }],
  ['UpdateAccessKey', { ...ANN, AccessKeyId: '<annId>', Status: 'Active' }],
  ['CreateLoginProfile', { ...ANN, Password: 'Walk-in-the-mallee-1' }],
  [
    'UpdateLoginProfile',
    { ...ANN, Password: 'Walk-in-the-mallee-2', PasswordResetRequired: false },
  ],
  ['GetLoginProfile', ANN, { want: { 'LoginProfile.UserName': 'ann' } }],
  [
    'ChangePassword',
    { OldPassword: 'Walk-in-the-mallee-2', NewPassword: 'Walk-in-the-mallee-3' },
    { as: ['<annId>', '<annSecret>'] },
  ],
  ['GetAccessKeyLastUsed', { AccessKeyId: '<annId>' }, { want: { UserName: 'ann' } }],
  ['CreateGroup', STAFF, { want: { 'Group.GroupName': 'staff' } }],
  ['UpdateGroup', { ...STAFF, NewPath: '/walk/' }],
  ['AddUserToGroup', { ...STAFF, ...ANN }],
  ['GetGroup', STAFF, { want: { 'Users.0.UserName': 'ann', 'Group.Path': '/walk/' } }],
  ['ListGroups', {}, { want: { 'Groups.0.GroupName': 'staff' } }],
  ['ListGroupsForUser', ANN, { want: { 'Groups.0.GroupName': 'staff' } }],
  ['AttachGroupPolicy', { ...STAFF, ...POLICY }],
  ['ListAttachedGroupPolicies', STAFF, { want: { 'AttachedPolicies.0.PolicyName': 'walk' } }],
  ['PutGroupPolicy', { ...STAFF, ...INLINE }],
  ['GetGroupPolicy', { ...STAFF, PolicyName: 'inline' }, { want: { PolicyDocument: '*' } }],
  ['ListGroupPolicies', STAFF, { want: { 'PolicyNames.0': 'inline' } }],
]

const ROLES: readonly Row[] = [
  [
    'CreateRole',
    { ...WALK, AssumeRolePolicyDocument: TRUST, Description: 'of the walk' },
    { keep: { role: 'Role.Arn' } },
  ],
  ['GetRole', WALK, { wait: 'role_exists' }],
  ['UpdateAssumeRolePolicy', { ...WALK, PolicyDocument: TRUST_USERS }],
  ['UpdateRole', { ...WALK, MaxSessionDuration: 7200 }],
  ['UpdateRoleDescription', { ...WALK, Description: 'walks' }, { want: { 'Role.Arn': '<role>' } }],
  [
    'GetRole',
    WALK,
    { want: { 'Role.MaxSessionDuration': 7200, 'Role.AssumeRolePolicyDocument': '*' } },
  ],
  ['ListRoles', {}, { want: { 'Roles.0.RoleName': 'walk' } }],
  ['TagRole', { ...WALK, ...TAG }, { argv: ['--role-name', 'walk', '--tags', 'Key=part,Value=é'] }],
  ['ListRoleTags', WALK, TAGGED],
  ['UntagRole', { ...WALK, ...UNTAG }],
  ['PutRolePermissionsBoundary', { ...WALK, ...BOUNDARY }],
  ['DeleteRolePermissionsBoundary', WALK],
  ['AttachRolePolicy', { ...WALK, ...POLICY }],
  ['ListAttachedRolePolicies', WALK, { want: { 'AttachedPolicies.0.PolicyName': 'walk' } }],
  ['PutRolePolicy', { ...WALK, ...INLINE }],
  ['GetRolePolicy', { ...WALK, PolicyName: 'inline' }, { want: { PolicyDocument: '*' } }],
  ['ListRolePolicies', WALK, { want: { 'PolicyNames.0': 'inline' } }],
  [
    'SimulatePrincipalPolicy',
    { PolicySourceArn: '<role>', ActionNames: ['ec2:DescribeVpcs', 'ec2:CreateVpc'] },
    {
      want: {
        'EvaluationResults.0.EvalDecision': 'allowed',
        'EvaluationResults.0.MatchedStatements.0.StartPosition.Line': 1,
        'EvaluationResults.1.EvalDecision': 'implicitDeny',
      },
    },
  ],
  [
    'SimulateCustomPolicy',
    { PolicyInputList: [READ_LESS], ActionNames: ['ec2:DescribeVpcs'] },
    { want: { 'EvaluationResults.0.EvalDecision': 'allowed' } },
  ],
  [
    'GetContextKeysForCustomPolicy',
    { PolicyInputList: [OWN] },
    { want: { 'ContextKeyNames.0': 'aws:username' } },
  ],
  [
    'GetContextKeysForPrincipalPolicy',
    { PolicySourceArn: '<role>', PolicyInputList: [OWN] },
    { want: { 'ContextKeyNames.length': 1 } },
  ],
  ['CreateInstanceProfile', PROFILE, { want: { 'InstanceProfile.Path': '/' } }],
  ['GetInstanceProfile', PROFILE, { wait: 'instance_profile_exists' }],
  ['AddRoleToInstanceProfile', { ...PROFILE, ...WALK }],
  ['GetInstanceProfile', PROFILE, { want: { 'InstanceProfile.Roles.0.RoleName': 'walk' } }],
  ['ListInstanceProfiles', {}, { want: { 'InstanceProfiles.0.InstanceProfileName': 'walk' } }],
  ['ListInstanceProfilesForRole', WALK, { want: { 'InstanceProfiles.length': 1 } }],
  ['TagInstanceProfile', { ...PROFILE, ...TAG }],
  ['ListInstanceProfileTags', PROFILE, TAGGED],
  ['UntagInstanceProfile', { ...PROFILE, ...UNTAG }],
  ['ListEntitiesForPolicy', POLICY, { want: { 'PolicyRoles.0.RoleName': 'walk' } }],
  ['GetAccountSummary', {}, { want: { 'SummaryMap.Users': 1, 'SummaryMap.Roles': 1 } }],
  [
    'GetAccountAuthorizationDetails',
    {},
    { want: { 'UserDetailList.0.GroupList.0': 'staff', 'RoleDetailList.0.RoleName': 'walk' } },
  ],
]

const ENDED: readonly Row[] = [
  ['RemoveRoleFromInstanceProfile', { ...PROFILE, ...WALK }],
  ['DeleteInstanceProfile', PROFILE],
  ['DeleteRolePolicy', { ...WALK, PolicyName: 'inline' }],
  ['DetachRolePolicy', { ...WALK, ...POLICY }],
  ['DeleteRole', WALK],
  ['DeleteGroupPolicy', { ...STAFF, PolicyName: 'inline' }],
  ['DetachGroupPolicy', { ...STAFF, ...POLICY }],
  ['RemoveUserFromGroup', { ...STAFF, ...ANN }],
  ['DeleteGroup', STAFF],
  ['DeleteLoginProfile', ANN],
  ['DeleteAccessKey', { ...ANN, AccessKeyId: '<annId>' }],
  ['DeleteUserPolicy', { ...ANN, PolicyName: 'inline' }],
  ['DetachUserPolicy', { ...ANN, ...POLICY }],
  ['DeleteUser', ANN],
  ['DeletePolicy', POLICY],
  ['DeleteAccountPasswordPolicy', {}],
  ['DeleteAccountAlias', { AccountAlias: 'walk-<account>' }],
  ['GetUser', ANN, { refused: 'NoSuchEntity' }],
  ['GetAccountSummary', {}, { want: { 'SummaryMap.Users': 0, 'SummaryMap.Roles': 0 } }],
]

export const IAM_STEPS = { made: steps('iam', PEOPLE, ROLES), ended: steps('iam', ENDED) }
