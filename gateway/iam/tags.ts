// Tags of users, roles, instance profiles and policies.

import { ApiError } from '../aws/api-error.ts'
import type { IamHandlers } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import {
  checkName,
  checkTags,
  mergeTags,
  shownTags,
  type Tag,
  type Tags,
  withoutTags,
} from './checks.ts'
import { change, entity, type IamParts, putEntity } from './entities.ts'
import { type PageEnd, type PageRequest, pageOf } from './paging.ts'
import { managedPolicy } from './policies.ts'

type Kind = 'iam-user' | 'iam-role' | 'iam-profile' | 'iam-policy'

interface Target {
  readonly kind: Kind
  readonly account: string
  readonly name: string
}

export function tagHandlers(parts: IamParts): IamHandlers {
  const { state } = parts
  const policy = (account: string, arn: string | undefined): Target => {
    const { record, name } = managedPolicy(state.view(), account, arn ?? '')
    if (record !== null) return { kind: 'iam-policy', account, name }
    throw new ApiError('InvalidInput', `The policy ${arn} is AWS' and cannot be tagged.`)
  }
  return {
    TagUser: ({ caller: { account } }, { UserName, Tags }) =>
      tag(parts, user(account, UserName), Tags),
    TagRole: ({ caller: { account } }, { RoleName, Tags }) =>
      tag(parts, role(account, RoleName), Tags),
    TagInstanceProfile: ({ caller: { account } }, { InstanceProfileName, Tags }) =>
      tag(parts, profile(account, InstanceProfileName), Tags),
    TagPolicy: ({ caller: { account } }, { PolicyArn, Tags }) =>
      tag(parts, policy(account, PolicyArn), Tags),

    UntagUser: ({ caller: { account } }, { UserName, TagKeys }) =>
      untag(parts, user(account, UserName), TagKeys),
    UntagRole: ({ caller: { account } }, { RoleName, TagKeys }) =>
      untag(parts, role(account, RoleName), TagKeys),
    UntagInstanceProfile: ({ caller: { account } }, { InstanceProfileName, TagKeys }) =>
      untag(parts, profile(account, InstanceProfileName), TagKeys),
    UntagPolicy: ({ caller: { account } }, { PolicyArn, TagKeys }) =>
      untag(parts, policy(account, PolicyArn), TagKeys),

    ListUserTags: ({ caller: { account } }, input) =>
      list(state.view(), user(account, input.UserName), input),
    ListRoleTags: ({ caller: { account } }, input) =>
      list(state.view(), role(account, input.RoleName), input),
    ListInstanceProfileTags: ({ caller: { account } }, input) =>
      list(state.view(), profile(account, input.InstanceProfileName), input),
    ListPolicyTags: ({ caller: { account } }, input) =>
      page(managedPolicy(state.view(), account, input.PolicyArn ?? '').tags, input),
  }
}

function user(account: string, name: string | undefined): Target {
  return { kind: 'iam-user', account, name: checkName('userName', name) }
}

function role(account: string, name: string | undefined): Target {
  return { kind: 'iam-role', account, name: checkName('roleName', name) }
}

function profile(account: string, name: string | undefined): Target {
  return { kind: 'iam-profile', account, name: checkName('instanceProfileName', name) }
}

async function tag(
  { state }: IamParts,
  target: Target,
  list: readonly Tag[] | undefined,
): Promise<object> {
  const more = checkTags(list)
  return await change(state, target.account, async (tx, view) => {
    const one = entity(view, target.kind, target)
    await putEntity(tx, target.kind, { ...one, tags: mergeTags(one.tags, more) } as never)
    return {}
  })
}

async function untag(
  { state }: IamParts,
  target: Target,
  keys: readonly string[] = [],
): Promise<object> {
  return await change(state, target.account, async (tx, view) => {
    const one = entity(view, target.kind, target)
    await putEntity(tx, target.kind, { ...one, tags: withoutTags(one.tags, keys) } as never)
    return {}
  })
}

function list(
  view: View,
  target: Target,
  input: PageRequest,
): PageEnd & { Tags: ReturnType<typeof shownTags> } {
  return page(entity(view, target.kind, target).tags, input)
}

function page(tags: Tags, input: PageRequest): PageEnd & { Tags: ReturnType<typeof shownTags> } {
  const { items, end } = pageOf(input, shownTags(tags), ({ Key }) => Key)
  return { Tags: [...items], ...end }
}
