// The account as a whole: its alias, how much of everything it has, and all of it at once.

import type { GroupDetail, ManagedPolicyDetail, RoleDetail, UserDetail } from '@aws-sdk/client-iam'
import { ApiError } from '../aws/api-error.ts'
import type { IamHandlers } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import { shownBoundary } from './boundaries.ts'
import { shownTags } from './checks.ts'
import { encodeDocument, MAX_INLINE, MAX_MANAGED } from './documents.ts'
import { change, entitiesOf, type IamParts } from './entities.ts'
import { notThere, unsatisfied } from './errors.ts'
import { shownGroup } from './groups.ts'
import { shownProfile } from './instance-profiles.ts'
import { shownPolicy, shownVersion } from './managed-policies.ts'
import { pageOf } from './paging.ts'
import { attachmentsOf, awsPolicies, findPolicy, type ManagedPolicy, ofRecord } from './policies.ts'
import { lastUsed, shownRole } from './roles.ts'
import { shownUser } from './users.ts'

const ALIAS = /^(?!\d{12}$)[a-z\d](?:[a-z\d]|-(?!-|$)){2,62}$/

type Item =
  | { readonly list: 'UserDetailList'; readonly detail: UserDetail }
  | { readonly list: 'GroupDetailList'; readonly detail: GroupDetail }
  | { readonly list: 'RoleDetailList'; readonly detail: RoleDetail }
  | { readonly list: 'Policies'; readonly detail: ManagedPolicyDetail }
type DetailOf<L extends Item['list']> = (Item & { readonly list: L })['detail'][]

export function iamAccountHandlers({ state }: IamParts): IamHandlers {
  return {
    CreateAccountAlias: async ({ caller: { account } }, { AccountAlias: alias = '' }) => {
      if (!ALIAS.test(alias)) {
        const pattern = '^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$'
        throw unsatisfied('accountAlias', alias, `satisfy regular expression pattern: ${pattern}`)
      }
      return await change(state, account, async (tx) => {
        const holder = await tx.get('name', 'account-alias', alias)
        if (holder !== null) {
          const message = `The account alias ${alias} already exists.`
          throw new ApiError('EntityAlreadyExists', message, 409)
        }
        const record = await tx.get('iam-account', account)
        if (record === null) return {}
        if (record.alias !== '') await tx.delete('name', 'account-alias', record.alias)
        await tx.put('name', ['account-alias', alias], { name: alias, holder: account })
        await tx.put('iam-account', [account], { ...record, alias })
        return {}
      })
    },

    DeleteAccountAlias: async ({ caller: { account } }, { AccountAlias: alias = '' }) =>
      await change(state, account, async (tx) => {
        const record = await tx.get('iam-account', account)
        if (record === null || alias === '' || record.alias !== alias) {
          throw notThere(`The account alias ${alias} cannot be found.`)
        }
        await tx.delete('name', 'account-alias', alias)
        await tx.put('iam-account', [account], { ...record, alias: '' })
        return {}
      }),

    ListAccountAliases: ({ caller: { account } }) => {
      const { alias } = state.view().get('iam-account', account) ?? { alias: '' }
      return { AccountAliases: alias === '' ? [] : [alias], IsTruncated: false }
    },

    GetAccountSummary: ({ caller: { account } }) => {
      const view = state.view()
      const policies = entitiesOf(view, 'iam-policy', account)
      const rootKeys = view.by('access-key', 'account', account).filter((key) => !key.user)
      return {
        SummaryMap: {
          Users: entitiesOf(view, 'iam-user', account).length,
          UsersQuota: 5_000,
          Groups: entitiesOf(view, 'iam-group', account).length,
          GroupsQuota: 300,
          Roles: entitiesOf(view, 'iam-role', account).length,
          RolesQuota: 1_000,
          InstanceProfiles: entitiesOf(view, 'iam-profile', account).length,
          InstanceProfilesQuota: 1_000,
          Policies: policies.length,
          PoliciesQuota: 1_500,
          PolicySizeQuota: MAX_MANAGED,
          PolicyVersionsInUse: policies.reduce((sum, { versions }) => sum + versions.length, 0),
          PolicyVersionsInUseQuota: 10_000,
          VersionsPerPolicyQuota: 5,
          AttachedPoliciesPerUserQuota: 10,
          AttachedPoliciesPerGroupQuota: 10,
          AttachedPoliciesPerRoleQuota: 10,
          GroupsPerUserQuota: 10,
          AccessKeysPerUserQuota: 2,
          SigningCertificatesPerUserQuota: 2,
          UserPolicySizeQuota: MAX_INLINE.user,
          GroupPolicySizeQuota: MAX_INLINE.group,
          RolePolicySizeQuota: MAX_INLINE.role,
          AssumeRolePolicySizeQuota: 2_048,
          AccountAccessKeysPresent: rootKeys.length > 0 ? 1 : 0,
          AccountMFAEnabled: 0,
          MFADevices: 0,
          MFADevicesInUse: 0,
          ServerCertificates: 0,
          ServerCertificatesQuota: 20,
          Providers: 0,
        },
      }
    },

    GetAccountAuthorizationDetails: ({ caller: { account } }, input) => {
      const { Filter: filter = [] } = input
      const wants = (name: string): boolean =>
        filter.length === 0 || filter.some((one) => one === name)
      const view = state.view()
      const items = [
        ...(wants('User') ? users(view, account) : []),
        ...(wants('Group') ? groups(view, account) : []),
        ...(wants('Role') ? roles(view, account) : []),
        ...policies(view, account, wants),
      ]
      const { items: shown, end } = pageOf(input, items, ({ key }) => key)
      const of = <L extends Item['list']>(list: L) =>
        shown.filter((one) => one.list === list).map(({ detail }) => detail) as DetailOf<L>
      return {
        UserDetailList: of('UserDetailList'),
        GroupDetailList: of('GroupDetailList'),
        RoleDetailList: of('RoleDetailList'),
        Policies: of('Policies'),
        ...end,
      }
    },
  }
}

