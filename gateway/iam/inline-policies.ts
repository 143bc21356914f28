// Policies that are part of one user, group or role.

import type { IamHandlers } from '../aws/handlers.ts'
import { checkName } from './checks.ts'
import { checkDocument, encodeDocument, MAX_INLINE, sizeOf } from './documents.ts'
import { change, entity, type IamParts, putEntity } from './entities.ts'
import { limitExceeded, notThere } from './errors.ts'
import { type PageEnd, type PageRequest, pageOf } from './paging.ts'

type Kind = 'iam-user' | 'iam-group' | 'iam-role'

interface Of {
  readonly account: string
  readonly name: string
}
interface Input {
  readonly PolicyName?: string | undefined
  readonly PolicyDocument?: string | undefined
}

const WORDS = { 'iam-user': 'user', 'iam-group': 'group', 'iam-role': 'role' } as const

export function inlinePolicyHandlers(parts: IamParts): IamHandlers {
  return {
    PutUserPolicy: ({ caller }, input) => put(parts, 'iam-user', user(caller, input), input),
    PutGroupPolicy: ({ caller }, input) => put(parts, 'iam-group', group(caller, input), input),
    PutRolePolicy: ({ caller }, input) => put(parts, 'iam-role', role(caller, input), input),

    GetUserPolicy: ({ caller }, input) => {
      const of = user(caller, input)
      return { UserName: of.name, ...get(parts, 'iam-user', of, input) }
    },
    GetGroupPolicy: ({ caller }, input) => {
      const of = group(caller, input)
      return { GroupName: of.name, ...get(parts, 'iam-group', of, input) }
    },
    GetRolePolicy: ({ caller }, input) => {
      const of = role(caller, input)
      return { RoleName: of.name, ...get(parts, 'iam-role', of, input) }
    },

    DeleteUserPolicy: ({ caller }, input) => remove(parts, 'iam-user', user(caller, input), input),
    DeleteGroupPolicy: ({ caller }, input) =>
      remove(parts, 'iam-group', group(caller, input), input),
    DeleteRolePolicy: ({ caller }, input) => remove(parts, 'iam-role', role(caller, input), input),

    ListUserPolicies: ({ caller }, input) => list(parts, 'iam-user', user(caller, input), input),
    ListGroupPolicies: ({ caller }, input) => list(parts, 'iam-group', group(caller, input), input),
    ListRolePolicies: ({ caller }, input) => list(parts, 'iam-role', role(caller, input), input),
  }
}

function user({ account }: { account: string }, input: { UserName?: string | undefined }): Of {
  return { account, name: checkName('userName', input.UserName) }
}

function group({ account }: { account: string }, input: { GroupName?: string | undefined }): Of {
  return { account, name: checkName('groupName', input.GroupName) }
}

function role({ account }: { account: string }, input: { RoleName?: string | undefined }): Of {
  return { account, name: checkName('roleName', input.RoleName) }
}

async function put(
  { state }: IamParts,
  kind: Kind,
  of: Of,
  { PolicyName, PolicyDocument }: Input,
): Promise<object> {
  const name = checkName('policyName', PolicyName)
  const document = checkDocument(PolicyDocument, 'identity')
  return await change(state, of.account, async (tx, view) => {
    const one = entity(view, kind, of)
    const inline = Object.fromEntries([...Object.entries(one.inline), [name, document]])
    const size = Object.values(inline).reduce((sum, text) => sum + sizeOf(text), 0)
    const word = WORDS[kind]
    if (size > MAX_INLINE[word]) {
      throw limitExceeded(`Maximum policy size, of ${word} ${one.name}`, MAX_INLINE[word])
    }
    await putEntity(tx, kind, { ...one, inline } as never)
    return {}
  })
}

function get(
  { state }: IamParts,
  kind: Kind,
  of: Of,
  { PolicyName }: Input,
): { PolicyName: string; PolicyDocument: string } {
  const name = checkName('policyName', PolicyName)
  const { inline } = entity(state.view(), kind, of)
  const document = Object.hasOwn(inline, name) ? inline[name] : undefined
  if (document === undefined) throw missing(kind, name)
  return { PolicyName: name, PolicyDocument: encodeDocument(document) }
}

async function remove(
  { state }: IamParts,
  kind: Kind,
  of: Of,
  { PolicyName }: Input,
): Promise<object> {
  const name = checkName('policyName', PolicyName)
  return await change(state, of.account, async (tx, view) => {
    const one = entity(view, kind, of)
    if (!Object.hasOwn(one.inline, name)) throw missing(kind, name)
    const inline = Object.fromEntries(Object.entries(one.inline).filter(([key]) => key !== name))
    await putEntity(tx, kind, { ...one, inline } as never)
    return {}
  })
}

function list(
  { state }: IamParts,
  kind: Kind,
  of: Of,
  input: PageRequest,
): PageEnd & { PolicyNames: string[] } {
  const names = Object.keys(entity(state.view(), kind, of).inline)
  const { items, end } = pageOf(input, names, (name) => name)
  return { PolicyNames: [...items], ...end }
}

function missing(kind: Kind, name: string): Error {
  return notThere(`The ${WORDS[kind]} policy with name ${name} cannot be found.`)
}
