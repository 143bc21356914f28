// Users: made, named, moved, listed and ended.

import type { User } from '@aws-sdk/client-iam'
import type { CallContext, IamHandlers } from '../aws/handlers.ts'
import type { UserRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { boundaryOf, shownBoundary } from './boundaries.ts'
import { checkName, checkPath, checkTags, mergeTags, shownTags } from './checks.ts'
import {
  arnOf,
  change,
  checkNew,
  deleteEntity,
  entitiesBelow,
  entity,
  type IamParts,
  newEntityId,
  putEntity,
  refuseWithPolicies,
} from './entities.ts'
import { deleteConflict, invalid } from './errors.ts'
import { pageOf } from './paging.ts'

export function userHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreateUser: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('userName', input.UserName)
      const path = checkPath(input.Path)
      const tags = mergeTags({}, checkTags(input.Tags))
      return await change(state, account, async (tx, view) => {
        checkNew(view, 'iam-user', { account, name })
        const user: UserRecord = {
          ...{ id: newEntityId(randomHex, 'iam-user'), account, name, path, createdAtMs: nowMs },
          ...{ attached: [], inline: {}, groups: [], tags, login: null },
          boundary: boundaryOf(view, account, input.PermissionsBoundary),
        }
        await putEntity(tx, 'iam-user', user)
        return { User: shownUser(user, { tags: true }) }
      })
    },

    GetUser: ({ caller }, input) => {
      const view = state.view()
      if (input.UserName === undefined && isRoot(caller)) return { User: shownRoot(view, caller) }
      return { User: shownUser(userNamed(view, caller, input.UserName), { tags: true }) }
    },

    UpdateUser: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      const newName = input.NewUserName && checkName('userName', input.NewUserName)
      const path = input.NewPath === undefined ? undefined : checkPath(input.NewPath)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        const isOther = newName !== undefined && newName.toLowerCase() !== name.toLowerCase()
        if (isOther) checkNew(view, 'iam-user', { account, name: newName })
        if (isOther) await deleteEntity(tx, 'iam-user', user)
        await putEntity(tx, 'iam-user', { ...user, name: newName ?? name, path: path ?? user.path })
        return {}
      })
    },

    DeleteUser: async ({ caller: { account } }, input) => {
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const user = entity(view, 'iam-user', { account, name })
        if (user.login !== null) throw deleteConflict('delete login profile')
        if (view.by('access-key', 'user', user.id).length > 0) {
          throw deleteConflict('delete access keys')
        }
        if (user.groups.length > 0) throw deleteConflict('remove users from group')
        refuseWithPolicies(user)
        await deleteEntity(tx, 'iam-user', user)
        return {}
      })
    },

    ListUsers: ({ caller: { account } }, input) => {
      const below = { account, prefix: input.PathPrefix }
      const users = entitiesBelow(state.view(), 'iam-user', below)
      const { items, end } = pageOf(input, users, ({ name }) => name)
      return { Users: items.map((user) => shownUser(user)), ...end }
    },
  }
}

export function isRoot({ userArn }: CallContext['caller']): boolean {
  return userArn.endsWith(':root')
}

/** The user that a request names, or the one who asks. Throws NoSuchEntity, ValidationError. */
export function userNamed(
  view: View,
  caller: CallContext['caller'],
  name: string | undefined,
): UserRecord {
  const { account } = caller
  if (name !== undefined)
    return entity(view, 'iam-user', { account, name: checkName('userName', name) })
  const [own] = view.by('iam-user', 'id', caller.userId)
  if (own !== undefined) return own
  throw invalid('Must specify userName when calling with non-User credentials')
}

function shownRoot(view: View, { account, userArn }: CallContext['caller']): User {
  const createdAtMs = view.get('account', account)?.createdAtMs ?? 0
  return {
    Path: '/',
    // Whoever has no name is called by the number, as AWS does.
    UserName: view.get('account', account)?.name ?? account,
    UserId: account,
    Arn: userArn,
    CreateDate: new Date(createdAtMs),
  }
}

/** Lists leave tags and boundaries out, as AWS' do. */
export function shownUser(user: UserRecord, { tags = false } = {}): User {
  return {
    Path: user.path,
    UserName: user.name,
    UserId: user.id,
    Arn: arnOf('iam-user', user),
    CreateDate: new Date(user.createdAtMs),
    ...(tags && shownBoundary(user.boundary)),
    ...(tags && Object.keys(user.tags).length > 0 && { Tags: shownTags(user.tags) }),
  }
}