type Keyed = Item & { readonly key: string }

function users(view: View, account: string): Keyed[] {
  return entitiesOf(view, 'iam-user', account).map((user) => {
    const inGroups = user.groups.flatMap((id) => view.by('iam-group', 'id', id))
    const detail = {
      ...shownUser(user),
      UserPolicyList: inline(user.inline),
      GroupList: inGroups.map(({ name }) => name),
      AttachedManagedPolicies: attached(view, account, user.attached),
      ...shownBoundary(user.boundary),
      Tags: shownTags(user.tags),
    }
    return { key: `user ${user.name}`, list: 'UserDetailList', detail }
  })
}

function groups(view: View, account: string): Keyed[] {
  return entitiesOf(view, 'iam-group', account).map((group) => {
    const detail = {
      ...shownGroup(group),
      GroupPolicyList: inline(group.inline),
      AttachedManagedPolicies: attached(view, account, group.attached),
    }
    return { key: `group ${group.name}`, list: 'GroupDetailList', detail }
  })
}

function roles(view: View, account: string): Keyed[] {
  return entitiesOf(view, 'iam-role', account).map((role) => {
    const { Description: _, MaxSessionDuration: __, ...shown } = shownRole(role)
    const profiles = view.by('iam-profile', 'role', role.id)
    const detail = {
      ...shown,
      InstanceProfileList: profiles.map((profile) => shownProfile(view, profile)),
      RolePolicyList: inline(role.inline),
      AttachedManagedPolicies: attached(view, account, role.attached),
      ...shownBoundary(role.boundary),
      Tags: shownTags(role.tags),
      RoleLastUsed: lastUsed(view, role),
    }
    return { key: `role ${role.name}`, list: 'RoleDetailList', detail }
  })
}

function policies(view: View, account: string, wants: (name: string) => boolean): Keyed[] {
  const attachments = attachmentsOf(view, account)
  const local = wants('LocalManagedPolicy')
    ? entitiesOf(view, 'iam-policy', account).map(ofRecord)
    : []
  // AWS' own are listed where they are used.
  const aws = wants('AWSManagedPolicy')
    ? awsPolicies().filter(({ arn }) => attachments.attached.has(arn))
    : []
  return [...local, ...aws].map((policy) => {
    const detail = { ...shownPolicy(policy, attachments), PolicyVersionList: versions(policy) }
    return { key: `policy ${policy.arn}`, list: 'Policies', detail }
  })
}

function versions(policy: ManagedPolicy): NonNullable<ManagedPolicyDetail['PolicyVersionList']> {
  return policy.versions.map((version) => ({
    Document: encodeDocument(version.document),
    ...shownVersion(policy, version),
  }))
}

function inline(documents: Readonly<Record<string, string>>) {
  return Object.entries(documents).map(([PolicyName, document]) => ({
    PolicyName,
    PolicyDocument: encodeDocument(document),
  }))
}

function attached(view: View, account: string, arns: readonly string[]) {
  return arns.flatMap((arn) => {
    const policy = findPolicy(view, account, arn)
    return policy === null ? [] : [{ PolicyName: policy.name, PolicyArn: arn }]
  })
}
