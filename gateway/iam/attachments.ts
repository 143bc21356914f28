// Managed policies on users, groups and roles: attached, detached, and who has which.

import type { AttachedPolicy } from '@aws-sdk/client-iam'
import type { IamHandlers } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import { checkName, checkPathPrefix } from './checks.ts'
import { change, entitiesOf, entity, type IamParts, putEntity } from './entities.ts'
import { limitExceeded, notThere } from './errors.ts'
import { type PageRequest, pageOf } from './paging.ts'
import { findPolicy, managedPolicy } from './policies.ts'

type Kind = 'iam-user' | 'iam-group' | 'iam-role'

interface Named {
  readonly account: string
  readonly name: string
}

const MOST = 10
const QUOTAS = {
  'iam-user': 'PoliciesPerUser',
  'iam-group': 'PoliciesPerGroup',
  'iam-role': 'PoliciesPerRole',
} as const

export function attachmentHandlers(parts: IamParts): IamHandlers {
  const { state } = parts
  return {
    AttachUserPolicy: ({ caller: { account } }, { UserName, PolicyArn }) =>
      attach(parts, 'iam-user', { account, name: checkName('userName', UserName) }, PolicyArn),
    AttachGroupPolicy: ({ caller: { account } }, { GroupName, PolicyArn }) =>
      attach(parts, 'iam-group', { account, name: checkName('groupName', GroupName) }, PolicyArn),
    AttachRolePolicy: ({ caller: { account } }, { RoleName, PolicyArn }) =>
      attach(parts, 'iam-role', { account, name: checkName('roleName', RoleName) }, PolicyArn),

    DetachUserPolicy: ({ caller: { account } }, { UserName, PolicyArn }) =>
      detach(parts, 'iam-user', { account, name: checkName('userName', UserName) }, PolicyArn),
    DetachGroupPolicy: ({ caller: { account } }, { GroupName, PolicyArn }) =>
      detach(parts, 'iam-group', { account, name: checkName('groupName', GroupName) }, PolicyArn),
    DetachRolePolicy: ({ caller: { account } }, { RoleName, PolicyArn }) =>
      detach(parts, 'iam-role', { account, name: checkName('roleName', RoleName) }, PolicyArn),

    ListAttachedUserPolicies: ({ caller: { account } }, input) =>
      list(
        state.view(),
        'iam-user',
        { account, name: checkName('userName', input.UserName) },
        input,
      ),
    ListAttachedGroupPolicies: ({ caller: { account } }, input) => {
      const name = checkName('groupName', input.GroupName)
      return list(state.view(), 'iam-group', { account, name }, input)
    },
    ListAttachedRolePolicies: ({ caller: { account } }, input) =>
      list(
        state.view(),
        'iam-role',
        { account, name: checkName('roleName', input.RoleName) },
        input,
      ),

    ListEntitiesForPolicy: ({ caller: { account } }, input) => {
      const view = state.view()
      const { arn } = managedPolicy(view, account, input.PolicyArn ?? '')
      const prefix = checkPathPrefix(input.PathPrefix)
      const { EntityFilter: wanted, PolicyUsageFilter: usage } = input
      const isUsed = (one: { attached: readonly string[]; boundary?: string }): boolean =>
        (usage !== 'PermissionsBoundary' && one.attached.includes(arn)) ||
        (usage !== 'PermissionsPolicy' && one.boundary === arn)
      const kinds = (['iam-group', 'iam-role', 'iam-user'] as const).filter((kind) =>
        isWanted(kind, wanted),
      )
      const found = kinds.flatMap((kind) =>
        entitiesOf(view, kind, account)
          .filter((one) => one.path.startsWith(prefix) && isUsed(one))
          .map(({ name, id }) => ({ kind, name, id })),
      )
      const { items, end } = pageOf(input, found, ({ kind, name }) => `${kind} ${name}`)
      const of = (kind: Kind) => items.filter((one) => one.kind === kind)
      return {
        PolicyGroups: of('iam-group').map(({ name, id }) => ({ GroupName: name, GroupId: id })),
        PolicyUsers: of('iam-user').map(({ name, id }) => ({ UserName: name, UserId: id })),
        PolicyRoles: of('iam-role').map(({ name, id }) => ({ RoleName: name, RoleId: id })),
        ...end,
      }
    },
  }
}

function isWanted(kind: Kind, filter: string | undefined): boolean {
  switch (filter) {
    case 'User':
      return kind === 'iam-user'
    case 'Role':
      return kind === 'iam-role'
    case 'Group':
      return kind === 'iam-group'
    // Policies of either owner have the same users, groups and roles.
    default:
      return true
  }
}

async function attach(
  { state }: IamParts,
  kind: Kind,
  of: Named,
  policyArn: string | undefined,
): Promise<object> {
  return await change(state, of.account, async (tx, view) => {
    const one = entity(view, kind, of)
    const { arn } = managedPolicy(view, of.account, policyArn ?? '')
    if (one.attached.includes(arn)) return {}
    if (one.attached.length >= MOST) throw limitExceeded(QUOTAS[kind], MOST)
    await putEntity(tx, kind, { ...one, attached: [...one.attached, arn] } as never)
    return {}
  })
}

async function detach(
  { state }: IamParts,
  kind: Kind,
  of: Named,
  arn: string | undefined,
): Promise<object> {
  return await change(state, of.account, async (tx, view) => {
    const one = entity(view, kind, of)
    if (arn === undefined || !one.attached.includes(arn)) {
      throw notThere(`Policy ${arn} was not found.`)
    }
    const attached = one.attached.filter((each) => each !== arn)
    await putEntity(tx, kind, { ...one, attached } as never)
    return {}
  })
}

function list(
  view: View,
  kind: Kind,
  of: Named,
  input: PageRequest & { readonly PathPrefix?: string | undefined },
): { AttachedPolicies: AttachedPolicy[] } {
  const prefix = checkPathPrefix(input.PathPrefix)
  const found = entity(view, kind, of)
    .attached.map((arn) => findPolicy(view, of.account, arn))
    .filter((policy) => policy !== null)
    .filter(({ path }) => path.startsWith(prefix))
  const { items, end } = pageOf(input, found, ({ arn }) => arn)
  return {
    AttachedPolicies: items.map(({ name, arn }) => ({ PolicyName: name, PolicyArn: arn })),
    ...end,
  }
}
