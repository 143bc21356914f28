// Groups, and the users in them.

import type { Group } from '@aws-sdk/client-iam'
import type { IamHandlers } from '../aws/handlers.ts'
import type { GroupRecord } from '../store/iam-records.ts'
import { checkName, checkPath } from './checks.ts'
import {
  arnOf,
  change,
  checkNew,
  deleteEntity,
  entitiesBelow,
  entitiesOf,
  entity,
  type IamParts,
  newEntityId,
  putEntity,
  refuseWithPolicies,
} from './entities.ts'
import { deleteConflict, limitExceeded } from './errors.ts'
import { pageOf } from './paging.ts'
import { shownUser } from './users.ts'

const MOST_OF_USER = 10

export function groupHandlers({ state, randomHex }: IamParts): IamHandlers {
  return {
    CreateGroup: async ({ caller: { account }, nowMs }, input) => {
      const name = checkName('groupName', input.GroupName)
      const path = checkPath(input.Path)
      return await change(state, account, async (tx, view) => {
        checkNew(view, 'iam-group', { account, name })
        const group: GroupRecord = {
          ...{ id: newEntityId(randomHex, 'iam-group'), account, name, path },
          ...{ createdAtMs: nowMs, attached: [], inline: {} },
        }
        await putEntity(tx, 'iam-group', group)
        return { Group: shownGroup(group) }
      })
    },

    GetGroup: ({ caller: { account } }, input) => {
      const view = state.view()
      const name = checkName('groupName', input.GroupName)
      const group = entity(view, 'iam-group', { account, name })
      const users = view.by('iam-user', 'groups', group.id)
      const { items, end } = pageOf(input, users, (user) => user.name)
      return { Group: shownGroup(group), Users: items.map((user) => shownUser(user)), ...end }
    },

    UpdateGroup: async ({ caller: { account } }, input) => {
      const name = checkName('groupName', input.GroupName)
      const newName = input.NewGroupName && checkName('groupName', input.NewGroupName)
      const path = input.NewPath === undefined ? undefined : checkPath(input.NewPath)
      return await change(state, account, async (tx, view) => {
        const group = entity(view, 'iam-group', { account, name })
        if (newName !== undefined && newName.toLowerCase() !== name.toLowerCase()) {
          checkNew(view, 'iam-group', { account, name: newName })
          await deleteEntity(tx, 'iam-group', group)
        }
        const changed = { ...group, name: newName ?? name, path: path ?? group.path }
        await putEntity(tx, 'iam-group', changed)
        return {}
      })
    },

    DeleteGroup: async ({ caller: { account } }, input) => {
      const name = checkName('groupName', input.GroupName)
      return await change(state, account, async (tx, view) => {
        const group = entity(view, 'iam-group', { account, name })
        if (view.by('iam-user', 'groups', group.id).length > 0) {
          throw deleteConflict('remove users from group')
        }
        refuseWithPolicies(group)
        await deleteEntity(tx, 'iam-group', group)
        return {}
      })
    },

    ListGroups: ({ caller: { account } }, input) => {
      const below = { account, prefix: input.PathPrefix }
      const groups = entitiesBelow(state.view(), 'iam-group', below)
      const { items, end } = pageOf(input, groups, ({ name }) => name)
      return { Groups: items.map(shownGroup), ...end }
    },

    ListGroupsForUser: ({ caller: { account } }, input) => {
      const view = state.view()
      const name = checkName('userName', input.UserName)
      const ids = new Set(entity(view, 'iam-user', { account, name }).groups)
      const groups = entitiesOf(view, 'iam-group', account).filter(({ id }) => ids.has(id))
      const { items, end } = pageOf(input, groups, (group) => group.name)
      return { Groups: items.map(shownGroup), ...end }
    },

    AddUserToGroup: async ({ caller: { account } }, input) => {
      const groupName = checkName('groupName', input.GroupName)
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const group = entity(view, 'iam-group', { account, name: groupName })
        const user = entity(view, 'iam-user', { account, name })
        if (user.groups.includes(group.id)) return {}
        if (user.groups.length >= MOST_OF_USER) throw limitExceeded('GroupsPerUser', MOST_OF_USER)
        await putEntity(tx, 'iam-user', { ...user, groups: [...user.groups, group.id] })
        return {}
      })
    },

    RemoveUserFromGroup: async ({ caller: { account } }, input) => {
      const groupName = checkName('groupName', input.GroupName)
      const name = checkName('userName', input.UserName)
      return await change(state, account, async (tx, view) => {
        const { id } = entity(view, 'iam-group', { account, name: groupName })
        const user = entity(view, 'iam-user', { account, name })
        const groups = user.groups.filter((one) => one !== id)
        await putEntity(tx, 'iam-user', { ...user, groups })
        return {}
      })
    },
  }
}

export function shownGroup(group: GroupRecord): Group {
  return {
    Path: group.path,
    GroupName: group.name,
    GroupId: group.id,
    Arn: arnOf('iam-group', group),
    CreateDate: new Date(group.createdAtMs),
  }
}
